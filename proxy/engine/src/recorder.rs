//! What was counted, twice a second into the ledger.
//!
//! Differences are taken from counts that only grow, so whatever the ledger cannot take now is in the next
//! batch: nothing is lost while the process lives.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use starve_callers::Kind;
use starve_discovery::{Call, Discovered, Template};
use starve_ledger::{
    ApartCount, Batch, ComparisonCount, Count, Event, EventKind, FieldDelta, LatencyCount, Ledger,
    OperationCount, Sample, Standing,
};
use starve_migration::Side;
use starve_migration::latency::BUCKETS;
use starve_shadow::{Finished, Sink};
use starve_telemetry::{Cell, Code, HistogramSnapshot, RouteSnapshot, Totals};

use crate::callers::Summing;
use crate::findings;
use crate::observations::Observation;
use crate::operations::{Key, Sum};
use crate::registry::Registry;
use crate::route::Kept;
use crate::shared::Shared;

/// A process that is killed loses what came since the last batch was written: half a second, and the time that writing takes,
/// are less than the second that is promised.
const RECORDED_EVERY: Duration = Duration::from_millis(500);
/// How often callers are written: they are detail beside the counts, which are written twice a second.
const CALLERS_WRITTEN_EVERY_MS: u64 = 10_000;
/// Samples kept from one batch to the next; more are only counted.
const SAMPLES_MAX: usize = 64;
/// Field paths per route and batch; more are counted under one name.
const FIELDS_MAX: usize = 512;

pub(crate) fn unix_ms(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// An error with its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

pub(crate) fn now_ms() -> u64 {
    unix_ms(SystemTime::now())
}

/// What happens between two batches and is not a count of calls: comparisons and events.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    comparisons: BTreeMap<(String, &'static str), u64>,
    fields: BTreeMap<(String, String, &'static str), u64>,
    samples: Vec<Sample>,
    events: Vec<Event>,
}

impl Notes {
    pub(crate) fn event(&self, kind: EventKind, text: impl Into<String>) {
        self.push(Event { at_unix_ms: now_ms(), kind, route: None, from: None, to: None, text: text.into() });
    }

    pub(crate) fn stage_change(&self, route: &str, from: &str, to: &str, text: &str) {
        self.push(Event {
            at_unix_ms: now_ms(),
            kind: EventKind::Stage,
            route: Some(route.to_owned()),
            from: Some(from.to_owned()),
            to: Some(to.to_owned()),
            text: text.to_owned(),
        });
    }

    fn push(&self, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).events.push(event);
    }
}

impl Sink for Notes {
    fn finished(&self, finished: Finished) {
        let route = &finished.route.route;
        let verdict = finished.comparison.verdict.as_str();
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *noted.comparisons.entry((route.clone(), verdict)).or_default() += 1;
        if finished.comparison.differences.is_empty() {
            return;
        }
        let room = noted.fields.len() < FIELDS_MAX;
        for difference in &finished.comparison.differences {
            let path = if room { difference.path.clone() } else { starve_ledger::MORE.to_owned() };
            *noted.fields.entry((route.clone(), path, difference.kind.as_str())).or_default() += 1;
        }
        if noted.samples.len() < SAMPLES_MAX {
            // Differences are redacted where they are made: they hold no text value of an answer.
            let differences = serde_json::to_string(&finished.comparison.differences).unwrap_or_default();
            noted.samples.push(Sample {
                route: route.clone(),
                at_unix_ms: now_ms(),
                method: finished.method.as_str().to_owned().into(),
                target: Template::of(finished.method.as_str(), &finished.path).path().to_owned(),
                verdict: verdict.into(),
                differences,
            });
        }
    }
}

/// The one that empties all of it into batches. Runs on the control thread alone.
pub(crate) struct Recorder {
    registry: Arc<Registry>,
    shared: Arc<Shared>,
    notes: Arc<Notes>,
    discovered: Arc<Mutex<Discovered>>,
    seen: HashMap<String, Seen>,
    callers: Summing,
    callers_written_ms: u64,
    since_ms: u64,
    /// How far the migration was when it was noted last, and on which day.
    standing: Option<(u64, Standing)>,
    /// What the ledger could not take yet.
    waiting: Option<Batch>,
}

