//! What happened since the last batch, as the proxy hands it over.
//!
//! Invariant: merging two batches changes no sum. Only detail may be given up (the hour, the name of a
//! field), and only when so much waits that memory would have no bound otherwise.

use std::borrow::Cow;
use std::cmp::Ordering;

use starve_callers::Distinct;
use starve_migration::Side;
use starve_migration::latency::BUCKETS;

/// The name under which things are counted that came after a table was full.
pub const MORE: &str = "(more)";

/// Beyond this many waiting counts, counts of different hours are added up in the latest hour.
const WAITING_COUNTS_MAX: usize = 50_000;
/// Beyond this many waiting field paths or templates, further ones are counted as [`MORE`].
const WAITING_NAMES_MAX: usize = 20_000;
/// Beyond this many waiting samples, the oldest are dropped: a sample is an illustration, not a count.
const WAITING_SAMPLES_MAX: usize = 1_000;
/// Beyond this many waiting lists of callers, the oldest are dropped: they are detail beside the counts.
const WAITING_CALLERS_MAX: usize = 20_000;
/// Beyond this many waiting journal entries, the oldest are dropped.
const WAITING_EVENTS_MAX: usize = 10_000;

pub(crate) const HOUR_MS: u64 = 3_600_000;

/// Everything that happened in one stretch of time, as differences to what was recorded before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Since when this batch was counted: the end of the batch before it, or the start of the proxy.
    pub since_unix_ms: u64,
    /// Until when it was counted.
    pub at_unix_ms: u64,
    pub counts: Vec<Count>,
    pub latencies: Vec<LatencyCount>,
    pub apart: Vec<ApartCount>,
    pub callers: Vec<CallerCount>,
    /// The newest counts.
    pub standing: Option<Standing>,
    pub discovered: Vec<DiscoveredCount>,
    pub operations: Vec<OperationCount>,
    /// Applied after `discovered`, in this order.
    pub renames: Vec<Rename>,
    pub comparisons: Vec<ComparisonCount>,
    pub fields: Vec<FieldDelta>,
    pub samples: Vec<Sample>,
    pub events: Vec<Event>,
}

/// Calls of one configured route that ended alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The route's text id; its counts go on across stage flips and reloads as long as this stays.
    pub route: String,
    /// Who answered; `None` when nobody did (retired, refused).
    pub side: Option<Side>,
    /// A known method or `other`: the writer stores what it is given, so the caller bounds it.
    pub method: Cow<'static, str>,
    /// The status class 1 to 5, or 0 when there was no answer (client gone, connection broken).
    pub class: u8,
    pub calls: u64,
    /// The sum of the calls' durations.
    pub duration_us: u64,
    /// The sum of the answers' body bytes.
    pub bytes_out: u64,
    /// The sum of the requests' body bytes.
    pub bytes_in: u64,
    /// Those of the calls that health checks, bots and scanners made.
    pub apart: u64,
    /// When the last of these calls ended. Decides the hour in which all of them are counted.
    pub last_at_unix_ms: u64,
}

/// How long calls of one route took that one side answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencyCount {
    pub route: String,
    pub side: Option<Side>,
    /// By the bounds of [`starve_migration::latency`].
    pub buckets: Box<[u64; BUCKETS]>,
    /// Decides the hour, as in [`Count::last_at_unix_ms`].
    pub last_at_unix_ms: u64,
}

/// Calls of one route by a kind of client that does not show that somebody needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApartCount {
    pub route: String,
    /// One of [`starve_callers::Kind`].
    pub kind: &'static str,
    pub calls: u64,
    pub last_at_unix_ms: u64,
}

/// What callers are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CallerKind {
    Client,
    Agent,
    Referer,
    Network,
}

impl CallerKind {
    pub const ALL: [Self; 4] = [Self::Client, Self::Agent, Self::Referer, Self::Network];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Agent => "agent",
            Self::Referer => "referer",
            Self::Network => "network",
        }
    }
}

/// Who called a route in one stretch of time, by one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerCount {
    pub route: String,
    pub kind: CallerKind,
    /// All calls of which the caller is known in this way.
    pub calls: u64,
    /// How many calls one may have made that is not in `top`.
    pub floor: u64,
    /// At most [`starve_callers::TOP_MAX`].
    pub top: Vec<Caller>,
    pub different: Distinct,
    /// Decides the day.
    pub at_unix_ms: u64,
}

/// One caller: it made at least `calls` and at most `calls + error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub id: u64,
    /// What is shown; the caller has hashed what may be personal.
    pub name: String,
    pub calls: u64,
    pub error: u64,
}

