//! How far the migration is, route by route, with the evidence.
//!
//! [`build`] joins what is configured with what was counted; the same for the running proxy and for the command
//! line beside a file. Everything else here is pure.
//!
//! Invariant: a route is called dead only over time that was observed; what is not known is said, not guessed.

mod advice;
mod facts;
mod inventory;
mod judge;
mod shown_templates;
mod table;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod text;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde::Serialize;
use starve_ledger::{Coverage, LedgerError, ProgressDay, Reader};
use starve_migration::{Percent, Stage};

use crate::control::{LastReload, RouteInfo};
use crate::shown;
use facts::{Calls, Facts};

pub use inventory::{InventorySummary, ListedReport};
pub use judge::Verdict;
pub use table::TableStyle;

/// The window of a report when none is asked for: a month and what a monthly job may be late.
pub const DEFAULT_WINDOW: Duration = Duration::from_secs(35 * 86_400);

/// What to build a report of.
#[derive(Clone, Debug)]
pub struct Options {
    pub since_unix_ms: u64,
    pub now_unix_ms: u64,
    pub last_reload: Option<LastReload>,
    /// Why the ledger cannot be written at the moment.
    pub degraded: Option<String>,
}

impl Options {
    /// The window that ends now.
    pub fn last(window: Duration, now_unix_ms: u64) -> Self {
        let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        Self {
            since_unix_ms: now_unix_ms.saturating_sub(window_ms),
            now_unix_ms,
            last_reload: None,
            degraded: None,
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub generated_at_unix_ms: u64,
    pub observation: Coverage,
    /// What must be known before anything here is acted on.
    pub warnings: Vec<String>,
    pub progress: Progress,
    /// How far it was, day by day, oldest first; whatever the window.
    pub burn_down: Vec<BurnDown>,
    /// In the order of the configuration.
    pub routes: Vec<RouteReport>,
    /// Configured, listed and discovered endpoints without a wanted call in the window, the longest silent first;
    /// retired ones are not among them.
    pub dead: Vec<DeadRoute>,
    /// Endpoints that no configured route matches, most called first.
    pub discovered: Vec<DiscoveredReport>,
    /// Endpoints of inventories that no configured route takes, most called first; those never called with 0.
    pub listed: Vec<ListedReport>,
    pub inventory: InventorySummary,
    /// Why the last reload failed; `None` when it did not.
    pub reload_error: Option<LastReload>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Progress {
    /// Answered calls in the window, discovered endpoints included.
    pub calls: u64,
    pub calls_legacy: u64,
    pub calls_function: u64,
    /// Calls that nobody answered: retired, refused.
    pub calls_nobody: u64,
    /// The share of answered calls that the monolith answered; `None` without calls.
    pub legacy_call_ratio: Option<f64>,
    /// The monolith's share of the time that answering took; `None` without calls.
    pub legacy_time_ratio: Option<f64>,
    /// Configured routes.
    pub routes: usize,
    /// Configured routes whose stage needs the monolith: legacy, shadow, canary.
    pub routes_on_legacy: usize,
    pub routes_by_stage: BTreeMap<&'static str, usize>,
    /// Discovered endpoints with a wanted call in the window; all of them are the monolith's.
    pub discovered: usize,
    /// Listed endpoints with a wanted call in the window; all of them are the monolith's.
    pub listed: usize,
    /// The share of routes, listed and discovered endpoints that need the monolith; `None` when there are none.
    pub legacy_route_ratio: Option<f64>,
}

/// How far the migration was on one day.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BurnDown {
    /// In UTC, as `2026-06-15`.
    pub day: String,
    pub calls_legacy: u64,
    pub calls_function: u64,
    pub legacy_call_ratio: Option<f64>,
    pub legacy_time_ratio: Option<f64>,
    /// At the end of the day; `None` before this was noted.
    pub routes: Option<u64>,
    pub routes_on_legacy: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct RouteReport {
    pub id: String,
    #[serde(rename = "match")]
    pub match_text: String,
    #[serde(serialize_with = "crate::control::stage")]
    pub stage: Stage,
    #[serde(serialize_with = "crate::control::percent")]
    pub percent: Option<Percent>,
    pub upstream: String,
    pub function: Option<String>,
    pub line: Option<usize>,
    pub killed: bool,
    pub legacy: SideReport,
    pub function_side: SideReport,
    pub calls_nobody: u64,
    /// Calls that show that somebody needs the route.
    pub calls_wanted: u64,
    pub not_wanted: NotWanted,
    /// Of any kind, within the window or before it.
    pub last_call_unix_ms: Option<u64>,
    pub last_wanted_call_unix_ms: Option<u64>,
    pub verdict: Verdict,
    pub evidence: String,
    /// The families of user agents that called most in the window, with at least how many calls.
    pub who: Vec<Who>,
    pub comparison: ComparisonReport,
    /// Where the route counts them; most called first. Their calls are the route's once more.
    pub operations: Vec<OperationReport>,
    pub next_step: String,
}

/// One operation of a route (GraphQL, JSON-RPC).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OperationReport {
    pub operation: String,
    /// In the window.
    pub calls_legacy: u64,
    pub calls_function: u64,
    /// Answered with 5xx. What the protocol calls an error is an answer like others.
    pub errors: u64,
    pub mean_ms: Option<f64>,
    pub first_call_unix_ms: u64,
    pub last_call_unix_ms: u64,
}

/// A family of user agents and how often it called, at least.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Who {
    pub agent: String,
    pub calls: u64,
}

/// What one side answered of a route in the window.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SideReport {
    pub calls: u64,
    /// Answers of status 5xx.
    pub errors: u64,
    pub error_ratio: Option<f64>,
    pub mean_ms: Option<f64>,
    /// Durations below which half, 95 % and 99 % of the calls stayed, estimated from buckets.
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    /// Body bytes of requests and of answers.
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// Calls in the window that do not show that somebody needs the route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NotWanted {
    /// HEAD, OPTIONS and TRACE.
    pub probes: u64,
    pub head: u64,
    /// OPTIONS: what browsers ask before they call from another site.
    pub preflights: u64,
    /// Answered with 4xx or 5xx.
    pub failed: u64,
    /// Answered well, but to a health check, a bot or a scanner.
    pub automated: u64,
    /// By what user agents say, however they were answered.
    pub health_checks: u64,
    pub bots: u64,
    pub scanners: u64,
    /// Our own copies to the side that does not answer. They are in no other number.
    pub copies: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ComparisonReport {
    /// Both answers were there and judged.
    pub compared: u64,
    pub equal: u64,
    pub different: u64,
    /// `different` of `compared`.
    pub different_ratio: Option<f64>,
    /// The function did not answer the copy: failed or too slow.
    pub function_failed: u64,
    /// Not judged for another reason, by its name.
    pub not_compared: BTreeMap<String, u64>,
    /// Most frequent first.
    pub fields: Vec<FieldReport>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldReport {
    pub path: String,
    pub kind: String,
    pub n: u64,
    /// Of the compared calls.
    pub ratio: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct DeadRoute {
    /// As configured, or `METHOD template` when discovered.
    pub route: String,
    pub configured: bool,
    pub verdict: Verdict,
    /// Whether the window was observed well enough to act on it.
    pub certain: bool,
    pub evidence: String,
    pub last_wanted_call_unix_ms: Option<u64>,
    /// How long nobody has wanted it: since the last wanted call, or since counting began.
    pub silent_ms: u64,
    pub not_wanted: NotWanted,
    pub next_step: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct DiscoveredReport {
    pub method: String,
    pub template: String,
    pub calls: u64,
    pub calls_wanted: u64,
    pub errors: u64,
    pub mean_ms: Option<f64>,
    pub first_call_unix_ms: u64,
    pub last_call_unix_ms: u64,
    pub verdict: Verdict,
    pub evidence: String,
}

impl DiscoveredReport {
    /// As it would stand in a configuration. What no endpoint has been found for has a word in place of a path, and is
    /// of all methods.
    fn title(&self) -> String {
        match self.template.starts_with('(') {
            true => self.template.clone(),
            false => format!("{} {}", self.method, self.template),
        }
    }
}

/// Joins the configured routes with what the ledger counted. Without a reader, everything is unknown.
///
/// # Errors
/// The ledger cannot be read.
pub fn build(
    routes: &[RouteInfo],
    reader: Option<&Reader>,
    options: &Options,
) -> Result<Report, LedgerError> {
    let mut facts = Facts::read(reader, options)?;
    inventory::join(routes, &mut facts);
    Ok(assemble(routes, &facts, options))
}

fn assemble(routes: &[RouteInfo], facts: &Facts, options: &Options) -> Report {
    let rows: Vec<_> = routes.iter().map(|route| route_report(route, facts, options)).collect();
    let discovered = discovered_reports(routes, facts, options);
    let listed = inventory::reports(facts, options);
    Report {
        generated_at_unix_ms: options.now_unix_ms,
        observation: facts.coverage.clone(),
        warnings: warnings(facts, options),
        progress: progress(&rows, &discovered, &listed, facts),
        burn_down: facts.history.iter().map(BurnDown::of).collect(),
        dead: dead(&rows, &discovered, &listed, facts, options),
        inventory: inventory::summary(&listed, facts),
        listed,
        routes: rows,
        discovered: discovered.into_iter().filter(|row| row.calls > 0).collect(),
        reload_error: options.last_reload.clone().filter(|reload| !reload.ok),
    }
}

fn route_report(route: &RouteInfo, facts: &Facts, options: &Options) -> RouteReport {
    let calls = facts.route(&route.id);
    let mut judgement = judge::judge(&calls, &facts.coverage, options.now_unix_ms);
    let who = facts.who.get(&route.id).map_or(&[][..], Vec::as_slice);
    judgement.evidence.push_str(&judge::who(who));
    let comparison = facts.comparison(&route.id);
    RouteReport {
        id: route.id.clone(),
        match_text: route.match_text.clone(),
        stage: route.stage,
        percent: route.percent,
        upstream: route.upstream.clone(),
        function: route.function.clone(),
        line: route.line,
        killed: route.killed,
        legacy: calls.legacy.report(),
        function_side: calls.function.report(),
        calls_nobody: calls.nobody,
        calls_wanted: calls.wanted,
        not_wanted: calls.not_wanted,
        last_call_unix_ms: calls.last_unix_ms,
        last_wanted_call_unix_ms: calls.last_wanted_unix_ms,
        verdict: judgement.verdict,
        next_step: advice::next_step(route, &calls, &judgement, &comparison, &facts.coverage),
        who: facts.who.get(&route.id).cloned().unwrap_or_default(),
        evidence: judgement.evidence,
        operations: facts.operations.get(&route.id).cloned().unwrap_or_default(),
        comparison,
    }
}

/// A template that is configured by now is no discovery any more.
fn discovered_reports(routes: &[RouteInfo], facts: &Facts, options: &Options) -> Vec<DiscoveredReport> {
    let configured: HashSet<_> = routes.iter().map(|route| route.match_text.as_str()).collect();
    let mut reports: Vec<_> = facts
        .discovered
        .iter()
        .filter(|((method, template), _)| !configured.contains(format!("{method} {template}").as_str()))
        .map(|((method, template), calls)| discovered_report(method, template, calls, facts, options))
        .collect();
    reports.sort_by(|a, b| b.calls.cmp(&a.calls).then_with(|| a.template.cmp(&b.template)));
    reports
}

fn discovered_report(
    method: &str,
    template: &str,
    calls: &Calls,
    facts: &Facts,
    options: &Options,
) -> DiscoveredReport {
    let judgement = judge::judge(calls, &facts.coverage, options.now_unix_ms);
    let side = calls.legacy.report();
    DiscoveredReport {
        method: method.to_owned(),
        template: template.to_owned(),
        calls: side.calls,
        calls_wanted: calls.wanted,
        errors: side.errors,
        mean_ms: side.mean_ms,
        first_call_unix_ms: calls.first_unix_ms.unwrap_or_default(),
        last_call_unix_ms: calls.last_unix_ms.unwrap_or_default(),
        verdict: judgement.verdict,
        evidence: judgement.evidence,
    }
}

fn warnings(facts: &Facts, options: &Options) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(why) = &options.degraded {
        warnings.push(format!("the ledger cannot be written, the newest counts are missing here: {why}"));
    }
    warnings.extend(judge::short_observation(&facts.coverage, options.now_unix_ms));
    warnings
}

fn progress(
    routes: &[RouteReport],
    discovered: &[DiscoveredReport],
    listed: &[ListedReport],
    facts: &Facts,
) -> Progress {
    let unrouted: u64 =
        discovered.iter().map(|row| row.calls).chain(listed.iter().map(|row| row.calls)).sum();
    let configured = routes.iter().filter_map(|row| facts.routes.get(&row.id));
    let (legacy_us, function_us) = configured.fold((0, 0), |(legacy, function), calls| {
        (legacy + calls.legacy.duration_us, function + calls.function.duration_us)
    });
    let names = discovered.iter().map(|row| (row.method.clone(), row.template.clone()));
    let unrouted_calls = names.filter_map(|name| facts.discovered.get(&name));
    let legacy_us = legacy_us
        + unrouted_calls.map(|calls| calls.legacy.duration_us).sum::<u64>()
        + inventory::duration_us(facts);
    let calls_legacy = routes.iter().map(|row| row.legacy.calls).sum::<u64>() + unrouted;
    let calls_function = routes.iter().map(|row| row.function_side.calls).sum::<u64>();
    let calls = calls_legacy + calls_function;
    let routes_on_legacy = routes.iter().filter(|row| row.stage.needs_legacy()).count();
    let wanted_discovered = discovered.iter().filter(|row| row.calls_wanted > 0).count();
    let wanted_listed = listed.iter().filter(|row| row.calls_wanted > 0).count();
    let wanted_elsewhere = wanted_discovered + wanted_listed;
    let mut routes_by_stage: BTreeMap<_, _> = Stage::ALL.map(|stage| (stage.as_str(), 0)).into();
    for row in routes {
        *routes_by_stage.entry(row.stage.as_str()).or_default() += 1;
    }
    Progress {
        calls,
        calls_legacy,
        calls_function,
        calls_nobody: routes.iter().map(|row| row.calls_nobody).sum(),
        legacy_call_ratio: share(calls_legacy, calls),
        legacy_time_ratio: share(legacy_us, legacy_us + function_us),
        routes: routes.len(),
        routes_on_legacy,
        routes_by_stage,
        discovered: wanted_discovered,
        listed: wanted_listed,
        legacy_route_ratio: share(
            (routes_on_legacy + wanted_elsewhere) as u64,
            (routes.len() + wanted_elsewhere) as u64,
        ),
    }
}

impl BurnDown {
    fn of(day: &ProgressDay) -> Self {
        Self {
            day: shown::day(day.day_unix_ms),
            calls_legacy: day.calls_legacy,
            calls_function: day.calls_function,
            legacy_call_ratio: share(day.calls_legacy, day.calls_legacy + day.calls_function),
            legacy_time_ratio: share(day.legacy_us, day.legacy_us + day.function_us),
            routes: day.routes,
            routes_on_legacy: day.routes_on_legacy,
        }
    }
}

fn dead(
    routes: &[RouteReport],
    discovered: &[DiscoveredReport],
    listed: &[ListedReport],
    facts: &Facts,
    options: &Options,
) -> Vec<DeadRoute> {
    let certain = judge::is_observed(&facts.coverage);
    let counted_since = facts.coverage.first_unix_ms.unwrap_or(options.now_unix_ms);
    let silent_ms = |last: Option<u64>| options.now_unix_ms.saturating_sub(last.unwrap_or(counted_since));
    let configured =
        routes.iter().filter(|row| row.stage != Stage::Retired && row.calls_wanted == 0).map(|row| {
            DeadRoute {
                route: row.match_text.clone(),
                configured: true,
                verdict: row.verdict,
                certain,
                evidence: row.evidence.clone(),
                last_wanted_call_unix_ms: row.last_wanted_call_unix_ms,
                silent_ms: silent_ms(row.last_wanted_call_unix_ms),
                not_wanted: row.not_wanted,
                next_step: row.next_step.clone(),
            }
        });
    // What never had a wanted call is no endpoint: a scanner's guess, answered with 404.
    let unrouted = discovered.iter().filter_map(|row| {
        let calls = facts.discovered.get(&(row.method.clone(), row.template.clone()))?;
        let last = calls.last_wanted_unix_ms?;
        (row.calls_wanted == 0).then(|| DeadRoute {
            route: row.title(),
            configured: false,
            verdict: row.verdict,
            certain,
            evidence: row.evidence.clone(),
            last_wanted_call_unix_ms: Some(last),
            silent_ms: silent_ms(Some(last)),
            not_wanted: calls.not_wanted,
            next_step: "name it in routes.yaml with stage retired, or keep watching".to_owned(),
        })
    });
    let mut dead: Vec<_> =
        configured.chain(inventory::dead(listed, certain, silent_ms)).chain(unrouted).collect();
    // Never called comes before called long ago; among equals the order of the configuration stays.
    dead.sort_by_key(|row| row.last_wanted_call_unix_ms);
    dead
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
