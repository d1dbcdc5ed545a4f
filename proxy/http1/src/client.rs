//! A connection to a server: one exchange at a time, in the task of whoever asks.

mod answer;
mod upload;

use std::future::{Future, poll_fn};
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use http::header::EXPECT;
use http::{Method, StatusCode};
use http_body::Body as _;
use starve_http::{Body, BodyError, Request, Response};
use tokio::time::Instant;

use crate::encode::{self, Encoder};
use crate::interim;
use crate::io::{Duplex, Io, with_scratch};
use crate::response::{self, ResponseFault, ResponseHead};
use crate::scan::EndScan;
use crate::timer::LazyTimer;
use crate::upgrade::{OnUpgrade, Rewound};

use self::answer::Answer;
use self::upload::Upload;

/// Interim answers to one request; a server that sends more is broken.
const INTERIM_MAX: usize = 64;

/// An open connection with no exchange under way. Boxed, as it moves with each: into the exchange, into the answer,
/// and back.
#[derive(Debug)]
pub struct Connection<S>(Box<Open<S>>);

#[derive(Debug)]
struct Open<S> {
    io: Io<S>,
    timer: LazyTimer,
}

/// Time limits of an exchange.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// From the last byte of the request to the head of the answer.
    pub first_byte: Duration,
    /// Longest silence inside the answer's content.
    pub silence: Duration,
    /// How long a server that is told `Expect: 100-continue` may be silent before it gets the content all the
    /// same (RFC 9110 §10.1.1).
    pub go_ahead: Duration,
}

/// In which form the fields of an answer are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fields {
    /// In the map of the response.
    Parsed,
    /// As [`Verbatim`](starve_http::Verbatim), unless something about them needs care.
    Verbatim,
}