/// What of a route's counts is recorded.
#[derive(Default)]
struct Seen {
    recorded: u64,
    cells: HashMap<Cell, Totals>,
    operations: HashMap<Key, Sum>,
    sides: [Option<Box<SideSeen>>; SIDES.len()],
}

#[derive(Default)]
struct SideSeen {
    durations: HistogramSnapshot,
    apart: [u64; Kind::APART.len()],
}

const SIDES: [Option<Side>; 3] = [None, Some(Side::Legacy), Some(Side::Function)];

impl Recorder {
    pub(crate) fn new(
        registry: Arc<Registry>,
        shared: Arc<Shared>,
        notes: Arc<Notes>,
        discovered: Arc<Mutex<Discovered>>,
    ) -> Self {
        Self {
            registry,
            shared,
            notes,
            discovered,
            seen: HashMap::new(),
            callers: Summing::default(),
            callers_written_ms: now_ms(),
            since_ms: now_ms(),
            standing: None,
            waiting: None,
        }
    }

    /// Takes all that happened since the last time and hands it to the ledger; with the `last` one everything.
    pub(crate) fn record(&mut self, ledger: &Ledger, last: bool) {
        let mut batch = self.collect();
        self.callers.collect(&self.shared.callers);
        if last || batch.at_unix_ms.abs_diff(self.callers_written_ms) >= CALLERS_WRITTEN_EVERY_MS {
            self.callers_written_ms = batch.at_unix_ms;
            let routes: HashMap<u32, String> =
                self.registry.tables().routes.values().map(|kept| (kept.number, kept.id.clone())).collect();
            batch.callers = self.callers.take(batch.at_unix_ms, |number| routes.get(&number).cloned());
        }
        let batch = match self.waiting.take() {
            Some(mut waiting) => {
                waiting.merge(batch);
                waiting
            }
            None => batch,
        };
        if let Err(batch) = ledger.record(batch) {
            self.waiting = Some(batch);
        }
    }

    fn collect(&mut self) -> Batch {
        let now = now_ms();
        let mut batch = Batch::new(self.since_ms, now);
        self.since_ms = now;
        let routes: Vec<_> = self.registry.tables().routes.values().cloned().collect();
        for kept in routes {
            let recorded = kept.stats.recorded();
            if recorded == self.seen.get(&kept.id).map_or(0, |seen| seen.recorded) {
                continue;
            }
            let seen = self.seen.entry(kept.id.clone()).or_default();
            seen.recorded = recorded;
            let snapshot = kept.stats.snapshot();
            batch.counts.extend(seen.differences(&kept.id, &snapshot));
            seen.spread(&kept.id, &snapshot, &mut batch);
            seen.by_operation(&kept, &mut batch);
        }
        batch.standing = self.standing(now);
        self.discover(&mut batch);
        self.notes.empty_into(&mut batch);
        batch
    }

    /// How many routes need the monolith; once a day, and when it has changed.
    fn standing(&mut self, now_ms: u64) -> Option<Standing> {
        let generation = self.shared.live.load();
        let routes = &generation.plan.routes;
        let on_legacy = routes.iter().filter(|route| route.policy.stage.needs_legacy()).count();
        let standing = Standing { routes: routes.len() as u64, routes_on_legacy: on_legacy as u64 };
        let noted = Some((now_ms / 86_400_000, standing));
        (std::mem::replace(&mut self.standing, noted) != noted).then_some(standing)
    }

    fn discover(&self, batch: &mut Batch) {
        let (observations, unseen) = self.shared.observations.take();
        let mut discovered = self.discovered.lock().unwrap_or_else(PoisonError::into_inner);
        let now_unix_s = now_ms() / 1_000;
        for Observation { method, path, status, location, duration, apart } in &observations {
            let (status, duration, apart) = (*status, *duration, *apart);
            let location = location.as_deref();
            let method = method.as_str();
            discovered.observe(&Call { method, path, status, location, now_unix_s, duration, apart });
        }
        for change in discovered.drain_changes() {
            findings::record(&change, batch);
        }
        if unseen > 0 {
            batch.discovered.push(findings::unseen(unseen, now_ms()));
        }
    }
}

