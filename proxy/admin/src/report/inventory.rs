//! Endpoints that an inventory lists and no route is configured for: each is a row, called or not.
//!
//! Calls of such an endpoint stand under its pattern when they were counted after the import, and under a template
//! that discovery learnt when they came before it. Both are added up here; what is counted is never changed.

use serde::Serialize;
use starve_discovery::inventory::{Inventory, sample_path};
use starve_ledger::{ImportedLog, InventorySource, LedgerError, ListedEndpoint, Reader};
use starve_routing::Pattern;

use super::facts::{Calls, Facts};
use super::{DeadRoute, NotWanted, Options, Verdict, judge};
use crate::control::RouteInfo;
use crate::shown;

/// What was imported, and how it differs from what is called.
#[derive(Clone, Debug, Default, Serialize)]
pub struct InventorySummary {
    pub sources: Vec<InventorySource>,
    /// Listed endpoints without a configured route.
    pub endpoints: usize,
    /// Of those, the ones without a wanted call in the window.
    pub orphans: usize,
    /// Endpoints that are called and stand in no inventory; 0 without an inventory.
    pub undocumented: usize,
    /// Access logs whose calls are in the figures.
    pub logs: Vec<ImportedLog>,
}

/// One endpoint of an inventory.
#[derive(Clone, Debug, Serialize)]
pub struct ListedReport {
    #[serde(rename = "match")]
    pub match_text: String,
    /// The inventories that list it.
    pub sources: Vec<String>,
    pub calls: u64,
    pub calls_wanted: u64,
    pub not_wanted: NotWanted,
    pub errors: u64,
    pub mean_ms: Option<f64>,
    pub last_call_unix_ms: Option<u64>,
    pub last_wanted_call_unix_ms: Option<u64>,
    /// Calls below its path that are counted elsewhere: its last parameter may hold slashes.
    pub calls_below: u64,
    pub verdict: Verdict,
    pub evidence: String,
}

/// What the ledger knows of inventories, and the calls that belong to them.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    rows: Vec<ListedEndpoint>,
    sources: Vec<InventorySource>,
    logs: Vec<ImportedLog>,
    endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug)]
struct Endpoint {
    pattern: Pattern,
    sources: Vec<String>,
    calls: Calls,
    below: u64,
}

impl Listing {
    pub(super) fn read(reader: &Reader) -> Result<Self, LedgerError> {
        Ok(Self {
            rows: reader.inventory()?,
            sources: reader.inventory_sources()?,
            logs: reader.imported_logs()?,
            endpoints: Vec::new(),
        })
    }
}

/// Gives each endpoint its calls; what was discovered and is listed is discovered no more.
pub(super) fn join(routes: &[RouteInfo], facts: &mut Facts) {
    let rows = std::mem::take(&mut facts.listing.rows);
    if rows.is_empty() {
        return;
    }
    let configured: Vec<Pattern> = routes.iter().filter_map(|route| route.match_text.parse().ok()).collect();
    let listed = rows.iter().filter_map(|row| {
        let also = row.also.iter().filter_map(|also| also.parse().ok()).collect();
        Some((row.pattern.parse().ok()?, also))
    });
    let inventory = Inventory::build(listed, &configured.iter().collect::<Vec<_>>());
    let endpoint = |pattern: &Pattern| Endpoint {
        pattern: pattern.clone(),
        sources: Vec::new(),
        calls: facts.route(&pattern.to_string()),
        below: 0,
    };
    let mut endpoints: Vec<Endpoint> = inventory.endpoints().iter().map(endpoint).collect();
    for row in &rows {
        let Ok(pattern) = row.pattern.parse::<Pattern>() else { continue };
        for place in inventory.find_pattern(&pattern) {
            let sources = &mut endpoints[place].sources;
            if !sources.contains(&row.source) {
                sources.push(row.source.clone());
            }
        }
    }
    facts.discovered.retain(|(method, template), calls| {
        let place = template.starts_with('/').then(|| inventory.find_template(method, template)).flatten();
        if let Some(place) = place {
            endpoints[place].calls.merge(calls);
        }
        place.is_none()
    });
    look_below(&mut endpoints, facts);
    facts.listing.endpoints = endpoints;
}

