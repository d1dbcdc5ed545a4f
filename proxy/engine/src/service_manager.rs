//! What systemd is told (`sd_notify(3)`). Without it, or under another service manager, nothing is said.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;

use crate::watch as watching;

/// Beats between two words to the watchdog.
const BEATS_PER_WORD: u32 = 2;

pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "no clock for the service manager"),
    }
}

pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The successor is the service from now on (needs `NotifyAccess=all` in its unit).
pub(crate) fn replaced_by(pid: u32) {
    tell(&[NotifyState::MainPid(pid)]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}

/// The time after which systemd restarts a service that it does not hear of (`WatchdogSec=`).
pub(crate) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// What shows that each worker still comes round to its work.
#[derive(Clone, Debug)]
pub(crate) struct Heartbeats(Arc<[AtomicU64]>);

impl Heartbeats {
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| AtomicU64::new(0)).collect())
    }

    /// Beats for one worker, on its own thread, as long as it runs.
    pub(crate) async fn beat(self, worker: usize, limit: Duration) {
        let mut tick = tokio::time::interval(limit / (4 * BEATS_PER_WORD));
        loop {
            tick.tick().await;
            self.0[worker].fetch_add(1, Relaxed);
        }
    }

    fn look(&self) -> Vec<u64> {
        self.0.iter().map(|beats| beats.load(Relaxed)).collect()
    }
}

/// Tells the watchdog that all is well, as long as every worker's heart has beaten since the last time.
pub(crate) async fn keep_alive(hearts: Heartbeats, limit: Duration, mut stop: watch::Receiver<bool>) {
    let mut before = hearts.look();
    loop {
        tokio::select! {
            () = watching::stopped(&mut stop) => return,
            () = tokio::time::sleep(limit / 4) => {}
        }
        let now = hearts.look();
        match before.iter().zip(&now).position(|(before, now)| before == now) {
            None => tell(&[NotifyState::Watchdog]),
            Some(worker) => tracing::error!(worker, "a worker does not come round to its work"),
        }
        before = now;
    }
}
