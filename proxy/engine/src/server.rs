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
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use starve_admin::{Settings as AdminSettings, serve};
use starve_callers::CallerKey;
use starve_compare::HashKey;
use starve_config::{AdminPlan, LedgerPlan, ListenerPlan, Plan};
use starve_discovery::Discovered;
use starve_functions::process::memory_by_group;
use starve_ledger::{EventKind, Ledger, LedgerError, Reader};
use starve_listener::{BindError, Counters, Drain, Handshakes, Tls};
use starve_shadow::{Limits, Shadow};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;

use crate::abort::Detached;
use crate::admission::Admission;
use crate::callers::Callers;
use crate::certificates::Certificates;
use crate::configuration::{ConfigError, ConfigFile, Read};
use crate::findings;
use crate::functions::FunctionWorkshop;
use crate::generation::Workshop;
use crate::handover::{IDLE_GRACE, Program, bequest_of, tell_ready};
use crate::inherit::Inherited;
use crate::inventory;
use crate::observations::Observations;
use crate::operations::remember_operations;
use crate::proxy::{Controlled, Proxy};
use crate::recorder::{self, Notes, Recorder};
use crate::refusal::Refusals;
use crate::registry::Registry;
use crate::service_manager::{self, Heartbeats};
use crate::shared::Shared;
use crate::signals::{Signals, Told};
use crate::sockets::Sockets;
use crate::workers::{Workers, certificate_field, endpoints};
use crate::{told, watch as watching};

/// Memory for captured bodies, all copies together.
const SHADOW_MEMORY_BYTES: usize = 64 * 1024 * 1024;
const SHADOW_TIME_MAX: Duration = Duration::from_secs(30);
/// How long the last counts may take to reach the disk.
const LEDGER_TIME_MAX: Duration = Duration::from_secs(10);
/// How long the end waits for a report that is being read.
const REPORT_TIME_MAX: Duration = Duration::from_secs(2);
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
    #[error("the sockets that were passed to this process (LISTEN_FDS) cannot be used")]
    Passed(#[source] std::io::Error),
}

