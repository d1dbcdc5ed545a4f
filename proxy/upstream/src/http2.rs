//! HTTP/2 to servers: few connections, many requests on each.
//!
//! Each worker has its own connections, so that no exchange crosses threads. A request that the server says
//! it has not looked at (RFC 9113 §8.7) is sent again, whatever its method, as far as its body can be repeated.

mod answer;
mod drive;
mod exchange;
mod switch;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::header::UPGRADE;
use starve_config::ServerPlan;
use starve_http::{Body, Error, ErrorKind, Request, Response};
use starve_telemetry::worker_index;

use crate::budget::Budget;
use crate::dial::Stream;
use crate::limits::Place;
use crate::pool::InUse;
use crate::replay::Spare;
use crate::server::Server;
use crate::tls::Offer;

use self::exchange::{Failed, exchange};
use self::switch::Switch;

/// Requests at once on a connection, if the server allows as many; then another connection is opened.
const STREAMS_MAX: usize = 100;
/// Largest head of an answer.
const HEAD_BYTES_MAX: u32 = 64 * 1024;
/// What one answer may have under way, unread. A connection has room for that of all its requests, so that a client
/// that does not read holds up nobody else.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * STREAMS_MAX as u32;
/// What one request may have waiting for the server to take it.
const SEND_BUFFER_BYTES: usize = 400 * 1024;
/// Connections on which a request is tried, since any may be closing.
const TRIES_MAX: usize = 3;

/// The connections to one server, a list per worker.
pub(crate) struct Http2Pool {
    shards: Box<[Shard]>,
    idle_max: Duration,
    /// The server chose HTTP/1.1 when it was offered both.
    pub(crate) prefers_http1: AtomicBool,
}

#[derive(Default)]
struct Shard {
    /// Locked by its own worker, and for a moment by the sweep.
    open: Mutex<Vec<Connection>>,
    /// One connection is opened at a time: whoever waits can use it as well.
    opening: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Connection {
    sender: SendRequest<Bytes>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    streams: AtomicUsize,
    /// Grows with all that the server says in answer to requests.
    heard: AtomicU64,
    /// Gets no further requests.
    is_retired: AtomicBool,
    used: Mutex<Instant>,
}

/// A request's place on a connection.
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
        !self.state.is_retired.load(Relaxed)
    }

    fn has_room(&self) -> bool {
        self.state.streams.load(Relaxed) < STREAMS_MAX.min(self.sender.current_max_send_streams())
    }

    /// Whether the server's settings are known: they come before all else that it says (RFC 9113 §3.4).
    fn is_settled(&self) -> bool {
        self.state.heard.load(Relaxed) > 0
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

impl std::fmt::Debug for Http2Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http2Pool").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl Http2Pool {
    pub(crate) fn new(workers: usize, idle_max: Duration) -> Self {
        let shards = (0..=workers).map(|_| Shard::default()).collect();
        Self { shards, idle_max, prefers_http1: AtomicBool::new(false) }
    }

    fn shard(&self) -> &Shard {
        &self.shards[worker_index().min(self.shards.len() - 1)]
    }

    /// A place on a connection; on one whose server's settings are known, where the request depends on them.
    fn take(&self, settled: bool) -> Option<Lease> {
        let fits = |open: &&Connection| open.is_good() && open.has_room() && (!settled || open.is_settled());
        self.shard().open().iter().find(fits).map(Connection::lease)
    }

    async fn take_or_open(&self, server: &Server, settled: bool) -> Result<Opened, Error> {
        let shard = self.shard();
        let _one_at_a_time = shard.opening.lock().await;
        if let Some(lease) = self.take(settled) {
            return Ok(Opened::Http2(lease));
        }
        let stream = server.dial(Offer::Configured, None).await?;
        let is_plain = matches!(server.dialer.server, ServerPlan::H2c { .. });
        if !is_plain && !stream.chose_http2() {
            return Ok(Opened::Http1(stream));
        }
        let context = || format!("HTTP/2 with {}", server.authority);
        let started = tokio::time::timeout(server.timeouts.connect, start(stream, settled)).await;
        let connection = started
            .map_err(|_elapsed| Error::new(ErrorKind::ConnectTimeout, context()))?
            .map_err(|error| Error::new(ErrorKind::Connect, context()).with_source(error))?;
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

async fn start(stream: Stream, settled: bool) -> Result<Connection, h2::Error> {
    let (sender, mut connection) = Builder::new()
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .max_header_list_size(HEAD_BYTES_MAX)
        .handshake(stream)
        .await?;
    let mut ping = connection.ping_pong();
    if settled && let Some(ping) = &mut ping {
        drive::settle(&mut connection, ping).await?;
    }
    let state = Arc::new(State {
        streams: AtomicUsize::new(0),
        heard: AtomicU64::new(u64::from(settled)),
        is_retired: AtomicBool::new(false),
        used: Mutex::new(Instant::now()),
    });
    // Ends with the connection: when the server closes it, or when the last sender is dropped and the last
    // exchange is over. What goes wrong on it surfaces at the requests in flight.
    tokio::spawn(drive::drive(connection, ping, state.clone()));
    Ok(Connection { sender, state })
}

/// What became of a request for HTTP/2.
pub(crate) enum Sent {
    Answered(Response),
    /// It is a matter of HTTP/1.1, and unsent. Where the server chose that, with a connection that is good for it.
    Http1(Request, Option<Stream>),
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
    let is_switch = request.headers().contains_key(UPGRADE);
    if is_switch && !Switch::can_be_asked_for(&request) {
        return Ok(Sent::Http1(request, None));
    }
    let mut tries = 0;
    loop {
        tries += 1;
        // Boxed: the room for name look-up and handshakes would be carried by every request.
        let lease = match pool.take(is_switch) {
            Some(lease) => lease,
            None => match Box::pin(pool.take_or_open(server, is_switch)).await {
                Ok(Opened::Http2(lease)) => lease,
                Ok(Opened::Http1(stream)) => return Ok(Sent::Http1(request, Some(stream))),
                Err(error) => return Err(error.with_unsent(request)),
            },
        };
        if is_switch && !lease.0.sender.is_extended_connect_protocol_enabled() {
            return Ok(Sent::Http1(request, None));
        }
        let spare = Spare::of(&mut request);
        let (head, body) = request.into_parts();
        let mut again = Request::from_parts(head.clone(), Body::empty());
        match exchange(server, lease, Request::from_parts(head, body)).await {
            Ok(answered) => {
                let (head, body) = answered.split(in_use, server.timeouts.idle);
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

fn incomplete(server: &Server) -> Error {
    Error::new(ErrorKind::Incomplete, format!("connection to {} closed before the request", server.authority))
}
