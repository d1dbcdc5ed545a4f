//! The body of a request over HTTP/2.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use starve_http::BodyError;
use starve_http::stream::Incoming;
use starve_http1::{Pace, TooSlow};

use crate::accept::Settings;
use crate::stream::Respond;

/// Ends with an error when it comes too slowly, too.
pub(crate) struct Received {
    incoming: Incoming,
    /// The client waits for a word before it sends (RFC 9110 §10.1.1).
    waits: Option<Arc<Respond>>,
    pace: Pace,
    settings: Arc<Settings>,
}

impl Received {
    pub(crate) fn new(
        incoming: RecvStream,
        fields: &HeaderMap,
        settings: &Arc<Settings>,
        waits: Option<Arc<Respond>>,
    ) -> Self {
        let pace = Pace::new(&settings.http1);
        Self { incoming: Incoming::new(incoming, fields), waits, pace, settings: settings.clone() }
    }
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Some(respond) = this.waits.take() {
            respond.go_ahead();
        }
        match this.incoming.poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.pace.note(frame.data_ref().map_or(0, Bytes::len));
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(other) => Poll::Ready(other.map(|result| result.map_err(Into::into))),
            Poll::Pending => {
                ready!(this.pace.poll(cx));
                this.settings.counters.slow_bodies.fetch_add(1, Relaxed);
                Poll::Ready(Some(Err(TooSlow.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
