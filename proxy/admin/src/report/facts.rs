//! What the ledger knows, summed per endpoint.

use std::collections::{BTreeMap, HashMap};

use starve_ledger::{Coverage, LedgerError, Operation, ProgressDay, Reader, RouteTotals};
use starve_migration::Side;
use starve_migration::latency::{BUCKETS, percentile_us};

use super::inventory::Listing;
use super::shown_templates;
use super::{ComparisonReport, FieldReport, NotWanted, OperationReport, Options, SideReport, Who, share};

/// Places shown per route; the ledger holds more.
const FIELDS_SHOWN: usize = 10;
/// Families of user agents told per route.
const WHO_SHOWN: usize = 3;

#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) routes: HashMap<String, Calls>,
    pub(super) discovered: BTreeMap<(String, String), Calls>,
    pub(super) comparisons: HashMap<String, ComparisonReport>,
    pub(super) operations: HashMap<String, Vec<OperationReport>>,
    /// By route, most frequent first.
    pub(super) who: HashMap<String, Vec<Who>>,
    pub(super) coverage: Coverage,
    /// Day by day, whatever the window.
    pub(super) history: Vec<ProgressDay>,
    pub(super) listing: Listing,
}

/// The calls of one endpoint in the window, and when it was called at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Calls {
    pub(super) legacy: SideCalls,
    pub(super) function: SideCalls,
    pub(super) nobody: u64,
    pub(super) wanted: u64,
    /// Of `wanted`, those in the last quarter of the window.
    pub(super) wanted_recently: u64,
    pub(super) not_wanted: NotWanted,
    pub(super) first_unix_ms: Option<u64>,
    pub(super) last_unix_ms: Option<u64>,
    pub(super) last_wanted_unix_ms: Option<u64>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct SideCalls {
    calls: u64,
    errors: u64,
    pub(super) duration_us: u64,
    bytes_in: u64,
    bytes_out: u64,
    pub(super) buckets: [u64; BUCKETS],
}

impl Default for SideCalls {
    fn default() -> Self {
        Self { calls: 0, errors: 0, duration_us: 0, bytes_in: 0, bytes_out: 0, buckets: [0; BUCKETS] }
    }
}

impl Facts {
    pub(super) fn read(reader: Option<&Reader>, options: &Options) -> Result<Self, LedgerError> {
        let (since, now) = (options.since_unix_ms, options.now_unix_ms);
        let Some(reader) = reader else { return Ok(Self::nothing(since, now)) };
        let mut facts = Self::nothing(since, now);
        facts.coverage = reader.coverage(since, now)?;
        let recent_since = now - now.saturating_sub(since) / 4;
        for row in reader.totals(since)? {
            facts.routes.entry(row.route.clone()).or_default().add(&row);
        }
        for row in reader.latencies(since)? {
            facts.routes.entry(row.route).or_default().add_durations(row.side, &row.buckets);
        }
        for row in reader.apart(since)? {
            facts.routes.entry(row.route).or_default().not_wanted.add_kind(&row.kind, row.calls);
        }
        for row in reader.totals(recent_since)? {
            facts.routes.entry(row.route.clone()).or_default().add_recent(&row);
        }
        let told = crate::discovered::told(&reader.told()?);
        let shown = shown_templates::of(&reader.discovered(0)?, &told);
        for (recent, since) in [(false, since), (true, recent_since)] {
            for mut row in reader.discovered(since)? {
                if let Some((method, template)) = shown.get(&(row.method.clone(), row.template.clone())) {
                    (row.method, row.template) = (method.clone(), template.clone());
                }
                let calls = facts.discovered.entry((row.method.clone(), row.template.clone())).or_default();
                let row = RouteTotals {
                    route: row.template,
                    side: Some(Side::Legacy),
                    method: row.method,
                    class: row.class,
                    calls: row.calls,
                    duration_us: row.duration_us,
                    bytes_out: 0,
                    bytes_in: 0,
                    apart: row.apart,
                    first_unix_ms: row.first_unix_ms,
                    last_unix_ms: row.last_unix_ms,
                    last_regular_unix_ms: row.last_regular_unix_ms,
                };
                if recent { calls.add_recent(&row) } else { calls.add(&row) }
            }
        }
        facts.comparisons = comparisons(reader, since)?;
        for (route, report) in &facts.comparisons {
            facts.routes.entry(route.clone()).or_default().not_wanted.copies = report.copies();
        }
        facts.operations = operations(reader.operations(since)?);
        facts.history = reader.progress()?;
        facts.listing = Listing::read(reader)?;
        for (route, agent, calls) in reader.agents(since)? {
            let who = facts.who.entry(route).or_default();
            if who.len() < WHO_SHOWN {
                who.push(Who { agent, calls });
            }
        }
        Ok(facts)
    }

