//! What has happened so far, readable at any moment while the traffic flows.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{
    call::Call,
    expected::Failure,
    summary::{Example, KindSummary, Summary},
};

const MAX_EXAMPLES: usize = 20;

/// A handle on a run's counts; clones see the same run.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Mutex<Counts>>);

/// The line printed each second. `calls` and `failed` count from the start; the other figures are those of the
/// time since the line before. Latencies run from sending to the answer's head, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Second {
    pub second: u64,
    pub calls: u64,
    pub failed: u64,
    /// Calls per second.
    pub rate: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

#[derive(Debug)]
struct Counts {
    started: Instant,
    sessions: u64,
    http2_calls: u64,
    kinds: BTreeMap<&'static str, Kind>,
    failures: BTreeMap<String, u64>,
    examples: Vec<Example>,
    window: Window,
}

#[derive(Debug, Default)]
struct Kind {
    failed: u64,
    statuses: BTreeMap<u16, u64>,
    latencies_ms: Vec<f32>,
    unanswered: u64,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    latencies_ms: Vec<f32>,
    calls: u64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(Counts {
            started: now,
            sessions: 0,
            http2_calls: 0,
            kinds: BTreeMap::new(),
            failures: BTreeMap::new(),
            examples: Vec::new(),
            window: Window { since: now, latencies_ms: Vec::new(), calls: 0 },
        })))
    }

    /// Calls that have ended, well or badly.
    pub fn calls(&self) -> u64 {
        self.lock().calls()
    }

    pub fn failed(&self) -> u64 {
        self.lock().failed()
    }

    /// Calls of one kind, such as `GET /api/products/{id}`.
    pub fn calls_of(&self, kind: &str) -> u64 {
        self.lock().kinds.get(kind).map_or(0, Kind::calls)
    }

    /// The first failures, as they happened.
    pub fn examples(&self) -> Vec<Example> {
        self.lock().examples.clone()
    }

    /// Everything up to now.
    pub fn summary(&self) -> Summary {
        self.lock().summary()
    }

    /// The figures since the last time this was asked.
    pub fn second(&self) -> Second {
        let mut counts = self.lock();
        let now = Instant::now();
        let fresh = Window { since: now, latencies_ms: Vec::new(), calls: 0 };
        let mut window = std::mem::replace(&mut counts.window, fresh);
        let took = now.duration_since(window.since).max(Duration::from_millis(1));
        let [p50_ms, p99_ms] = percentiles(&mut window.latencies_ms, [0.5, 0.99]);
        Second {
            second: now.duration_since(counts.started).as_secs_f64().round() as u64,
            calls: counts.calls(),
            failed: counts.failed(),
            rate: rounded(window.calls as f64 / took.as_secs_f64()),
            p50_ms,
            p99_ms,
        }
    }

    pub(crate) fn session_began(&self) {
        self.lock().sessions += 1;
    }

    /// Count one call. `answered` is its status and the milliseconds to its head, when there was one.
    pub(crate) fn ended(
        &self,
        call: &Call,
        http2: bool,
        answered: Option<(u16, f64)>,
        failure: Option<Failure>,
    ) {
        let mut counts = self.lock();
        counts.http2_calls += u64::from(http2);
        counts.window.calls += 1;
        if let Some((_, head_ms)) = answered {
            counts.window.latencies_ms.push(head_ms as f32);
        }
        let kind = counts.kinds.entry(call.kind).or_default();
        kind.failed += u64::from(failure.is_some());
        match answered {
            Some((status, head_ms)) => {
                *kind.statuses.entry(status).or_default() += 1;
                kind.latencies_ms.push(head_ms as f32);
            }
            None => kind.unanswered += 1,
        }
        if let Some(failure) = failure {
            counts.note(call, http2, answered, failure);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Counts stay usable whatever a panicking reader did: every change above is a plain addition.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn calls(&self) -> u64 {
        self.kinds.values().map(Kind::calls).sum()
    }

    fn failed(&self) -> u64 {
        self.kinds.values().map(|kind| kind.failed).sum()
    }

    fn note(&mut self, call: &Call, http2: bool, answered: Option<(u16, f64)>, failure: Failure) {
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(Example {
                at_ms: self.started.elapsed().as_millis() as u64,
                kind: call.kind.to_owned(),
                path: call.path.clone(),
                http2,
                status: answered.map(|(status, _)| status),
                reason: failure.reason.clone(),
                detail: failure.detail,
            });
        }
        *self.failures.entry(failure.reason).or_default() += 1;
    }

    fn summary(&self) -> Summary {
        let elapsed = self.started.elapsed();
        let mut all: Vec<f32> =
            self.kinds.values().flat_map(|kind| kind.latencies_ms.iter().copied()).collect();
        let [p50_ms, p99_ms, max_ms] = percentiles(&mut all, [0.5, 0.99, 1.0]);
        Summary {
            calls: self.calls(),
            failed: self.failed(),
            duration_ms: elapsed.as_millis() as u64,
            rate: rounded(self.calls() as f64 / elapsed.as_secs_f64().max(0.001)),
            sessions: self.sessions,
            http2_calls: self.http2_calls,
            p50_ms,
            p99_ms,
            max_ms,
            kinds: self.kinds.iter().map(|(&name, kind)| (name.to_owned(), kind.summary())).collect(),
            failures: self.failures.clone(),
            examples: self.examples.clone(),
        }
    }
}

