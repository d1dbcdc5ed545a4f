//! HTTP/2 connections (RFC 9113), and what each may ask of us (§10.5).

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, Connection};
use starve_http1::Rewound;
use tokio::time::{Instant, sleep_until, timeout};

use crate::accept::Settings;
use crate::activity::Activity;
use crate::calm::Calm;
use crate::connection::{Handler, Peer};
use crate::drain::Drain;
use crate::frames::FrameLimits;
use crate::stream::{Stream, answer};
use crate::watch::{Objection, Watch};

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
    let calm = Calm::new(stream, limits, activity.clone(), settings.counters.clone());
    let handshake = timeout(settings.http1.head_timeout, builder(&settings).handshake(calm));
    let mut connection: Connection<_, Bytes> = match handshake.await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return note_end(&settings, peer, &error),
        Err(_elapsed) => {
            settings.counters.slow_heads.fetch_add(1, Relaxed);
            return;
        }
    };
    let pings = (settings.http2.ping_interval, settings.http2.ping_timeout);
    let heads = settings.http1.clone();
    let mut watch =
        Watch::new(activity.clone(), settings.http1.idle_timeout, pings, heads, connection.ping_pong());
    // Said politely once; a client that does not listen is cut off.
    let mut grace = pin!(sleep_until(Instant::now()));
    let (mut closing, mut is_idle) = (false, false);
    loop {
        tokio::select! {
            biased;
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    let stream = Stream::new(respond, peer, activity.clone(), settings.clone());
                    // Ends with its answer, or when the client resets it, at the latest with the connection. Boxed,
                    // as the runtime moves a task several times.
                    tokio::spawn(Box::pin(answer(stream, request, handler.clone())));
                }
                Some(Err(error)) => return note_end(&settings, peer, &error),
                None => return,
            },
            () = drain.begun(), if !closing => {
                closing = true;
                connection.graceful_shutdown();
            }
            objection = poll_fn(|cx| watch.poll(cx)), if !is_idle => match objection {
                Objection::Idle => {
                    is_idle = true;
                    closing = true;
                    connection.graceful_shutdown();
                    grace.as_mut().reset(Instant::now() + settings.http1.head_timeout);
                }
                Objection::Gone => return,
                Objection::SlowHead => {
                    settings.counters.slow_heads.fetch_add(1, Relaxed);
                    return;
                }
            },
            // What came in the last moment is still answered.
            () = grace.as_mut(), if is_idle => match activity.idle_since() {
                Some(_) => return,
                None => grace.as_mut().reset(Instant::now() + settings.http1.head_timeout),
            },
        }
    }
}

fn builder(settings: &Settings) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_header_list_size(u32::try_from(settings.http1.head_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(settings.http2.streams)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(Some(OWN_RESETS_MAX))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .enable_connect_protocol();
    builder
}

fn note_end(settings: &Settings, peer: Peer, error: &h2::Error) {
    // The library has ended it because of what it cost (ENHANCE_YOUR_CALM, RFC 9113 §7).
    if error.is_go_away() && error.is_library() && error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM) {
        settings.counters.http2_floods.fetch_add(1, Relaxed);
    }
    tracing::debug!(client = %peer.address.ip(), %error, "connection ended");
}
