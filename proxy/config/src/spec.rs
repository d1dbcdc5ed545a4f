//! The `Spec`: the configuration as written, each value typed and with its place. Names are not looked up yet.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use starve_compare::Rules;
use starve_migration::{Percent, Stage, StickyKey};
use starve_routing::{Pattern, Predicates};

use crate::changes::{Changes, FilesPlan, RespondPlan};
use crate::document::Span;
use crate::plan::{CallersPlan, LimitsPlan, ListenerPlan, OperationsPlan, ScalePlan, Secret};
use crate::sunset::SunsetPlan;
use crate::upstream::UpstreamPlan;
use crate::url::Url;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// What the file says about a key. `Broken` has been reported, so that nobody complains again about what
/// follows from it.
#[derive(Clone, Debug)]
pub(crate) enum Given<T> {
    Absent,
    Broken,
    Is(At<T>),
}

impl<T> Given<T> {
    pub(crate) fn or(self, default: T) -> T {
        self.into_option().map_or(default, |at| at.value)
    }

    pub(crate) fn or_default(self) -> T
    where
        T: Default,
    {
        self.or(T::default())
    }

    pub(crate) fn into_option(self) -> Option<At<T>> {
        match self {
            Self::Is(at) => Some(at),
            Self::Absent | Self::Broken => None,
        }
    }

    pub(crate) fn value(&self) -> Option<&T> {
        self.at().map(|at| &at.value)
    }

    pub(crate) fn at(&self) -> Option<&At<T>> {
        match self {
            Self::Is(at) => Some(at),
            Self::Absent | Self::Broken => None,
        }
    }

    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) listen: Vec<At<ListenerPlan>>,
    pub(crate) workers: Option<NonZeroUsize>,
    pub(crate) limits: LimitsPlan,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) admin: AdminSpec,
    /// The file of the SQLite ledger.
    pub(crate) ledger: PathBuf,
    pub(crate) callers: CallersPlan,
    pub(crate) legacy: Given<UpstreamPlan>,
    pub(crate) upstreams: Vec<(At<String>, Given<UpstreamPlan>)>,
    pub(crate) functions: Vec<(At<String>, Given<FunctionSpec>)>,
    pub(crate) compare: Rules,
    pub(crate) shadow_percent: Given<Percent>,
    pub(crate) routes: Vec<RouteSpec>,
}

#[derive(Debug)]
pub(crate) enum AdminSpec {
    Default,
    Off,
    On { address: Given<std::net::SocketAddr>, token: Given<Secret> },
}

#[derive(Clone, Debug)]
pub(crate) struct FunctionSpec {
    pub(crate) host: HostSpec,
    pub(crate) timeout: Duration,
    pub(crate) concurrency: usize,
    pub(crate) queue: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum HostSpec {
    Wasm {
        file: PathBuf,
        memory_bytes: u64,
        outbound: Vec<String>,
    },
    Process {
        command: Vec<String>,
        directory: Option<PathBuf>,
        env: BTreeMap<String, String>,
        scale: ScalePlan,
    },
    Http(Url),
}

#[derive(Debug)]
pub(crate) struct RouteSpec {
    /// The beginning of the entry, for what is missing in it.
    pub(crate) span: Span,
    pub(crate) pattern: Given<Pattern>,
    pub(crate) name: Given<String>,
    pub(crate) when: Predicates,
    /// `legacy: NAME`
    pub(crate) upstream: Given<String>,
    pub(crate) function: Given<String>,
    pub(crate) stage: Given<Stage>,
    pub(crate) shadow_percent: Given<Percent>,
    pub(crate) copy_writes: bool,
    pub(crate) canary: CanarySpec,
    pub(crate) mirror: Percent,
    pub(crate) compare: Rules,
    pub(crate) fallback: bool,
    pub(crate) files: Given<FilesPlan>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) finish_writes: bool,
    pub(crate) changes: Changes,
    pub(crate) respond: Option<RespondPlan>,
    pub(crate) sunset: Option<SunsetPlan>,
    pub(crate) operations: Option<OperationsPlan>,
}

#[derive(Debug)]
pub(crate) struct CanarySpec {
    pub(crate) percent: Given<Percent>,
    pub(crate) sticky: StickyKey,
    pub(crate) group: Option<String>,
}
