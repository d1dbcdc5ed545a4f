use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use starve_http::{Body, BodyError};
use tokio::time::Sleep;

use crate::connect::Sender;
use crate::upstream::Server;

/// Counts a request towards its server for as long as it lives.
#[derive(Debug)]
pub(crate) struct InUse(Arc<Server>);

impl InUse {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        server.pool.in_use().fetch_add(1, Relaxed);
        Self(server)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.pool.in_use().fetch_sub(1, Relaxed);
    }
}

/// The body of a server's answer. Gives the connection back at its end; dropped before, it closes the
/// connection, which tells the server that nobody listens. Silence longer than the limit is an error.
#[derive(Debug)]
pub(crate) struct Answer {
    body: Incoming,
    connection: Option<(Sender, InUse)>,
    silence_max: Duration,
    heard: Instant,
    /// Set up only when the body has to be waited for, and not reset at each piece of it.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Answer {
    /// The body for the client; one without content gives its connection back at once.
    pub(crate) fn body(body: Incoming, sender: Sender, in_use: InUse, silence_max: Duration) -> Body {
        if body.is_end_stream() {
            in_use.0.pool.put(sender);
            return Body::empty();
        }
        let connection = Some((sender, in_use));
        Body::wrap(Self { body, connection, silence_max, heard: Instant::now(), alarm: None })
    }

    fn check_in(&mut self) {
        if let Some((sender, in_use)) = self.connection.take() {
            in_use.0.pool.put(sender);
        }
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        loop {
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.silence_max)));
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let rest = self.silence_max.saturating_sub(self.heard.elapsed());
            if rest.is_zero() {
                return Poll::Ready("the server fell silent in the middle of its answer".into());
            }
            self.alarm = Some(Box::pin(tokio::time::sleep(rest)));
        }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.heard = Instant::now();
                if self.body.is_end_stream() {
                    self.check_in();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => {
                self.check_in();
                Poll::Ready(None)
            }
            Poll::Pending => self.poll_silence(cx).map(|error| Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
