//! A client that asks what the table says, in HTTP/1.1 or HTTP/2, and tells what it saw.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use e2e::{Feed, feed};
use h2::SendStream;
use http::{HeaderMap, HeaderValue, Request, response};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use super::cases::{By, Case, LARGE, Leave, Upload, When};
use super::content::{self, Check};
use super::line::Duplex;
use super::origin::Records;
use super::{In, steady, until};

/// What came of a call.
#[derive(Debug)]
pub(super) enum Outcome {
    Answer {
        head: response::Parts,
        length: usize,
        trailers: bool,
        is_whole: bool,
    },
    /// There was none, and why.
    None(#[expect(dead_code, reason = "shown where a test fails")] String),
    Left,
}

enum Sender {
    One(http1::SendRequest<UnsyncBoxBody<Bytes, std::io::Error>>),
    Two(h2::client::SendRequest<Bytes>),
}

pub(super) struct Client {
    sender: Sender,
    connection: AbortHandle,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// A socket that holds little, so that a reader who stops is soon noticed.
async fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    socket.set_send_buffer_size(64 * 1024).unwrap();
    let stream = socket.connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

impl Client {
    pub(super) async fn connect(way_in: In, address: SocketAddr, tls: TlsConnector) -> Self {
        let stream = connect(address).await;
        let stream: Box<dyn Duplex> = match way_in.is_tls() {
            true => Box::new(tls.connect("shop.example".try_into().unwrap(), stream).await.unwrap()),
            false => Box::new(stream),
        };
        if way_in.is_http2() {
            let (sender, connection) = h2::client::handshake(stream).await.unwrap();
            let connection = tokio::spawn(async move { drop(connection.await) }).abort_handle();
            return Self { sender: Sender::Two(sender), connection };
        }
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        Self { sender: Sender::One(sender), connection }
    }

    pub(super) async fn is_usable(&mut self) -> bool {
        match &mut self.sender {
            Sender::One(sender) => sender.ready().await.is_ok(),
            Sender::Two(sender) => poll_fn(|cx| sender.poll_ready(cx)).await.is_ok(),
        }
    }

    /// Plays a case. A client that leaves by closing is of no more use.
    pub(super) async fn play(
        &mut self,
        target: &str,
        number: usize,
        case: &Case,
        records: &Records,
    ) -> Outcome {
        let mut request = Request::builder().method(case.ask.method).header("range", "bytes=0-999");
        if let Upload::Length(length) = case.ask.upload {
            request = request.header("content-length", length);
        }
        if let Upload::Streamed(_) = case.ask.upload {
            request = request.header("trailer", "x-sum");
        }
        let call = Call { number, case, records, connection: self.connection.clone() };
        match &mut self.sender {
            Sender::One(sender) => {
                let (feed, body) = feed();
                let body = match case.ask.upload {
                    Upload::None => e2e::empty(),
                    _ => body,
                };
                let request = request.uri(target).header("host", "shop.example").body(body).unwrap();
                call.by_http1(sender, request, feed).await
            }
            Sender::Two(sender) => {
                let request = request.uri(format!("http://shop.example{target}")).body(()).unwrap();
                call.by_http2(sender, request).await
            }
        }
    }
}

struct Call<'a> {
    number: usize,
    case: &'a Case,
    records: &'a Records,
    connection: AbortHandle,
}

impl Call<'_> {
    fn leaves(&self, when: When) -> Option<By> {
        self.case.ask.leave.filter(|leave| leave.when == when).map(|Leave { by, .. }| by)
    }

    fn upload(&self) -> (usize, bool) {
        match self.case.ask.upload {
            Upload::None => (0, false),
            Upload::Length(length) => (length, false),
            Upload::Streamed(length) => (length, true),
        }
    }

