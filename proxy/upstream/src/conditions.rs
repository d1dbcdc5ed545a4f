//! Whether a server gets requests: what the checks say of it, and how its calls went.
//!
//! A server is available unless its checks failed or it was ejected. The hot path reads one flag; everything
//! else happens at changes, under a lock. Ejection alone never takes more than half of the servers out.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use starve_config::EjectionPlan;
use tokio::sync::Notify;

/// The conditions of the servers of one upstream, by their place in its list.
#[derive(Debug)]
pub(crate) struct Conditions {
    upstream: String,
    ejection: EjectionPlan,
    servers: Box<[Condition]>,
    details: Mutex<Vec<Detail>>,
}

#[derive(Debug)]
struct Condition {
    name: String,
    available: AtomicBool,
    /// Failed calls in a row.
    failures: AtomicU32,
    ejections: AtomicU64,
    /// Told when the server is ejected.
    ejected: Notify,
}

#[derive(Clone, Debug, Default)]
struct Detail {
    /// What the checks came to so far; nothing before the first.
    is_good: Option<bool>,
    /// Checks in a row that say otherwise.
    otherwise: u32,
    ejected_until: Option<Instant>,
    /// Ejections in a row, without a good call between them.
    times: u32,
}

impl Detail {
    fn is_available(&self) -> bool {
        self.is_good != Some(false) && self.ejected_until.is_none()
    }
}

/// How many checks in a row change the verdict.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thresholds {
    pub(crate) healthy: u32,
    pub(crate) unhealthy: u32,
}

impl Conditions {
    pub(crate) fn new(upstream: &str, ejection: EjectionPlan, names: impl Iterator<Item = String>) -> Self {
        let servers: Box<[Condition]> = names
            .map(|name| Condition {
                name,
                available: AtomicBool::new(true),
                failures: AtomicU32::new(0),
                ejections: AtomicU64::new(0),
                ejected: Notify::new(),
            })
            .collect();
        let details = Mutex::new(vec![Detail::default(); servers.len()]);
        Self { upstream: upstream.to_owned(), ejection, servers, details }
    }

    pub(crate) fn is_available(&self, server: usize) -> bool {
        self.servers[server].available.load(Relaxed)
    }

    pub(crate) fn name(&self, server: usize) -> &str {
        &self.servers[server].name
    }

    pub(crate) fn ejections(&self, server: usize) -> u64 {
        self.servers[server].ejections.load(Relaxed)
    }

    /// A call on the server was answered, whatever the status.
    pub(crate) fn succeeded(&self, server: usize) {
        let condition = &self.servers[server];
        if condition.failures.load(Relaxed) > 0 {
            condition.failures.store(0, Relaxed);
            self.details()[server].times = 0;
        }
    }

    /// A call on the server had no answer in HTTP, and it was not the client's doing.
    pub(crate) fn failed(&self, server: usize) {
        let Some(limit) = self.ejection.failures.filter(|_| self.servers.len() > 1) else { return };
        let failures = self.servers[server].failures.fetch_add(1, Relaxed) + 1;
        if failures >= limit {
            self.eject(server, Instant::now());
        }
    }

    fn eject(&self, server: usize, now: Instant) {
        let mut details = self.details();
        let others = details.iter().enumerate().filter(|(at, other)| *at != server && other.is_available());
        if details[server].ejected_until.is_some() || others.count() < details.len().div_ceil(2) {
            return;
        }
        self.leave_out(server, &mut details[server], now);
        tracing::warn!(
            upstream = self.upstream,
            server = self.name(server),
            failures = self.servers[server].failures.load(Relaxed),
            "server ejected: its calls fail"
        );
    }

