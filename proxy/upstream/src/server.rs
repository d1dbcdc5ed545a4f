//! One server of an upstream: its connections, its places, and what is counted of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use http::header::{HOST, HeaderValue};
use starve_config::{HostPolicy, Protocol, ServerPlan, UpstreamPlan, UpstreamTimeouts};
use starve_http::{ClientConnection, Error, ErrorKind, Request, Response};
use starve_http1::{Connection, Fields};

use crate::budget::Budget;
use crate::connect::authority;
use crate::dial::{Dialer, Stream};
use crate::http2::{self, Http2Pool, Sent};
use crate::limits::{Place, Places, Queue};
use crate::pool::Pool;
use crate::send::send;
use crate::tls::{ClientTls, Offer};

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) authority: Arc<str>,
    host: Option<HeaderValue>,
    pub(crate) timeouts: UpstreamTimeouts,
    pub(crate) dialer: Dialer,
    pub(crate) pool: Pool,
    http2: Option<Http2Pool>,
    places: Places,
    ignores_expectations: AtomicBool,
    stale_retries: AtomicU64,
    refused_retries: AtomicU64,
    connection_waits: AtomicU64,
}

impl Server {
    pub(crate) fn new(
        server: &ServerPlan,
        upstream: &UpstreamPlan,
        tls: Option<Arc<ClientTls>>,
        workers: usize,
    ) -> Self {
        let authority = authority(server);
        let host = match upstream.host {
            HostPolicy::Preserve => None,
            HostPolicy::Target => HeaderValue::from_str(&authority).ok(),
        };
        let has_http2 = match server {
            ServerPlan::H2c { .. } => true,
            ServerPlan::Https { .. } => upstream.protocol != Protocol::Http1,
            ServerPlan::Http { .. } | ServerPlan::Unix { .. } => false,
        };
        let timeouts = upstream.timeouts;
        Self {
            dialer: Dialer {
                server: server.clone(),
                authority: authority.clone(),
                tls,
                proxy_protocol: upstream.proxy_protocol,
                time_max: timeouts.connect,
            },
            authority,
            host,
            timeouts,
            pool: Pool::new(workers, timeouts.idle),
            http2: has_http2.then(|| Http2Pool::new(workers, timeouts.idle)),
            places: Places::new(&upstream.limits),
            ignores_expectations: AtomicBool::new(false),
            stale_retries: AtomicU64::new(0),
            refused_retries: AtomicU64::new(0),
            connection_waits: AtomicU64::new(0),
        }
    }

    /// Sends a request once a place for it is free.
    ///
    /// # Errors
    /// There is no answer; with the request where nothing of it was sent.
    pub(crate) async fn call(
        self: &Arc<Self>,
        request: &mut Request,
        queue: &Queue,
        budget: &Budget,
        form: Fields,
    ) -> Result<Response, Error> {
        if let Some(host) = &self.host {
            request.headers_mut().insert(HOST, host.clone());
        }
        let place = match queue.enter(&self.places, &self.authority).await {
            Ok(place) => place,
            Err(error) => return Err(error.with_unsent(std::mem::take(request))),
        };
        match &self.http2 {
            None => send(self, request, &place, form).await,
            Some(pool) => Box::pin(self.call_http2(pool, std::mem::take(request), &place, budget)).await,
        }
    }

    async fn call_http2(
        self: &Arc<Self>,
        pool: &Http2Pool,
        mut request: Request,
        place: &Place,
        budget: &Budget,
    ) -> Result<Response, Error> {
        if pool.prefers_http1.load(Relaxed) {
            return send(self, &mut request, place, Fields::Parsed).await;
        }
        match http2::send(self, pool, request, place, budget).await? {
            Sent::Answered(response) => Ok(response),
            Sent::Http1(mut request, chosen) => {
                if let Some(stream) = chosen {
                    // It was offered both; it is not asked again.
                    pool.prefers_http1.store(true, Relaxed);
                    self.pool.put(Connection::new(stream));
                }
                send(self, &mut request, place, Fields::Parsed).await
            }
        }
    }

    /// A new connection, as soon as the server may have one more.
    ///
    /// # Errors
    /// [`ErrorKind::Connect`], [`ErrorKind::ConnectTimeout`], [`ErrorKind::Overloaded`].
    pub(crate) async fn dial(&self, offer: Offer, client: Option<ClientConnection>) -> Result<Stream, Error> {
        let Some(places) = self.places.connections() else { return self.dialer.dial(offer, client).await };
        if places.available_permits() == 0 {
            self.connection_waits.fetch_add(1, Relaxed);
            // Another worker may keep one that nobody uses.
            self.pool.close_one();
        }
        self.dialer.dial_within(places.clone(), offer, client).await
    }

    /// Keeps a connection after a complete exchange, unless it speaks for one client only.
    pub(crate) fn keep(&self, connection: Connection<Stream>) {
        if self.dialer.proxy_protocol.is_none() {
            self.pool.put(connection);
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.places.has_room()
    }

    /// Requests under way.
    pub(crate) fn load(&self) -> usize {
        self.pool.in_use_count()
    }

    pub(crate) fn sweep(&self) {
        self.pool.sweep();
        if let Some(http2) = &self.http2 {
            http2.sweep();
        }
    }

    /// Connections without and with requests on them.
    pub(crate) fn connections(&self) -> (usize, usize) {
        let (idle, used) = self.http2.as_ref().map_or((0, 0), Http2Pool::counts);
        let http1 = if self.http2.is_some() { 0 } else { self.load() };
        (self.pool.idle() + idle, http1 + used)
    }

    /// Whether the server is known to say nothing about `Expect: 100-continue`, so that waiting for it is in
    /// vain ("from past interaction", RFC 9110 §10.1.1).
    pub(crate) fn ignores_expectations(&self) -> bool {
        self.ignores_expectations.load(Relaxed)
    }

    pub(crate) fn note_ignored_expectation(&self) {
        self.ignores_expectations.store(true, Relaxed);
    }

    pub(crate) fn note_retry(&self) {
        self.stale_retries.fetch_add(1, Relaxed);
    }

    pub(crate) fn note_refused(&self) {
        self.refused_retries.fetch_add(1, Relaxed);
    }

    pub(crate) fn stale_retries(&self) -> u64 {
        self.stale_retries.load(Relaxed)
    }

    pub(crate) fn refused_retries(&self) -> u64 {
        self.refused_retries.load(Relaxed)
    }

    pub(crate) fn connection_waits(&self) -> u64 {
        self.connection_waits.load(Relaxed)
    }
}

/// Whether an error says something about the server: it did not answer in HTTP, and the client has no part
/// in it.
pub(crate) fn is_servers_fault(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Connect
            | ErrorKind::ConnectTimeout
            | ErrorKind::Incomplete
            | ErrorKind::Protocol
            | ErrorKind::ResponseTimeout
    )
}