impl Seen {
    /// What was added to a route's counts since the last time.
    fn differences(&mut self, route: &str, snapshot: &RouteSnapshot) -> Vec<Count> {
        let mut counts = Vec::new();
        for (cell, totals) in &snapshot.cells {
            let before = self.cells.insert(*cell, *totals).unwrap_or_default();
            if totals.calls > before.calls {
                counts.push(Count {
                    route: route.to_owned(),
                    side: cell.side,
                    method: cell.method.as_str().into(),
                    class: class(cell.code),
                    calls: totals.calls - before.calls,
                    duration_us: totals.duration_us.saturating_sub(before.duration_us),
                    bytes_out: totals.bytes_out.saturating_sub(before.bytes_out),
                    bytes_in: totals.bytes_in.saturating_sub(before.bytes_in),
                    apart: totals.apart.saturating_sub(before.apart),
                    last_at_unix_ms: snapshot.side(cell.side).last_call_ms,
                });
            } else {
                // Its call is not counted yet, only its duration: both in the next batch.
                self.cells.insert(*cell, before);
            }
        }
        counts
    }

    /// What was added to how long calls took, and to the calls of each kind of client.
    fn spread(&mut self, route: &str, snapshot: &RouteSnapshot, batch: &mut Batch) {
        for (side, seen) in SIDES.into_iter().zip(&mut self.sides) {
            let now = snapshot.side(side);
            if now.duration.count() == 0 {
                continue;
            }
            let seen = seen.get_or_insert_default();
            let last_at_unix_ms = now.last_call_ms;
            let added: Vec<_> = differences(&now.duration.buckets, &seen.durations.buckets).collect();
            if let Some(buckets) =
                added.try_into().ok().filter(|buckets: &[u64; BUCKETS]| buckets.iter().any(|n| *n > 0))
            {
                let buckets = Box::new(buckets);
                batch.latencies.push(LatencyCount {
                    route: route.to_owned(),
                    side,
                    buckets,
                    last_at_unix_ms,
                });
            }
            for (kind, calls) in Kind::APART.into_iter().zip(differences(&now.apart, &seen.apart)) {
                if calls > 0 {
                    let (route, kind) = (route.to_owned(), kind.as_str());
                    batch.apart.push(ApartCount { route, kind, calls, last_at_unix_ms });
                }
            }
            seen.durations = now.duration.clone();
            seen.apart = now.apart;
        }
    }
}

impl Seen {
    /// What was added to the calls of each operation.
    fn by_operation(&mut self, kept: &Kept, batch: &mut Batch) {
        for (key, sum) in kept.operations.sums() {
            let before = self.operations.insert(key.clone(), sum).unwrap_or_default();
            if sum.calls == before.calls {
                continue;
            }
            let (operation, side, code) = key;
            batch.operations.push(OperationCount {
                route: kept.id.clone(),
                operation: operation.into(),
                side,
                class: class(code),
                calls: sum.calls - before.calls,
                duration_us: sum.duration_us.saturating_sub(before.duration_us),
                last_at_unix_ms: sum.last_unix_ms,
            });
        }
    }
}

fn differences(now: &[u64], before: &[u64]) -> impl Iterator<Item = u64> {
    now.iter().zip(before).map(|(now, before)| now.saturating_sub(*before))
}

fn class(code: Code) -> u8 {
    code as u8
}

impl Notes {
    fn empty_into(&self, batch: &mut Batch) {
        let noted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let comparison = |((route, verdict), n): ((String, &'static str), u64)| ComparisonCount {
            route,
            verdict: verdict.into(),
            n,
        };
        batch.comparisons = noted.comparisons.into_iter().map(comparison).collect();
        let field = |((route, path, kind), n): ((String, String, &'static str), u64)| FieldDelta {
            route,
            path,
            kind: kind.into(),
            n,
        };
        batch.fields = noted.fields.into_iter().map(field).collect();
        batch.samples = noted.samples;
        batch.events = noted.events;
    }
}

/// Records until told to stop, then once more.
pub(crate) async fn run(
    mut recorder: Recorder,
    ledger: Arc<Ledger>,
    mut stop: tokio::sync::watch::Receiver<bool>,
) {
    let mut turn = tokio::time::interval(RECORDED_EVERY);
    turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = turn.tick() => recorder.record(&ledger, false),
            () = crate::watch::stopped(&mut stop) => break,
        }
    }
    recorder.record(&ledger, true);
}

/// Who answered, as the label `side` says it.
pub(crate) fn side_label(side: Option<Side>) -> &'static str {
    side.map_or("none", Side::as_str)
}