/// Where a connection goes after a whole exchange; dropped without one when it cannot be used again.
pub trait Home<S>: Send + Unpin + 'static {
    fn take_back(self, connection: Connection<S>);

    /// The server said nothing about an expectation in time; the next one need not wait for it.
    fn ignores_expectations(&self) {}
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// Not one byte was sent; the request is as it was.
    #[error("the connection was closed before the request")]
    Unsent(#[source] io::Error),
    /// The connection ended before the first byte of an answer.
    #[error("the connection was closed without an answer")]
    Closed(#[source] Option<io::Error>),
    /// The connection ended inside the head of the answer.
    #[error("the connection was closed inside the head of the answer")]
    Cut(#[source] Option<io::Error>),
    #[error("the answer is not HTTP/1.1")]
    Fault(#[source] ResponseFault),
    #[error("the server did not answer in time")]
    Timeout,
    /// The request's own content could not be read to its end.
    #[error("the body of the request broke off")]
    Body(#[source] BodyError),
}

impl<S: Duplex> Connection<S> {
    pub fn new(stream: S) -> Self {
        let timer = LazyTimer::new(Instant::now());
        Self(Box::new(Open { io: Io::new(stream, BytesMut::new()), timer }))
    }

    /// Whether a connection that was not used for a while still can be: the server has neither closed it nor
    /// said anything unasked. It may close in the next moment all the same.
    pub fn is_open(&mut self) -> bool {
        self.0.io.is_silent()
    }
}

/// Sends a request and waits for the head of its answer. The content streams from the connection, which goes
/// `home` at its end.
///
/// The request's head stays with the caller, who may send it again as long as its body is untouched: it is
/// after [`Failed::Unsent`], and it always is when it is empty.
///
/// # Errors
/// Every way in which there can be no answer; [`Failed`] says what is known about how far the request came.
pub fn exchange<S: Duplex, H: Home<S>>(
    connection: Connection<S>,
    request: &mut Request,
    waits: Waits,
    form: Fields,
    home: H,
) -> impl Future<Output = Result<Response, Failed>> {
    let method = request.method().clone();
    let mut exchange = Exchange {
        connection,
        home,
        upload: Upload::none(),
        waits,
        form,
        method,
        scan: EndScan::default(),
        is_begun: false,
        interims: 0,
    };
    // What an `async fn` is given it carries twice.
    async move {
        let head = poll_fn(|cx| exchange.poll_head(cx, request)).await?;
        Ok(exchange.finish(head))
    }
}

struct Exchange<S, H> {
    connection: Connection<S>,
    home: H,
    upload: Upload,
    waits: Waits,
    form: Fields,
    method: Method,
    scan: EndScan,
    is_begun: bool,
    interims: usize,
}

impl<S: Duplex, H: Home<S>> Exchange<S, H> {
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        request: &mut Request,
    ) -> Poll<Result<ResponseHead, Failed>> {
        if !self.is_begun {
            self.is_begun = true;
            self.begin(cx, request)?;
        }
        loop {
            let has_moved = match self.upload.poll(cx, &mut self.connection.0.io) {
                Ok(has_moved) => has_moved,
                Err(error) => return Poll::Ready(Err(Failed::Body(error))),
            };
            if has_moved {
                self.connection.0.timer.set(Instant::now() + self.waits.first_byte);
            }
            let was_held_back = self.upload.is_held_back();
            if let Some(head) = self.take_head()? {
                return Poll::Ready(Ok(head));
            }
            if was_held_back && !self.upload.is_held_back() {
                continue;
            }
            let io = &mut self.connection.0.io;
            let is_first = io.input.is_empty() && self.interims == 0;
            let failed = |error| if is_first { Failed::Closed(error) } else { Failed::Cut(error) };
            match io.poll_fill(cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(_)) => return Poll::Ready(Err(failed(None))),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(failed(Some(error)))),
                Poll::Pending => {
                    ready!(self.connection.0.timer.poll(cx));
                    if !self.upload.is_held_back() {
                        return Poll::Ready(Err(Failed::Timeout));
                    }
                    self.home.ignores_expectations();
                    self.release();
                }
            }
        }
    }

    /// Head and whatever of the content is there go out in one write.
    fn begin(&mut self, cx: &mut Context<'_>, request: &mut Request) -> Result<(), Failed> {
        let (is_empty, hint) = (request.body().is_end_stream(), request.body().size_hint());
        let mut body = if is_empty { Body::empty() } else { std::mem::take(request.body_mut()) };
        let sent = with_scratch(|out| {
            let encoder = encode::request(request, &hint, is_empty, out);
            if encoder != Encoder::Length(0) {
                let asks_first = !self.waits.go_ahead.is_zero() && request.headers().contains_key(EXPECT);
                self.upload = Upload::new(std::mem::take(&mut body), encoder, asks_first);
                self.upload.first(cx, out)?;
            }
            self.connection.0.io.send(cx, out, None).map_err(Failed::Unsent)
        });
        match sent {
            Ok(_bytes) => self.upload.has_left(),
            Err(error) => {
                *request.body_mut() = self.upload.take_back().unwrap_or(body);
                return Err(error);
            }
        }
        let wait = if self.upload.is_held_back() { self.waits.go_ahead } else { self.waits.first_byte };
        self.connection.0.timer.set(Instant::now() + wait);
        Ok(())
    }

    /// The final answer's head, if it has come; interim ones are dealt with on the way.
    fn take_head(&mut self) -> Result<Option<ResponseHead>, Failed> {
        while !self.connection.0.io.input.is_empty() {
            let input = &mut self.connection.0.io.input;
            let head =
                response::take(input, &mut self.scan, &self.method, self.form).map_err(Failed::Fault)?;
            let Some(head) = head else { return Ok(None) };
            match head.parts.status {
                StatusCode::CONTINUE => self.release(),
                StatusCode::SWITCHING_PROTOCOLS => return Ok(Some(head)),
                status if status.is_informational() => interim::pass(&head.parts),
                _ => return Ok(Some(head)),
            }
            self.interims += 1;
            if self.interims > INTERIM_MAX {
                return Err(Failed::Fault(ResponseFault::TooManyInterim));
            }
        }
        Ok(None)
    }

    /// The content may follow.
    fn release(&mut self) {
        if self.upload.is_held_back() {
            self.upload.release();
            self.connection.0.timer.set(Instant::now() + self.waits.first_byte);
        }
    }

    fn finish(self, head: ResponseHead) -> Response {
        let ResponseHead { mut parts, decoder, keep_alive } = head;
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            let (stream, input) = self.connection.0.io.into_parts();
            parts.extensions.insert(OnUpgrade::now(Rewound::new(stream, input)));
            return Response::from_parts(parts, Body::empty());
        }
        let body =
            Answer::body(self.connection, decoder, self.upload, keep_alive.then_some(self.home), self.waits);
        Response::from_parts(parts, body)
    }
}