/// Runs the proxy until SIGTERM, SIGINT or a successor ends it, then drains. `announce` gets one line per bound address.
///
/// # Errors
/// Something that is needed cannot be had; nothing has been served then.
pub fn run(options: Options, announce: &mut dyn std::io::Write) -> Result<(), StartError> {
    let program = Program::of_this_process();
    let mut inherited = Inherited::take().map_err(StartError::Passed)?;
    let predecessor = inherited.predecessor.take();
    let mut read = options.file.read()?;
    read.warn_of_certificates();
    let plan = read.plan.clone();
    let workers = workers(&plan);
    let sockets = Sockets::open(&plan, workers, inherited)?;
    let tls = load_tls(&options.file, &read)?;
    let LedgerPlan::Sqlite(path) = &plan.ledger;
    let open = if predecessor.is_some() { Ledger::open_when_free } else { Ledger::open };
    let ledger = Arc::new(open(path)?);

    let control = runtime("starve-control", 2)?;
    let background = runtime("starve-background", workers)?;
    let certificates = Certificates::new(tls.clone(), &plan);
    let proxy = build(options, &read, workers, ledger, certificates, &control, &background)?;
    if let Some(predecessor) = &predecessor {
        proxy.registry.take_over(&bequest_of(predecessor));
    }
    inventory::refresh(&proxy);
    if !read.warnings.is_empty() {
        tracing::warn!("{}", read.warnings);
    }
    if cfg!(feature = "without-counting") {
        tracing::warn!(
            "built with the feature without-counting: no call is counted, every route will look dead"
        );
    }

    // Before anybody is told that it runs: whoever stops it at once gets a drain as well.
    let signals = control.block_on(async { Signals::hear() }).map_err(StartError::Signals)?;
    let (switch, drain) = Drain::new();
    let Sockets { listeners, admin, kept } = sockets;
    let hearts = Heartbeats::new(workers);
    let threads = Workers::start(&proxy, listeners, &endpoints(&plan, tls), &drain, &hearts)?;
    say(announce, &threads.addresses, admin.as_ref());
    proxy.notes.event(EventKind::Start, format!("version {}", env!("CARGO_PKG_VERSION")));
    proxy.ready.store(true, Relaxed);

    let (stop, stopped) = watch::channel(false);
    let recording = control.spawn(recorder::run(new_recorder(&proxy), proxy.ledger.clone(), stopped.clone()));
    control.spawn(watching::run(proxy.clone(), stopped.clone()));
    control.spawn(sweep(proxy.clone(), stopped.clone()));
    let telling = control.spawn(told::run(proxy.clone(), stopped.clone()));
    let (stop_admin, admin_stopped) = watch::channel(false);
    control.spawn(inventory::run(proxy.clone(), stopped.clone()));
    if let Some((listener, plan)) = admin {
        control.spawn(serve_admin(listener, plan, proxy.clone(), admin_stopped));
    }
    if let Some(limit) = service_manager::watchdog() {
        control.spawn(service_manager::keep_alive(hearts, limit, stopped));
    }
    if let Some(predecessor) = predecessor {
        tell_ready(&predecessor);
    }
    service_manager::ready();
    let ending = control.block_on(signals.wait(&proxy, &program, &kept));

    proxy.ready.store(false, Relaxed);
    // From here on what waits in the queues is the successor's, or refused.
    drop(kept);
    switch.begin();
    match ending {
        Told::Stop => {
            service_manager::stopping();
            switch.close_idle();
        }
        Told::ReplacedBy(pid) => {
            service_manager::replaced_by(pid);
            let _gone = stop_admin.send(true);
            let grace = IDLE_GRACE.min(plan.limits.drain_timeout / 2);
            control.spawn(async move {
                tokio::time::sleep(grace).await;
                switch.close_idle();
            });
        }
    }
    let cut = threads.join();
    if cut > 0 {
        tracing::warn!(requests = cut, "the drain's deadline cut requests off");
    }
    control.block_on(stop_functions(&proxy));
    proxy.notes.event(EventKind::Stop, "drained");
    let _all_gone = (stop_admin.send(true), stop.send(true));
    if control.block_on(recording).is_err() {
        tracing::error!("the last counts could not be collected");
    }
    // A reader that is still open would keep the ledger's log beside it.
    let read = control.block_on(async { tokio::time::timeout(REPORT_TIME_MAX, telling).await });
    if read.is_err() {
        tracing::debug!("a report was still being read at the end");
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

fn load_tls(file: &ConfigFile, read: &Read) -> Result<Vec<Option<Tls>>, ConfigError> {
    let load = |(index, listener): (usize, &ListenerPlan)| {
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
    let handshakes = Handshakes::new(limits.handshakes, limits.handshake_timeout);
    let shared = Arc::new(Shared {
        live: ArcSwap::from_pointee(generation),
        detached: Detached::new(limits.detached_writes, admission.clone()),
        admission,
        listed: ArcSwap::default(),
        refusals: Refusals::default(),
        observations: Observations::new(workers),
        callers: Callers::new(read.plan.callers.clone(), caller_key(&ledger), workers),
        shadow: shadow(&limits, &notes, background.handle()),
        certificate_fields: read.plan.listeners.iter().filter_map(certificate_field).collect(),
        limits,
    });
    let LedgerPlan::Sqlite(path) = &read.plan.ledger;
    // What cannot be read now is found again by new calls; its rows in the ledger go on.
    let discovered = findings::restore(path).unwrap_or_else(|error| {
        tracing::warn!(error = %error, "what was discovered before could not be read");
        Discovered::new()
    });
    remember_operations(&registry, path, &read.plan);
    let told_endpoints = Reader::open(path).and_then(|reader| reader.told()).unwrap_or_else(|error| {
        tracing::warn!(%error, "what was told of discovered endpoints could not be read; it stays in the ledger");
        Vec::new()
    });
    let told_endpoints = starve_admin::told(&told_endpoints);
    Ok(Arc::new(Proxy {
        shared,
        registry,
        counters: Arc::new(Counters::default()),
        handshakes,
        ledger,
        notes,
        discovered: Arc::new(Mutex::new(discovered)),
        told_endpoints: Mutex::new(told_endpoints),
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

/// The key that stays with the ledger; a passing one where it cannot be kept.
fn caller_key(ledger: &Ledger) -> CallerKey {
    let passing = |error: std::io::Error| {
        tracing::warn!(%error, "the key beside the ledger can be neither read nor made: callers get other hashes in each run");
        let HashKey(secret) = hash_key();
        CallerKey::new(secret.to_le_bytes())
    };
    starve_ledger::caller_key(ledger.path()).unwrap_or_else(passing)
}

/// A new secret for each run, from the randomness that the standard library asks the system for.
fn hash_key() -> HashKey {
    use std::hash::{BuildHasher as _, Hasher as _};
    let random = || u128::from(std::collections::hash_map::RandomState::new().build_hasher().finish());
    HashKey(random() << 64 | random())
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
    let mut looked_at = Instant::now();
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
        let since_last = looked_at.elapsed();
        looked_at = Instant::now();
        let looking = proxy.clone();
        if tokio::task::spawn_blocking(move || look_at_memory(&looking, since_last)).await.is_err() {
            tracing::error!("looking at the memory of functions broke off");
        }
    }
}

/// What the processes of functions occupy.
fn look_at_memory(proxy: &Proxy, since_last: Duration) {
    let functions: Vec<_> = proxy.registry.tables().functions.values().cloned().collect();
    let groups = functions.iter().flat_map(|stats| stats.groups()).collect();
    let memory = memory_by_group(&groups);
    functions.iter().for_each(|stats| stats.look(&memory, since_last));
}

async fn stop_functions(proxy: &Proxy) {
    let generation = proxy.shared.live.load_full();
    for function in generation.functions.values() {
        if let Some(process) = function.process() {
            process.shutdown().await;
        }
    }
}
