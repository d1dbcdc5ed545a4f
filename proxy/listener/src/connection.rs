use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::{Bytes, BytesMut};
use http::Request;
use starve_http::{Body, BodyError};
use starve_http1::{self as http1, Answer, Duplex, Ended, RequestFault, Rewound, read_some};

use crate::accept::{Counters, Drain, Settings};
use crate::activity::InFlight;
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
pub(crate) async fn serve<S, H>(mut stream: S, peer: Peer, handler: H, settings: Arc<Settings>, drain: Drain)
where
    S: Duplex,
    H: Handler,
{
    let mut input = BytesMut::new();
    let first = tokio::time::timeout(settings.http1.head_timeout, is_http2(&mut stream, &mut input));
    match first.await {
        Ok(Some(false)) => {}
        Ok(Some(true)) => {
            // Boxed: few connections need its room.
            return Box::pin(http2::serve(Rewound::new(stream, input), peer, handler, settings, drain)).await;
        }
        Ok(None) => return,
        Err(_elapsed) => return count(&settings.counters, Ended::HeadTimeout),
    }
    let answer = move |request| handler.handle(request, peer, InFlight::default());
    let mut begun = pin!({
        let mut drain = drain.clone();
        async move { drain.begun().await }
    });
    let mut is_listening = false;
    let mut serving = pin!(http1::serve(stream, input, &settings.http1, answer, || drain.has_begun()));
    let ended = poll_fn(|cx| {
        // Once is enough: it wakes this task when the drain begins, and the connection looks for itself.
        if !std::mem::replace(&mut is_listening, true) {
            let _later = begun.as_mut().poll(cx);
        }
        serving.as_mut().poll(cx)
    });
    count(&settings.counters, ended.await);
}

/// Waits for the first bytes; `None` when there were none.
async fn is_http2<S: Duplex>(stream: &mut S, input: &mut BytesMut) -> Option<bool> {
    loop {
        if read_some(stream, input).await.ok()? == 0 {
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
