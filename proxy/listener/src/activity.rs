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
    /// Answers whose content waits for the client to take it.
    given: AtomicU32,
    /// Milliseconds since `began` of the last time that it took some.
    taken_ms: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Without a request.
    pub(crate) idle: Duration,
    /// With content that the client does not take.
    pub(crate) send: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing to object to; look again after this time.
    Fine(Duration),
    /// No request for longer than the idle time.
    Idle,
    /// The client has taken nothing of any answer for too long.
    Stalled,
}

impl Activity {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            in_flight: AtomicU32::new(0),
            changed_ms: AtomicU64::new(0),
            given: AtomicU32::new(0),
            taken_ms: AtomicU64::new(0),
        })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(Some(self.clone()))
    }

    /// Content of an answer is handed out.
    pub(crate) fn content_given(&self) {
        if self.given.fetch_add(1, Relaxed) == 0 {
            self.taken_ms.store(self.now_ms(), Relaxed);
        }
    }

    /// What was handed out has gone, or will never go.
    pub(crate) fn content_taken(&self) {
        self.given.fetch_sub(1, Relaxed);
        self.taken_ms.store(self.now_ms(), Relaxed);
    }

    pub(crate) fn state(&self, patience: Patience) -> State {
        let passed =
            |since: &AtomicU64| Duration::from_millis(self.now_ms().saturating_sub(since.load(Relaxed)));
        if self.given.load(Relaxed) > 0 {
            let passed = passed(&self.taken_ms);
            return match patience.send.checked_sub(passed).filter(|rest| !rest.is_zero()) {
                Some(rest) => State::Fine(rest),
                None => State::Stalled,
            };
        }
        if self.in_flight.load(Relaxed) > 0 {
            return State::Fine(patience.idle.min(patience.send));
        }
        let passed = passed(&self.changed_ms);
        match patience.idle.checked_sub(passed).filter(|rest| !rest.is_zero()) {
            Some(rest) => State::Fine(rest),
            None => State::Idle,
        }
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

    const NONE: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_secs(1_000);

    #[test]
    fn a_connection_is_idle_when_its_last_request_has_ended() {
        let activity = Activity::new();
        let (one, other) = (activity.begin(), activity.begin());
        let state = |idle| activity.state(Patience { idle, send: NONE });
        assert!(matches!(state(NONE), State::Fine(_)));
        drop(one);
        assert!(matches!(state(NONE), State::Fine(_)));
        drop(other);
        assert_eq!(state(NONE), State::Idle);
        assert!(matches!(state(LONG), State::Fine(_)));
    }

    #[test]
    fn a_client_that_takes_nothing_stalls_and_one_that_waits_does_not() {
        let activity = Activity::new();
        let _request = activity.begin();
        let state = |send| activity.state(Patience { idle: LONG, send });
        assert!(matches!(state(NONE), State::Fine(_)), "nothing is there to be taken");
        activity.content_given();
        activity.content_given();
        assert!(matches!(state(LONG), State::Fine(_)));
        activity.content_taken();
        assert_eq!(state(NONE), State::Stalled, "of one of two answers");
        activity.content_taken();
        assert!(matches!(state(NONE), State::Fine(_)));
    }
}
