//! From a function's plan to what answers its calls.

use std::ffi::OsString;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::Uri;
use http::uri::PathAndQuery;
use starve_config::{
    FunctionHost, FunctionPlan, HostPolicy, ScalePlan, ServerPlan, UpstreamPlan, UpstreamTimeouts,
};
use starve_functions::{Connect, FunctionStats, Gate, ProcessHost, ProcessOptions};
use starve_http::{Request, ResponseFuture, Target};
use starve_upstream::Upstream;
use tokio::runtime::Handle;

use crate::generation::own_host;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const NO_WASM: &str =
    "this starve was built without the feature `wasm`; build it without `--no-default-features`";

/// A function as it lives. Kept over reloads as long as its plan and its files stay the same.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) plan: Arc<FunctionPlan>,
    pub(crate) target: Arc<dyn Target>,
    artefact: Option<Artefact>,
    /// What its file was at the last look, if that was another one than it was built of.
    looked_at: Mutex<Option<Artefact>>,
    process: Option<Arc<ProcessHost>>,
    upstream: Option<Upstream>,
}

/// The file that a function is made of, as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Artefact {
    file: PathBuf,
    changed: Option<SystemTime>,
    bytes: u64,
}

impl Artefact {
    fn of(file: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(file).ok()?;
        Some(Self { file: file.to_owned(), changed: metadata.modified().ok(), bytes: metadata.len() })
    }
}

/// What functions are built with.
pub(crate) struct FunctionWorkshop {
    pub(crate) workers: usize,
    /// Where processes are looked after.
    pub(crate) control: Handle,
    /// Program and arguments that start a function's process so that it cannot outlive the proxy.
    pub(crate) launcher: Vec<OsString>,
    #[cfg(feature = "wasm")]
    pub(crate) wasm: WasmHost,
}

/// Started with the first function that needs it: the engine reserves much address space.
#[cfg(feature = "wasm")]
pub(crate) struct WasmHost {
    pub(crate) runtime: Handle,
    pub(crate) host: std::sync::OnceLock<Arc<starve_wasm::Host>>,
}

#[cfg(feature = "wasm")]
impl WasmHost {
    fn host(&self) -> Result<Arc<starve_wasm::Host>, String> {
        if let Some(host) = self.host.get() {
            return Ok(host.clone());
        }
        let host = starve_wasm::Host::new(starve_wasm::Settings::new(self.runtime.clone()))
            .map_err(|error| error.to_string())?;
        Ok(self.host.get_or_init(|| host).clone())
    }
}

