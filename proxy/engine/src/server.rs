//! The whole program: threads, start, drain.
//!
//! One single-threaded runtime per worker, each with its own accept loops and pools, so that a request never
//! crosses a core; one control runtime for configuration, admin address and ledger; one background runtime
//! for copies and guests, which may compute.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use starve_admin::{Settings as AdminSettings, serve};
use starve_compare::HashKey;
use starve_config::{AdminPlan, LedgerPlan, Plan};
use starve_discovery::Discovered;
use starve_ledger::{EventKind, Ledger, LedgerError};
use starve_listener::{BindError, Counters, Drain, Http1Limits, Settings, Tls, accept, bind};
use starve_shadow::{Limits, Shadow};
use starve_telemetry::enter_worker;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, watch};

use crate::abort::Detached;
use crate::admission::Admission;
use crate::certificates::Certificates;
use crate::configuration::{ConfigError, ConfigFile, Read};
use crate::functions::FunctionWorkshop;
use crate::generation::Workshop;
use crate::observations::Observations;
use crate::pipeline::Pipeline;
use crate::proxy::{Controlled, Proxy};
use crate::recorder::{self, Notes, Recorder};
use crate::refusal::Refusals;
use crate::registry::Registry;
use crate::shared::Shared;
use crate::{told, watch as watching};

/// Streams per HTTP/2 connection.
const STREAMS_MAX: u32 = 128;
/// Memory for captured bodies, all copies together.
const SHADOW_MEMORY_BYTES: usize = 64 * 1024 * 1024;
const SHADOW_TIME_MAX: Duration = Duration::from_secs(30);
/// How long the last counts may take to reach the disk.
const LEDGER_TIME_MAX: Duration = Duration::from_secs(10);
const SWEEP_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Options {
    pub file: ConfigFile,
    /// Program and arguments that start a function's process so that it cannot outlive this one.
    pub launcher: Vec<OsString>,
}

/// Why the proxy did not start. Each is one line that says what to do, but for the configuration's errors.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("admin address: {0}")]
    AdminBind(#[source] BindError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    #[error("cannot listen to signals")]
    Signals(#[source] std::io::Error),
}

/// Runs the proxy until SIGTERM or SIGINT, then drains. `announce` gets one line per bound address.
///
/// # Errors
/// Something that is needed cannot be had; nothing has been served then.
pub fn run(options: Options, announce: &mut dyn std::io::Write) -> Result<(), StartError> {
    let read = options.file.read()?;
    let plan = read.plan.clone();
    let workers = workers(&plan);
    let sockets = bind_all(&plan, workers)?;
    let admin = plan.admin.as_ref().map(bind_admin).transpose()?;
    let tls = load_tls(&options.file, &read)?;
    let LedgerPlan::Sqlite(path) = &plan.ledger;
    let ledger = Arc::new(Ledger::open(path)?);

    let control = runtime("starve-control", 2)?;
    let background = runtime("starve-background", workers)?;
    let certificates = Certificates::new(tls.clone(), &plan);
    let proxy = build(options, &read, workers, ledger, certificates, &control, &background)?;
    if !read.warnings.is_empty() {
        tracing::warn!("{}", read.warnings);
    }

    // Before anybody is told that it runs: whoever stops it at once gets a drain as well.
    let signals = control.block_on(async { Signals::hear() }).map_err(StartError::Signals)?;
    let (begin_drain, drain) = Drain::new();
    let threads = start_workers(&proxy, sockets, &tls, &drain)?;
    say(announce, &threads.addresses, admin.as_ref());
    proxy.notes.event(EventKind::Start, format!("version {}", env!("CARGO_PKG_VERSION")));
    proxy.ready.store(true, Relaxed);

    let (stop, stopped) = watch::channel(false);
    let recording = control.spawn(recorder::run(new_recorder(&proxy), proxy.ledger.clone(), stopped.clone()));
    control.spawn(watching::run(proxy.clone(), stopped.clone()));
    control.spawn(sweep(proxy.clone(), stopped.clone()));
    control.spawn(told::run(proxy.clone(), stopped.clone()));
    if let Some((listener, plan)) = admin {
        control.spawn(serve_admin(listener, plan, proxy.clone(), stopped));
    }
    control.block_on(until_told(&proxy, signals));

    proxy.ready.store(false, Relaxed);
    let _all_gone = begin_drain.send(true);
    let cut = threads.join();
    if cut > 0 {
        tracing::warn!(requests = cut, "the drain's deadline cut requests off");
    }
    control.block_on(stop_functions(&proxy));
    proxy.notes.event(EventKind::Stop, "drained");
    let _all_gone = stop.send(true);
    if control.block_on(recording).is_err() {
        tracing::error!("the last counts could not be collected");
    }
    if let Err(error) = proxy.ledger.close(LEDGER_TIME_MAX) {
        tracing::error!(%error, "the last counts could not be written");
    }
    control.shutdown_timeout(Duration::from_secs(1));
    background.shutdown_timeout(Duration::from_secs(1));
    tracing::info!("stopped");
    Ok(())
}

fn workers(plan: &Plan) -> usize {
    let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    plan.workers.unwrap_or_else(cores).get()
}

/// Per listener, one socket for each worker.
fn bind_all(plan: &Plan, workers: usize) -> Result<Vec<Vec<TcpListener>>, BindError> {
    plan.listeners.iter().map(|listener| bind(listener.address, workers)).collect()
}

fn bind_admin(plan: &AdminPlan) -> Result<(TcpListener, AdminPlan), StartError> {
    let mut listeners = bind(plan.address, 1).map_err(StartError::AdminBind)?;
    // One was asked for, one is there.
    let listener = listeners.swap_remove(0);
    Ok((listener, plan.clone()))
}

fn load_tls(file: &ConfigFile, read: &Read) -> Result<Vec<Option<Tls>>, ConfigError> {
    let load = |(index, listener): (usize, &starve_config::ListenerPlan)| {
        let tls = listener.tls.as_ref().map(Tls::load).transpose();
        tls.map_err(|error| file.listener_error(read, index, error.to_string()))
    };
    read.plan.listeners.iter().enumerate().map(load).collect()
}

fn runtime(name: &str, threads: usize) -> Result<Runtime, StartError> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(threads).thread_name(name).enable_all().build().map_err(StartError::Thread)
}

