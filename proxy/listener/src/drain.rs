//! How accept loops and connections are told to come to an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use tokio::sync::watch;

const SERVING: u8 = 0;
const DRAINING: u8 = 1;
const CLOSING: u8 = 2;

/// Begins the drain. Dropped, it has begun all the same.
#[derive(Debug)]
pub struct DrainSwitch {
    stage: Arc<AtomicU8>,
    changed: watch::Sender<u8>,
}

/// Tells when to stop.
#[derive(Clone, Debug)]
pub struct Drain {
    /// Looked at for each request, so no lock.
    stage: Arc<AtomicU8>,
    changed: watch::Receiver<u8>,
}

impl DrainSwitch {
    /// No more connections; each goes on to the end of its next answer, which says so.
    pub fn begin(&self) {
        self.to(DRAINING);
    }

    /// Connections without a request are closed as well.
    pub fn close_idle(&self) {
        self.to(CLOSING);
    }

    fn to(&self, stage: u8) {
        self.stage.fetch_max(stage, Relaxed);
        self.changed.send_if_modified(|now| {
            let before = std::mem::replace(now, (*now).max(stage));
            before != *now
        });
    }
}

impl Drop for DrainSwitch {
    fn drop(&mut self) {
        self.close_idle();
    }
}

impl Drain {
    pub fn new() -> (DrainSwitch, Self) {
        let stage = Arc::new(AtomicU8::new(SERVING));
        let (sender, receiver) = watch::channel(SERVING);
        (DrainSwitch { stage: stage.clone(), changed: sender }, Self { stage, changed: receiver })
    }

    /// Whether answers are to be a connection's last.
    pub fn has_begun(&self) -> bool {
        self.stage.load(Relaxed) >= DRAINING
    }

    /// Whether a connection that waits for its next request is to be closed.
    pub fn closes_idle(&self) -> bool {
        self.stage.load(Relaxed) >= CLOSING
    }

    /// Waits until the drain begins.
    pub async fn begun(&mut self) {
        let _gone = self.changed.wait_for(|stage| *stage >= DRAINING).await.map(drop);
    }

    /// Waits until idle connections are to be closed.
    pub async fn idle_closing(&mut self) {
        let _gone = self.changed.wait_for(|stage| *stage >= CLOSING).await.map(drop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn idle_connections_are_told_later() {
        let (switch, mut drain) = Drain::new();
        assert!(!drain.has_begun());
        switch.begin();
        drain.begun().await;
        assert!(drain.has_begun() && !drain.closes_idle());
        drop(switch);
        drain.idle_closing().await;
        assert!(drain.closes_idle());
    }
}
