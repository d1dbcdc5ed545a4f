//! The content of an answer, from its stream to whoever reads it.

use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::response;
use http_body::{Frame, SizeHint};
use starve_http::stream::Incoming;
use starve_http::{Body, BodyError};
use starve_http1::LazyTimer;
use tokio::time::Instant;

use super::Lease;
use super::exchange::{Answered, Upload};
use crate::pool::InUse;

/// Dropped before its end, it resets its stream and nothing else.
pub(super) struct Streamed {
    content: Incoming,
    upload: Option<Upload>,
    lease: Option<(Lease, InUse)>,
    /// Goes off when the server is silent for too long.
    silence: LazyTimer,
    silence_max: Duration,
}

impl Answered {
    /// Head and content; a switch that the server agrees to has its stream in the head.
    pub(super) fn split(self, in_use: InUse, silence_max: Duration) -> (response::Parts, Body) {
        let Self { head, content, upload, lease, switch } = self;
        if let Some((switch, outgoing)) = switch.filter(|_| head.status.is_success()) {
            return (switch.agreed(head, outgoing, content, (lease, in_use)), Body::empty());
        }
        if content.is_end_stream() {
            return (head, Body::empty());
        }
        let content = Incoming::new(content, &head.headers);
        let silence = LazyTimer::new(Instant::now() + silence_max);
        let lease = Some((lease, in_use));
        (head, Body::wrap(Streamed { content, upload, lease, silence, silence_max }))
    }
}

impl Streamed {
    /// Whether an error comes behind the last byte that the head has said. A server that has answered before the request
    /// was whole asks with NO_ERROR not to be sent the rest, behind the end of its answer (RFC 9113 §8.1), which the
    /// library keeps across the reset; an answer of unsaid length without that end breaks off.
    fn is_end(&self, error: &h2::Error) -> bool {
        error.is_remote() && error.reason() == Some(Reason::NO_ERROR) && self.content.rest() == Some(0)
    }
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        match this.content.poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.silence.set(Instant::now() + this.silence_max);
                if let Some((lease, _)) = &this.lease {
                    lease.0.state.heard.fetch_add(1, Relaxed);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) if !this.is_end(&error) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(_end) => {
                this.lease = None;
                Poll::Ready(None)
            }
            Poll::Pending => this.silence.poll(cx).map(|()| {
                if let Some((lease, _)) = &this.lease {
                    // Should the whole connection be dead, the next request finds another one.
                    lease.0.state.is_retired.store(true, Relaxed);
                }
                Some(Err("the server fell silent in the middle of its answer".into()))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        if let Some(upload) = self.upload.take().filter(|_| self.lease.is_some() && !self.content.is_end()) {
            upload.cancel();
        }
    }
}