/// How many routes there are, and how many of them need the monolith.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub routes: u64,
    pub routes_on_legacy: u64,
}

/// Calls of an endpoint that no configured route matched; the default upstream answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveredCount {
    pub template: String,
    pub method: Cow<'static, str>,
    /// As in [`Count::class`].
    pub class: u8,
    pub calls: u64,
    pub duration_us: u64,
    /// Those of the calls that health checks, bots and scanners made.
    pub apart: u64,
    pub last_at_unix_ms: u64,
}

/// Calls of one operation of a route (GraphQL, JSON-RPC) that ended alike. They are counted for the route as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationCount {
    pub route: String,
    /// Without `#`; the caller bounds how many there are.
    pub operation: String,
    pub side: Option<Side>,
    /// As in [`Count::class`].
    pub class: u8,
    pub calls: u64,
    pub duration_us: u64,
    pub last_at_unix_ms: u64,
}

/// Discovered endpoints that turned out to be one: all that was counted under the first name goes to the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    pub from: (String, Cow<'static, str>),
    /// Template and method.
    pub to: (String, Cow<'static, str>),
}

/// How many comparisons of a route had this verdict. Counted in the hour in which the batch ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparisonCount {
    pub route: String,
    pub verdict: Cow<'static, str>,
    pub n: u64,
}

/// How many comparisons of a route differed at this place, in this way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldDelta {
    pub route: String,
    /// For example `body:$.gross_cents`, `header:etag`, `status`.
    pub path: String,
    pub kind: Cow<'static, str>,
    pub n: u64,
}

/// One compared call, kept as an illustration. The caller has redacted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    pub route: String,
    pub at_unix_ms: u64,
    pub method: Cow<'static, str>,
    /// The path template or the redacted request target.
    pub target: String,
    pub verdict: Cow<'static, str>,
    /// A JSON text; stored as it is, replaced by `[]` when larger than 64 KiB.
    pub differences: String,
}

/// An entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub at_unix_ms: u64,
    pub kind: EventKind,
    pub route: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    Start,
    Stop,
    Reload,
    ReloadFailed,
    Stage,
    KillSwitch,
    /// What a person said of discovered endpoints.
    Discovered,
}

impl EventKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Reload => "reload",
            Self::ReloadFailed => "reload-failed",
            Self::Stage => "stage",
            Self::KillSwitch => "kill-switch",
            Self::Discovered => "discovered",
        }
    }
}

