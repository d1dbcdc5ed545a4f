//! The report's figures for `/metrics`, so that both say the same.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use starve_admin::report::{DEFAULT_WINDOW, Options, build};
use starve_ledger::{LedgerError, Reader};

use crate::proxy::Proxy;
use crate::recorder::now_ms;

/// How often a report is made, and how much of a thread's time that may take at most: a big ledger is read
/// more seldom.
const EVERY: Duration = Duration::from_secs(2);
const PAUSE_PER_WORK: u32 = 50;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) legacy_call_ratio: f64,
    pub(crate) dead_routes: u64,
}

impl Default for Told {
    /// Before anything was counted the monolith does it all.
    fn default() -> Self {
        Self { legacy_call_ratio: 1.0, dead_routes: 0 }
    }
}

pub(crate) async fn run(proxy: Arc<Proxy>, mut stop: tokio::sync::watch::Receiver<bool>) {
    let mut failing = false;
    loop {
        let began = Instant::now();
        let reader = proxy.clone();
        match tokio::task::spawn_blocking(move || look(&reader)).await {
            Ok(Ok(told)) => {
                *proxy.told.lock().unwrap_or_else(PoisonError::into_inner) = told;
                failing = false;
            }
            Ok(Err(error)) if !failing => {
                failing = true;
                tracing::warn!(%error, "no report can be made for /metrics; its figures stay as they are");
            }
            _ => {}
        }
        let pause = EVERY.max(began.elapsed() * PAUSE_PER_WORK);
        tokio::select! {
            () = crate::watch::stopped(&mut stop) => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn look(proxy: &Proxy) -> Result<Told, LedgerError> {
    let reader = Reader::open(proxy.ledger.path())?;
    let report = build(&proxy.route_infos(), Some(&reader), &Options::last(DEFAULT_WINDOW, now_ms()))?;
    Ok(Told {
        legacy_call_ratio: report.progress.legacy_call_ratio.unwrap_or(1.0),
        dead_routes: report.dead.len() as u64,
    })
}
