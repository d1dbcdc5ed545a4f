use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http::Request;
use starve_http::{Body, BodyError};
use starve_http1::{self as http1, Answer, Duplex, Ended, RequestFault, Rewound, poll_read_some};

use crate::accept::{Counters, Settings};
use crate::activity::InFlight;
use crate::drain::Drain;
use crate::http2;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub address: SocketAddr,
    pub tls: bool,
}

/// What answers requests. `in_flight` is to be kept until the answer's body has ended: while it lives,
/// the connection is not idle.
pub trait Handler: Clone + Send + 'static {
    type Body: http_body::Body<Data = Bytes, Error = BodyError> + Send + Unpin + 'static;

    fn handle(&self, request: Request<Body>, peer: Peer, in_flight: InFlight) -> Answer<Self::Body>;
}

/// With this a client of HTTP/2 begins (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves one connection to its end: HTTP/1.1, or HTTP/2 by its preface.
pub(crate) async fn serve<S, H>(stream: S, peer: Peer, handler: H, settings: Arc<Settings>, drain: Drain)
where
    S: Duplex,
    H: Handler,
{
    let mut idle_closing = pin!({
        let mut drain = drain.clone();
        async move { drain.idle_closing().await }
    });
    let (mut is_listening, mut is_closing) = (false, false);
    let looking = drain.clone();
    let mut serving = pin!(serve_either(stream, peer, handler, settings, drain));
    poll_fn(|cx| {
        // It wakes this task when idle connections are closed, and the connection looks for itself. Once is enough
        // while nothing changes: the begin of the drain is a change, after which it has to be asked again.
        if !is_closing && (!std::mem::replace(&mut is_listening, true) || looking.has_begun()) {
            is_closing = idle_closing.as_mut().poll(cx).is_ready();
        }
        serving.as_mut().poll(cx)
    })
    .await;
}

async fn serve_either<S, H>(mut stream: S, peer: Peer, handler: H, settings: Arc<Settings>, drain: Drain)
where
    S: Duplex,
    H: Handler,
{
    let mut input = BytesMut::new();
    let first = is_http2(&mut stream, &mut input, &drain);
    match tokio::time::timeout(settings.http1.head_timeout, first).await {
        Ok(Some(false)) => {}
        Ok(Some(true)) => {
            // Boxed: few connections need its room.
            return Box::pin(http2::serve(Rewound::new(stream, input), peer, handler, settings, drain)).await;
        }
        Ok(None) => return,
        Err(_elapsed) => return count(&settings.counters, Ended::HeadTimeout),
    }
    let answer = move |request| handler.handle(request, peer, InFlight::default());
    let draining = http1::Draining { has_begun: || drain.has_begun(), closes_idle: || drain.closes_idle() };
    let note = |ended| count(&settings.counters, ended);
    http1::serve(stream, input, &settings.http1, answer, draining, note).await;
}

/// Waits for the first bytes; `None` when there were none, or idle connections are closed.
async fn is_http2<S: Duplex>(stream: &mut S, input: &mut BytesMut, drain: &Drain) -> Option<bool> {
    loop {
        let more = poll_fn(|cx| match poll_read_some(stream, cx, input) {
            Poll::Ready(read) => Poll::Ready(read.ok()),
            Poll::Pending if drain.closes_idle() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        if more.await? == 0 {
            return None;
        }
        if input.starts_with(PREFACE) {
            return Some(true);
        }
        if !PREFACE.starts_with(input) {
            return Some(false);
        }
    }
}

fn count(counters: &Counters, ended: Ended) {
    let counter = match ended {
        Ended::Refused(fault) => match fault {
            RequestFault::LineEnd => &counters.bad_line_ends,
            RequestFault::Framing => &counters.bad_framing,
            RequestFault::Target => &counters.bad_targets,
            RequestFault::Malformed => &counters.bad_heads,
            RequestFault::Version => &counters.bad_versions,
            RequestFault::TargetTooLong | RequestFault::TooLarge => &counters.large_heads,
        },
        Ended::HeadTimeout => &counters.slow_heads,
        Ended::BodyTimeout => &counters.slow_bodies,
        Ended::SendTimeout => &counters.slow_readers,
        Ended::Closed | Ended::ClientGone | Ended::IdleTimeout | Ended::CutOff | Ended::Switched => return,
    };
    counter.fetch_add(1, Relaxed);
}