    fn leave_out(&self, server: usize, detail: &mut Detail, now: Instant) {
        let EjectionPlan { time, time_max, .. } = self.ejection;
        let longer = time.saturating_mul(1 << detail.times.min(16));
        detail.ejected_until = Some(now + longer.min(time_max));
        detail.times += 1;
        let condition = &self.servers[server];
        condition.ejections.fetch_add(1, Relaxed);
        condition.available.store(false, Relaxed);
        condition.ejected.notify_one();
    }

    /// Waits until the server is ejected and its time is over.
    pub(crate) async fn ejection_over(&self, server: usize) {
        loop {
            let until = self.details()[server].ejected_until;
            match until {
                Some(until) => return tokio::time::sleep_until(until.into()).await,
                None => self.servers[server].ejected.notified().await,
            }
        }
    }

    /// The ejected server was tried. One that stands again gets requests, and is ejected anew by the first of
    /// them that fails.
    pub(crate) fn tried(&self, server: usize, stands: bool) {
        let mut details = self.details();
        let (detail, condition) = (&mut details[server], &self.servers[server]);
        if !stands {
            return self.leave_out(server, detail, Instant::now());
        }
        detail.ejected_until = None;
        let last = self.ejection.failures.map_or(0, |failures| failures - 1);
        condition.failures.store(last.max(1), Relaxed);
        self.settle(server, detail, "server is back: it accepts connections");
    }

    /// A check came to an end. The first one alone decides; later it takes as many in a row as configured.
    pub(crate) fn checked(&self, server: usize, outcome: Result<(), String>, thresholds: Thresholds) {
        let mut details = self.details();
        let detail = &mut details[server];
        let is_good = outcome.is_ok();
        if detail.is_good == Some(is_good) {
            detail.otherwise = 0;
            return;
        }
        detail.otherwise += 1;
        let needed = match (detail.is_good, is_good) {
            (None, _) => 1,
            (_, true) => thresholds.healthy,
            (_, false) => thresholds.unhealthy,
        };
        if detail.otherwise < needed {
            return;
        }
        let is_first = detail.is_good.is_none();
        (detail.is_good, detail.otherwise) = (Some(is_good), 0);
        match outcome {
            Ok(()) if is_first => {}
            Ok(()) => self.settle(server, detail, "server is back: its checks pass"),
            Err(reason) => {
                self.servers[server].available.store(false, Relaxed);
                let server = self.name(server);
                tracing::warn!(upstream = self.upstream, server, reason, "server is out: its checks fail");
            }
        }
    }

    fn settle(&self, server: usize, detail: &Detail, message: &'static str) {
        self.servers[server].available.store(detail.is_available(), Relaxed);
        let server = self.name(server);
        tracing::info!(upstream = self.upstream, server, "{message}");
    }

    /// Takes over what is known of the servers that the upstream had before.
    pub(crate) fn take_over(&self, before: &Self) {
        let known = before.details().clone();
        let mut details = self.details();
        for (at, server) in self.servers.iter().enumerate() {
            let Some(old) = before.servers.iter().position(|old| old.name == server.name) else { continue };
            // An ejection ends with the configuration; what checks found holds until the next one.
            details[at] = Detail { is_good: known[old].is_good, ..Detail::default() };
            server.available.store(details[at].is_available(), Relaxed);
        }
    }