fn build(
    options: Options,
    read: &Read,
    workers: usize,
    ledger: Arc<Ledger>,
    certificates: Certificates,
    control: &Runtime,
    background: &Runtime,
) -> Result<Arc<Proxy>, StartError> {
    let registry = Arc::new(Registry::new(workers));
    let notes = Arc::new(Notes::default());
    let workshop = Workshop {
        registry: registry.clone(),
        functions: FunctionWorkshop {
            workers,
            control: control.handle().clone(),
            launcher: options.launcher,
            #[cfg(feature = "wasm")]
            wasm: crate::functions::WasmHost {
                runtime: background.handle().clone(),
                host: std::sync::OnceLock::new(),
            },
        },
    };
    let generation =
        workshop.build(read.plan.clone(), None).map_err(|errors| options.file.build_errors(read, &errors))?;
    let limits = read.plan.limits.clone();
    let admission = Admission::new(limits.in_flight, workers);
    let shared = Arc::new(Shared {
        live: ArcSwap::from_pointee(generation),
        detached: Detached::new(limits.detached_writes, admission.clone()),
        admission,
        refusals: Refusals::default(),
        observations: Observations::new(workers),
        shadow: shadow(&limits, &notes, background.handle()),
        limits,
    });
    Ok(Arc::new(Proxy {
        shared,
        registry,
        counters: Arc::new(Counters::default()),
        ledger,
        notes,
        discovered: Arc::new(Mutex::new(Discovered::new())),
        workshop,
        certificates,
        file: options.file,
        workers,
        started_at: SystemTime::now(),
        ready: AtomicBool::new(false),
        last_reload: Mutex::new(None),
        told: Mutex::default(),
        seen: Mutex::new(read.hash),
        changing: tokio::sync::Mutex::new(()),
    }))
}

fn shadow(limits: &starve_config::LimitsPlan, notes: &Arc<Notes>, background: &Handle) -> Shadow {
    let limits = Limits {
        queue: limits.shadow_queue,
        body_bytes: limits.shadow_body_bytes,
        memory_bytes: SHADOW_MEMORY_BYTES,
        time: SHADOW_TIME_MAX,
    };
    Shadow::start(limits, hash_key(), notes.clone(), background)
}

/// A new secret for each run, from the randomness that the standard library asks the system for.
fn hash_key() -> HashKey {
    use std::hash::{BuildHasher as _, Hasher as _};
    let random = || u128::from(std::collections::hash_map::RandomState::new().build_hasher().finish());
    HashKey(random() << 64 | random())
}

struct Workers {
    addresses: Vec<(SocketAddr, bool)>,
    threads: Vec<JoinHandle<usize>>,
}

impl Workers {
    /// Waits for all workers; how many requests the drain's deadline cut off.
    fn join(self) -> usize {
        let join = |thread: JoinHandle<usize>| {
            thread.join().unwrap_or_else(|_| {
                tracing::error!("a worker broke off");
                0
            })
        };
        self.threads.into_iter().map(join).sum()
    }
}

