//! Calls that no route matched, on their way to discovery.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use http::Method;

/// Observations that wait per worker, from one collection (a second) to the next.
const WAITING_MAX: usize = 100_000;

#[derive(Debug)]
pub(crate) struct Observation {
    pub(crate) method: Method,
    /// Normalised.
    pub(crate) path: String,
    /// 0 where there was no answer.
    pub(crate) status: u16,
    /// Where a redirect leads: one to a login shows no endpoint.
    pub(crate) location: Option<String>,
    pub(crate) duration: Duration,
    /// A health check, bot or scanner called.
    pub(crate) apart: bool,
}

/// A list per worker, so that a call takes only its own worker's lock, which nobody holds but the
/// collector for the moment of a swap.
#[derive(Debug)]
pub(crate) struct Observations {
    workers: Box<[CachePadded<Mutex<Vec<Observation>>>]>,
    unseen: AtomicU64,
    unseen_in_all: AtomicU64,
}

impl Observations {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers: (0..workers).map(|_| CachePadded::default()).collect(),
            unseen: AtomicU64::new(0),
            unseen_in_all: AtomicU64::new(0),
        }
    }

    pub(crate) fn push(&self, worker: usize, observation: Observation) {
        let mut waiting = self.workers[worker].lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING_MAX {
            waiting.push(observation);
        } else {
            self.unseen.fetch_add(1, Relaxed);
            self.unseen_in_all.fetch_add(1, Relaxed);
        }
    }

    /// How many calls came faster than they could be looked at.
    pub(crate) fn unseen_in_all(&self) -> u64 {
        self.unseen_in_all.load(Relaxed)
    }

    /// All that has come since the last time, and how many more there were than can wait.
    pub(crate) fn take(&self) -> (Vec<Observation>, u64) {
        let mut all = Vec::new();
        for worker in &self.workers {
            let taken = std::mem::take(&mut *worker.lock().unwrap_or_else(PoisonError::into_inner));
            all.extend(taken);
        }
        (all, self.unseen.swap(0, Relaxed))
    }
}