    fn details(&self) -> MutexGuard<'_, Vec<Detail>> {
        self.details.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn ejected_for(&self, server: usize) -> Option<std::time::Duration> {
        let until = self.details()[server].ejected_until?;
        Some(until.saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const THRESHOLDS: Thresholds = Thresholds { healthy: 2, unhealthy: 3 };

    fn conditions(count: usize) -> Conditions {
        let names = (0..count).map(|at| format!("server {at}"));
        Conditions::new("legacy", EjectionPlan { failures: Some(3), ..EjectionPlan::default() }, names)
    }

    fn available(conditions: &Conditions) -> Vec<bool> {
        (0..conditions.servers.len()).map(|at| conditions.is_available(at)).collect()
    }

    fn fail(conditions: &Conditions, server: usize, times: usize) {
        (0..times).for_each(|_| conditions.failed(server));
    }

    #[test]
    fn failures_in_a_row_eject_and_a_good_call_between_them_forgives() {
        let conditions = conditions(2);
        fail(&conditions, 0, 2);
        conditions.succeeded(0);
        fail(&conditions, 0, 2);
        assert_eq!(available(&conditions), [true, true]);
        fail(&conditions, 0, 1);
        assert_eq!(available(&conditions), [false, true]);
        assert_eq!(conditions.ejections(0), 1);
    }

    #[test]
    fn at_least_half_of_the_servers_stay() {
        for (count, stay) in [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)] {
            let conditions = conditions(count);
            (0..count).for_each(|server| fail(&conditions, server, 10));
            let left = available(&conditions).into_iter().filter(|available| *available).count();
            assert_eq!(left, stay, "of {count}");
        }
    }

    #[test]
    fn each_further_ejection_is_longer_up_to_the_longest() {
        let conditions = conditions(2);
        fail(&conditions, 0, 3);
        let mut longest = Duration::ZERO;
        for _ in 0..40 {
            let time = conditions.ejected_for(0).unwrap();
            assert!(time + Duration::from_secs(1) > longest, "{time:?} after {longest:?}");
            longest = longest.max(time);
            conditions.tried(0, false);
        }
        assert!(longest <= EjectionPlan::default().time_max && longest > Duration::from_secs(290));
        assert!(!conditions.is_available(0));
    }

    #[test]
    fn a_server_that_is_back_is_on_probation() {
        let conditions = conditions(2);
        fail(&conditions, 0, 3);
        conditions.tried(0, true);
        assert!(conditions.is_available(0));
        fail(&conditions, 0, 1);
        assert!(!conditions.is_available(0));
        conditions.tried(0, true);
        conditions.succeeded(0);
        fail(&conditions, 0, 2);
        assert!(conditions.is_available(0), "a good call ends it");
    }

    #[test]
    fn the_first_check_decides_alone_and_later_it_takes_several() {
        let bad = || Err("503".to_owned());
        let conditions = conditions(2);
        conditions.checked(0, bad(), THRESHOLDS);
        assert_eq!(available(&conditions), [false, true]);
        conditions.checked(0, Ok(()), THRESHOLDS);
        assert!(!conditions.is_available(0));
        conditions.checked(0, Ok(()), THRESHOLDS);
        assert!(conditions.is_available(0));
        conditions.checked(0, bad(), THRESHOLDS);
        conditions.checked(0, bad(), THRESHOLDS);
        conditions.checked(0, Ok(()), THRESHOLDS);
        conditions.checked(0, bad(), THRESHOLDS);
        conditions.checked(0, bad(), THRESHOLDS);
        assert!(conditions.is_available(0), "not in a row");
        conditions.checked(0, bad(), THRESHOLDS);
        assert!(!conditions.is_available(0));
    }

    #[test]
    fn checks_may_take_all_out_and_an_ejection_does_not_hide_them() {
        let conditions = conditions(2);
        fail(&conditions, 0, 3);
        for server in 0..2 {
            conditions.checked(server, Err("503".to_owned()), THRESHOLDS);
        }
        conditions.tried(0, true);
        assert_eq!(available(&conditions), [false, false]);
    }

    #[test]
    fn what_checks_found_is_taken_over() {
        let (before, after) = (conditions(2), conditions(3));
        before.checked(1, Err("503".to_owned()), THRESHOLDS);
        after.take_over(&before);
        assert_eq!(available(&after), [true, false, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_ejection_is_over_after_its_time() {
        let conditions = conditions(2);
        let began = tokio::time::Instant::now();
        let (_, ()) = tokio::join!(async { fail(&conditions, 0, 3) }, conditions.ejection_over(0));
        assert!(began.elapsed() >= Duration::from_secs(9), "{:?}", began.elapsed());
    }
}
