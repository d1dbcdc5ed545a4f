//! What a connection is doing, so that one that does nothing, or too slowly, can be ended without a
//! timer per request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::accept::Counters;
use crate::guard::{Fault, Guard};

/// Shared between a connection's input and its requests; all on one thread, so the atomics cost nothing.
#[derive(Debug)]
pub(crate) struct Activity {
    began: Instant,
    /// Requests whose answer has not ended.
    in_flight: AtomicU32,
    /// Milliseconds since `began` of the last change to or from idleness.
    changed_ms: AtomicU64,
    /// Milliseconds since `began` of the first byte of a head that is not there yet; 0 is none.
    head_since_ms: AtomicU64,
    /// HTTP/2: bytes that come between requests are frames of the connection, not a head.
    multiplexed: AtomicBool,
    /// The connection has left HTTP: what comes is another protocol's.
    tunnelled: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) head: Duration,
    pub(crate) idle: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing to object to; look again after this time.
    Fine(Duration),
    /// No request for longer than the idle time.
    Idle,
    /// A head was begun and did not come to its end in time.
    SlowHead,
}

impl Activity {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            in_flight: AtomicU32::new(0),
            changed_ms: AtomicU64::new(0),
            // A connection opens with the wait for its first head.
            head_since_ms: AtomicU64::new(1),
            multiplexed: AtomicBool::new(false),
            tunnelled: AtomicBool::new(false),
        })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX) + 1
    }

    fn bytes_came(&self) {
        let between_requests = self.in_flight.load(Relaxed) == 0 && self.head_since_ms.load(Relaxed) == 0;
        if between_requests && !self.multiplexed.load(Relaxed) {
            self.head_since_ms.store(self.now_ms(), Relaxed);
        }
    }

    pub(crate) fn is_multiplexed(&self) {
        self.multiplexed.store(true, Relaxed);
    }

    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        self.head_since_ms.store(0, Relaxed);
        InFlight(self.clone())
    }

    pub(crate) fn state(&self, patience: Patience) -> State {
        if self.in_flight.load(Relaxed) > 0 {
            return State::Fine(patience.head.min(patience.idle));
        }
        let now = self.now_ms();
        let (since, limit, over) = match self.head_since_ms.load(Relaxed) {
            0 => (self.changed_ms.load(Relaxed), patience.idle, State::Idle),
            since => (since, patience.head, State::SlowHead),
        };
        let passed = Duration::from_millis(now.saturating_sub(since));
        if passed >= limit { over } else { State::Fine((limit - passed).min(patience.head)) }
    }
}

/// A request on its way; lives until its answer's body has ended.
#[derive(Debug)]
pub struct InFlight(Arc<Activity>);

impl InFlight {
    /// The answer switches protocols: from here on the client's bytes are not HTTP.
    pub fn leaves_http(&self) {
        self.0.tunnelled.store(true, Relaxed);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Relaxed) == 1 {
            self.0.changed_ms.store(self.0.now_ms(), Relaxed);
        }
    }
}

/// A client's stream that notes when bytes come, and refuses ambiguous heads.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
    guard: Guard,
    counters: Arc<Counters>,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, activity: Arc<Activity>, counters: Arc<Counters>) -> Self {
        Self { stream, activity, guard: Guard::new(), counters }
    }

    fn look_at(&mut self, data: &mut [u8]) {
        if self.activity.tunnelled.load(Relaxed) {
            return;
        }
        self.activity.bytes_came();
        match self.guard.inspect(data) {
            None => {}
            Some(Fault::LineEnd) => drop(self.counters.bad_line_ends.fetch_add(1, Relaxed)),
            Some(Fault::Target) => drop(self.counters.bad_targets.fetch_add(1, Relaxed)),
            Some(Fault::Framing) => drop(self.counters.bad_framing.fetch_add(1, Relaxed)),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Some(new @ [_, ..]) = buffer.filled_mut().get_mut(before..) {
            self.look_at(new);
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_secs(1_000);

    #[test]
    fn a_new_connection_has_the_time_of_a_head() {
        let activity = Activity::new();
        assert_eq!(activity.state(Patience { head: NONE, idle: LONG }), State::SlowHead);
    }

    #[test]
    fn between_requests_it_has_the_idle_time_until_bytes_come() {
        let activity = Activity::new();
        drop(activity.begin());
        assert_eq!(activity.state(Patience { head: LONG, idle: NONE }), State::Idle);
        activity.bytes_came();
        assert!(matches!(activity.state(Patience { head: LONG, idle: NONE }), State::Fine(_)));
        assert_eq!(activity.state(Patience { head: NONE, idle: LONG }), State::SlowHead);
    }

    #[test]
    fn a_request_under_way_may_take_as_long_as_it_wants() {
        let activity = Activity::new();
        let _request = activity.begin();
        activity.bytes_came();
        assert!(matches!(activity.state(Patience { head: NONE, idle: NONE }), State::Fine(_)));
    }
}
