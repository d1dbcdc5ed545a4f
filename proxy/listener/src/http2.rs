//! HTTP/2 connections (RFC 9113), and what each may ask of us (§10.5).

use std::error::Error as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use hyper::server::conn::http2::Builder;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use starve_http1::Rewound;

use crate::accept::Settings;
use crate::activity::{Activity, Patience, State};
use crate::calm::Calm;
use crate::connection::{Handler, Peer};
use crate::drain::Drain;
use crate::frames::FrameLimits;
use crate::requests::Service;

/// Bounds of each HTTP/2 connection.
#[derive(Clone, Copy, Debug)]
pub struct Http2Settings {
    /// Streams at once.
    pub streams: u32,
    /// Streams that the client may reset, beside one in eight of those it opened.
    pub resets: u32,
    /// Frames a second that carry nothing.
    pub control_frames: u32,
    /// Silence after which the client is asked whether it is there.
    pub ping_interval: Duration,
    pub ping_timeout: Duration,
}

/// Room for the bodies that clients send: what one stream, and one connection, may have under way.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Streams that were reset before they were looked at (CVE-2023-44487).
const PENDING_RESETS_MAX: usize = 20;
/// Streams that we had to reset because of what the client sent on them.
const OWN_RESETS_MAX: usize = 100;
/// What one stream may have waiting for the client to take it.
const SEND_BUFFER_BYTES: usize = 400 * 1024;

/// Serves one connection to its end.
pub(crate) async fn serve<H: Handler>(
    stream: Rewound,
    peer: Peer,
    handler: H,
    settings: Arc<Settings>,
    mut drain: Drain,
) {
    let activity = Activity::new();
    let limits = FrameLimits { resets: settings.http2.resets, control_frames: settings.http2.control_frames };
    let stream = Calm::new(stream, limits, settings.counters.clone());
    let service = Service::new(handler, peer, activity.clone(), settings.clone());
    let mut connection = pin!(builder(&settings).serve_connection(TokioIo::new(stream), service));
    let mut closing = drain.has_begun();
    if closing {
        connection.as_mut().graceful_shutdown();
    }
    let patience = Patience { idle: settings.http1.idle_timeout, send: settings.http1.send_timeout };
    let mut look_again = pin!(tokio::time::sleep(patience.idle.min(patience.send)));
    loop {
        tokio::select! {
            biased;
            outcome = connection.as_mut() => {
                if let Err(error) = outcome {
                    if is_calm_wanted(&error) {
                        settings.counters.http2_floods.fetch_add(1, Relaxed);
                    }
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
                    look_again.as_mut().reset(tokio::time::Instant::now() + settings.http1.head_timeout);
                }
                State::Idle => return,
                State::Stalled => {
                    settings.counters.slow_readers.fetch_add(1, Relaxed);
                    return;
                }
            },
        }
    }
}

fn builder(settings: &Settings) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(settings.http1.head_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(settings.http2.streams)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(OWN_RESETS_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(settings.http2.ping_interval)
        .keep_alive_timeout(settings.http2.ping_timeout);
    builder
}

/// Whether the library has ended the connection because of what it cost (ENHANCE_YOUR_CALM, RFC 9113 §7).
fn is_calm_wanted(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| {
        cause.is_go_away() && cause.is_library() && cause.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM)
    })
}
