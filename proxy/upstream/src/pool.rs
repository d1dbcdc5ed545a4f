use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use starve_http1::{Connection, Home};
use starve_telemetry::worker_index;

use crate::dial::Stream;
use crate::limits::Place;
use crate::server::Server;

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
    connection: Connection<Stream>,
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

    /// A connection that is ready for the next request; one that is closed or too old goes.
    pub(crate) fn take(&self) -> Option<Connection<Stream>> {
        let mut idle = self.shard().lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(mut last) = idle.pop() {
            if last.connection.is_open() && last.since.elapsed() < self.idle_max {
                return Some(last.connection);
            }
        }
        None
    }

    /// Keeps a connection after a complete exchange.
    pub(crate) fn put(&self, connection: Connection<Stream>) {
        let mut idle = self.shard().lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(Idle { connection, since: Instant::now() });
        }
    }

    /// Closes an idle connection, the oldest of any worker, to make room for another one.
    pub(crate) fn close_one(&self) {
        for shard in &self.shards {
            let mut idle = shard.lock().unwrap_or_else(PoisonError::into_inner);
            if !idle.is_empty() {
                idle.remove(0);
                return;
            }
        }
    }

    /// Closes what has been idle for too long or was closed by the server.
    pub(crate) fn sweep(&self) {
        for shard in &self.shards {
            let mut idle = shard.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain_mut(|idle| idle.connection.is_open() && idle.since.elapsed() < self.idle_max);
        }
    }

    pub(crate) fn idle(&self) -> usize {
        let length = |shard: &Mutex<Vec<Idle>>| shard.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.shards.iter().map(length).sum()
    }

    pub(crate) fn in_use_count(&self) -> usize {
        self.open.load(Relaxed)
    }
}

/// Counts a request towards its server for as long as it lives, to the end of its answer.
#[derive(Debug)]
pub(crate) struct InUse {
    server: Arc<Server>,
    /// Given back with it.
    _place: Place,
}

impl InUse {
    pub(crate) fn new(server: &Arc<Server>, place: &Place) -> Self {
        server.pool.open.fetch_add(1, Relaxed);
        Self { server: server.clone(), _place: place.clone() }
    }
}

impl Home<Stream> for InUse {
    fn take_back(self, connection: Connection<Stream>) {
        self.server.keep(connection);
    }

    fn ignores_expectations(&self) {
        self.server.note_ignored_expectation();
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.server.pool.open.fetch_sub(1, Relaxed);
    }
}