    pub(super) fn nothing(since_unix_ms: u64, now_unix_ms: u64) -> Self {
        Self {
            routes: HashMap::new(),
            discovered: BTreeMap::new(),
            comparisons: HashMap::new(),
            operations: HashMap::new(),
            history: Vec::new(),
            listing: Listing::default(),
            who: HashMap::new(),
            coverage: Coverage {
                window_from_unix_ms: since_unix_ms.min(now_unix_ms),
                window_until_unix_ms: now_unix_ms,
                observed_ms: 0,
                first_unix_ms: None,
                last_unix_ms: None,
                gaps: Vec::new(),
            },
        }
    }

    pub(super) fn route(&self, id: &str) -> Calls {
        self.routes.get(id).cloned().unwrap_or_default()
    }

    pub(super) fn comparison(&self, id: &str) -> ComparisonReport {
        self.comparisons.get(id).cloned().unwrap_or_default()
    }
}

impl Calls {
    pub(super) fn add(&mut self, row: &RouteTotals) {
        match row.side {
            Some(Side::Legacy) => self.legacy.add(row),
            Some(Side::Function) => self.function.add(row),
            None => self.nobody += row.calls,
        }
        let (is_wanted, apart) = (is_wanted(row), row.apart.min(row.calls));
        match is_wanted {
            true => {
                self.wanted += row.calls - apart;
                self.not_wanted.automated += apart;
            }
            false if is_probe(&row.method) => self.not_wanted.add_probe(&row.method, row.calls),
            false => self.not_wanted.failed += row.calls,
        }
        self.first_unix_ms =
            Some(self.first_unix_ms.map_or(row.first_unix_ms, |at| at.min(row.first_unix_ms)));
        self.last_unix_ms = self.last_unix_ms.max(Some(row.last_unix_ms));
        if is_wanted && row.last_regular_unix_ms > 0 {
            self.last_wanted_unix_ms = self.last_wanted_unix_ms.max(Some(row.last_regular_unix_ms));
        }
    }

    fn add_durations(&mut self, side: Option<Side>, buckets: &[u64; BUCKETS]) {
        let side = match side {
            Some(Side::Legacy) => &mut self.legacy,
            Some(Side::Function) => &mut self.function,
            None => return,
        };
        side.buckets.iter_mut().zip(buckets).for_each(|(to, from)| *to += from);
    }

    /// Adds the calls of the same endpoint that are counted under another name.
    pub(super) fn merge(&mut self, other: &Self) {
        self.legacy.merge(&other.legacy);
        self.function.merge(&other.function);
        self.nobody += other.nobody;
        self.wanted += other.wanted;
        self.wanted_recently += other.wanted_recently;
        self.not_wanted.add(&other.not_wanted);
        self.first_unix_ms = [self.first_unix_ms, other.first_unix_ms].into_iter().flatten().min();
        self.last_unix_ms = self.last_unix_ms.max(other.last_unix_ms);
        self.last_wanted_unix_ms = self.last_wanted_unix_ms.max(other.last_wanted_unix_ms);
    }

    fn add_recent(&mut self, row: &RouteTotals) {
        if is_wanted(row) {
            self.wanted_recently += row.calls - row.apart.min(row.calls);
        }
    }
}

impl SideCalls {
    fn add(&mut self, row: &RouteTotals) {
        self.calls += row.calls;
        self.duration_us += row.duration_us;
        self.bytes_in += row.bytes_in;
        self.bytes_out += row.bytes_out;
        if row.class == 5 {
            self.errors += row.calls;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.errors += other.errors;
        self.duration_us += other.duration_us;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(to, from)| *to += from);
    }

    pub(super) fn report(&self) -> SideReport {
        SideReport {
            calls: self.calls,
            errors: self.errors,
            error_ratio: share(self.errors, self.calls),
            mean_ms: share(self.duration_us, self.calls).map(|mean_us| mean_us / 1_000.0),
            p50_ms: self.percentile_ms(0.5),
            p95_ms: self.percentile_ms(0.95),
            p99_ms: self.percentile_ms(0.99),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
        }
    }

