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
use rustls::pki_types::CertificateDer;
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

    /// HTTP/1.1 or HTTP/2 over TLS, by ALPN; the server may be anybody whose certificate is `certificate`.
    pub async fn tls(address: SocketAddr, certificate: CertificateDer<'static>, two: bool) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = builder.unwrap().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![if two { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = "shop.example".try_into().unwrap();
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let stream = TokioIo::new(connector.connect(name, stream).await.unwrap());
        if two {
            let (sender, connection) =
                http2::Builder::new(TokioExecutor::new()).handshake(stream).await.unwrap();
            tokio::spawn(connection);
            return Self::Two(sender);
        }
        let (sender, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self::One(sender)
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

    /// Whether there was still somebody to read it.
    pub async fn try_data(&self, bytes: impl Into<Bytes>) -> bool {
        self.0.send(Ok(Frame::data(bytes.into()))).await.is_ok()
    }

    /// Whether nobody reads it any more.
    pub fn is_over(&self) -> bool {
        self.0.is_closed()
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