impl Batch {
    /// An empty batch: it says that counting was on from `since` to `at`.
    pub fn new(since_unix_ms: u64, at_unix_ms: u64) -> Self {
        Self {
            // A clock that was set back makes an empty stretch, never a reversed one.
            since_unix_ms: since_unix_ms.min(at_unix_ms),
            at_unix_ms,
            counts: Vec::new(),
            latencies: Vec::new(),
            apart: Vec::new(),
            callers: Vec::new(),
            standing: None,
            discovered: Vec::new(),
            operations: Vec::new(),
            renames: Vec::new(),
            comparisons: Vec::new(),
            fields: Vec::new(),
            samples: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Whether there is nothing to add; recording it still extends the observed time.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
            && self.latencies.is_empty()
            && self.apart.is_empty()
            && self.callers.is_empty()
            && self.standing.is_none()
            && self.discovered.is_empty()
            && self.operations.is_empty()
            && self.renames.is_empty()
            && self.comparisons.is_empty()
            && self.fields.is_empty()
            && self.samples.is_empty()
            && self.events.is_empty()
    }

    /// Adds a later batch to this one. No sum is lost, whatever the size.
    pub fn merge(&mut self, later: Self) {
        self.since_unix_ms = self.since_unix_ms.min(later.since_unix_ms);
        self.at_unix_ms = self.at_unix_ms.max(later.at_unix_ms);
        self.counts.extend(later.counts);
        self.latencies.extend(later.latencies);
        self.apart.extend(later.apart);
        self.callers.extend(later.callers);
        self.standing = later.standing.or(self.standing);
        self.discovered.extend(later.discovered);
        self.operations.extend(later.operations);
        self.renames.extend(later.renames);
        // One that is forgotten is made again after the next start: the rows are there as they were.
        keep_last(&mut self.renames, WAITING_NAMES_MAX);
        self.comparisons.extend(later.comparisons);
        self.fields.extend(later.fields);
        self.samples.extend(later.samples);
        self.events.extend(later.events);
        self.fold();
    }

    fn fold(&mut self) {
        fold(&mut self.counts, |a, b| compare_counts(a, b).then(hour_of(a).cmp(&hour_of(b))), add_count);
        if self.counts.len() > WAITING_COUNTS_MAX {
            fold(&mut self.counts, compare_counts, add_count);
        }
        fold(&mut self.latencies, |a, b| compare_latencies(a, b).then(a.hour().cmp(&b.hour())), add_latency);
        if self.latencies.len() > WAITING_COUNTS_MAX {
            fold(&mut self.latencies, compare_latencies, add_latency);
        }
        fold(&mut self.apart, |a, b| compare_apart(a, b).then(a.hour().cmp(&b.hour())), add_apart);
        if self.apart.len() > WAITING_COUNTS_MAX {
            fold(&mut self.apart, compare_apart, add_apart);
        }
        fold(&mut self.operations, compare_operations, add_operation);
        fold(&mut self.discovered, compare_discovered, add_discovered);
        if self.discovered.len() > WAITING_NAMES_MAX {
            for one in &mut self.discovered[WAITING_NAMES_MAX..] {
                MORE.clone_into(&mut one.template);
            }
            fold(&mut self.discovered, compare_discovered, add_discovered);
        }
        fold(
            &mut self.comparisons,
            |a, b| (&a.route, &a.verdict).cmp(&(&b.route, &b.verdict)),
            |a, b| a.n = a.n.saturating_add(b.n),
        );
        fold(&mut self.fields, compare_fields, add_field);
        if self.fields.len() > WAITING_NAMES_MAX {
            for one in &mut self.fields[WAITING_NAMES_MAX..] {
                MORE.clone_into(&mut one.path);
                one.kind = Cow::Borrowed(MORE);
            }
            fold(&mut self.fields, compare_fields, add_field);
        }
        keep_last(&mut self.callers, WAITING_CALLERS_MAX);
        keep_last(&mut self.samples, WAITING_SAMPLES_MAX);
        keep_last(&mut self.events, WAITING_EVENTS_MAX);
    }
}

/// Adds up the items that compare as equal. The order of the items afterwards is that of `compare`.
fn fold<T>(items: &mut Vec<T>, compare: impl Fn(&T, &T) -> Ordering, add: impl Fn(&mut T, &T)) {
    items.sort_by(&compare);
    items.dedup_by(|later, kept| {
        let same = compare(kept, later).is_eq();
        if same {
            add(kept, later);
        }
        same
    });
}

fn keep_last<T>(items: &mut Vec<T>, max: usize) {
    items.drain(..items.len().saturating_sub(max));
}

fn hour_of(count: &Count) -> u64 {
    count.last_at_unix_ms / HOUR_MS
}

fn compare_counts(a: &Count, b: &Count) -> Ordering {
    (&a.route, a.side, &a.method, a.class).cmp(&(&b.route, b.side, &b.method, b.class))
}

fn add_count(kept: &mut Count, more: &Count) {
    kept.calls = kept.calls.saturating_add(more.calls);
    kept.duration_us = kept.duration_us.saturating_add(more.duration_us);
    kept.bytes_out = kept.bytes_out.saturating_add(more.bytes_out);
    kept.bytes_in = kept.bytes_in.saturating_add(more.bytes_in);
    kept.apart = kept.apart.saturating_add(more.apart);
    kept.last_at_unix_ms = kept.last_at_unix_ms.max(more.last_at_unix_ms);
}

impl LatencyCount {
    fn hour(&self) -> u64 {
        self.last_at_unix_ms / HOUR_MS
    }
}

fn compare_latencies(a: &LatencyCount, b: &LatencyCount) -> Ordering {
    (&a.route, a.side).cmp(&(&b.route, b.side))
}

fn add_latency(kept: &mut LatencyCount, more: &LatencyCount) {
    for (kept, more) in kept.buckets.iter_mut().zip(more.buckets.iter()) {
        *kept = kept.saturating_add(*more);
    }
    kept.last_at_unix_ms = kept.last_at_unix_ms.max(more.last_at_unix_ms);
}

impl ApartCount {
    fn hour(&self) -> u64 {
        self.last_at_unix_ms / HOUR_MS
    }
}

fn compare_apart(a: &ApartCount, b: &ApartCount) -> Ordering {
    (&a.route, a.kind).cmp(&(&b.route, b.kind))
}

fn add_apart(kept: &mut ApartCount, more: &ApartCount) {
    kept.calls = kept.calls.saturating_add(more.calls);
    kept.last_at_unix_ms = kept.last_at_unix_ms.max(more.last_at_unix_ms);
}

fn compare_discovered(a: &DiscoveredCount, b: &DiscoveredCount) -> Ordering {
    let hour = |count: &DiscoveredCount| count.last_at_unix_ms / HOUR_MS;
    (&a.template, &a.method, a.class, hour(a)).cmp(&(&b.template, &b.method, b.class, hour(b)))
}

fn add_discovered(kept: &mut DiscoveredCount, more: &DiscoveredCount) {
    kept.calls = kept.calls.saturating_add(more.calls);
    kept.duration_us = kept.duration_us.saturating_add(more.duration_us);
    kept.apart = kept.apart.saturating_add(more.apart);
    kept.last_at_unix_ms = kept.last_at_unix_ms.max(more.last_at_unix_ms);
}

fn compare_operations(a: &OperationCount, b: &OperationCount) -> Ordering {
    let hour = |count: &OperationCount| count.last_at_unix_ms / HOUR_MS;
    (&a.route, &a.operation, a.side, a.class, hour(a)).cmp(&(
        &b.route,
        &b.operation,
        b.side,
        b.class,
        hour(b),
    ))
}

fn add_operation(kept: &mut OperationCount, more: &OperationCount) {
    kept.calls = kept.calls.saturating_add(more.calls);
    kept.duration_us = kept.duration_us.saturating_add(more.duration_us);
    kept.last_at_unix_ms = kept.last_at_unix_ms.max(more.last_at_unix_ms);
}

fn compare_fields(a: &FieldDelta, b: &FieldDelta) -> Ordering {
    (&a.route, &a.path, &a.kind).cmp(&(&b.route, &b.path, &b.kind))
}

fn add_field(kept: &mut FieldDelta, more: &FieldDelta) {
    kept.n = kept.n.saturating_add(more.n);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(route: &str, calls: u64, at: u64) -> Count {
        Count {
            route: route.to_owned(),
            side: Some(Side::Legacy),
            method: "GET".into(),
            class: 2,
            calls,
            duration_us: calls * 10,
            bytes_out: calls * 100,
            bytes_in: calls * 3,
            apart: 0,
            last_at_unix_ms: at,
        }
    }

    #[test]
    fn merging_adds_alike_and_keeps_hours_apart() {
        let mut first = Batch::new(0, 1_000);
        first.counts = vec![count("a", 1, 500), count("b", 2, 600)];
        let mut second = Batch::new(1_000, HOUR_MS + 1);
        second.counts = vec![count("a", 4, 900), count("a", 8, HOUR_MS + 1)];
        let latency = |n| LatencyCount {
            route: "a".to_owned(),
            side: Some(Side::Legacy),
            buckets: Box::new([n; BUCKETS]),
            last_at_unix_ms: n,
        };
        (first.latencies, second.latencies) = (vec![latency(1)], vec![latency(2), latency(HOUR_MS)]);
        first.merge(second);
        assert_eq!(first.latencies.iter().map(|row| row.buckets[3]).collect::<Vec<_>>(), [3, HOUR_MS]);
        assert_eq!((first.since_unix_ms, first.at_unix_ms), (0, HOUR_MS + 1));
        assert_eq!(first.counts, [count("a", 5, 900), count("a", 8, HOUR_MS + 1), count("b", 2, 600)]);
    }

    #[test]
    fn a_long_outage_gives_up_detail_but_no_sum() {
        let mut batch = Batch::new(0, 0);
        for hour in 0..70 {
            let mut later = Batch::new(0, hour * HOUR_MS);
            later.counts = (0..1_000).map(|n| count(&format!("r{n}"), 1, hour * HOUR_MS)).collect();
            later.fields = (0..500)
                .map(|n| FieldDelta {
                    route: "r".to_owned(),
                    path: format!("body:$.k{hour}_{n}"),
                    kind: "changed".into(),
                    n: 1,
                })
                .collect();
            batch.merge(later);
        }
        assert!(batch.counts.len() <= WAITING_COUNTS_MAX + 1_000, "{}", batch.counts.len());
        assert_eq!(batch.counts.iter().map(|count| count.calls).sum::<u64>(), 70_000);
        assert!(batch.fields.len() <= WAITING_NAMES_MAX + 1, "{}", batch.fields.len());
        assert_eq!(batch.fields.iter().map(|field| field.n).sum::<u64>(), 35_000);
    }
}