/// An endpoint whose last parameter holds slashes looks dead while its calls are counted below its path.
fn look_below(endpoints: &mut [Endpoint], facts: &Facts) {
    let called: Vec<(&str, String, u64)> = facts
        .discovered
        .iter()
        .filter(|((_, template), calls)| template.starts_with('/') && calls.wanted > 0)
        .map(|((method, template), calls)| (method.as_str(), sample_path(template), calls.wanted))
        .collect();
    for endpoint in endpoints.iter_mut().filter(|endpoint| endpoint.calls.wanted == 0) {
        let methods = endpoint.pattern.methods();
        let is_any = *methods == starve_routing::Methods::Any;
        let below = called.iter().filter(|(method, path, _)| {
            (is_any || methods.lists(method)) && Inventory::is_below(&endpoint.pattern, path)
        });
        endpoint.below = below.map(|(.., wanted)| wanted).sum();
    }
}

/// The most called first.
pub(super) fn reports(facts: &Facts, options: &Options) -> Vec<ListedReport> {
    let mut reports: Vec<_> =
        facts.listing.endpoints.iter().map(|endpoint| report(endpoint, facts, options)).collect();
    reports.sort_by_key(|row| std::cmp::Reverse(row.calls));
    reports
}

fn report(endpoint: &Endpoint, facts: &Facts, options: &Options) -> ListedReport {
    let calls = &endpoint.calls;
    let mut judgement = judge::judge(calls, &facts.coverage, options.now_unix_ms);
    if endpoint.below > 0 {
        judgement.verdict = Verdict::Unknown;
        judgement.evidence.push_str(&format!(
            "; {} below its path: its last parameter may hold slashes",
            shown::counted(endpoint.below, "call")
        ));
    }
    let side = calls.legacy.report();
    ListedReport {
        match_text: endpoint.pattern.to_string(),
        sources: endpoint.sources.clone(),
        calls: side.calls,
        calls_wanted: calls.wanted,
        not_wanted: calls.not_wanted,
        errors: side.errors,
        mean_ms: side.mean_ms,
        last_call_unix_ms: calls.last_unix_ms,
        last_wanted_call_unix_ms: calls.last_wanted_unix_ms,
        calls_below: endpoint.below,
        verdict: judgement.verdict,
        evidence: judgement.evidence,
    }
}

pub(super) fn summary(listed: &[ListedReport], facts: &Facts) -> InventorySummary {
    let is_called =
        |((_, template), calls): &(&(String, String), &Calls)| template.starts_with('/') && calls.wanted > 0;
    let undocumented = match facts.listing.sources.is_empty() {
        true => 0,
        false => facts.discovered.iter().filter(is_called).count(),
    };
    InventorySummary {
        sources: facts.listing.sources.clone(),
        endpoints: listed.len(),
        orphans: listed.iter().filter(|row| row.calls_wanted == 0).count(),
        undocumented,
        logs: facts.listing.logs.clone(),
    }
}

/// Listed endpoints that nobody wanted in the window, unless their calls may be counted elsewhere.
pub(super) fn dead(
    listed: &[ListedReport],
    certain: bool,
    silent_ms: impl Fn(Option<u64>) -> u64,
) -> impl Iterator<Item = DeadRoute> {
    let silent = listed.iter().filter(|row| row.calls_wanted == 0 && row.calls_below == 0);
    silent.map(move |row| DeadRoute {
        route: row.match_text.clone(),
        configured: false,
        verdict: row.verdict,
        certain,
        evidence: row.evidence.clone(),
        last_wanted_call_unix_ms: row.last_wanted_call_unix_ms,
        silent_ms: silent_ms(row.last_wanted_call_unix_ms),
        not_wanted: row.not_wanted,
        next_step: "name it in routes.yaml with stage retired, or keep watching".to_owned(),
    })
}

/// The time that the monolith took for listed endpoints.
pub(super) fn duration_us(facts: &Facts) -> u64 {
    facts.listing.endpoints.iter().map(|endpoint| endpoint.calls.legacy.duration_us).sum()
}
