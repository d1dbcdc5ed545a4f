//! The requests of an HTTP/2 connection: bodies that must not come too slowly, answers that must be taken.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use starve_http::{Body, BodyError};
use starve_http1::{Answer, Pace, TooSlow};

use crate::accept::{Counters, Settings};
use crate::activity::Activity;
use crate::connection::{Handler, Peer};

pub(crate) struct Service<H> {
    handler: H,
    peer: Peer,
    activity: Arc<Activity>,
    settings: Arc<Settings>,
}

impl<H: Handler> Service<H> {
    pub(crate) fn new(handler: H, peer: Peer, activity: Arc<Activity>, settings: Arc<Settings>) -> Self {
        Self { handler, peer, activity, settings }
    }
}

impl<H: Handler> hyper::service::Service<Request<Incoming>> for Service<H> {
    type Response = Response<Sent<H::Body>>;
    type Error = Infallible;
    type Future = Answering<H::Body>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let request = request.map(|body| {
            if body.is_end_stream() {
                return Body::empty();
            }
            let pace = Pace::new(&self.settings.http1);
            Body::wrap(Received { body, pace, counters: self.settings.counters.clone() })
        });
        let answer = self.handler.handle(request, self.peer, self.activity.begin());
        Answering { answer, activity: self.activity.clone() }
    }
}

pub(crate) struct Answering<B> {
    answer: Answer<B>,
    activity: Arc<Activity>,
}

impl<B> Future for Answering<B> {
    type Output = Result<Response<Sent<B>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(self.answer.as_mut().poll(cx))?;
        let activity = self.activity.clone();
        Poll::Ready(Ok(response.map(|body| Sent { body, activity, is_given: false })))
    }
}

/// A client's body, which ends with an error when it comes too slowly.
#[derive(Debug)]
struct Received {
    body: Incoming,
    pace: Pace,
    counters: Arc<Counters>,
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.pace.note(frame.data_ref().map_or(0, Bytes::len));
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(other) => Poll::Ready(other.map(|result| result.map_err(Into::into))),
            Poll::Pending => {
                ready!(this.pace.poll(cx));
                this.counters.slow_bodies.fetch_add(1, Relaxed);
                Poll::Ready(Some(Err(TooSlow.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body that tells the connection when it waits for the client: from handing out content to being asked
/// for more.
pub(crate) struct Sent<B> {
    body: B,
    activity: Arc<Activity>,
    is_given: bool,
}

impl<B> Sent<B> {
    fn taken(&mut self) {
        if std::mem::take(&mut self.is_given) {
            self.activity.content_taken();
        }
    }
}

impl<B> http_body::Body for Sent<B>
where
    B: http_body::Body<Data = Bytes, Error = BodyError> + Unpin,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        this.taken();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && frame.is_data()
        {
            this.is_given = true;
            this.activity.content_given();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Sent<B> {
    fn drop(&mut self) {
        self.taken();
    }
}
