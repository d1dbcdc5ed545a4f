//! What a reader gets: plain rows, ready to be shown or serialised.

use serde::{Serialize, Serializer};
use starve_migration::Side;
use starve_migration::latency::BUCKETS;

/// Calls of one route that were answered by one side, with one method and one status class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteTotals {
    pub route: String,
    /// `None`: nobody answered (retired, refused).
    #[serde(serialize_with = "side")]
    pub side: Option<Side>,
    pub method: String,
    /// 1 to 5, or 0 for no answer.
    pub class: u8,
    /// Within the window; 0 when all calls were before it.
    pub calls: u64,
    pub duration_us: u64,
    pub bytes_out: u64,
    pub bytes_in: u64,
    /// Those of `calls` that health checks, bots and scanners made.
    pub apart: u64,
    /// Since the ledger exists, whatever the window.
    pub first_unix_ms: u64,
    pub last_unix_ms: u64,
    /// The last call that was none of `apart`; 0 when there was none.
    pub last_regular_unix_ms: u64,
}

/// How long the calls of a route took that one side answered, within the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latencies {
    pub route: String,
    pub side: Option<Side>,
    /// By the bounds of [`starve_migration::latency`].
    pub buckets: [u64; BUCKETS],
}

/// Calls of a route by a kind of client that does not show that somebody needs it, within the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apart {
    pub route: String,
    /// One of [`starve_callers::Kind`].
    pub kind: String,
    pub calls: u64,
}

/// Who called a route within the window, by one kind: `client`, `agent`, `referer`, `network`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KindCallers {
    pub kind: &'static str,
    /// All calls of which the caller is known in this way.
    pub calls: u64,
    /// How many different callers; an estimate with an error of about 2 % when it is not exact.
    pub distinct: u64,
    pub distinct_is_exact: bool,
    /// Most frequent first.
    pub top: Vec<CallerRow>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallerRow {
    /// A family, a path template, a network, or a hash.
    pub caller: String,
    pub calls_at_least: u64,
    pub calls_at_most: u64,
}

/// How far the migration was on one day, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProgressDay {
    /// The beginning of the day.
    pub day_unix_ms: u64,
    pub calls_legacy: u64,
    pub calls_function: u64,
    pub calls_nobody: u64,
    pub legacy_us: u64,
    pub function_us: u64,
    /// At the end of the day; `None` before this was noted.
    pub routes: Option<u64>,
    pub routes_on_legacy: Option<u64>,
}

/// Calls of one endpoint that no configured route matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Discovered {
    pub template: String,
    pub method: String,
    pub class: u8,
    pub calls: u64,
    pub duration_us: u64,
    /// Those of `calls` that health checks, bots and scanners made.
    pub apart: u64,
    pub first_unix_ms: u64,
    pub last_unix_ms: u64,
    /// The last call that was none of `apart`; 0 when there was none.
    pub last_regular_unix_ms: u64,
}

/// Calls of one operation of a route that were answered by one side, with one status class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operation {
    pub route: String,
    pub operation: String,
    #[serde(serialize_with = "side")]
    pub side: Option<Side>,
    pub class: u8,
    /// Within the window; 0 when all calls were before it.
    pub calls: u64,
    pub duration_us: u64,
    pub first_unix_ms: u64,
    pub last_unix_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparisons {
    pub route: String,
    pub verdict: String,
    pub n: u64,
}

/// A place at which the two answers of a route differed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldDifferences {
    pub route: String,
    pub path: String,
    pub kind: String,
    pub n: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoggedSample {
    pub id: i64,
    pub route: String,
    pub at_unix_ms: u64,
    pub method: String,
    pub target: String,
    pub verdict: String,
    /// A JSON text.
    pub differences: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoggedEvent {
    pub id: i64,
    pub at_unix_ms: u64,
    pub kind: String,
    pub route: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HourlyCalls {
    /// The beginning of the hour.
    pub hour_unix_ms: u64,
    #[serde(serialize_with = "side")]
    pub side: Option<Side>,
    pub class: u8,
    pub calls: u64,
    pub duration_us: u64,
}

/// When counting was on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coverage {
    pub window_from_unix_ms: u64,
    pub window_until_unix_ms: u64,
    /// How much of the window was observed.
    pub observed_ms: u64,
    /// Since when this ledger has observed anything at all; `None` when it never has.
    pub first_unix_ms: Option<u64>,
    /// Until when it was observed last.
    pub last_unix_ms: Option<u64>,
    /// The holes after the first observation, oldest first; the time before it is in none.
    pub gaps: Vec<Gap>,
}

/// A stretch of time in which calls may have come that nobody counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    pub from_unix_ms: u64,
    pub until_unix_ms: u64,
    /// The proxy was stopped; otherwise it was killed, or the machine went down.
    pub clean: bool,
}

impl Coverage {
    pub fn window_ms(&self) -> u64 {
        self.window_until_unix_ms - self.window_from_unix_ms
    }

    /// The observed share of the window, 0 to 1.
    pub fn ratio(&self) -> f64 {
        match self.window_ms() {
            0 => 0.0,
            window => self.observed_ms as f64 / window as f64,
        }
    }
}

fn side<S: Serializer>(side: &Option<Side>, serializer: S) -> Result<S::Ok, S::Error> {
    side.map(Side::as_str).serialize(serializer)
}
