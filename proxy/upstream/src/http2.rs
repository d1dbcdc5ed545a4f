//! HTTP/2 to servers: few connections, many requests on each.
//!
//! Each worker has its own connections, so that no exchange crosses threads. A request that the server says
//! it has not looked at (RFC 9113 §8.7) is sent again, whatever its method, as far as its body can be repeated.

use std::error::Error as _;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Uri;
use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use starve_config::ServerPlan;
use starve_http::{Body, BodyError, Error, ErrorKind, Request, Response};
use starve_telemetry::worker_index;

use crate::budget::Budget;
use crate::dial::Stream;
use crate::limits::Place;
use crate::pool::InUse;
use crate::replay::Spare;
use crate::send::kind_of_body;
use crate::server::Server;
use crate::silence::Silence;
use crate::tls::Offer;

/// Requests at once on a connection, if the server allows as many; then another connection is opened.
const STREAMS_MAX: usize = 100;
/// Largest head of an answer.
const HEAD_BYTES_MAX: u32 = 64 * 1024;
/// A connection with requests on it that does not answer a ping is given up after both together.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_TIME_MAX: Duration = Duration::from_secs(10);
/// Connections on which a request is tried, since any may be closing.
const TRIES_MAX: usize = 3;

/// The connections to one server, a list per worker.
#[derive(Debug)]
pub(crate) struct Http2Pool {
    shards: Box<[Shard]>,
    idle_max: Duration,
    /// The server chose HTTP/1.1 when it was offered both.
    pub(crate) prefers_http1: AtomicBool,
}

#[derive(Debug, Default)]
struct Shard {
    /// Locked by its own worker, and for a moment by the sweep.
    open: Mutex<Vec<Connection>>,
    /// One connection is opened at a time: whoever waits can use it as well.
    opening: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Connection {
    sender: http2::SendRequest<Body>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    streams: AtomicUsize,
    /// As many as the server allows.
    streams_max: AtomicUsize,
    /// Gets no further requests.
    is_retired: AtomicBool,
    used: Mutex<Instant>,
}

/// A request's place on a connection.
#[derive(Debug)]
struct Lease(Connection);

impl Drop for Lease {
    fn drop(&mut self) {
        let state = &self.0.state;
        if state.streams.fetch_sub(1, Relaxed) == 1 {
            *state.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
    }
}

impl Connection {
    fn is_good(&self) -> bool {
        !self.sender.is_closed() && !self.state.is_retired.load(Relaxed)
    }

    fn has_room(&self) -> bool {
        self.state.streams.load(Relaxed) < STREAMS_MAX.min(self.state.streams_max.load(Relaxed))
    }

    fn is_idle_since(&self, time: Duration) -> bool {
        let used = || *self.state.used.lock().unwrap_or_else(PoisonError::into_inner);
        self.state.streams.load(Relaxed) == 0 && used().elapsed() >= time
    }

    fn lease(&self) -> Lease {
        self.state.streams.fetch_add(1, Relaxed);
        Lease(self.clone())
    }
}

/// What became of the attempt to open a connection for HTTP/2.
enum Opened {
    Http2(Lease),
    /// The server chose HTTP/1.1.
    Http1(Stream),
}

impl Http2Pool {
    pub(crate) fn new(workers: usize, idle_max: Duration) -> Self {
        let shards = (0..=workers).map(|_| Shard::default()).collect();
        Self { shards, idle_max, prefers_http1: AtomicBool::new(false) }
    }

    fn shard(&self) -> &Shard {
        &self.shards[worker_index().min(self.shards.len() - 1)]
    }

    fn take(&self) -> Option<Lease> {
        let open = self.shard().open();
        open.iter().find(|connection| connection.is_good() && connection.has_room()).map(Connection::lease)
    }