fn start_workers(
    proxy: &Arc<Proxy>,
    sockets: Vec<Vec<TcpListener>>,
    tls: &[Option<Tls>],
    drain: &Drain,
) -> Result<Workers, StartError> {
    let limits = &proxy.shared.limits;
    let settings = Arc::new(Settings {
        http1: Http1Limits {
            head_bytes: limits.head_bytes,
            head_timeout: limits.head_timeout,
            idle_timeout: limits.idle_timeout,
            body_timeout: Duration::from_secs(60),
            body_rate_min: None,
            send_timeout: Duration::from_secs(60),
        },
        streams_per_connection: STREAMS_MAX,
        places: Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS))),
        counters: proxy.counters.clone(),
    });
    let addresses = sockets.iter().zip(tls).filter_map(|(sockets, tls)| {
        let address = sockets.first()?.local_addr().ok()?;
        Some((address, tls.is_some()))
    });
    let addresses = addresses.collect();
    let mut shares: Vec<Vec<(TcpListener, Option<Tls>)>> = (0..proxy.workers).map(|_| Vec::new()).collect();
    for (sockets, tls) in sockets.into_iter().zip(tls) {
        for (share, socket) in shares.iter_mut().zip(sockets) {
            share.push((socket, tls.clone()));
        }
    }
    let mut threads = Vec::new();
    for (index, share) in shares.into_iter().enumerate() {
        let pipeline = Pipeline::new(proxy.shared.clone(), index);
        let (settings, drain, deadline) = (settings.clone(), drain.clone(), limits.drain_timeout);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let thread = std::thread::Builder::new().name(format!("starve-worker-{index}")).spawn(move || {
            enter_worker(index);
            runtime.block_on(work(share, &pipeline, &settings, drain, deadline))
        });
        threads.push(thread.map_err(StartError::Thread)?);
    }
    Ok(Workers { addresses, threads })
}

/// One worker: accepts on all listeners until the drain begins, and returns when the last connection has
/// ended or the deadline has passed; then with the number of requests that are cut off.
async fn work(
    share: Vec<(TcpListener, Option<Tls>)>,
    pipeline: &Pipeline,
    settings: &Arc<Settings>,
    mut drain: Drain,
    deadline: Duration,
) -> usize {
    let mut loops = tokio::task::JoinSet::new();
    for (listener, tls) in share {
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => {
                loops.spawn(accept(listener, tls, pipeline.clone(), settings.clone(), drain.clone()));
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

fn say(
    announce: &mut dyn std::io::Write,
    addresses: &[(SocketAddr, bool)],
    admin: Option<&(TcpListener, AdminPlan)>,
) {
    let mut lines = String::new();
    for (address, tls) in addresses {
        let scheme = if *tls { "https" } else { "http" };
        lines.push_str(&format!("listening on {scheme}://{address}\n"));
    }
    if let Some(address) = admin.and_then(|(listener, _)| listener.local_addr().ok()) {
        lines.push_str(&format!("admin on http://{address}\n"));
    }
    // Whoever started the program may have closed its output; that is no reason not to serve.
    let _written = announce.write_all(lines.as_bytes()).and_then(|()| announce.flush());
}

fn new_recorder(proxy: &Proxy) -> Recorder {
    Recorder::new(proxy.registry.clone(), proxy.shared.clone(), proxy.notes.clone(), proxy.discovered.clone())
}

async fn serve_admin(
    listener: TcpListener,
    plan: AdminPlan,
    proxy: Arc<Proxy>,
    mut stopped: watch::Receiver<bool>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the admin socket cannot be used"),
    };
    let settings = AdminSettings { token: plan.token.map(|token| token.0), hosts: Vec::new() };
    let stop = async move {
        watching::stopped(&mut stopped).await;
    };
    if let Err(error) = serve(listener, settings, Arc::new(Controlled(proxy)), stop).await {
        tracing::error!(%error, "the admin address is no longer served");
    }
}

/// Closes connections that nobody needs any more.
async fn sweep(proxy: Arc<Proxy>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = watching::stopped(&mut stop) => return,
            () = tokio::time::sleep(SWEEP_EVERY) => {}
        }
        let generation = proxy.shared.live.load_full();
        for upstream in generation.upstreams.values() {
            upstream.sweep();
        }
        for function in generation.functions.values() {
            function.sweep();
        }
    }
}

/// What the program is told from outside.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn hear() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

/// SIGHUP reloads; SIGTERM and SIGINT end the wait.
async fn until_told(proxy: &Arc<Proxy>, mut signals: Signals) {
    loop {
        tokio::select! {
            _ = signals.hangup.recv() => {
                // The outcome is in the log, the metrics and the API.
                let _told = proxy.reload("SIGHUP").await;
            }
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
        }
    }
    tracing::info!("draining");
}

async fn stop_functions(proxy: &Proxy) {
    let generation = proxy.shared.live.load_full();
    for function in generation.functions.values() {
        if let Some(process) = function.process() {
            process.shutdown().await;
        }
    }
}
