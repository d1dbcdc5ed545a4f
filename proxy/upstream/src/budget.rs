//! How many requests may be sent to a further server: a share of all, so that trying again never multiplies
//! the load on servers that fail under it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crossbeam_utils::CachePadded;
use starve_config::RetryPlan;
use starve_telemetry::worker_index;

/// The seconds over which requests and retries are weighed: two periods of [`Budget::tick`].
const WINDOW_SECONDS: u64 = 10;

/// Counts since the start, and what they were one and two ticks ago.
#[derive(Debug)]
pub(crate) struct Budget {
    plan: RetryPlan,
    /// One for each worker, so that none writes what another one reads.
    requests: Box<[CachePadded<AtomicU64>]>,
    retries: AtomicU64,
    /// Where the window begins.
    base: [AtomicU64; 2],
    next_base: Mutex<[u64; 2]>,
}

impl Budget {
    pub(crate) fn new(plan: RetryPlan, workers: usize) -> Self {
        Self {
            plan,
            requests: (0..=workers).map(|_| CachePadded::default()).collect(),
            retries: AtomicU64::new(0),
            base: [AtomicU64::new(0), AtomicU64::new(0)],
            next_base: Mutex::default(),
        }
    }

    /// A request has come.
    pub(crate) fn deposit(&self) {
        self.requests[worker_index().min(self.requests.len() - 1)].fetch_add(1, Relaxed);
    }

    /// Takes a retry out of the budget, if there is one left.
    pub(crate) fn withdraw(&self) -> bool {
        let [requests_base, retries_base] = self.base.each_ref().map(|base| base.load(Relaxed));
        let requests = self.requests().saturating_sub(requests_base);
        let allowed =
            requests * u64::from(self.plan.budget) / 100 + u64::from(self.plan.per_second) * WINDOW_SECONDS;
        let within = |retries: u64| (retries.saturating_sub(retries_base) < allowed).then_some(retries + 1);
        self.retries.fetch_update(Relaxed, Relaxed, within).is_ok()
    }

    /// Moves the window on; called every five seconds.
    pub(crate) fn tick(&self) {
        let now = [self.requests(), self.retries.load(Relaxed)];
        let mut next = self.next_base.lock().unwrap_or_else(PoisonError::into_inner);
        for (base, next) in self.base.iter().zip(*next) {
            base.store(next, Relaxed);
        }
        *next = now;
    }

    fn requests(&self) -> u64 {
        self.requests.iter().map(|shard| shard.load(Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn withdrawals(budget: &Budget) -> usize {
        (0..100_000).take_while(|_| budget.withdraw()).count()
    }

    #[test]
    fn a_share_of_the_requests_and_a_few_in_any_case() {
        let budget = Budget::new(RetryPlan { budget: 20, per_second: 1 }, 2);
        (0..1_000).for_each(|_| budget.deposit());
        assert_eq!(withdrawals(&budget), 210);
        budget.deposit();
        assert_eq!(withdrawals(&budget), 0);
    }

    #[test]
    fn what_lies_behind_the_window_no_longer_counts() {
        let budget = Budget::new(RetryPlan { budget: 50, per_second: 1 }, 2);
        (0..100).for_each(|_| budget.deposit());
        assert_eq!(withdrawals(&budget), 60);
        budget.tick();
        assert_eq!(withdrawals(&budget), 0);
        budget.tick();
        assert_eq!(withdrawals(&budget), 10);
    }

    #[test]
    fn a_budget_of_nothing_allows_nothing() {
        let budget = Budget::new(RetryPlan { budget: 0, per_second: 0 }, 1);
        (0..100).for_each(|_| budget.deposit());
        assert!(!budget.withdraw());
    }
}
