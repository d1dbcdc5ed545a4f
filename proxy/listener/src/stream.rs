//! A request on a stream of an HTTP/2 connection, and its answer.
//!
//! Everything of it happens in one task. Invariants: a request that breaks off never looks complete, however the
//! client broke it off; an answer that breaks off is a reset stream; a client that makes no room for its answer is not
//! waited for longer than the send time-out, whatever else goes on on its connection.

use std::future::poll_fn;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, DATE, EXPECT, HeaderValue};
use http::{Method, Request, Response, StatusCode, response};
use starve_http::stream::{Broken, Joined, Outgoing, Progress, said_length};
use starve_http::{Body, BodyError, hygiene};
use starve_http1::interim::{self, Sink};
use starve_http1::{LazyTimer, Rewound, date};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::accept::Settings;
use crate::activity::Activity;
use crate::connection::{Handler, Peer};
use crate::extended;
use crate::received::Received;

/// The stream as that on which the answer goes out.
pub(crate) struct Stream {
    respond: Arc<Respond>,
    peer: Peer,
    activity: Arc<Activity>,
    settings: Arc<Settings>,
}

/// What can still be sent before the final head. Locked for moments only.
pub(crate) struct Respond(Mutex<Sender>);

struct Sender {
    stream: SendResponse<Bytes>,
    /// The final head has been sent; the library would send an interim one behind it all the same.
    is_final: bool,
}

impl Respond {
    fn lock(&self) -> MutexGuard<'_, Sender> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send_interim(&self, head: Response<()>) {
        let mut sender = self.lock();
        if !sender.is_final {
            // A client that has left needs none.
            let _sent = sender.stream.send_informational(head);
        }
    }

    fn send_final(&self, head: response::Parts, is_end: bool) -> Result<SendStream<Bytes>, h2::Error> {
        let mut sender = self.lock();
        sender.is_final = true;
        sender.stream.send_response(Response::from_parts(head, ()), is_end)
    }

    /// Asks the client for the body that it holds back.
    pub(crate) fn go_ahead(&self) {
        let mut head = Response::new(());
        *head.status_mut() = StatusCode::CONTINUE;
        self.send_interim(head);
    }
}

impl Sink for Respond {
    fn interim(&self, head: &response::Parts) {
        let mut copy = Response::new(());
        *copy.status_mut() = head.status;
        *copy.headers_mut() = head.headers.clone();
        hygiene::strip_hop_by_hop(copy.headers_mut());
        self.send_interim(copy);
    }
}

impl Stream {
    pub(crate) fn new(
        respond: SendResponse<Bytes>,
        peer: Peer,
        activity: Arc<Activity>,
        settings: Arc<Settings>,
    ) -> Self {
        let sender = Sender { stream: respond, is_final: false };
        Self { respond: Arc::new(Respond(Mutex::new(sender))), peer, activity, settings }
    }
}

/// Answers a request, whose answer is dropped when the client resets the stream.
pub(crate) async fn answer<H: Handler>(stream: Stream, request: Request<RecvStream>, handler: H) {
    // The connection is not idle before all of the answer has been handed on, whatever is counted by then.
    let _sending = stream.activity.begin();
    let (mut head, incoming) = request.into_parts();
    let is_head = head.method == Method::HEAD;
    let mut switch = None;
    let body = match extended::as_upgrade(&mut head) {
        Some(sender) => {
            switch = Some((sender, incoming));
            Body::empty()
        }
        None if incoming.is_end_stream() => Body::empty(),
        None => {
            // Without a word from us it would wait for ever.
            let waits = head.headers.contains_key(EXPECT).then(|| stream.respond.clone());
            Body::wrap(Received::new(incoming, &head.headers, &stream.settings, waits))
        }
    };
    let request = Request::from_parts(head, body);
    let mut answer = handler.handle(request, stream.peer, stream.activity.begin());
    let mut sink: Option<Arc<dyn Sink>> = Some(stream.respond.clone());
    let response = poll_fn(|cx| {
        let within = interim::within(&mut sink);
        let polled = answer.as_mut().poll(cx);
        drop(within);
        if let Poll::Ready(Ok(response)) = polled {
            return Poll::Ready(Some(response));
        }
        stream.respond.lock().stream.poll_reset(cx).map(|_reset| None)
    });
    let Some(response) = response.await else { return };
    drop(answer);
    match switch {
        Some((sender, incoming)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            stream.switch(response, sender, incoming);
        }
        switch => {
            drop(switch);
            stream.send(response, is_head).await;
        }
    }
}

impl Stream {
    async fn send<B>(&self, response: Response<B>, is_head: bool)
    where
        B: http_body::Body<Data = Bytes, Error = BodyError> + Unpin,
    {
        let (mut head, body) = response.into_parts();
        let has_none = is_head || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let length = settle_head(&mut head, (!has_none).then(|| body.size_hint().exact()).flatten());
        let is_end = has_none || body.is_end_stream();
        // Dropped before its last byte leaves, so that the call is counted before the client has it all.
        let body = (!is_end).then_some(body);
        let Ok(stream) = self.respond.send_final(head, is_end) else {
            return;
        };
        let Some(body) = body else { return };
        let patience = self.settings.http1.send_timeout;
        let (mut content, mut timer) = (Outgoing::new(stream, body, length), LazyTimer::new(Instant::now()));
        let mut is_stalled = false;
        let reset = poll_fn(|cx| {
            let progress = content.poll(cx);
            is_stalled &= !content.has_moved();
            match progress {
                Ok(Progress::Done) | Err(Broken::Left) => Poll::Ready(None),
                Ok(Progress::WaitsForContent) => Poll::Pending,
                Err(Broken::Content(_)) => Poll::Ready(Some(Reason::INTERNAL_ERROR)),
                Ok(Progress::WaitsForRoom) => {
                    if !std::mem::replace(&mut is_stalled, true) {
                        timer.set(Instant::now() + patience);
                    }
                    timer.poll(cx).map(|()| Some(Reason::CANCEL))
                }
            }
        });
        let Some(reason) = reset.await else { return };
        if reason == Reason::CANCEL {
            self.settings.counters.slow_readers.fetch_add(1, Relaxed);
        }
        content.reset(reason);
    }

    /// The stream has become a tunnel (RFC 8441 §5).
    fn switch<B>(self, response: Response<B>, sender: oneshot::Sender<Rewound>, incoming: RecvStream) {
        let (mut head, body) = response.into_parts();
        extended::agree(&mut head);
        hygiene::strip_hop_by_hop(&mut head.headers);
        settle_head(&mut head, None);
        drop(body);
        let sent = self.respond.send_final(head, false);
        if let Ok(outgoing) = sent {
            // Without somebody at the other end it is dropped, which resets the stream.
            let _joined =
                sender.send(Rewound::new(Joined::new(outgoing, incoming, ()), bytes::BytesMut::new()));
        }
    }
}

/// Brings the head into the shape of HTTP/2; fields of a connection are none of an answer's. How much content is to follow, where that is known.
fn settle_head(head: &mut response::Parts, exact: Option<u64>) -> Option<u64> {
    if head.status == StatusCode::NO_CONTENT {
        head.headers.remove(CONTENT_LENGTH);
    }
    if !head.headers.contains_key(DATE) {
        // A recipient with a clock appends what an answer lacks (RFC 9110 §6.6.1).
        head.headers.insert(DATE, date());
    }
    if let Some(exact) = exact.filter(|_| !head.headers.contains_key(CONTENT_LENGTH)) {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(exact));
    }
    said_length(&head.headers)
}
