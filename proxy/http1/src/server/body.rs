//! The body of a request, read from its connection by whoever answers it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use starve_http::BodyError;
use tokio::time::Instant;

use super::{Limits, Shared, Wire, lock};
use crate::decode::{BodyFault, Item};
use crate::io::Duplex;
use crate::timer::LazyTimer;

/// A client's body comes too slowly to be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client sends its body too slowly")]
pub struct TooSlow;

/// Reads from the connection as long as that serves the request; a body that outlives it ends with an error.
#[derive(Debug)]
pub(crate) struct RequestBody<S> {
    wire: Weak<Mutex<Wire<S>>>,
    pace: Pace,
    is_done: bool,
    rest: Option<u64>,
}

impl<S: Duplex> RequestBody<S> {
    /// `rest`: the length that the head has said.
    pub(super) fn new(shared: &Shared<S>, rest: Option<u64>, limits: &Limits) -> Self {
        Self { wire: Arc::downgrade(shared), pace: Pace::new(limits), is_done: false, rest }
    }
}

impl<S: Duplex> http_body::Body for RequestBody<S> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.is_done {
            return Poll::Ready(None);
        }
        let Some(shared) = this.wire.upgrade() else {
            return Poll::Ready(Some(Err(BodyFault::Truncated.into())));
        };
        let mut wire = lock(&shared);
        ready!(wire.poll_continue(cx))?;
        loop {
            let Wire { io, decoder, .. } = &mut *wire;
            let item = decoder.next(&mut io.input)?;
            this.is_done = decoder.is_done();
            this.rest = decoder.rest();
            match item {
                Some(Item::Data(piece)) => {
                    this.pace.note(piece.len());
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
                Some(Item::Trailers(fields)) => return Poll::Ready(Some(Ok(Frame::trailers(fields)))),
                None if this.is_done => return Poll::Ready(None),
                None => {}
            }
            match io.poll_fill_content(cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0)) => return Poll::Ready(Some(Err(BodyFault::Truncated.into()))),
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Poll::Pending => {
                    ready!(this.pace.poll(cx));
                    wire.body_timed_out = true;
                    return Poll::Ready(Some(Err(TooSlow.into())));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_done
    }

    fn size_hint(&self) -> SizeHint {
        match self.rest {
            Some(rest) => SizeHint::with_exact(rest),
            None => SizeHint::default(),
        }
    }
}

/// How fast a body has to come, counted only while somebody waits for it.
#[derive(Debug)]
pub struct Pace {
    silence_max: Duration,
    rate_min: Option<u64>,
    /// Set when the body is first waited for.
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    bytes: u64,
    heard: bool,
    timer: LazyTimer,
}

impl Pace {
    pub fn new(limits: &Limits) -> Self {
        Self { silence_max: limits.body_timeout, rate_min: limits.body_rate_min, waiting: None }
    }

    /// Notes what has come.
    pub fn note(&mut self, bytes: usize) {
        if let Some(waiting) = &mut self.waiting {
            waiting.bytes += bytes as u64;
            waiting.heard = true;
        }
    }

    /// Ready when the body is too slow.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let silence_max = self.silence_max;
        let waiting = self.waiting.get_or_insert_with(|| {
            let now = Instant::now();
            Waiting { since: now, bytes: 0, heard: false, timer: LazyTimer::new(now + silence_max) }
        });
        loop {
            ready!(waiting.timer.poll(cx));
            let now = Instant::now();
            let seconds = now.duration_since(waiting.since).as_secs().max(1);
            let is_slow = self.rate_min.is_some_and(|rate| waiting.bytes / seconds < rate);
            if is_slow || !std::mem::take(&mut waiting.heard) {
                return Poll::Ready(());
            }
            waiting.timer.set(now + silence_max);
        }
    }
}
