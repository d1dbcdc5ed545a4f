//! The worker threads: one single-threaded runtime each, with its own share of every listener's sockets.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use http::HeaderName;
use starve_config::{ListenerPlan, Plan};
use starve_listener::{
    Addresses, Drain, Endpoint, Http1Limits, Http2Settings, Settings, Tls, TrustedSources, accept,
};
use starve_telemetry::enter_worker;
use tokio::runtime::Builder;
use tokio::sync::Semaphore;

use crate::pipeline::Pipeline;
use crate::proxy::Proxy;
use crate::server::StartError;
use crate::service_manager::{self, Heartbeats};

pub(crate) struct Workers {
    /// Where each listener is bound, and whether it speaks TLS.
    pub(crate) addresses: Vec<(SocketAddr, bool)>,
    threads: Vec<JoinHandle<usize>>,
}

impl Workers {
    /// Starts a thread for each worker. `sockets` are those of each listener, by worker.
    ///
    /// # Errors
    /// No more threads.
    pub(crate) fn start(
        proxy: &Arc<Proxy>,
        sockets: Vec<Vec<Vec<TcpListener>>>,
        endpoints: &[Endpoint],
        drain: &Drain,
        hearts: &Heartbeats,
    ) -> Result<Self, StartError> {
        let limits = &proxy.shared.limits;
        let settings = Arc::new(settings(proxy));
        let mut addresses = Vec::new();
        let mut shares: Vec<Vec<(TcpListener, Endpoint)>> = (0..proxy.workers).map(|_| Vec::new()).collect();
        for (sockets, endpoint) in sockets.into_iter().zip(endpoints) {
            let first = sockets.iter().flatten().next().and_then(|socket| socket.local_addr().ok());
            addresses.extend(first.map(|address| (address, endpoint.tls.is_some())));
            for (share, sockets) in shares.iter_mut().zip(sockets) {
                share.extend(sockets.into_iter().map(|socket| (socket, endpoint.clone())));
            }
        }
        let watchdog = service_manager::watchdog();
        let mut threads = Vec::new();
        for (index, share) in shares.into_iter().enumerate() {
            let pipeline = Pipeline::new(proxy.shared.clone(), index);
            let (settings, drain, deadline) = (settings.clone(), drain.clone(), limits.drain_timeout);
            let heart = watchdog.map(|limit| hearts.clone().beat(index, limit));
            let runtime = Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
            let thread = std::thread::Builder::new().name(format!("starve-worker-{index}"));
            let thread = thread.spawn(move || {
                enter_worker(index);
                // Beats as long as the runtime runs.
                let _beating = heart.map(|heart| runtime.spawn(heart));
                runtime.block_on(work(share, &pipeline, &settings, drain, deadline))
            });
            threads.push(thread.map_err(StartError::Thread)?);
        }
        Ok(Self { addresses, threads })
    }

    /// Waits for all workers; how many requests the drain's deadline cut off.
    pub(crate) fn join(self) -> usize {
        let join = |thread: JoinHandle<usize>| {
            thread.join().unwrap_or_else(|_| {
                tracing::error!("a worker broke off");
                0
            })
        };
        self.threads.into_iter().map(join).sum()
    }
}

pub(crate) fn endpoints(plan: &Plan, tls: Vec<Option<Tls>>) -> Vec<Endpoint> {
    let endpoint = |(plan, tls): (&ListenerPlan, _)| Endpoint {
        tls,
        proxy_protocol: plan.proxy_protocol,
        certificate_field: certificate_field(plan),
    };
    plan.listeners.iter().zip(tls).map(endpoint).collect()
}

/// The field in which a listener passes client certificates on.
pub(crate) fn certificate_field(plan: &ListenerPlan) -> Option<HeaderName> {
    let client_auth = plan.tls.as_ref().and_then(|tls| tls.client_auth.as_ref());
    client_auth?.pass_as.as_ref().and_then(|name| HeaderName::try_from(name).ok())
}

fn settings(proxy: &Arc<Proxy>) -> Settings {
    let limits = &proxy.shared.limits;
    let shared = proxy.shared.clone();
    Settings {
        http1: Http1Limits {
            head_bytes: limits.head_bytes,
            head_timeout: limits.head_timeout,
            head_rate_min: limits.min_head_rate,
            idle_timeout: limits.idle_timeout,
            body_timeout: limits.body_timeout,
            body_rate_min: limits.min_body_rate,
            send_timeout: limits.send_timeout,
        },
        http2: Http2Settings {
            streams: limits.http2_streams,
            resets: limits.http2_resets,
            control_frames: limits.http2_control_frames,
            ping_interval: limits.http2_ping_interval,
            ping_timeout: limits.http2_ping_timeout,
        },
        places: Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS))),
        addresses: limits.connections_per_address.map(Addresses::new),
        handshakes: proxy.handshakes.clone(),
        trusted: TrustedSources::new(move |address| shared.live.load().plan.trusts(address)),
        counters: proxy.counters.clone(),
    }
}

/// One worker: accepts on all listeners until the drain begins, and returns when the last connection has
/// ended or the deadline has passed; then with the number of requests that are cut off.
async fn work(
    share: Vec<(TcpListener, Endpoint)>,
    pipeline: &Pipeline,
    settings: &Arc<Settings>,
    mut drain: Drain,
    deadline: Duration,
) -> usize {
    let mut loops = tokio::task::JoinSet::new();
    for (listener, endpoint) in share {
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => {
                loops.spawn(accept(listener, endpoint, pipeline.clone(), settings.clone(), drain.clone()));
            }
            Err(error) => tracing::error!(%error, "a listening socket cannot be used"),
        }
    }
    let ended = async { while loops.join_next().await.is_some() {} };
    let too_late = async {
        drain.begun().await;
        tokio::time::sleep(deadline).await;
    };
    tokio::select! {
        () = ended => 0,
        () = too_late => pipeline.in_flight(),
    }
}