    fn percentile_ms(&self, quantile: f64) -> Option<f64> {
        percentile_us(&self.buckets, quantile).map(|micros| micros / 1_000.0)
    }
}

impl NotWanted {
    fn add_probe(&mut self, method: &str, calls: u64) {
        self.probes += calls;
        match method {
            "HEAD" => self.head += calls,
            "OPTIONS" => self.preflights += calls,
            _ => {}
        }
    }

    fn add_kind(&mut self, kind: &str, calls: u64) {
        match kind {
            "health-check" => self.health_checks += calls,
            "bot" => self.bots += calls,
            "scanner" => self.scanners += calls,
            _ => {}
        }
    }
}

impl ComparisonReport {
    /// Copies that were sent, however they ended.
    fn copies(&self) -> u64 {
        self.compared + self.function_failed + self.not_compared.values().sum::<u64>()
    }
}

/// A call without an answer (class 0: the client left) counts as wanted: somebody asked.
fn is_wanted(row: &RouteTotals) -> bool {
    !is_probe(&row.method) && !matches!(row.class, 4 | 5)
}

fn is_probe(method: &str) -> bool {
    matches!(method, "HEAD" | "OPTIONS" | "TRACE")
}

fn operations(rows: Vec<Operation>) -> HashMap<String, Vec<OperationReport>> {
    let mut sums: BTreeMap<(String, String), (OperationReport, u64)> = BTreeMap::new();
    for row in rows {
        let (sum, duration_us) = sums
            .entry((row.route, row.operation.clone()))
            .or_insert_with(|| (OperationReport::new(row.operation), 0));
        match row.side {
            Some(Side::Function) => sum.calls_function += row.calls,
            _ => sum.calls_legacy += row.calls,
        }
        if row.class == 5 {
            sum.errors += row.calls;
        }
        *duration_us += row.duration_us;
        sum.first_call_unix_ms = sum.first_call_unix_ms.min(row.first_unix_ms);
        sum.last_call_unix_ms = sum.last_call_unix_ms.max(row.last_unix_ms);
    }
    let mut by_route: HashMap<String, Vec<OperationReport>> = HashMap::new();
    for ((route, _), (mut sum, duration_us)) in sums {
        sum.mean_ms = share(duration_us, sum.calls()).map(|mean_us| mean_us / 1_000.0);
        by_route.entry(route).or_default().push(sum);
    }
    for operations in by_route.values_mut() {
        operations.sort_by_key(|operation| std::cmp::Reverse(operation.calls()));
    }
    by_route
}

impl OperationReport {
    fn new(operation: String) -> Self {
        Self {
            operation,
            calls_legacy: 0,
            calls_function: 0,
            errors: 0,
            mean_ms: None,
            first_call_unix_ms: u64::MAX,
            last_call_unix_ms: 0,
        }
    }

    pub fn calls(&self) -> u64 {
        self.calls_legacy + self.calls_function
    }
}

fn comparisons(reader: &Reader, since: u64) -> Result<HashMap<String, ComparisonReport>, LedgerError> {
    let mut reports: HashMap<String, ComparisonReport> = HashMap::new();
    for row in reader.comparisons(since)? {
        let report = reports.entry(row.route).or_default();
        match row.verdict.as_str() {
            "equal" => report.equal += row.n,
            "function_error" | "function_timeout" => report.function_failed += row.n,
            verdict if verdict.starts_with("different") => report.different += row.n,
            _ => *report.not_compared.entry(row.verdict).or_default() += row.n,
        }
    }
    for report in reports.values_mut() {
        report.compared = report.equal + report.different;
        report.different_ratio = share(report.different, report.compared);
    }
    for row in reader.fields(None, since)? {
        let report = reports.entry(row.route).or_default();
        if report.fields.len() < FIELDS_SHOWN {
            let ratio = share(row.n, report.compared).unwrap_or_default().min(1.0);
            report.fields.push(FieldReport { path: row.path, kind: row.kind, n: row.n, ratio });
        }
    }
    Ok(reports)
}

impl NotWanted {
    fn add(&mut self, other: &Self) {
        for (to, from) in [
            (&mut self.probes, other.probes),
            (&mut self.head, other.head),
            (&mut self.preflights, other.preflights),
            (&mut self.failed, other.failed),
            (&mut self.automated, other.automated),
            (&mut self.health_checks, other.health_checks),
            (&mut self.bots, other.bots),
            (&mut self.scanners, other.scanners),
            (&mut self.copies, other.copies),
        ] {
            *to += from;
        }
    }
}
