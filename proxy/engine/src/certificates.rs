//! The certificates of the listeners and the upstreams, read again when their files change.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use starve_config::Plan;
use starve_listener::{Tls, TlsError};

/// In the order of the listeners that the program started with.
#[derive(Debug)]
pub(crate) struct Certificates {
    listeners: Vec<Option<Tls>>,
    /// The files as they were when they were looked at last, good or bad.
    seen: Mutex<Vec<Seen>>,
}

type Seen = (PathBuf, Option<SystemTime>, u64);

impl Certificates {
    pub(crate) fn new(listeners: Vec<Option<Tls>>, plan: &Plan) -> Self {
        Self { listeners, seen: Mutex::new(files(plan)) }
    }

    /// Whether a file is another one than at the last look.
    pub(crate) fn have_news(&self, plan: &Plan) -> bool {
        let now = files(plan);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *seen, now.clone()) != now
    }

    /// Reads them all again. Connections that stand go on with what they have.
    ///
    /// # Errors
    /// The first that cannot be read, with its listener. Nothing is changed then.
    pub(crate) fn reload(&self, plan: &Plan) -> Result<(), (usize, TlsError)> {
        // A listener that was added or moved needs a restart, and is none of these.
        let pairs = self.listeners.iter().zip(&plan.listeners).enumerate();
        let with_tls = pairs.filter_map(|(at, (tls, plan))| Some((at, tls.as_ref()?, plan.tls.as_ref()?)));
        let mut prepared = Vec::new();
        for (index, tls, plan) in with_tls {
            prepared.push((tls, tls.prepare(plan).map_err(|error| (index, error))?));
        }
        for (tls, next) in prepared {
            tls.put(next);
        }
        Ok(())
    }
}

fn files(plan: &Plan) -> Vec<Seen> {
    let plans = plan.listeners.iter().filter_map(|listener| listener.tls.as_ref());
    let of_listeners = plans.flat_map(|tls| {
        let pairs = tls.certificates.iter().flat_map(|pair| [&pair.certificate, &pair.key]);
        pairs.chain(tls.client_auth.iter().map(|client| &client.ca))
    });
    let of_upstreams = plan.upstreams.values().flat_map(|upstream| {
        let client = upstream.tls.client.iter().flat_map(|(certificate, key)| [certificate, key]);
        upstream.tls.ca.iter().chain(client)
    });
    of_listeners.chain(of_upstreams).map(|file| seen(file)).collect()
}

fn seen(file: &Path) -> Seen {
    let metadata = std::fs::metadata(file).ok();
    let changed = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
    (file.to_owned(), changed, metadata.map_or(0, |metadata| metadata.len()))
}
