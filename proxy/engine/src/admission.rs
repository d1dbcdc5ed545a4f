//! The limit on requests in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crossbeam_utils::CachePadded;

/// The limit is shared out evenly over the workers, so that no request touches a counter of another core.
#[derive(Debug)]
pub(crate) struct Admission {
    workers: Box<[CachePadded<AtomicUsize>]>,
    each: usize,
}

/// A request's place; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
    worker: usize,
}

impl Admission {
    pub(crate) fn new(in_flight: usize, workers: usize) -> Arc<Self> {
        let workers = (0..workers).map(|_| CachePadded::default()).collect::<Box<[_]>>();
        Arc::new(Self { each: in_flight.div_ceil(workers.len().max(1)), workers })
    }

    pub(crate) fn enter(self: &Arc<Self>, worker: usize) -> Option<Place> {
        if self.workers[worker].fetch_add(1, Relaxed) >= self.each {
            self.workers[worker].fetch_sub(1, Relaxed);
            return None;
        }
        Some(Place { admission: self.clone(), worker })
    }

    pub(crate) fn workers(&self) -> usize {
        self.workers.len()
    }

    pub(crate) fn in_flight_of(&self, worker: usize) -> usize {
        self.workers[worker].load(Relaxed)
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.workers.iter().map(|worker| worker.load(Relaxed)).sum()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.workers[self.worker].fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_too_many_is_turned_away_until_another_ends() {
        let admission = Admission::new(2, 2);
        let first = admission.enter(0).unwrap();
        assert!(admission.enter(0).is_none());
        assert!(admission.enter(1).is_some(), "the other worker has its own share");
        drop(first);
        assert!(admission.enter(0).is_some());
        assert_eq!(admission.in_flight(), 0);
    }
}
