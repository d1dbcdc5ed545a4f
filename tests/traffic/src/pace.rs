//! When the next call may begin: one clock for all users, so that the rate is kept whoever is slow.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// Gives out starting times at a steady rate until it is stopped.
#[derive(Debug)]
pub(crate) struct Pace {
    started: Instant,
    rate: f64,
    given: AtomicU64,
    stopped: watch::Sender<bool>,
}

impl Pace {
    /// `rate` in calls per second; 0 waits for nothing.
    pub(crate) fn new(rate: f64) -> Self {
        Self { started: Instant::now(), rate, given: AtomicU64::new(0), stopped: watch::Sender::new(false) }
    }

    /// Wait for the next starting time; false once stopped.
    pub(crate) async fn turn(&self) -> bool {
        let mut stopped = self.stopped.subscribe();
        if *stopped.borrow() {
            return false;
        }
        if self.rate > 0.0 {
            let number = self.given.fetch_add(1, Ordering::Relaxed);
            let at = self.started + Duration::from_secs_f64(number as f64 / self.rate);
            tokio::select! {
                () = sleep_until(at) => {}
                _ = stopped.wait_for(|&stopped| stopped) => return false,
            }
        }
        true
    }

    pub(crate) fn stop(&self) {
        self.stopped.send_replace(true);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    pub(crate) async fn until_stopped(&self) {
        let mut stopped = self.stopped.subscribe();
        // The sender is owned by `self`, so waiting can only end by the value.
        let _ = stopped.wait_for(|&stopped| stopped).await;
    }
}
