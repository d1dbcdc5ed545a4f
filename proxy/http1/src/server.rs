//! A connection to a client: requests come in, one after the other, and their answers go out.
//!
//! Everything of a request happens in the task of its connection: no channel, no second task, no wake-up in
//! between. The body of a request is read from the connection by whoever it is handed to.

mod body;
mod send;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode, response};
use starve_http::{Body, BodyError, ErrorKind, problem};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::decode::Decoder;
use crate::encode::{self, Asked};
use crate::interim::{self, Sink};
use crate::io::{Duplex, Io, with_scratch};
use crate::request::{self, RequestFault, RequestHead};
use crate::scan::EndScan;
use crate::timer::LazyTimer;
use crate::upgrade::{OnUpgrade, Rewound};

use self::body::RequestBody;
pub use self::body::{Pace, TooSlow};
use self::send::{Sending, Sent};

/// What comes behind a request that is being answered is read up to this, to notice a client that leaves.
const READ_AHEAD_MAX: usize = 64 * 1024;
/// After an answer that the client may still be sending against: how long and how much is read and thrown
/// away, so that the close does not destroy the answer on its way (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The limits of a client's connection.
#[derive(Clone, Debug)]
pub struct Limits {
    pub head_bytes: usize,
    /// For a whole head, from its first byte or the opening of the connection.
    pub head_timeout: Duration,
    /// Bytes a second of a head that has begun, on the average after two seconds; `None` is no limit.
    pub head_rate_min: Option<u64>,
    /// Between requests.
    pub idle_timeout: Duration,
    /// Longest silence inside a request's body that somebody waits for.
    pub body_timeout: Duration,
    /// Bytes a second of a request's body, on the average, after [`Limits::body_timeout`]; `None` is no limit.
    pub body_rate_min: Option<u64>,
    /// Longest time in which a client takes nothing of its answer.
    pub send_timeout: Duration,
}

/// How long a head may take before its rate is looked at.
const HEAD_GRACE: Duration = Duration::from_secs(2);

impl Limits {
    /// Until when more of a head has to come, of which so much is there.
    pub fn head_deadline(&self, since: Instant, bytes: usize) -> Instant {
        let whole = since + self.head_timeout;
        match self.head_rate_min {
            None => whole,
            Some(rate) => {
                let earned_ms = bytes as u64 * 1_000 / rate.max(1);
                whole.min(since + HEAD_GRACE + Duration::from_millis(earned_ms))
            }
        }
    }
}

/// How a connection is told to come to its end.
#[derive(Clone, Copy, Debug)]
pub struct Draining<B, C> {
    /// The next answer is the last, and says so.
    pub has_begun: B,
    /// Without a request there is no wait for one.
    pub closes_idle: C,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Between requests, by either end.
    Closed,
    /// The client left, or broke the protocol inside a body.
    ClientGone,
    /// A head was refused; the client was told.
    Refused(RequestFault),
    /// A head did not come in time; the client was told if it had begun one.
    HeadTimeout,
    /// Nothing came for longer than a connection is kept.
    IdleTimeout,
    /// A request's body came too slowly.
    BodyTimeout,
    /// The client took nothing of its answer for too long.
    SendTimeout,
    /// An answer could not be brought to its end; the client sees that.
    CutOff,
    /// The connection was handed over to another protocol.
    Switched,
}

/// An answer on its way. Boxed, so that an idle connection does not carry its room.
pub type Answer<B> = Pin<Box<dyn Future<Output = Result<Response<B>, Infallible>> + Send>>;

/// The bytes of the connection and the request whose body is being read. Locked for moments only, by the
/// connection and by the request's body.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    io: Io<S>,
    /// What is left of the current request's body.
    decoder: Decoder,
    /// The client waits for a word before it sends the body (RFC 9110 §10.1.1).
    continue_wanted: bool,
    /// The client can be sent interim answers.
    takes_interim: bool,
    body_timed_out: bool,
}

type Shared<S> = Arc<Mutex<Wire<S>>>;

fn lock<S>(shared: &Mutex<Wire<S>>) -> MutexGuard<'_, Wire<S>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Duplex> Sink for Mutex<Wire<S>> {
    fn interim(&self, head: &response::Parts) {
        let mut wire = lock(self);
        if wire.takes_interim {
            with_scratch(|out| {
                encode::interim(head, out);
                wire.io.queue(out);
            });
        }
    }
}

