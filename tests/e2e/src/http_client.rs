//! Clients of HTTP/1.1 and HTTP/2 as applications use them: hyper's.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::wait::DEADLINE;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// One connection that is kept.
#[derive(Debug)]
pub enum Http {
    One(http1::SendRequest<Body>),
    Two(http2::SendRequest<Body>),
}

/// An answer that was read to its end.
#[derive(Debug)]
pub struct Whole {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Whole {
    pub fn field(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Http {
    pub async fn one(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self::One(sender)
    }

    /// HTTP/2 with prior knowledge.
    pub async fn two(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let handshake = http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream));
        let (sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        Self::Two(sender)
    }

    /// Sends a request; the answer's body is still to be read.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn send(&mut self, request: Request<Body>) -> hyper::Result<Response<Incoming>> {
        let answer = async {
            match self {
                Self::One(sender) => {
                    sender.ready().await?;
                    sender.send_request(in_origin_form(request)).await
                }
                Self::Two(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
            }
        };
        tokio::time::timeout(DEADLINE, answer).await.expect("an answer in time")
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// There is no answer, or it is cut off.
    pub async fn call(&mut self, request: Request<Body>) -> hyper::Result<Whole> {
        let (head, body) = self.send(request).await?.into_parts();
        let collected =
            tokio::time::timeout(DEADLINE, body.collect()).await.expect("a whole body in time")?;
        let trailers = collected.trailers().cloned();
        Ok(Whole { status: head.status, headers: head.headers, body: collected.to_bytes(), trailers })
    }

    /// # Errors
    /// There is no answer, or it is cut off.
    pub async fn get(&mut self, path: &str) -> hyper::Result<Whole> {
        self.call(get(path).body(empty()).unwrap()).await
    }
}

fn in_origin_form(request: Request<Body>) -> Request<Body> {
    let (mut head, body) = request.into_parts();
    if let Some(authority) = head.uri.authority() {
        let host = http::HeaderValue::try_from(authority.as_str()).unwrap();
        head.headers.insert("host", host);
    }
    head.uri = head.uri.path_and_query().cloned().map(http::Uri::from).unwrap_or_default();
    Request::from_parts(head, body)
}

/// A request for a path of `shop.example`.
pub fn get(path: &str) -> http::request::Builder {
    Request::get(format!("http://shop.example{path}"))
}

pub fn empty() -> Body {
    Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync()
}

pub fn body_of(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// The end at which a streamed body is written.
#[derive(Debug)]
pub struct Feed(mpsc::Sender<io::Result<Frame<Bytes>>>);

impl Feed {
    pub async fn data(&self, bytes: impl Into<Bytes>) {
        self.0.send(Ok(Frame::data(bytes.into()))).await.expect("somebody reads the body");
    }

    pub async fn trailers(&self, trailers: HeaderMap) {
        self.0.send(Ok(Frame::trailers(trailers))).await.expect("somebody reads the body");
    }

    /// Breaks the body off.
    pub async fn fail(self) {
        let _gone = self.0.send(Err(io::Error::other("broken off by the test"))).await;
    }
}

/// A body that is written while it is sent; it ends when the feed is dropped.
pub fn feed() -> (Feed, Body) {
    let (sender, receiver) = mpsc::channel(1);
    (Feed(sender), Fed(receiver).boxed_unsync())
}

struct Fed(mpsc::Receiver<io::Result<Frame<Bytes>>>);

impl http_body::Body for Fed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(context)
    }
}
