//! The one seam to the running proxy.
//!
//! Invariant: everything that crosses it is plain data, so that this crate knows neither the engine nor the
//! configuration.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use starve_http::BoxFuture;
use starve_ledger::Health;
use starve_migration::{Percent, Stage};

use crate::discovered::{Findings, TellAnswer, TellRequest};

/// What the running proxy can tell about itself, and what can be asked of it. None of the plain functions waits.
pub trait Control: Send + Sync + 'static {
    fn status(&self) -> Status;

    /// The configured routes in the order of the file.
    fn routes(&self) -> Vec<RouteInfo>;

    /// Whether calls are taken: listening, configured, not draining.
    fn ready(&self) -> bool;

    /// All metrics in the text format 0.0.4 of Prometheus.
    fn metrics(&self) -> String;

    /// Where the counts are; `None` when they are not kept in a file.
    fn ledger_path(&self) -> Option<PathBuf>;

    /// Reads the configuration again; with any error in it nothing changes.
    fn reload(&self) -> BoxFuture<Result<Reloaded, ReloadError>>;

    /// Changes a route's stage by an edit of the file.
    fn flip(&self, request: FlipRequest) -> BoxFuture<Result<Flipped, ControlError>>;

    /// What was discovered; may take some milliseconds, and so is asked on a thread that may wait.
    ///
    /// # Errors
    /// This proxy discovers nothing.
    fn discovered(&self) -> Result<Findings, ControlError> {
        Err(ControlError::Unsupported("this proxy discovers nothing".to_owned()))
    }

    /// What a person says of discovered endpoints, remembered over restarts.
    fn tell(&self, request: TellRequest) -> BoxFuture<Result<TellAnswer, ControlError>> {
        let _ = request;
        Box::pin(async { Err(ControlError::Unsupported("this proxy discovers nothing".to_owned())) })
    }

    /// Sends one route, or all, to the monolith without touching the file; or takes that back.
    fn kill_switch(&self, switch: KillSwitch) -> BoxFuture<Result<(), ControlError>> {
        let _ = switch;
        Box::pin(async { Err(ControlError::Unsupported("this proxy has no kill switch".to_owned())) })
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub version: String,
    pub pid: u32,
    pub workers: usize,
    pub started_at_unix_ms: u64,
    pub config_path: PathBuf,
    pub generation: u64,
    /// When the generation that serves was loaded.
    pub loaded_at_unix_ms: u64,
    /// The last attempt to load another one; `None` before the first.
    pub last_reload: Option<LastReload>,
    /// `None` when counts are not kept.
    pub ledger: Option<Health>,
    /// Every route is sent to the monolith.
    pub kill_switch: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastReload {
    pub ok: bool,
    pub at_unix_ms: u64,
    /// The diagnostics as `starve check` prints them; empty when it went well.
    pub errors: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RouteInfo {
    /// As in the ledger and the metrics.
    pub id: String,
    #[serde(rename = "match")]
    pub match_text: String,
    #[serde(serialize_with = "stage")]
    pub stage: Stage,
    /// The share that belongs to the stage: copied in `shadow`, answered in `canary`, mirrored in `live`.
    #[serde(serialize_with = "percent")]
    pub percent: Option<Percent>,
    pub upstream: String,
    pub function: Option<String>,
    /// Its line in the configuration file.
    pub line: Option<usize>,
    /// The kill switch holds it at the monolith.
    pub killed: bool,
}

/// A change of stage that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlipRequest {
    /// The id or the match text.
    pub route: String,
    #[serde(deserialize_with = "read_stage")]
    pub stage: Stage,
    #[serde(default, deserialize_with = "read_percent")]
    pub percent: Option<Percent>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Flipped {
    pub route: String,
    #[serde(serialize_with = "stage")]
    pub from: Stage,
    #[serde(serialize_with = "stage")]
    pub to: Stage,
    pub generation: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KillSwitch {
    pub on: bool,
    /// `None`: all routes.
    #[serde(default)]
    pub route: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Reloaded {
    pub generation: u64,
    /// Whether the file differs from what was served before.
    pub changed: bool,
}

/// The configuration has errors; the last good generation goes on.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the configuration has errors and was not loaded")]
pub struct ReloadError {
    /// The diagnostics as `starve check` prints them, without colour.
    pub diagnostics: String,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum ControlError {
    #[error("there is no route `{route}`{}", nearest.as_deref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default())]
    UnknownRoute { route: String, nearest: Option<String> },
    /// The change is understood and not possible: the text says why, diagnostics included.
    #[error("{0}")]
    Refused(String),
    /// Not for want of a right request: the file cannot be written, for example.
    #[error("{0}")]
    Failed(String),
    #[error("{0}")]
    Unsupported(String),
}

pub(crate) fn stage<S: Serializer>(stage: &Stage, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(stage.as_str())
}

pub(crate) fn percent<S: Serializer>(percent: &Option<Percent>, serializer: S) -> Result<S::Ok, S::Error> {
    percent.map(|percent| f64::from(percent.hundredths()) / 100.0).serialize(serializer)
}

fn read_stage<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Stage, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn read_percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Percent>, D::Error> {
    Option::<f64>::deserialize(deserializer)?
        .map(|value| Percent::new(value).map_err(serde::de::Error::custom))
        .transpose()
}
