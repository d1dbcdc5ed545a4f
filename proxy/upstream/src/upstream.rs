use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use http::{Uri, Version};
use starve_config::{ServerPlan, UpstreamPlan};
use starve_http::{Error, ErrorKind, Request, Response, ResponseFuture, Target};
use starve_http1::Fields;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::balance::Balancer;
use crate::budget::Budget;
use crate::conditions::Conditions;
use crate::health;
use crate::limits::Queue;
use crate::server::{Server, is_servers_fault};
use crate::tls::{ClientTls, TlsFileError};

/// A named group of equal servers. Cheap to share; kept over reloads as long as its plan stays the same.
#[derive(Clone, Debug)]
pub struct Upstream(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    plan: Arc<UpstreamPlan>,
    servers: Vec<Arc<Server>>,
    balancer: Balancer,
    conditions: Arc<Conditions>,
    budget: Budget,
    queue: Queue,
    tls: Option<Arc<ClientTls>>,
    other_server_retries: AtomicU64,
    /// Ends with the upstream.
    watching: Mutex<JoinSet<()>>,
}

/// What `/metrics` shows of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSnapshot {
    /// Connections without and with requests on them.
    pub idle: usize,
    pub in_use: usize,
    /// Requests that wait for a place at a server.
    pub waiting: usize,
    /// Requests sent again, by reason.
    pub retries: [(&'static str, u64); 3],
    /// How often each limit was reached.
    pub limit_hits: [(&'static str, u64); 5],
    /// In the order of the file.
    pub servers: Vec<ServerSnapshot>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSnapshot {
    /// As the file names it.
    pub name: String,
    pub is_healthy: bool,
    pub ejections: u64,
}

impl Upstream {
    /// An upstream whose TLS needs no files. `workers`: how many numbered worker threads will call it.
    pub fn new(plan: Arc<UpstreamPlan>, workers: usize) -> Self {
        let tls = has_tls(&plan).then(|| ClientTls::system(plan.protocol));
        Self::with_tls(plan, workers, tls)
    }

    /// The same with the files that its `tls` names.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn load(plan: Arc<UpstreamPlan>, workers: usize) -> Result<Self, TlsFileError> {
        let tls = has_tls(&plan).then(|| ClientTls::load(&plan.tls, plan.protocol)).transpose()?;
        Ok(Self::with_tls(plan, workers, tls))
    }

    fn with_tls(plan: Arc<UpstreamPlan>, workers: usize, tls: Option<ClientTls>) -> Self {
        let tls = tls.map(Arc::new);
        let server = |server| Arc::new(Server::new(server, &plan, tls.clone(), workers));
        let names = || plan.servers.iter().map(ToString::to_string);
        Self(Arc::new(Inner {
            servers: plan.servers.iter().map(server).collect(),
            balancer: Balancer::new(plan.balance.clone(), names()),
            conditions: Arc::new(Conditions::new(&plan.name, plan.ejection, names())),
            budget: Budget::new(plan.retry, workers),
            queue: Queue::new(plan.limits),
            tls,
            other_server_retries: AtomicU64::new(0),
            watching: Mutex::default(),
            plan,
        }))
    }

    /// Watches over its servers on that runtime, as long as the upstream lives. What an upstream of the same
    /// name knew of them before holds until the first look.
    pub fn watch(&self, before: Option<&Self>, runtime: &Handle) {
        let Inner { plan, servers, conditions, watching, .. } = &*self.0;
        if let Some(before) = before {
            conditions.take_over(&before.0.conditions);
        }
        let tasks = health::watch(servers, conditions, plan.health.as_ref(), runtime);
        *watching.lock().unwrap_or_else(PoisonError::into_inner) = tasks;
    }

    pub fn plan(&self) -> &Arc<UpstreamPlan> {
        &self.0.plan
    }

    /// Whether both are the same one, not merely equal.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Reads the files of its `tls` again, for new connections; those that stand go on.
    ///
    /// # Errors
    /// The first file that cannot be used. Nothing is changed then.
    pub fn reload_tls(&self) -> Result<(), TlsFileError> {
        if let Some(tls) = &self.0.tls {
            tls.renew(tls.read()?);
        }
        Ok(())
    }

    /// Closes connections that have been idle for too long; called every five seconds.
    pub fn sweep(&self) {
        self.0.budget.tick();
        for server in &self.0.servers {
            server.sweep();
        }
    }

    pub fn snapshot(&self) -> UpstreamSnapshot {
        let Inner { servers, conditions, queue, other_server_retries, .. } = &*self.0;
        let sum = |count: fn(&Server) -> u64| servers.iter().map(|server| count(server)).sum();
        let connections = servers.iter().map(|server| server.connections());
        let (idle, in_use) = connections.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
        let server = |at| ServerSnapshot {
            name: conditions.name(at).to_owned(),
            is_healthy: conditions.is_available(at),
            ejections: conditions.ejections(at),
        };
        UpstreamSnapshot {
            idle,
            in_use,
            waiting: queue.waiting(),
            retries: [
                ("stale_connection", sum(Server::stale_retries)),
                ("refused_stream", sum(Server::refused_retries)),
                ("other_server", other_server_retries.load(Relaxed)),
            ],
            limit_hits: [
                ("in-flight", queue.hits.in_flight.load(Relaxed)),
                ("queue", queue.hits.queue.load(Relaxed)),
                ("wait", queue.hits.wait.load(Relaxed)),
                ("connections", sum(Server::connection_waits)),
                ("retry-budget", queue.hits.retry_budget.load(Relaxed)),
            ],
            servers: (0..servers.len()).map(server).collect(),
        }
    }
}

fn has_tls(plan: &UpstreamPlan) -> bool {
    plan.servers.iter().any(|server| matches!(server, ServerPlan::Https { .. }))
}

impl Inner {
    /// The server to try next: available and with room, else available, else any that was not tried. When
    /// none is available all are tried, since the checks may be what is wrong.
    fn pick(&self, user: Option<u64>, tried: &[usize]) -> Option<usize> {
        if self.servers.len() == 1 {
            return tried.is_empty().then_some(0);
        }
        let load = |at: usize| self.servers[at].load();
        let is_new = |at: usize| !tried.contains(&at);
        let is_available = |at: usize| is_new(at) && self.conditions.is_available(at);
        // A user who belongs to a server waits for it.
        let has_room = |at: usize| is_available(at) && (user.is_some() || self.servers[at].has_room());
        let pick = |may: &dyn Fn(usize) -> bool| self.balancer.pick(user, load, may);
        pick(&has_room).or_else(|| pick(&is_available)).or_else(|| pick(&is_new))
    }

    /// The request stays with the caller, so that it is not carried from one future to the next.
    async fn call(&self, request: &mut Request, form: Fields) -> Result<Response, Error> {
        *request.version_mut() = Version::HTTP_11;
        to_origin_form(request);
        self.budget.deposit();
        let user = self.balancer.user(request.headers());
        let mut tried = Vec::new();
        let mut last = None;
        while let Some(at) = self.pick(user, &tried) {
            if !tried.is_empty() {
                if !self.budget.withdraw() {
                    self.queue.hits.retry_budget.fetch_add(1, Relaxed);
                    break;
                }
                self.other_server_retries.fetch_add(1, Relaxed);
            }
            let mut failed = match self.servers[at].call(request, &self.queue, &self.budget, form).await {
                Ok(response) => {
                    self.conditions.succeeded(at);
                    return Ok(response);
                }
                Err(error) => error,
            };
            if is_servers_fault(failed.kind()) {
                self.conditions.failed(at);
            }
            // Only a request of which nothing was sent may go to the next server.
            match failed.take_unsent() {
                Some(unsent) => *request = unsent,
                None => return Err(failed),
            }
            // Those that have room were preferred: there is none.
            let is_overloaded = failed.kind() == ErrorKind::Overloaded;
            last = Some(failed);
            if is_overloaded {
                break;
            }
            tried.push(at);
        }
        let none = || Error::new(ErrorKind::Connect, format!("upstream {} has no server", self.plan.name));
        Err(last.unwrap_or_else(none).with_unsent(std::mem::take(request)))
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
    fn call(&self, mut request: Request) -> ResponseFuture {
        let inner = self.0.clone();
        Box::pin(async move { inner.call(&mut request, Fields::Parsed).await })
    }

    fn call_verbatim(&self, mut request: Request) -> ResponseFuture {
        let inner = self.0.clone();
        Box::pin(async move { inner.call(&mut request, Fields::Verbatim).await })
    }
}
