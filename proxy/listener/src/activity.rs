//! Whether an HTTP/2 connection has anything under way, so that one that has not can be ended without a timer
//! per request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::frames::Head;

const NO_HEAD: u64 = u64::MAX;

/// Shared between a connection and its requests; all on one thread, so the atomics cost nothing.
#[derive(Debug)]
pub(crate) struct Activity {
    began: Instant,
    /// Requests whose answer has not ended.
    in_flight: AtomicU32,
    /// Milliseconds since `began` of the last change to or from idleness, or of the last byte to the client.
    changed_ms: AtomicU64,
    /// Milliseconds since `began` of the last byte from the client.
    heard_ms: AtomicU64,
    /// Milliseconds since `began` at which a head began that is not whole yet.
    head_ms: AtomicU64,
    head_bytes: AtomicUsize,
}

impl Activity {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            in_flight: AtomicU32::new(0),
            changed_ms: AtomicU64::new(0),
            heard_ms: AtomicU64::new(0),
            head_ms: AtomicU64::new(NO_HEAD),
            head_bytes: AtomicUsize::new(0),
        })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(Some(self.clone()))
    }

    /// The client has sent something; when that was, in milliseconds since the connection began.
    pub(crate) fn heard(&self) -> u64 {
        let now_ms = self.now_ms();
        self.heard_ms.store(now_ms, Relaxed);
        now_ms
    }

    /// Which head is under way now.
    pub(crate) fn note_head(&self, head: Option<Head>) {
        self.head_ms.store(head.map_or(NO_HEAD, |head| head.since_ms), Relaxed);
        self.head_bytes.store(head.map_or(0, |head| head.bytes), Relaxed);
    }

    /// Since when a head has been under way, and how much of it has come.
    pub(crate) fn head(&self) -> Option<(Instant, usize)> {
        let since_ms = self.head_ms.load(Relaxed);
        let since = || self.began + Duration::from_millis(since_ms);
        (since_ms != NO_HEAD).then(|| (since(), self.head_bytes.load(Relaxed)))
    }

    /// Since when the client has said nothing.
    pub(crate) fn silent_since(&self) -> Instant {
        self.began + Duration::from_millis(self.heard_ms.load(Relaxed))
    }

    /// The client has taken something: what was handed on before may still be on its way.
    pub(crate) fn taken(&self) {
        self.changed_ms.store(self.now_ms(), Relaxed);
    }

    /// Since when there has been no request and nothing was taken; `None` while there is one.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let is_idle = self.in_flight.load(Relaxed) == 0;
        is_idle.then(|| self.began + Duration::from_millis(self.changed_ms.load(Relaxed)))
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
        assert!(activity.idle_since().is_some());
        let (one, other) = (activity.begin(), activity.begin());
        drop(one);
        assert!(activity.idle_since().is_none());
        let before = Instant::now() - Duration::from_millis(1);
        drop(other);
        assert!(activity.idle_since().is_some_and(|since| since >= before));
    }
}