/// Serves a connection to its end. `input` is what was read from it before.
///
/// `handle` is asked for each request; its answer is dropped when the client leaves. `draining` says when to
/// end; whoever closes idle connections wakes the task. `note` is told why the
/// connection ends as soon as that is known: a client may take its time to let go.
pub async fn serve<S, B, F>(
    stream: S,
    input: BytesMut,
    limits: &Limits,
    mut handle: F,
    draining: Draining<impl Fn() -> bool, impl Fn() -> bool>,
    note: impl FnOnce(Ended),
) where
    S: Duplex,
    B: http_body::Body<Data = Bytes, Error = BodyError> + Unpin,
    F: FnMut(Request<Body>) -> Answer<B>,
{
    let mut connection = Connection {
        shared: Arc::new(Mutex::new(Wire {
            io: Io::new(stream, input),
            decoder: Decoder::empty(),
            continue_wanted: false,
            takes_interim: false,
            body_timed_out: false,
        })),
        timer: LazyTimer::new(Instant::now() + limits.head_timeout),
        limits,
    };
    // What ends a connection is boxed: an idle one need not carry its room.
    loop {
        let head = match connection.head(&draining.closes_idle).await {
            Ok(head) => head,
            Err(ended) => {
                note(ended);
                return Box::pin(connection.refuse(ended)).await;
            }
        };
        let asked = Asked { version: head.parts.version, is_head: head.parts.method == Method::HEAD };
        let keep_alive = head.keep_alive;
        let (request, switch) = connection.begin(head);
        let mut answer = handle(request);
        let Some(response) = connection.answer(&mut answer).await else { return note(Ended::ClientGone) };
        drop(answer);
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return note(Box::pin(connection.switch(response, asked, switch)).await);
        }
        drop(switch);
        let keep_alive = keep_alive && !(draining.has_begun)() && lock(&connection.shared).may_go_on();
        match connection.send(response, asked, keep_alive).await {
            Sent::Whole { keep_alive: true } if lock(&connection.shared).decoder.is_done() => {
                connection.timer.set(Instant::now() + limits.idle_timeout);
            }
            Sent::Whole { .. } => {
                let is_slow = lock(&connection.shared).body_timed_out;
                note(if is_slow { Ended::BodyTimeout } else { Ended::Closed });
                return Box::pin(connection.linger()).await;
            }
            Sent::Broken(ended) => return note(ended),
        }
    }
}

struct Connection<'a, S> {
    shared: Shared<S>,
    timer: LazyTimer,
    limits: &'a Limits,
}

