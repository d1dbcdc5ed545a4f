//! Whether an HTTP/2 connection has anything under way, so that one that has not can be ended without a timer
//! per request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Shared between a connection and its requests; all on one thread, so the atomics cost nothing.
#[derive(Debug)]
pub(crate) struct Activity {
    began: Instant,
    /// Requests whose answer has not ended.
    in_flight: AtomicU32,
    /// Milliseconds since `began` of the last change to or from idleness.
    changed_ms: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing to object to; look again after this time.
    Fine(Duration),
    /// No request for longer than the idle time.
    Idle,
}

impl Activity {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), in_flight: AtomicU32::new(0), changed_ms: AtomicU64::new(0) })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(Some(self.clone()))
    }

    pub(crate) fn state(&self, idle: Duration) -> State {
        if self.in_flight.load(Relaxed) > 0 {
            return State::Fine(idle);
        }
        let passed = Duration::from_millis(self.now_ms().saturating_sub(self.changed_ms.load(Relaxed)));
        if passed >= idle { State::Idle } else { State::Fine(idle - passed) }
    }
}

/// A request on its way; lives until its answer's body has ended. Over HTTP/1.1 the connection itself knows.
#[derive(Debug, Default)]
pub struct InFlight(Option<Arc<Activity>>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let Some(activity) = &self.0 else { return };
        if activity.in_flight.fetch_sub(1, Relaxed) == 1 {
            activity.changed_ms.store(activity.now_ms(), Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_idle_when_its_last_request_has_ended() {
        let activity = Activity::new();
        let (one, other) = (activity.begin(), activity.begin());
        assert!(matches!(activity.state(Duration::ZERO), State::Fine(_)));
        drop(one);
        assert!(matches!(activity.state(Duration::ZERO), State::Fine(_)));
        drop(other);
        assert_eq!(activity.state(Duration::ZERO), State::Idle);
        assert!(matches!(activity.state(Duration::from_secs(1_000)), State::Fine(_)));
    }
}