    async fn by_http1(
        self,
        sender: &mut http1::SendRequest<UnsyncBoxBody<Bytes, std::io::Error>>,
        request: Request<UnsyncBoxBody<Bytes, std::io::Error>>,
        feed: Feed,
    ) -> Outcome {
        let (length, has_trailers) = self.upload();
        let pushed = Arc::new(AtomicUsize::new(0));
        let leaves = self.leaves(When::Uploading).is_some();
        let pushing = {
            let pushed = pushed.clone();
            async move {
                while pushed.load(SeqCst) < if leaves { length / 2 } else { length } {
                    let piece = piece(pushed.load(SeqCst), length);
                    if !feed.try_data(piece).await {
                        return None;
                    }
                    pushed.fetch_add(piece.len(), SeqCst);
                }
                if has_trailers && !leaves {
                    feed.trailers(sum(length)).await;
                }
                // Held by one that leaves, so that the body does not end.
                Some(feed)
            }
        };
        let answering = sender.send_request(request);
        if leaves {
            let pushing = tokio::spawn(pushing);
            let answering = tokio::spawn(answering);
            self.until_seen().await;
            self.connection.abort();
            let _feed = pushing.await;
            let _error = answering.await;
            return Outcome::Left;
        }
        let pushing = tokio::spawn(async move { drop(pushing.await) });
        let (answer, ()) = tokio::join!(answering, self.hesitate(&pushed));
        drop(pushing);
        let (head, mut body) = match answer {
            Ok(answer) => answer.into_parts(),
            Err(error) => return Outcome::None(format!("{error:?}")),
        };
        self.hold_back().await;
        let (mut check, mut trailers) = (Check::of(&head), false);
        loop {
            match body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) => check.take(&piece),
                    Err(frame) => {
                        trailers = frame.trailers_ref().is_some_and(|fields| fields.contains_key("x-sum"))
                    }
                },
                ended => {
                    let is_whole = ended.is_none();
                    return Outcome::Answer { head, length: check.length, trailers, is_whole };
                }
            }
            if self.leaves(When::Downloading).is_some() {
                self.connection.abort();
                return Outcome::Left;
            }
        }
    }

    async fn by_http2(self, sender: &mut h2::client::SendRequest<Bytes>, request: Request<()>) -> Outcome {
        let (length, has_trailers) = self.upload();
        let is_empty = length == 0 && !has_trailers;
        let (answering, stream) = match sender.send_request(request, is_empty) {
            Ok(begun) => begun,
            Err(error) => return Outcome::None(format!("{error:?}")),
        };
        let pushed = Arc::new(AtomicUsize::new(0));
        if let Some(by) = self.leaves(When::Uploading) {
            let mut stream = stream;
            push(&mut stream, length / 2, length, &pushed).await.unwrap();
            self.until_seen().await;
            match by {
                By::Close => self.connection.abort(),
                By::Reset(reason) => stream.send_reset(reason),
            }
            return Outcome::Left;
        }
        if !is_empty {
            let (mut stream, pushed) = (stream, pushed.clone());
            // An answer may make the rest of it needless.
            tokio::spawn(async move {
                push(&mut stream, length, length, &pushed).await?;
                if has_trailers {
                    stream.send_trailers(sum(length))
                } else {
                    stream.send_data(Bytes::new(), true)
                }
            });
        }
        let (answer, ()) = tokio::join!(answering, self.hesitate(&pushed));
        let (head, mut body) = match answer {
            Ok(answer) => answer.into_parts(),
            Err(error) => return Outcome::None(format!("{error:?}")),
        };
        self.hold_back().await;
        let mut check = Check::of(&head);
        while let Some(piece) = body.data().await {
            let Ok(piece) = piece else {
                return Outcome::Answer { head, length: check.length, trailers: false, is_whole: false };
            };
            check.take(&piece);
            let _room = body.flow_control().release_capacity(piece.len());
            match self.leaves(When::Downloading) {
                Some(By::Close) => self.connection.abort(),
                Some(By::Reset(_)) => {}
                None => continue,
            }
            return Outcome::Left;
        }
        match body.trailers().await {
            Ok(trailers) => {
                let trailers = trailers.is_some_and(|fields| fields.contains_key("x-sum"));
                Outcome::Answer { head, length: check.length, trailers, is_whole: true }
            }
            Err(_) => Outcome::Answer { head, length: check.length, trailers: false, is_whole: false },
        }
    }

    /// Until the request has come to the origin.
    async fn until_seen(&self) {
        until("the request at the origin", || !self.records.of(self.number).fields.is_empty()).await;
    }

    /// A large upload that nobody reads stops; then the origin may go on.
    async fn hesitate(&self, pushed: &AtomicUsize) {
        if !matches!(self.case.act, super::cases::Act::Hesitate) {
            return;
        }
        let held = steady(|| pushed.load(SeqCst)).await;
        assert!(0 < held && held < LARGE, "{}: nothing holds the client back", self.case.name);
        self.records.release(self.number);
    }

    /// A large answer that is not read stops.
    async fn hold_back(&self) {
        if !matches!(self.case.sees, super::cases::Sees::Whole(_, LARGE, _)) {
            return;
        }
        let held = steady(|| self.records.of(self.number).sent).await;
        assert!(0 < held && held < LARGE, "{}: nothing holds the origin back", self.case.name);
    }
}

fn piece(offset: usize, length: usize) -> &'static [u8] {
    content::at(offset, (length - offset).min(if length > 100_000 { 1 << 16 } else { 300 }))
}

fn sum(length: usize) -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static("x-sum"), HeaderValue::from(length))])
}

async fn push(
    stream: &mut SendStream<Bytes>,
    until: usize,
    length: usize,
    pushed: &AtomicUsize,
) -> Result<(), h2::Error> {
    while pushed.load(SeqCst) < until {
        let mut piece = Bytes::from_static(piece(pushed.load(SeqCst), length));
        let size = piece.len();
        while !piece.is_empty() {
            stream.reserve_capacity(piece.len());
            let room = poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap_or(Ok(0))?;
            stream.send_data(piece.split_to(room.min(piece.len())), false)?;
        }
        pushed.fetch_add(size, SeqCst);
    }
    Ok(())
}
