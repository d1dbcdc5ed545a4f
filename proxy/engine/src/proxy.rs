//! The running proxy as its admin address sees it: status, reload, flip, kill switch.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use starve_admin::{
    Control, ControlError, Findings, FlipRequest, Flipped, KillSwitch, LastReload, ReloadError, Reloaded,
    RouteInfo, Status, TellAnswer, TellRequest,
};
use starve_config::{Diagnostics, FlipError, PlanDiff, RoutePlan, diff, flip};
use starve_discovery::Discovered;
use starve_http::BoxFuture;
use starve_ledger::{EventKind, Ledger};
use starve_listener::{Counters, Handshakes};
use starve_migration::{Percent, Stage};
use starve_routing::Pattern;

use crate::certificates::Certificates;
use crate::configuration::{ConfigError, ConfigFile};
use crate::generation::{Generation, Workshop};
use crate::metrics::exposition;
use crate::operations::remember_operations;
use crate::recorder::{Notes, now_ms, unix_ms};
use crate::registry::Registry;
use crate::shared::Shared;
use crate::told::Told;

pub(crate) struct Proxy {
    pub(crate) shared: Arc<Shared>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) handshakes: Arc<Handshakes>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) notes: Arc<Notes>,
    pub(crate) discovered: Arc<Mutex<Discovered>>,
    /// What a person said of discovered endpoints.
    pub(crate) told_endpoints: Mutex<Vec<Pattern>>,
    pub(crate) workshop: Workshop,
    pub(crate) certificates: Certificates,
    pub(crate) file: ConfigFile,
    pub(crate) workers: usize,
    pub(crate) started_at: SystemTime,
    pub(crate) ready: AtomicBool,
    pub(crate) last_reload: Mutex<Option<LastReload>>,
    pub(crate) told: Mutex<Told>,
    /// The text that was looked at last, good or bad, so that nothing is done twice about it.
    pub(crate) seen: Mutex<[u8; 32]>,
    /// One reload or flip at a time.
    pub(crate) changing: tokio::sync::Mutex<()>,
}

/// What a reload came to.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) generation: u64,
    pub(crate) changed: bool,
}

