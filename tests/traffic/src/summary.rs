//! The account of a run, for programs (JSON) and for people (text).

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

/// What a run did. Latencies run from sending to the answer's head, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    pub calls: u64,
    /// Calls whose answer was not as expected, or that had none.
    pub failed: u64,
    pub duration_ms: u64,
    /// Calls per second over the whole run.
    pub rate: f64,
    /// Users that came.
    pub sessions: u64,
    pub http2_calls: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    /// By `METHOD /template`.
    pub kinds: BTreeMap<String, KindSummary>,
    /// How often each reason occurred.
    pub failures: BTreeMap<String, u64>,
    /// The first failures.
    pub examples: Vec<Example>,
}

/// The calls of one kind.
#[derive(Debug, Clone, Serialize)]
pub struct KindSummary {
    pub calls: u64,
    pub failed: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
}

/// One failed call.
#[derive(Debug, Clone, Serialize)]
pub struct Example {
    /// Since the run began.
    pub at_ms: u64,
    pub kind: String,
    pub path: String,
    pub http2: bool,
    pub status: Option<u16>,
    pub reason: String,
    pub detail: String,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} calls in {:.1} s ({:.0}/s), {} failed, {} users, {} calls over HTTP/2",
            self.calls,
            self.duration_ms as f64 / 1000.0,
            self.rate,
            self.failed,
            self.sessions,
            self.http2_calls
        )?;
        writeln!(f, "first byte: p50 {} ms, p99 {} ms, max {} ms", self.p50_ms, self.p99_ms, self.max_ms)?;
        writeln!(f, "\n{:<44} {:>7} {:>7} {:>9} {:>9}", "kind", "calls", "failed", "p50 ms", "p99 ms")?;
        for (name, kind) in &self.kinds {
            let KindSummary { calls, failed, p50_ms, p99_ms, .. } = kind;
            writeln!(f, "{name:<44} {calls:>7} {failed:>7} {p50_ms:>9.2} {p99_ms:>9.2}")?;
        }
        for (reason, count) in &self.failures {
            writeln!(f, "failed {count} times: {reason}")?;
        }
        for example in &self.examples {
            let Example { at_ms, kind, path, reason, detail, .. } = example;
            writeln!(f, "  at {at_ms} ms {kind} as {path}: {reason} ({detail})")?;
        }
        Ok(())
    }
}