impl Function {
    /// The hosts under which the function knows itself, where clients' paths are its own.
    pub(crate) fn own_hosts(&self) -> Vec<String> {
        match &self.plan.host {
            FunctionHost::Http { server, path: None } => own_host(server).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// Builds a function; may compile for seconds, so not on a thread that answers calls.
    ///
    /// # Errors
    /// The text of what is wrong with its file.
    pub(crate) fn build(
        plan: &Arc<FunctionPlan>,
        stats: &Arc<FunctionStats>,
        workshop: &FunctionWorkshop,
    ) -> Result<Self, String> {
        let gate = |target: Arc<dyn Target>| -> Arc<dyn Target> {
            let name = plan.name.as_str();
            Arc::new(Gate::new(target, name, plan.concurrency, plan.queue, plan.timeout, stats.clone()))
        };
        let function = |target, artefact| Self {
            plan: plan.clone(),
            target,
            artefact,
            looked_at: Mutex::default(),
            process: None,
            upstream: None,
        };
        match &plan.host {
            FunctionHost::Wasm { file, memory_bytes, outbound } => {
                stats.set_memory(*memory_bytes);
                let artefact = Artefact::of(file);
                let target = wasm(plan, file, *memory_bytes, outbound, workshop)?;
                Ok(function(gate(target), artefact))
            }
            FunctionHost::Process { command, working_dir, env, scale } => {
                check_program(command, working_dir)?;
                stats.set_memory(0);
                let options = process(plan, command, working_dir, env, *scale, workshop);
                let connect = connect(plan, workshop.workers);
                let host = ProcessHost::new(options, connect, workshop.control.clone(), stats.clone());
                let host = Arc::new(host);
                Ok(Self { process: Some(host.clone()), ..function(gate(host), None) })
            }
            FunctionHost::Http { server, path } => {
                stats.set_memory(0);
                let upstream = remote(plan, server.clone(), workshop.workers);
                let path = path.as_deref().map(PathAndQuery::try_from).transpose();
                let path = path.map_err(|error| format!("the path of the function's address: {error}"))?;
                let target = match path {
                    Some(path) => Arc::new(AtPath { target: upstream.clone(), path }) as Arc<dyn Target>,
                    None => Arc::new(upstream.clone()),
                };
                Ok(Self { upstream: Some(upstream), ..function(gate(target), None) })
            }
        }
    }

    /// What can be known of a function without starting anything: that its files are there.
    ///
    /// # Errors
    /// The text of what is wrong.
    pub(crate) fn check(plan: &FunctionPlan) -> Result<(), String> {
        match &plan.host {
            FunctionHost::Wasm { file, .. } => check_component(file),
            FunctionHost::Process { command, working_dir, .. } => check_program(command, working_dir),
            FunctionHost::Http { .. } => Ok(()),
        }
    }

    /// Whether its file has become another one since the last look. A file that was refused is not tried again
    /// until it changes once more.
    pub(crate) fn has_news(&self) -> bool {
        let Some(then) = &self.artefact else { return false };
        let now = Artefact::of(&then.file).filter(|now| now != then);
        let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = now.is_some() && *looked_at != now;
        *looked_at = now;
        is_news
    }

    /// Whether its file is another one than when it was built.
    pub(crate) fn is_outdated(&self) -> bool {
        self.artefact.as_ref().is_some_and(|then| Artefact::of(&then.file).is_some_and(|now| now != *then))
    }

    pub(crate) fn process(&self) -> Option<&Arc<ProcessHost>> {
        self.process.as_ref()
    }

    pub(crate) fn sweep(&self) {
        if let Some(upstream) = &self.upstream {
            upstream.sweep();
        }
    }
}

#[cfg(feature = "wasm")]
fn wasm(
    plan: &FunctionPlan,
    file: &Path,
    memory_bytes: u64,
    outbound: &[String],
    workshop: &FunctionWorkshop,
) -> Result<Arc<dyn Target>, String> {
    let settings = starve_wasm::FunctionSettings {
        name: plan.name.clone(),
        file: file.to_owned(),
        memory_bytes,
        timeout: plan.timeout,
        outbound: outbound.to_vec(),
    };
    let function = workshop.wasm.host()?.load(settings).map_err(|error| error.to_string())?;
    Ok(Arc::new(function))
}

#[cfg(not(feature = "wasm"))]
fn wasm(
    _plan: &FunctionPlan,
    _file: &Path,
    _memory_bytes: u64,
    _outbound: &[String],
    _workshop: &FunctionWorkshop,
) -> Result<Arc<dyn Target>, String> {
    Err(NO_WASM.to_owned())
}

/// The first bytes tell a component from a core module and from anything else; the rest is checked when it
/// is compiled.
fn check_component(file: &Path) -> Result<(), String> {
    if cfg!(not(feature = "wasm")) {
        return Err(NO_WASM.to_owned());
    }
    let mut head = [0; 8];
    std::fs::File::open(file)
        .and_then(|mut file| file.read_exact(&mut head))
        .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    match head {
        [0, b'a', b's', b'm', _, _, 1, 0] => Ok(()),
        [0, b'a', b's', b'm', ..] => {
            Err(format!("{} is a core module; a component is needed", file.display()))
        }
        _ => Err(format!("{} is not a WebAssembly component", file.display())),
    }
}

/// A program that is not there is better found at load than at the first call.
fn check_program(command: &[String], working_dir: &Path) -> Result<(), String> {
    let Some(program) = command.first() else { return Err("the command is empty".to_owned()) };
    if !working_dir.is_dir() {
        return Err(format!("the folder {} is not there", working_dir.display()));
    }
    let is_there = if program.contains('/') {
        working_dir.join(program).is_file()
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    let place = if program.contains('/') { "" } else { " on PATH" };
    if is_there { Ok(()) } else { Err(format!("there is no program {program}{place}")) }
}

fn process(
    plan: &FunctionPlan,
    command: &[String],
    working_dir: &Path,
    env: &std::collections::BTreeMap<String, String>,
    scale: ScalePlan,
    workshop: &FunctionWorkshop,
) -> ProcessOptions {
    let program = command.first().map(String::as_str).unwrap_or_default();
    ProcessOptions {
        arguments: command.get(1..).unwrap_or_default().to_vec(),
        working_dir: working_dir.to_owned(),
        env: env.clone(),
        min: scale.min,
        max: scale.max,
        idle: scale.idle,
        start_timeout: scale.start_timeout,
        concurrency: plan.concurrency,
        launcher: workshop.launcher.clone(),
        ..ProcessOptions::new(plan.name.as_str(), program)
    }
}

/// How a process host reaches an instance: through a pool of connections of its own.
fn connect(plan: &Arc<FunctionPlan>, workers: usize) -> Connect {
    let plan = plan.clone();
    Arc::new(move |address: SocketAddr| {
        let server = ServerPlan::Http { host: address.ip().to_string(), port: address.port() };
        let timeouts = timeouts(plan.timeout);
        Arc::new(upstream(&plan.name, server, timeouts, HostPolicy::Preserve, workers)) as Arc<dyn Target>
    })
}

fn remote(plan: &FunctionPlan, server: ServerPlan, workers: usize) -> Upstream {
    upstream(&plan.name, server, timeouts(plan.timeout), HostPolicy::Target, workers)
}

fn timeouts(first_byte: Duration) -> UpstreamTimeouts {
    UpstreamTimeouts { connect: CONNECT_TIMEOUT.min(first_byte), first_byte, idle: IDLE_TIMEOUT }
}

fn upstream(
    name: &str,
    server: ServerPlan,
    timeouts: UpstreamTimeouts,
    host: HostPolicy,
    workers: usize,
) -> Upstream {
    let plan = UpstreamPlan { timeouts, host, ..UpstreamPlan::new(name, vec![server]) };
    Upstream::new(Arc::new(plan), workers)
}

/// A remote function whose address has a path: that path is called, with the client's query.
#[derive(Debug)]
struct AtPath {
    target: Upstream,
    path: PathAndQuery,
}

impl Target for AtPath {
    fn call(&self, mut request: Request) -> ResponseFuture {
        let target = match request.uri().query() {
            Some(query) => PathAndQuery::try_from(format!("{}?{query}", self.path.path())),
            None => Ok(self.path.clone()),
        };
        // Both halves were valid, and so is their sum; the configured path alone is the next best.
        *request.uri_mut() = Uri::from(target.unwrap_or_else(|_| self.path.clone()));
        self.target.call(request)
    }
}
