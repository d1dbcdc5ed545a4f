//! HTTP/2 connections (RFC 9113).

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use starve_http::Body;
use starve_http1::{Answer, Rewound};

use crate::accept::{Drain, Settings};
use crate::activity::{Activity, State};
use crate::connection::{Handler, Peer};

/// Serves one connection to its end.
pub(crate) async fn serve<H: Handler>(
    stream: Rewound,
    peer: Peer,
    handler: H,
    settings: Arc<Settings>,
    mut drain: Drain,
) {
    let activity = Activity::new();
    let service = Service { handler, peer, activity: activity.clone() };
    let mut connection = pin!(builder(&settings).serve_connection(TokioIo::new(stream), service));
    let mut closing = drain.has_begun();
    if closing {
        connection.as_mut().graceful_shutdown();
    }
    let mut look_again = pin!(tokio::time::sleep(settings.http1.idle_timeout));
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
            () = look_again.as_mut() => match activity.state(settings.http1.idle_timeout) {
                State::Fine(rest) => look_again.as_mut().reset(tokio::time::Instant::now() + rest),
                // Said politely once; a client that does not listen is cut off.
                State::Idle if !closing => {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                    look_again.as_mut().reset(tokio::time::Instant::now() + settings.http1.head_timeout);
                }
                State::Idle => return,
            },
        }
    }
}

fn builder(settings: &Settings) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(settings.http1.head_bytes).unwrap_or(u32::MAX))
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
        self.handler.handle(request.map(Body::from), self.peer, self.activity.begin())
    }
}
