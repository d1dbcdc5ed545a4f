use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::addresses::Addresses;
use crate::connection::Handler;
use crate::drain::Drain;
use crate::handshakes::Handshakes;
use crate::http2::Http2Settings;
use crate::opening::{Refusals, TrustedSources, open};
use crate::tls::Tls;

/// The pause after an error that means the machine has run out of something.
const PAUSE: Duration = Duration::from_millis(500);

/// What all connections of all listeners share.
#[derive(Debug)]
pub struct Settings {
    /// Of an HTTP/1.1 connection; those of the same name hold for HTTP/2 too.
    pub http1: starve_http1::Limits,
    pub http2: Http2Settings,
    /// One permit per open connection.
    pub places: Arc<Semaphore>,
    /// `None` when there is no limit per address.
    pub addresses: Option<Arc<Addresses>>,
    pub handshakes: Arc<Handshakes>,
    pub trusted: TrustedSources,
    pub counters: Arc<Counters>,
}

/// What is spoken on a listening socket.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub tls: Option<Tls>,
    /// Each connection begins with a PROXY header.
    pub proxy_protocol: bool,
    /// The field in which a verified client certificate is passed on.
    pub certificate_field: Option<http::HeaderName>,
}

#[derive(Debug, Default)]
pub struct Counters {
    pub open: AtomicUsize,
    /// Accepting had to wait for a connection to close.
    pub full: AtomicU64,
    /// Connections cut because a head did not come in time.
    pub slow_heads: AtomicU64,
    /// Connections ended because a request's body came too slowly.
    pub slow_bodies: AtomicU64,
    /// Connections ended because the client took nothing of its answer for too long.
    pub slow_readers: AtomicU64,
    /// Requests refused because of a head with too many bytes or fields.
    pub large_heads: AtomicU64,
    /// Requests refused because of a bare line feed.
    pub bad_line_ends: AtomicU64,
    /// Requests refused because of their target, as one with a fragment.
    pub bad_targets: AtomicU64,
    /// Requests refused because of `Content-Length` or `Transfer-Encoding`.
    pub bad_framing: AtomicU64,
    /// Requests refused because of a version of HTTP that is not spoken.
    pub bad_versions: AtomicU64,
    /// Requests refused because of any other line that is none.
    pub bad_heads: AtomicU64,
    /// Accepting paused because the machine had run out of something, as file descriptors.
    pub pauses: AtomicU64,
    pub refusals: Refusals,
    /// HTTP/2 connections ended because the client reset too many streams.
    pub http2_resets: AtomicU64,
    /// HTTP/2 connections ended because of too many frames that carry nothing.
    pub http2_control_frames: AtomicU64,
    /// HTTP/2 connections that the library ended because of what they cost.
    pub http2_floods: AtomicU64,
}

/// Accepts and serves connections until the drain begins, then waits until each has ended. The caller
/// sets the deadline by dropping the future.
pub async fn accept<H: Handler>(
    listener: TcpListener,
    endpoint: Endpoint,
    handler: H,
    settings: Arc<Settings>,
    mut drain: Drain,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = drain.begun() => break,
            accepted = listener.accept() => accepted,
            // Keeps the set of ended tasks small while nobody connects.
            Some(_ended) = connections.join_next() => continue,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if concerns_one_connection(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "accepting pauses");
                settings.counters.pauses.fetch_add(1, Relaxed);
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        // Taken after accepting: a worker that waits for a client must not hold what another one needs.
        // Whoever has come this far is served, also when the drain begins: nobody else would take it.
        let place = tokio::select! {
            biased;
            place = place(&settings) => place,
            () = drain.begun() => None,
        };
        let (endpoint, handler) = (endpoint.clone(), handler.clone());
        let (settings, drain) = (settings.clone(), drain.clone());
        // Ends with the connection, at the latest when the set is dropped at the drain's deadline.
        connections.spawn(async move {
            settings.counters.open.fetch_add(1, Relaxed);
            let _open = Open(settings.counters.clone());
            let _place = place;
            open(stream, address, endpoint, handler, settings, drain).await;
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn place(settings: &Settings) -> Option<tokio::sync::OwnedSemaphorePermit> {
    if let Ok(place) = settings.places.clone().try_acquire_owned() {
        return Some(place);
    }
    settings.counters.full.fetch_add(1, Relaxed);
    // Never closed, so there is always a place in the end.
    settings.places.clone().acquire_owned().await.ok()
}

/// Errors of `accept` that say something about one client only.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

struct Open(Arc<Counters>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}
