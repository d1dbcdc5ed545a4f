use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use http::header::{HOST, HeaderValue};
use http::{Uri, Version};
use starve_config::{Balance, HostPolicy, ServerPlan, UpstreamPlan, UpstreamTimeouts};
use starve_http::{Error, ErrorKind, Request, Response, ResponseFuture, Target};

use crate::connect::authority;
use crate::pool::Pool;
use crate::send::send;

/// A named group of equal servers. Cheap to share; kept over reloads as long as its plan stays the same.
#[derive(Clone, Debug)]
pub struct Upstream(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    plan: Arc<UpstreamPlan>,
    servers: Vec<Arc<Server>>,
    turn: AtomicUsize,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) plan: ServerPlan,
    pub(crate) authority: Arc<str>,
    host: Option<HeaderValue>,
    pub(crate) timeouts: UpstreamTimeouts,
    pub(crate) pool: Pool,
    retries: AtomicU64,
    ignores_expectations: AtomicBool,
}

/// What `/metrics` shows of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamSnapshot {
    pub idle: usize,
    pub in_use: usize,
    /// Requests sent again because an idle connection had gone stale.
    pub stale_retries: u64,
}

impl Server {
    pub(crate) fn note_retry(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    /// Whether the server is known to say nothing about `Expect: 100-continue`, so that waiting for it is in
    /// vain ("from past interaction", RFC 9110 §10.1.1).
    pub(crate) fn ignores_expectations(&self) -> bool {
        self.ignores_expectations.load(Relaxed)
    }

    pub(crate) fn note_ignored_expectation(&self) {
        self.ignores_expectations.store(true, Relaxed);
    }
}

impl Upstream {
    /// `workers`: how many numbered worker threads will call it.
    pub fn new(plan: Arc<UpstreamPlan>, workers: usize) -> Self {
        let servers = plan
            .servers
            .iter()
            .map(|server| {
                let authority = authority(server);
                let host = match plan.host {
                    HostPolicy::Preserve => None,
                    HostPolicy::Target => HeaderValue::from_str(&authority).ok(),
                };
                Arc::new(Server {
                    plan: server.clone(),
                    authority,
                    host,
                    timeouts: plan.timeouts,
                    pool: Pool::new(workers, plan.timeouts.idle),
                    retries: AtomicU64::new(0),
                    ignores_expectations: AtomicBool::new(false),
                })
            })
            .collect();
        Self(Arc::new(Inner { plan, servers, turn: AtomicUsize::new(0) }))
    }

    pub fn plan(&self) -> &Arc<UpstreamPlan> {
        &self.0.plan
    }

    /// Closes connections that have been idle for too long; called every few seconds.
    pub fn sweep(&self) {
        for server in &self.0.servers {
            server.pool.sweep();
        }
    }

    pub fn snapshot(&self) -> UpstreamSnapshot {
        let servers = &self.0.servers;
        UpstreamSnapshot {
            idle: servers.iter().map(|server| server.pool.idle()).sum(),
            in_use: servers.iter().map(|server| server.pool.in_use_count()).sum(),
            stale_retries: servers.iter().map(|server| server.retries.load(Relaxed)).sum(),
        }
    }
}

impl Inner {
    /// The servers in the order in which they are to be tried.
    fn order(&self) -> impl Iterator<Item = &Arc<Server>> {
        let count = self.servers.len();
        let first = match (count, self.plan.balance) {
            (1, _) => 0,
            (_, Balance::RoundRobin) => self.turn.fetch_add(1, Relaxed) % count,
            (_, Balance::LeastRequests) => {
                // Equal ones take turns.
                let turn = self.turn.fetch_add(1, Relaxed);
                let load = |at: &usize| self.servers[*at].pool.in_use_count();
                (0..count).map(|step| (turn + step) % count).min_by_key(load).unwrap_or(0)
            }
        };
        (0..count).map(move |step| &self.servers[(first + step) % count])
    }

    async fn call(&self, mut request: Request) -> Result<Response, Error> {
        *request.version_mut() = Version::HTTP_11;
        to_origin_form(&mut request);
        let mut failed = Error::new(ErrorKind::Connect, format!("upstream {} has no server", self.plan.name));
        for server in self.order() {
            if let Some(host) = &server.host {
                request.headers_mut().insert(HOST, host.clone());
            }
            failed = match send(server, request).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            // Only a request of which nothing was sent may go to the next server.
            match failed.take_unsent() {
                Some(unsent) => request = unsent,
                None => return Err(failed),
            }
        }
        Err(failed.with_unsent(request))
    }
}

/// The target as an origin server wants it (RFC 9112 §3.2.1); the authority stands in `Host`.
fn to_origin_form(request: &mut Request) {
    let uri = request.uri();
    if uri.authority().is_some() || uri.scheme().is_some() {
        *request.uri_mut() = match uri.path_and_query() {
            Some(target) => Uri::from(target.clone()),
            None => Uri::from_static("/"),
        };
    }
}

impl Target for Upstream {
    fn call(&self, request: Request) -> ResponseFuture {
        let inner = self.0.clone();
        Box::pin(async move { inner.call(request).await })
    }
}
