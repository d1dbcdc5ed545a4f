use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use starve_http::BodyError;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::accept::{Drain, Settings};
use crate::activity::{Activity, InFlight, Patience, State, Watched};

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub address: SocketAddr,
    pub tls: bool,
}

/// What answers requests. `in_flight` is to be kept until the answer's body has ended: while it lives,
/// the connection is not idle.
pub trait Handler: Clone + Send + 'static {
    type Body: http_body::Body<Data = Bytes, Error = BodyError> + Send + 'static;

    fn handle(&self, request: Request<Incoming>, peer: Peer, in_flight: InFlight) -> Answer<Self::Body>;
}

/// An answer on its way. Boxed, so that an idle connection does not carry its room.
pub type Answer<B> = Pin<Box<dyn Future<Output = Result<Response<B>, Infallible>> + Send>>;

/// Serves one connection to its end: HTTP/1.1, or HTTP/2 by its preface (RFC 9113 §3.3, §3.4).
pub(crate) async fn serve<S, H>(stream: S, peer: Peer, handler: H, settings: Arc<Settings>, mut drain: Drain)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    H: Handler,
{
    let activity = Activity::new();
    let patience = Patience { head: settings.head_timeout, idle: settings.idle_timeout };
    let io = TokioIo::new(Watched::new(stream, activity.clone(), settings.counters.clone()));
    let service = Service { handler, peer, activity: activity.clone() };
    let builder = builder(&settings);
    let mut connection = pin!(builder.serve_connection_with_upgrades(io, service));
    let mut closing = drain.has_begun();
    if closing {
        connection.as_mut().graceful_shutdown();
    }
    let mut look_again = pin!(tokio::time::sleep(patience.head.min(patience.idle)));
    loop {
        tokio::select! {
            biased;
            outcome = connection.as_mut() => {
                if let Err(error) = outcome {
                    tracing::debug!(client = %peer.address.ip(), %error, "connection ended");
                }
                return;
            }
            () = drain.begun(), if !closing => {
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
            () = look_again.as_mut() => match activity.state(patience) {
                State::Fine(rest) => look_again.as_mut().reset(tokio::time::Instant::now() + rest),
                // Said politely once; a client that does not listen is cut off.
                State::Idle if !closing => {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                    look_again.as_mut().reset(tokio::time::Instant::now() + patience.head);
                }
                State::Idle | State::SlowHead => {
                    settings.counters.slow_heads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    return;
                }
            },
        }
    }
}

fn builder(settings: &Settings) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // The watch in `serve` tells a slow head from an idle connection, which this timer does not.
        .header_read_timeout(None)
        .max_buf_size(settings.head_bytes.max(8_192))
        .writev(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(settings.head_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(settings.streams_per_connection);
    builder
}

struct Service<H> {
    handler: H,
    peer: Peer,
    activity: Arc<Activity>,
}

impl<H: Handler> hyper::service::Service<Request<Incoming>> for Service<H> {
    type Response = Response<H::Body>;
    type Error = Infallible;
    type Future = Answer<H::Body>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        if request.version() == Version::HTTP_2 {
            self.activity.is_multiplexed();
        }
        self.handler.handle(request, self.peer, self.activity.begin())
    }
}