    async fn take_or_open(&self, server: &Server) -> Result<Opened, Error> {
        if let Some(lease) = self.take() {
            return Ok(Opened::Http2(lease));
        }
        let shard = self.shard();
        let _one_at_a_time = shard.opening.lock().await;
        if let Some(lease) = self.take() {
            return Ok(Opened::Http2(lease));
        }
        let stream = server.dial(Offer::Configured, None).await?;
        let is_plain = matches!(server.dialer.server, ServerPlan::H2c { .. });
        if !is_plain && !stream.chose_http2() {
            return Ok(Opened::Http1(stream));
        }
        let connection = start(stream).await.map_err(|error| {
            Error::new(ErrorKind::Connect, format!("HTTP/2 with {}", server.authority)).with_source(error)
        })?;
        let lease = connection.lease();
        let mut open = shard.open();
        open.retain(Connection::is_good);
        open.push(connection);
        Ok(Opened::Http2(lease))
    }

    /// Closes what has been idle for too long or was closed by the server.
    pub(crate) fn sweep(&self) {
        for shard in &self.shards {
            shard.open().retain(|open| open.is_good() && !open.is_idle_since(self.idle_max));
        }
    }

    /// Connections without and with requests on them.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let is_idle = |open: &&Connection| open.state.streams.load(Relaxed) == 0;
        self.shards.iter().fold((0, 0), |(idle, used), shard| {
            let open = shard.open();
            let idle_here = open.iter().filter(is_idle).count();
            (idle + idle_here, used + open.len() - idle_here)
        })
    }
}

impl Shard {
    fn open(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn start(stream: Stream) -> Result<Connection, hyper::Error> {
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIME_MAX)
        .max_header_list_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await?;
    let state = Arc::new(State {
        streams: AtomicUsize::new(0),
        streams_max: AtomicUsize::new(connection.current_max_send_streams()),
        is_retired: AtomicBool::new(false),
        used: Mutex::new(Instant::now()),
    });
    let known = state.clone();
    // Ends with the connection: when the server closes it, or when the last sender is dropped and the last
    // exchange is over. What goes wrong on it surfaces at the requests in flight.
    tokio::spawn(async move {
        let mut connection = pin!(connection);
        let _outcome = poll_fn(|cx| {
            let ended = connection.as_mut().poll(cx);
            known.streams_max.store(connection.current_max_send_streams(), Relaxed);
            ended
        })
        .await;
    });
    Ok(Connection { sender, state })
}

/// What became of a request for HTTP/2.
pub(crate) enum Sent {
    Answered(Response),
    /// The server chose HTTP/1.1: the request is unsent, and the connection good for it.
    Http1(Request, Stream),
}

/// Sends a request over HTTP/2.
///
/// # Errors
/// There is no answer; with the request where nothing of it was sent.
pub(crate) async fn send(
    server: &Arc<Server>,
    pool: &Http2Pool,
    mut request: Request,
    place: &Place,
    budget: &Budget,
) -> Result<Sent, Error> {
    let in_use = InUse::new(server, place);
    let mut tries = 0;
    loop {
        tries += 1;
        // Boxed: the room for name look-up and handshakes would be carried by every request.
        let lease = match pool.take() {
            Some(lease) => lease,
            None => match Box::pin(pool.take_or_open(server)).await {
                Ok(Opened::Http2(lease)) => lease,
                Ok(Opened::Http1(stream)) => return Ok(Sent::Http1(request, stream)),
                Err(error) => return Err(error.with_unsent(request)),
            },
        };
        let spare = Spare::of(&mut request);
        let (head, body) = request.into_parts();
        let mut again = Request::from_parts(head.clone(), Body::empty());
        match exchange(server, lease, Request::from_parts(head, body)).await {
            Ok((head, body, lease)) => {
                let body = Streamed::body(body, lease, in_use, server.timeouts.idle);
                return Ok(Sent::Answered(Response::from_parts(head, body)));
            }
            Err(Failed::Unsent) => {
                if !spare.restore(&mut again) {
                    return Err(incomplete(server));
                }
                request = again;
                if tries >= TRIES_MAX {
                    return Err(incomplete(server).with_unsent(request));
                }
            }
            Err(Failed::Refused(error)) if tries < TRIES_MAX && budget.withdraw() => {
                if !spare.restore(&mut again) {
                    return Err(error);
                }
                server.note_refused();
                request = again;
            }
            Err(Failed::Refused(error) | Failed::Broken(error)) => return Err(error),
        }
    }
}

enum Failed {
    /// Not one byte was sent.
    Unsent,
    /// The server says that it has not looked at it.
    Refused(Error),
    Broken(Error),
}

async fn exchange(
    server: &Server,
    mut lease: Lease,
    mut request: Request,
) -> Result<(http::response::Parts, Incoming, Lease), Failed> {
    let own = request.uri().clone();
    let host = request.headers_mut().remove(HOST);
    let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    *request.uri_mut() = absolute(server, &own, authority).map_err(Failed::Broken)?;
    *request.version_mut() = http::Version::HTTP_2;
    let limit = server.timeouts.first_byte;
    match tokio::time::timeout(limit, lease.0.sender.try_send_request(request)).await {
        Ok(Ok(response)) => {
            let (head, body) = response.into_parts();
            Ok((head, body, lease))
        }
        Ok(Err(mut error)) => Err(match error.take_message() {
            Some(_unsent) => Failed::Unsent,
            None => failed(server, error.into_error()),
        }),
        Err(_elapsed) => {
            // Should the whole connection be dead, the next request finds another one.
            lease.0.state.is_retired.store(true, Relaxed);
            let context = format!("no answer from {} in {limit:?}", server.authority);
            Err(Failed::Broken(Error::new(ErrorKind::ResponseTimeout, context)))
        }
    }
}

/// The target with scheme and authority, as HTTP/2 wants it (RFC 9113 §8.3.1).
fn absolute(server: &Server, own: &Uri, authority: Option<Authority>) -> Result<Uri, Error> {
    let mut parts = http::uri::Parts::default();
    let is_tls = matches!(server.dialer.server, ServerPlan::Https { .. });
    parts.scheme = Some(if is_tls { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = authority.or_else(|| Authority::try_from(&*server.authority).ok());
    parts.path_and_query = own.path_and_query().cloned().or(Some(PathAndQuery::from_static("/")));
    Uri::from_parts(parts).map_err(|error| {
        Error::new(ErrorKind::BadRequest, "the target cannot be written in HTTP/2").with_source(error)
    })
}

fn failed(server: &Server, error: hyper::Error) -> Failed {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>());
    let is_unseen = cause.is_some_and(|cause| {
        let is_refused = cause.is_reset() && cause.reason() == Some(h2::Reason::REFUSED_STREAM);
        cause.is_remote() && (is_refused || cause.is_go_away())
    });
    let is_protocol = cause.is_some_and(|cause| cause.is_library());
    if is_unseen {
        return Failed::Refused(
            Error::new(ErrorKind::Incomplete, format!("{} refused the request", server.authority))
                .with_source(error),
        );
    }
    // A body that fails on our side of the connection is the client's.
    let kind = if error.is_user() || error.is_body_write_aborted() {
        kind_of_body(&error)
    } else if is_protocol {
        ErrorKind::Protocol
    } else {
        ErrorKind::Incomplete
    };
    Failed::Broken(Error::new(kind, format!("exchange with {}", server.authority)).with_source(error))
}

fn incomplete(server: &Server) -> Error {
    Error::new(ErrorKind::Incomplete, format!("connection to {} closed before the request", server.authority))
}

/// The body of an answer; dropped before its end, it resets its stream and nothing else.
#[derive(Debug)]
struct Streamed {
    body: Incoming,
    lease: Option<(Lease, InUse)>,
    silence: Silence,
}

impl Streamed {
    fn body(body: Incoming, lease: Lease, in_use: InUse, silence_max: Duration) -> Body {
        if body.is_end_stream() {
            return Body::empty();
        }
        Body::wrap(Self { body, lease: Some((lease, in_use)), silence: Silence::new(silence_max) })
    }
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(frame)) => {
                self.silence.heard();
                Poll::Ready(Some(frame.map_err(Into::into)))
            }
            Poll::Ready(None) => {
                self.lease = None;
                Poll::Ready(None)
            }
            Poll::Pending => self
                .silence
                .poll_too_long(cx)
                .map(|()| Some(Err("the server fell silent in the middle of its answer".into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
