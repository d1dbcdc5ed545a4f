//! One user's connection, HTTP/1.1 or HTTP/2, opened when needed and again when the other side closed it.
//!
//! A request that never left this machine is sent once more on a new connection, as every client does; one that
//! left and got no answer is a failure and is never repeated here.

use std::{fmt, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::{options::Target, payload::Payload};

#[derive(Debug)]
pub(crate) struct Connection {
    target: Target,
    http2: bool,
    sender: Option<Sender>,
}

enum Sender {
    One(http1::SendRequest<Payload>),
    Two(http2::SendRequest<Payload>),
}

/// An answer with its whole body, not yet decoded.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Milliseconds until the answer's head was there.
    pub(crate) head_ms: f64,
}

/// What went wrong on the wire, in words that group well: the innermost cause.
#[derive(Debug)]
pub(crate) struct TransportError(pub(crate) String);

impl TransportError {
    fn new(step: &str, error: &dyn std::error::Error) -> Self {
        let mut cause = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Self(format!("{step}: {cause}"))
    }
}

impl Connection {
    pub(crate) fn new(target: Target, http2: bool) -> Self {
        Self { target, http2, sender: None }
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.http2
    }

    /// A second user of the same connection, where it can carry several exchanges at once and is open.
    pub(crate) fn share(&self) -> Option<Self> {
        let Some(Sender::Two(sender)) = self.sender.as_ref().filter(|sender| !sender.is_closed()) else {
            return None;
        };
        let sender = Some(Sender::Two(sender.clone()));
        Some(Self { target: self.target.clone(), http2: true, sender })
    }

    /// Send and receive all of it. The request's URI is path and query; Host or `:authority` is added here.
    pub(crate) async fn exchange(&mut self, request: Request<Payload>) -> Result<RawAnswer, TransportError> {
        let started = Instant::now();
        let response = self.send(self.addressed(request)).await?;
        let head_ms = started.elapsed().as_secs_f64() * 1000.0;
        let (head, body) = response.into_parts();
        let body =
            body.collect().await.map_err(|error| TransportError::new("receive body", &error))?.to_bytes();
        if head.headers.get("connection").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
        {
            self.sender = None;
        }
        Ok(RawAnswer { status: head.status, headers: head.headers, body, head_ms })
    }

    async fn send(&mut self, request: Request<Payload>) -> Result<http::Response<Incoming>, TransportError> {
        if let Some(sender) = self.sender.as_mut().filter(|sender| !sender.is_closed()) {
            let (error, unsent) = match sender.send(request).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            self.sender = None;
            let Some(request) = unsent else {
                return Err(TransportError::new("exchange", &error));
            };
            return self.send_on_new(request).await;
        }
        self.send_on_new(request).await
    }

    async fn send_on_new(
        &mut self,
        request: Request<Payload>,
    ) -> Result<http::Response<Incoming>, TransportError> {
        let mut sender = open(&self.target, self.http2).await?;
        let response =
            sender.send(request).await.map_err(|(error, _)| TransportError::new("exchange", &error))?;
        self.sender = Some(sender);
        Ok(response)
    }

    #[expect(clippy::expect_used, reason = "the target's authority and the path were both parsed before")]
    fn addressed(&self, request: Request<Payload>) -> Request<Payload> {
        let (mut head, body) = request.into_parts();
        let authority = self.target.authority();
        if self.http2 {
            head.version = Version::HTTP_2;
            let mut uri = head.uri.into_parts();
            uri.scheme = Some(http::uri::Scheme::HTTP);
            uri.authority = Some(authority.parse().expect("a target's authority is one"));
            head.uri = http::Uri::from_parts(uri).expect("scheme, authority and path make a URI");
        } else {
            head.headers.insert("host", authority.parse().expect("a target's authority is a header value"));
        }
        Request::from_parts(head, body)
    }
}

impl Sender {
    /// Errors come with the request when nothing of it was sent.
    async fn send(
        &mut self,
        request: Request<Payload>,
    ) -> Result<http::Response<Incoming>, (hyper::Error, Option<Request<Payload>>)> {
        let ready = match self {
            Self::One(sender) => sender.ready().await,
            Self::Two(sender) => sender.ready().await,
        };
        if let Err(error) = ready {
            return Err((error, Some(request)));
        }
        let sent = match self {
            Self::One(sender) => sender.try_send_request(request).await,
            Self::Two(sender) => sender.try_send_request(request).await,
        };
        sent.map_err(|mut failed| {
            let unsent = failed.take_message();
            (failed.into_error(), unsent)
        })
    }

    fn is_closed(&self) -> bool {
        match self {
            Self::One(sender) => sender.is_closed(),
            Self::Two(sender) => sender.is_closed(),
        }
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Self::One(_)) { "http1" } else { "http2" })
    }
}

async fn open(target: &Target, http2: bool) -> Result<Sender, TransportError> {
    let stream = TcpStream::connect((target.host(), target.port()))
        .await
        .map_err(|error| TransportError::new("connect", &error))?;
    stream.set_nodelay(true).map_err(|error| TransportError::new("connect", &error))?;
    let io = TokioIo::new(stream);
    let handshake = |error: hyper::Error| TransportError::new("handshake", &error);
    // A connection's own errors are seen by the call that used it; an idle one's end is no event.
    if http2 {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.map_err(handshake)?;
        tokio::spawn(connection);
        Ok(Sender::Two(sender))
    } else {
        let (sender, connection) = http1::handshake(io).await.map_err(handshake)?;
        tokio::spawn(connection);
        Ok(Sender::One(sender))
    }
}
