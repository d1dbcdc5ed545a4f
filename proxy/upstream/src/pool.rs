use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use starve_telemetry::worker_index;

use crate::connect::Sender;

/// Idle connections kept per worker and server.
const IDLE_MAX: usize = 1_024;

/// The idle connections to one server, a stack per worker: the one used last is used first, so that the
/// others can grow old and go.
#[derive(Debug)]
pub(crate) struct Pool {
    /// Each is locked by its own worker, and for a moment by the sweep: never waited for in practice.
    shards: Box<[Mutex<Vec<Idle>>]>,
    idle_max: Duration,
    open: AtomicUsize,
}

#[derive(Debug)]
struct Idle {
    sender: Sender,
    since: Instant,
}

impl Pool {
    pub(crate) fn new(workers: usize, idle_max: Duration) -> Self {
        let shards = (0..=workers).map(|_| Mutex::default()).collect();
        Self { shards, idle_max, open: AtomicUsize::new(0) }
    }

    fn shard(&self) -> &Mutex<Vec<Idle>> {
        &self.shards[worker_index().min(self.shards.len() - 1)]
    }

    /// A connection that is ready for the next request. One that is still busy with the end of the last
    /// exchange stays for later; one that is closed or too old goes.
    pub(crate) fn take(&self) -> Option<Sender> {
        let mut idle = self.shard().lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = idle.len();
        while at > 0 {
            at -= 1;
            let Idle { sender, since } = &idle[at];
            if sender.is_closed() || since.elapsed() >= self.idle_max {
                idle.remove(at);
            } else if sender.is_ready() {
                return Some(idle.remove(at).sender);
            }
        }
        None
    }

    /// Keeps a connection after a complete exchange.
    pub(crate) fn put(&self, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.shard().lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(Idle { sender, since: Instant::now() });
        }
    }

    /// Closes what has been idle for too long or was closed by the server.
    pub(crate) fn sweep(&self) {
        for shard in &self.shards {
            let mut idle = shard.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|idle| !idle.sender.is_closed() && idle.since.elapsed() < self.idle_max);
        }
    }

    pub(crate) fn idle(&self) -> usize {
        let length = |shard: &Mutex<Vec<Idle>>| shard.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.shards.iter().map(length).sum()
    }

    pub(crate) fn in_use(&self) -> &AtomicUsize {
        &self.open
    }

    pub(crate) fn in_use_count(&self) -> usize {
        self.open.load(Relaxed)
    }
}
