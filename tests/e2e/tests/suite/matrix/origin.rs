//! A server that does what the table says, in HTTP/1.1 or HTTP/2, and keeps a record of what it saw.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use http::HeaderMap;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use super::cases::{CASES, Case};
use super::line::Door;
use super::{Out, http1, http2};

/// What came of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    Whole { length: usize, trailers: bool },
    Broken,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) fields: HeaderMap,
    pub(super) arrived: Option<Arrived>,
    /// Bytes of content that were handed to the connection.
    pub(super) sent: usize,
    /// The proxy has let go of the connection or the stream.
    pub(super) left: bool,
    release: Arc<Notify>,
}

/// What the origin saw, by case.
#[derive(Clone, Debug, Default)]
pub(super) struct Records(Arc<Mutex<HashMap<usize, Record>>>);

impl Records {
    pub(super) fn of(&self, case: usize) -> Record {
        self.0.lock().unwrap().entry(case).or_default().clone()
    }

    pub(super) fn note(&self, case: usize, note: impl FnOnce(&mut Record)) {
        note(self.0.lock().unwrap().entry(case).or_default());
    }

    /// An origin that hesitates may go on.
    pub(super) fn release(&self, case: usize) {
        self.of(case).release.notify_one();
    }

    pub(super) async fn released(&self, case: usize) {
        let release = self.of(case).release;
        release.notified().await;
    }
}

/// The number of the case that a target names.
pub(super) fn case_of(target: &str) -> (usize, &'static Case) {
    let number = target.rsplit('/').next().and_then(|number| number.parse().ok());
    let number: usize = number.unwrap_or_else(|| panic!("{target} names no case"));
    (number, &CASES[number])
}

/// Serves until the test ends; how the proxy is told of it.
pub(super) fn start(out: Out, folder: &Path, tls: TlsAcceptor, records: Records) -> String {
    let (door, url) = match out {
        Out::Unix => {
            let path = folder.join("origin.sock");
            (Door::unix(&path), format!("unix:{}", path.display()))
        }
        Out::Http1 | Out::Http2 => {
            let (door, port) = Door::tcp(None);
            let scheme = if out == Out::Http2 { "h2c" } else { "http" };
            (door, format!("{scheme}://127.0.0.1:{port}"))
        }
        Out::Http1Tls | Out::Http2Tls => {
            let (door, port) = Door::tcp(Some(tls));
            (door, format!("https://127.0.0.1:{port}"))
        }
    };
    tokio::spawn(async move {
        loop {
            // One that came to nothing is the proxy's business.
            let Ok(line) = door.accept().await else { continue };
            let records = records.clone();
            if out.is_http2() {
                tokio::spawn(http2::serve(line, records));
            } else {
                tokio::spawn(http1::serve(line, records));
            }
        }
    });
    url
}
