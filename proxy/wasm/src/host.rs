use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::cache::Cache;
use crate::component::Artefact;
use crate::function::{FunctionSettings, WasmFunction};
use crate::guest::Guest;
use crate::{WasmError, limits, outbound};

/// The engine's clock: how long a guest may compute before others get their turn.
const TICK: Duration = Duration::from_millis(10);

/// How much of a used memory stays mapped for the next call; saves a third of a small call's time.
const KEPT_MEMORY_BYTES: usize = 1 << 20;

/// How a host is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where guests run. Never a runtime that also serves requests: guests compute.
    pub runtime: Handle,
    /// Calls at once, over all functions: 256.
    pub instances: NonZeroU32,
    /// The largest memory that a function may be given, in bytes: 256 MiB. Address space of this size is
    /// reserved for every instance; memory is only taken when it is used.
    pub memory_bytes_max: u64,
    /// Where compiled components are kept; `None` compiles anew at every start.
    pub cache_dir: Option<PathBuf>,
}

impl Settings {
    /// The defaults, with the cache in [`default_cache_dir`].
    pub fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            instances: const { NonZeroU32::new(256).unwrap() },
            memory_bytes_max: 256 << 20,
            cache_dir: default_cache_dir(),
        }
    }
}

/// `$XDG_CACHE_HOME/starve/wasm`, else `$HOME/.cache/starve/wasm`; none when neither variable is set.
pub fn default_cache_dir() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(caches.join("starve").join("wasm"))
}

/// One engine for all functions: compiled code, reserved instances, and the clock that interrupts guests.
pub struct Host {
    engine: Engine,
    linker: Linker<Guest>,
    cache: Option<Cache>,
    settings: Settings,
    pooled: bool,
    calls: AtomicU64,
    /// The ticking thread ends when this goes.
    _ticker: mpsc::Sender<()>,
}

impl Host {
    /// Reserves the pool of instances and starts the ticking thread. Where the address space does not suffice
    /// (a container with a limit on virtual memory), instances are made on demand: slower, but they work.
    ///
    /// # Errors
    /// [`WasmError::Engine`] on a machine that the engine does not support, [`WasmError::Ticker`].
    pub fn new(settings: Settings) -> Result<Arc<Self>, WasmError> {
        let (engine, pooled) = engine(&settings)?;
        let linker = linker(&engine).map_err(|error| WasmError::Engine(error.into()))?;
        let ticker = start_ticking(engine.clone()).map_err(WasmError::Ticker)?;
        let cache = settings.cache_dir.as_ref().map(|folder| Cache::new(folder.clone(), &engine));
        let calls = AtomicU64::new(0);
        Ok(Arc::new(Self { engine, linker, cache, settings, pooled, calls, _ticker: ticker }))
    }

    /// Reads, checks and compiles a component. Blocks for as long as compiling takes: 35 ms for a small
    /// component in Rust, up to half a minute for one that brings a JavaScript engine; some milliseconds when
    /// the cache has it.
    ///
    /// # Errors
    /// Everything else in [`WasmError`]; each message is one line and names function and file.
    pub fn load(self: &Arc<Self>, settings: FunctionSettings) -> Result<WasmFunction, WasmError> {
        let most = self.settings.memory_bytes_max;
        if settings.memory_bytes > most {
            let asked = settings.memory_bytes;
            return Err(WasmError::MemoryOverHost { function: settings.name, asked, most });
        }
        let allowed = outbound::parse(&settings.name, &settings.outbound)?;
        let artefact = Artefact::read(&settings)?;
        let component = self.compiled(&artefact)?;
        let pre = artefact.prepare(&component, &self.linker, settings.memory_bytes)?;
        Ok(WasmFunction::new(Arc::clone(self), settings, allowed, pre))
    }

    fn compiled(&self, artefact: &Artefact<'_>) -> Result<Component, WasmError> {
        let compile = || Component::from_binary(&self.engine, &artefact.bytes);
        let compiled = match &self.cache {
            Some(cache) => cache.component(&self.engine, &artefact.bytes, compile),
            None => compile(),
        };
        compiled.map_err(|error| artefact.invalid(error))
    }

    /// How many calls can run at once, over all functions. A few more are taken, any beyond fail as overloaded
    /// and do not wait: whoever calls keeps the sum of its limits at this.
    pub fn capacity(&self) -> usize {
        self.settings.instances.get() as usize
    }

    /// Whether instances are reserved ahead; `false` when the address space did not suffice.
    pub fn is_pooled(&self) -> bool {
        self.pooled
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.settings.runtime
    }

    /// A number that no other call of this host has.
    pub(crate) fn next_call(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("settings", &self.settings)
            .field("pooled", &self.pooled)
            .finish_non_exhaustive()
    }
}

fn engine(settings: &Settings) -> Result<(Engine, bool), WasmError> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        .memory_reservation(settings.memory_bytes_max)
        .memory_guard_size(64 << 10)
        .allocation_strategy(pool(settings));
    match Engine::new(&config) {
        Ok(engine) => Ok((engine, true)),
        Err(error) => {
            tracing::warn!(error = %error.root_cause(), "no room to reserve wasm instances, making them on demand");
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
            let engine = Engine::new(&config).map_err(|error| WasmError::Engine(error.into()))?;
            Ok((engine, false))
        }
    }
}

/// A component is several core instances, tables and sometimes memories: two or three for Rust and JavaScript,
/// about fourteen for Python.
fn pool(settings: &Settings) -> PoolingAllocationConfig {
    let instances = settings.instances.get();
    let instances = instances.saturating_add(spare(instances));
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(16))
        .total_memories(instances.saturating_mul(2))
        .total_tables(instances.saturating_mul(16))
        .total_stacks(instances.saturating_mul(2))
        .table_elements(limits::TABLE_ELEMENTS_MAX)
        .max_memory_size(usize::try_from(settings.memory_bytes_max).unwrap_or(usize::MAX))
        .linear_memory_keep_resident(KEPT_MEMORY_BYTES);
    pool
}

/// Instances beyond the capacity: one is still being taken down when its answer has already ended, and whoever keeps
/// calls at the capacity starts the next one then.
fn spare(instances: u32) -> u32 {
    4 + instances / 8
}

/// All that a component may import. Files and sockets can be named, since ordinary standard libraries import
/// them whether they use them or not, but every call finds an empty world behind them.
fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    Ok(linker)
}

fn start_ticking(engine: Engine) -> std::io::Result<mpsc::Sender<()>> {
    let (sender, stopped) = mpsc::channel();
    thread::Builder::new().name("starve-wasm-tick".into()).spawn(move || {
        while stopped.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
            engine.increment_epoch();
        }
    })?;
    Ok(sender)
}