impl<S: Duplex> Connection<'_, S> {
    /// The next request's head.
    async fn head(&mut self, closes_idle: &impl Fn() -> bool) -> Result<RequestHead, Ended> {
        let (timer, limits) = (&mut self.timer, self.limits);
        let mut scan = EndScan::default();
        let mut begun = None;
        poll_fn(|cx| {
            let wire = &mut *lock(&self.shared);
            let io = &mut wire.io;
            if io.needs_flush() && ready!(io.poll_flush(cx)).is_err() {
                return Poll::Ready(Err(Ended::ClientGone));
            }
            loop {
                match request::take(&mut io.input, &mut scan, limits.head_bytes) {
                    Ok(Some(head)) => return Poll::Ready(Ok(head)),
                    Ok(None) => {}
                    Err(fault) => return Poll::Ready(Err(Ended::Refused(fault))),
                }
                if !io.input.is_empty() {
                    let since = *begun.get_or_insert_with(Instant::now);
                    timer.set(limits.head_deadline(since, io.input.len()));
                }
                match io.poll_fill(cx) {
                    Poll::Ready(Ok(1..)) => {}
                    Poll::Ready(Ok(0)) if io.input.is_empty() => return Poll::Ready(Err(Ended::Closed)),
                    Poll::Ready(_) => return Poll::Ready(Err(Ended::ClientGone)),
                    // A request that has come is answered all the same.
                    Poll::Pending if io.input.is_empty() && closes_idle() => {
                        return Poll::Ready(Err(Ended::Closed));
                    }
                    Poll::Pending => break,
                }
            }
            ready!(timer.poll(cx));
            // The first head counts from the opening of the connection.
            let ended = if begun.is_some() { Ended::HeadTimeout } else { Ended::IdleTimeout };
            Poll::Ready(Err(ended))
        })
        .await
    }

    /// Tells the client why its head is refused, or says nothing where there was none.
    async fn refuse(&mut self, ended: Ended) {
        let kind = match ended {
            Ended::Refused(fault) => kind_of(fault),
            Ended::HeadTimeout => ErrorKind::RequestTimeout,
            _ => return self.shutdown().await,
        };
        let asked = Asked { version: http::Version::HTTP_11, is_head: false };
        if let Sent::Whole { .. } = self.send(problem(kind), asked, false).await {
            self.linger().await;
        }
    }

    /// Turns a head into a request whose body, if there is one, is read from this connection.
    fn begin(&mut self, head: RequestHead) -> (Request<Body>, Option<oneshot::Sender<Rewound>>) {
        let RequestHead { mut parts, decoder, expects_continue, wants_upgrade, .. } = head;
        let switch = wants_upgrade.then(|| {
            let (sender, later) = OnUpgrade::later();
            parts.extensions.insert(later);
            sender
        });
        let mut wire = lock(&self.shared);
        wire.takes_interim = parts.version == http::Version::HTTP_11;
        let body = if decoder.is_done() {
            Body::empty()
        } else {
            // Without a word from us it would wait for ever; one that has begun needs none.
            wire.continue_wanted = expects_continue && wire.io.input.is_empty();
            let rest = decoder.rest();
            wire.decoder = decoder;
            Body::wrap(RequestBody::new(&self.shared, rest, self.limits))
        };
        (Request::from_parts(parts, body), switch)
    }

    /// Waits for the answer, and for nothing else but the client's leaving.
    async fn answer<B>(&mut self, answer: &mut Answer<B>) -> Option<Response<B>> {
        let mut sink: Option<Arc<dyn Sink>> = None;
        poll_fn(|cx| {
            if sink.is_none() {
                sink = Some(self.shared.clone());
            }
            let within = interim::within(&mut sink);
            let polled = answer.as_mut().poll(cx);
            drop(within);
            if let Poll::Ready(Ok(response)) = polled {
                return Poll::Ready(Some(response));
            }
            let mut wire = lock(&self.shared);
            if wire.io.needs_flush() && matches!(wire.io.poll_flush(cx), Poll::Ready(Err(_))) {
                return Poll::Ready(None);
            }
            if wire.has_client_gone(cx) { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }

    // No `async fn`, which would carry the answer twice.
    fn send<B>(&mut self, response: Response<B>, asked: Asked, keep_alive: bool) -> impl Future<Output = Sent>
    where
        B: http_body::Body<Data = Bytes, Error = BodyError> + Unpin,
    {
        {
            // From here on nothing may come between the bytes of the final answer.
            let mut wire = lock(&self.shared);
            (wire.takes_interim, wire.continue_wanted) = (false, false);
        }
        let mut sending = Sending::new(response, asked, keep_alive);
        poll_fn(move |cx| sending.poll(cx, &self.shared, &mut self.timer, self.limits))
    }

    /// Sends the 101 and hands the connection over. It must have no body that somebody still reads.
    async fn switch<B>(
        mut self,
        response: Response<B>,
        asked: Asked,
        switch: Option<oneshot::Sender<Rewound>>,
    ) -> Ended
    where
        B: http_body::Body<Data = Bytes, Error = BodyError> + Unpin,
    {
        if !matches!(self.send(response, asked, true).await, Sent::Whole { .. }) {
            return Ended::ClientGone;
        }
        let (Some(switch), Some(wire)) = (switch, Arc::into_inner(self.shared)) else { return Ended::CutOff };
        let (stream, input) = wire.into_inner().unwrap_or_else(PoisonError::into_inner).io.into_parts();
        match switch.send(Rewound::new(stream, input)) {
            Ok(()) => Ended::Switched,
            Err(_nobody) => Ended::CutOff,
        }
    }

    async fn shutdown(&mut self) {
        let close = poll_fn(|cx| lock(&self.shared).io.poll_shutdown(cx));
        // A client that does not take the end is not waited for.
        let _closed = tokio::time::timeout(LINGER, close).await;
    }

    /// Closes without destroying what the client has not read yet.
    async fn linger(&mut self) {
        self.shutdown().await;
        if lock(&self.shared).may_go_on() && lock(&self.shared).io.input.is_empty() {
            return;
        }
        let mut thrown_away = 0;
        let rest = poll_fn(|cx| {
            let mut wire = lock(&self.shared);
            loop {
                wire.io.input.clear();
                match ready!(wire.io.poll_fill(cx)) {
                    Ok(read @ 1..) if thrown_away < LINGER_BYTES_MAX => thrown_away += read,
                    _ => return Poll::Ready(()),
                }
            }
        });
        let _in_time = tokio::time::timeout(LINGER, rest).await;
    }
}

impl<S: Duplex> Wire<S> {
    /// Whether nothing of the request is left that the client may still be sending; what has already come
    /// is thrown away.
    fn may_go_on(&mut self) -> bool {
        if self.continue_wanted && !self.decoder.is_done() {
            return false;
        }
        while let Ok(Some(_unread)) = self.decoder.next(&mut self.io.input) {}
        self.decoder.is_done()
    }

    /// Reads ahead, as far as nobody else reads, and up to a limit.
    fn has_client_gone(&mut self, cx: &mut Context<'_>) -> bool {
        while self.decoder.is_done() && self.io.input.len() < READ_AHEAD_MAX {
            match self.io.poll_fill(cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0) | Err(_)) => return true,
                Poll::Pending => return false,
            }
        }
        false
    }

    /// Asks the client for the body that it holds back.
    fn poll_continue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.continue_wanted) {
            self.io.queue(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        if self.io.needs_flush() { self.io.poll_flush(cx) } else { Poll::Ready(Ok(())) }
    }
}

fn kind_of(fault: RequestFault) -> ErrorKind {
    match fault {
        RequestFault::Malformed | RequestFault::LineEnd | RequestFault::Framing | RequestFault::Target => {
            ErrorKind::BadRequest
        }
        RequestFault::TargetTooLong => ErrorKind::TargetTooLong,
        RequestFault::TooLarge => ErrorKind::HeadTooLarge,
        RequestFault::Version => ErrorKind::VersionUnsupported,
    }
}