impl Proxy {
    pub(crate) fn last_reload(&self) -> Option<LastReload> {
        self.last_reload.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The configured routes as the report wants them.
    pub(crate) fn route_infos(&self) -> Vec<RouteInfo> {
        let generation = self.shared.live.load_full();
        let routes = generation.table.entries().iter().filter_map(|entry| {
            let killed = entry.value.kept.killed.load(Relaxed);
            entry.value.plan.as_ref().map(|plan| route_info(plan, killed))
        });
        routes.collect()
    }

    /// The figures that the last report gave.
    pub(crate) fn told(&self) -> Told {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the file and puts it in force, all or nothing. Requests in flight end in the generation in
    /// which they began.
    pub(crate) async fn reload(self: &Arc<Self>, why: &'static str) -> Result<Change, ConfigError> {
        let _one_at_a_time = self.changing.lock().await;
        self.reload_now(why).await
    }

    async fn reload_now(self: &Arc<Self>, why: &'static str) -> Result<Change, ConfigError> {
        let proxy = self.clone();
        let taken = tokio::task::spawn_blocking(move || proxy.take_file(why)).await;
        let taken = taken.unwrap_or_else(|panic| {
            tracing::error!(%panic, "reload broke off");
            Err(ConfigError::Unreadable {
                path: self.file.path().display().to_string(),
                hint: "the reload broke off; see the log".to_owned(),
            })
        });
        match &taken {
            Ok(change) => {
                // A reload that finds nothing new still says that the file is good.
                self.note_reload(true, String::new());
                if change.changed {
                    self.notes.event(EventKind::Reload, format!("generation {} ({why})", change.generation));
                }
            }
            Err(error) => {
                let text = error.text(false);
                tracing::error!(why, "configuration refused, the one before goes on\n{text}");
                self.notes.event(EventKind::ReloadFailed, error.to_string());
                self.note_reload(false, text);
            }
        }
        taken
    }

    fn note_reload(&self, ok: bool, errors: String) {
        let note = LastReload { ok, at_unix_ms: now_ms(), errors };
        *self.last_reload.lock().unwrap_or_else(PoisonError::into_inner) = Some(note);
    }

    /// Blocks: reads files, may compile.
    fn take_file(&self, why: &'static str) -> Result<Change, ConfigError> {
        let mut read = self.file.read_seen(&self.seen)?;
        read.warn_of_certificates();
        let before = self.shared.live.load_full();
        let outdated = before.functions.values().any(|function| function.is_outdated());
        let build = || self.workshop.build(read.plan.clone(), Some(&before));
        let next = (read.plan != before.plan || outdated)
            .then(build)
            .transpose()
            .map_err(|errors| self.file.build_errors(&read, &errors))?;
        self.certificates
            .reload(&read.plan)
            .map_err(|(listener, error)| self.file.listener_error(&read, listener, error.to_string()))?;
        // Those that were built just now have read theirs.
        for (name, upstream) in &before.upstreams {
            if next.as_ref().is_none_or(|next| next.upstreams.get(name).is_some_and(|next| next.is(upstream)))
            {
                upstream
                    .reload_tls()
                    .map_err(|error| self.file.upstream_error(&read, name, error.to_string()))?;
            }
        }
        let Some(next) = next else { return Ok(Change { generation: before.number, changed: false }) };
        let change = Change { generation: next.number, changed: true };
        let difference = diff(&before.plan, &next.plan);
        remember_operations(&self.registry, self.ledger.path(), &next.plan);
        self.shared.live.store(Arc::new(next));
        self.tell(&difference, &change, why, &read.warnings);
        Ok(change)
    }

    fn tell(&self, difference: &PlanDiff, change: &Change, why: &'static str, warnings: &Diagnostics) {
        tracing::info!(generation = change.generation, why, "configuration in force\n{difference}");
        if !warnings.is_empty() {
            tracing::warn!("{warnings}");
        }
        if !difference.restart.is_empty() {
            tracing::warn!(settings = difference.restart.join(", "), "take effect only after a restart");
        }
        for stage in &difference.stages {
            self.notes.stage_change(&stage.route, stage.from.as_str(), stage.to.as_str(), why);
        }
    }

    /// Edits the file and puts it in force.
    async fn flip_file(self: Arc<Self>, request: FlipRequest) -> Result<Flipped, ControlError> {
        let _one_at_a_time = self.changing.lock().await;
        let text = self.file.text().map_err(|error| ControlError::Refused(error.text(false)))?;
        let edited = flip(&text, &request.route, request.stage, request.percent).map_err(flip_error)?;
        let before = self.find_route(&request.route);
        self.file.replace(&edited).map_err(|error| {
            ControlError::Failed(format!("cannot write {}: {error}", self.file.path().display()))
        })?;
        match self.reload_now("flip").await {
            Ok(change) => {
                let (route, from) = before.unwrap_or_else(|| (request.route.clone(), request.stage));
                Ok(Flipped { route, from, to: request.stage, generation: change.generation })
            }
            // The file named something that cannot be had: it gets its old text back.
            Err(error) => {
                let restored = self.file.replace(&text);
                let mut message = error.text(false);
                if let Err(error) = restored {
                    let _written = write!(message, "the old text could not be put back: {error}");
                }
                Err(ControlError::Refused(message))
            }
        }
    }

    fn find_route(&self, name: &str) -> Option<(String, Stage)> {
        let generation = self.shared.live.load();
        let is_it = |route: &&Arc<RoutePlan>| route.id == name || route.pattern.to_string() == name;
        generation.plan.routes.iter().find(is_it).map(|route| (route.id.clone(), route.policy.stage))
    }

    fn switch(&self, switch: &KillSwitch) -> Result<(), ControlError> {
        let tables = self.registry.tables();
        match &switch.route {
            None => {
                self.registry.all_killed.store(switch.on, Relaxed);
                for kept in tables.routes.values() {
                    kept.killed.store(switch.on, Relaxed);
                }
            }
            Some(route) => {
                let id = self.find_route(route).map_or_else(|| route.clone(), |(id, _)| id);
                let known = tables
                    .routes
                    .get(&id)
                    .ok_or_else(|| ControlError::UnknownRoute { route: route.clone(), nearest: None })?;
                known.killed.store(switch.on, Relaxed);
            }
        }
        drop(tables);
        let (word, what) =
            (if switch.on { "on" } else { "off" }, switch.route.as_deref().unwrap_or("all routes"));
        tracing::warn!(state = word, route = what, "kill switch");
        self.notes.event(EventKind::KillSwitch, format!("{word}: {what}"));
        Ok(())
    }
}

fn flip_error(error: FlipError) -> ControlError {
    match error {
        FlipError::UnknownRoute { route, nearest } => ControlError::UnknownRoute { route, nearest },
        FlipError::Invalid(diagnostics) => ControlError::Refused(diagnostics.to_string()),
        other => ControlError::Refused(other.to_string()),
    }
}

/// The share that belongs to a stage.
fn percent(plan: &RoutePlan) -> Option<Percent> {
    match plan.policy.stage {
        Stage::Shadow => Some(plan.policy.shadow),
        Stage::Canary => Some(plan.policy.canary),
        Stage::Live => Some(plan.policy.mirror),
        Stage::Legacy | Stage::Done | Stage::Retired => None,
    }
}

/// What stands in a function's place.
fn files_name(route: &RoutePlan) -> Option<String> {
    let folder = route.files.as_ref()?.folder.file_name()?;
    Some(format!("files {}", folder.to_string_lossy()))
}

/// What the report knows of the configured routes.
pub fn route_infos(plan: &starve_config::Plan) -> Vec<RouteInfo> {
    plan.routes.iter().map(|route| route_info(route, false)).collect()
}

fn route_info(route: &RoutePlan, killed: bool) -> RouteInfo {
    RouteInfo {
        id: route.id.clone(),
        match_text: route.pattern.to_string(),
        stage: route.policy.stage,
        percent: percent(route),
        upstream: route.upstream.clone(),
        function: route.function.clone().or_else(|| files_name(route)),
        line: Some(route.line),
        killed,
    }
}

/// The proxy behind its admin address.
pub(crate) struct Controlled(pub(crate) Arc<Proxy>);

impl Control for Controlled {
    fn status(&self) -> Status {
        let proxy = &self.0;
        let generation: Arc<Generation> = proxy.shared.live.load_full();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            workers: proxy.workers,
            started_at_unix_ms: unix_ms(proxy.started_at),
            config_path: proxy.file.path().to_owned(),
            generation: generation.number,
            loaded_at_unix_ms: unix_ms(generation.loaded_at),
            last_reload: proxy.last_reload(),
            ledger: Some(proxy.ledger.health()),
            kill_switch: proxy.registry.all_killed.load(Relaxed),
        }
    }

    fn routes(&self) -> Vec<RouteInfo> {
        self.0.route_infos()
    }

    fn ready(&self) -> bool {
        self.0.ready.load(Relaxed)
    }

    fn metrics(&self) -> String {
        exposition(&self.0)
    }

    fn ledger_path(&self) -> Option<PathBuf> {
        Some(self.0.ledger.path().to_owned())
    }

    fn reload(&self) -> BoxFuture<Result<Reloaded, ReloadError>> {
        let proxy = self.0.clone();
        Box::pin(async move {
            match proxy.reload("admin").await {
                Ok(Change { generation, changed }) => Ok(Reloaded { generation, changed }),
                Err(error) => Err(ReloadError { diagnostics: error.text(false) }),
            }
        })
    }

    fn flip(&self, request: FlipRequest) -> BoxFuture<Result<Flipped, ControlError>> {
        Box::pin(self.0.clone().flip_file(request))
    }

    fn discovered(&self) -> Result<Findings, ControlError> {
        Ok(self.0.findings())
    }

    fn tell(&self, request: TellRequest) -> BoxFuture<Result<TellAnswer, ControlError>> {
        let proxy = self.0.clone();
        Box::pin(async move {
            let told = tokio::task::spawn_blocking(move || proxy.tell_endpoints(&request)).await;
            told.unwrap_or_else(|_| Err(ControlError::Failed("it broke off; see the log".to_owned())))
        })
    }

    fn kill_switch(&self, switch: KillSwitch) -> BoxFuture<Result<(), ControlError>> {
        let done = self.0.switch(&switch);
        Box::pin(async move { done })
    }
}