impl Kind {
    fn calls(&self) -> u64 {
        self.unanswered + self.statuses.values().sum::<u64>()
    }

    fn summary(&self) -> KindSummary {
        let [p50_ms, p99_ms] = percentiles(&mut self.latencies_ms.clone(), [0.5, 0.99]);
        KindSummary {
            calls: self.calls(),
            failed: self.failed,
            p50_ms,
            p99_ms,
            statuses: self.statuses.clone(),
        }
    }
}

/// The values at these fractions of the sorted list (nearest rank); 0 for an empty one.
fn percentiles<const N: usize>(values: &mut [f32], fractions: [f64; N]) -> [f64; N] {
    values.sort_by(f32::total_cmp);
    fractions.map(|fraction| {
        let rank = (values.len() as f64 * fraction).ceil() as usize;
        values.get(rank.saturating_sub(1)).map_or(0.0, |&value| rounded(f64::from(value)))
    })
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_take_the_nearest_rank() {
        let mut values: Vec<f32> = (1..=100).rev().map(|value| value as f32).collect();
        assert_eq!(percentiles(&mut values, [0.5, 0.99, 1.0]), [50.0, 99.0, 100.0]);
        assert_eq!(percentiles(&mut [], [0.5]), [0.0]);
        assert_eq!(percentiles(&mut [3.0], [0.01, 0.99]), [3.0, 3.0]);
    }

    #[test]
    fn calls_failures_and_unanswered_calls_are_counted_once_each() {
        let (progress, call) = (Progress::new(), Call::new("GET /up", "/up"));
        progress.ended(&call, false, Some((200, 2.0)), None);
        progress.ended(&call, true, Some((502, 4.0)), Some(Failure::new("status 502 instead of 200", "")));
        progress.ended(&call, false, None, Some(Failure::new("timed out", "")));
        assert_eq!((progress.calls(), progress.failed(), progress.calls_of("GET /up")), (3, 2, 3));
        let summary = progress.summary();
        assert_eq!(summary.kinds["GET /up"].statuses, BTreeMap::from([(200, 1), (502, 1)]));
        assert_eq!(summary.failures["timed out"], 1);
        assert_eq!((summary.http2_calls, summary.examples.len()), (1, 2));
        assert_eq!(progress.second().calls, 3);
        assert_eq!(progress.second().rate, 0.0);
    }
}
