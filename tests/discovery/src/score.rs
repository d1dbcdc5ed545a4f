//! What came out, beside what was put in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use starve_discovery::{Call, Discovered, RowKey};
use starve_routing::normalise_path;

use crate::interface::{self, Endpoint};
use crate::traffic::{HEALTH, Traffic};

/// Endpoints called less often are not judged.
const CALLS_MIN: u64 = 50;
/// How many calls come between two settlements.
const CALLS_PER_SECOND: usize = 1_000;

pub(crate) struct Score {
    /// Endpoints of the document with enough calls.
    pub(crate) expected: usize,
    /// Templates with enough calls.
    pub(crate) shown: usize,
    right: usize,
    found: usize,
    pub(crate) junk: Vec<String>,
    pub(crate) missed: Vec<String>,
    pub(crate) sums_exact: bool,
    /// Endpoints that answered and stand in no row with calls.
    pub(crate) dead: usize,
    pub(crate) calls_per_s: f64,
}

impl Score {
    pub(crate) fn precision(&self) -> f64 {
        self.right as f64 / self.shown.max(1) as f64
    }

    pub(crate) fn recall(&self) -> f64 {
        self.found as f64 / self.expected.max(1) as f64
    }
}

pub(crate) fn of(endpoints: &[Endpoint], calls: usize, seed: u64) -> Score {
    let mut traffic = Traffic::new(endpoints, seed);
    let mut discovered = Discovered::new();
    let mut counts = vec![0_u64; endpoints.len()];
    let mut answered: BTreeMap<usize, String> = BTreeMap::new();
    let mut drained = 0;
    let mut spent = Duration::ZERO;
    for n in 0..calls {
        let sent = traffic.next();
        let Ok(path) = normalise_path(&sent.path) else { continue };
        if let Some(endpoint) = sent.endpoint {
            counts[endpoint] += 1;
            if sent.status < 400 {
                answered.entry(endpoint).or_insert_with(|| path.clone().into_owned());
            }
        } else {
            counts.push(1);
        }
        let begun = Instant::now();
        discovered.observe(&Call {
            method: &sent.method,
            path: &path,
            status: sent.status,
            location: None,
            now_unix_s: 1_700_000_000 + (n / CALLS_PER_SECOND) as u64,
            duration: Duration::from_millis(3),
            apart: false,
        });
        if n % CALLS_PER_SECOND == 0 || n + 1 == calls {
            drained += discovered.drain_changes().iter().map(|change| change.added.total()).sum::<u64>();
        }
        spent += begun.elapsed();
    }
    judge(endpoints, &discovered, &counts, &answered, drained, calls as f64 / spent.as_secs_f64())
}

fn judge(
    endpoints: &[Endpoint],
    discovered: &Discovered,
    counts: &[u64],
    answered: &BTreeMap<usize, String>,
    drained: u64,
    calls_per_s: f64,
) -> Score {
    let shown = discovered.shown();
    let sent: u64 = counts.iter().sum();
    let kept: u64 = discovered.rows().map(|row| row.tally.total()).sum();
    let seen: u64 = shown.iter().map(|shown| shown.row.tally.total()).sum();
    let mut rows: BTreeMap<String, u64> = BTreeMap::new();
    for shown in &shown {
        if let RowKey::Template(template) = &shown.row.key
            && !matches!(template.method(), "HEAD" | "OPTIONS")
        {
            *rows.entry(shape(&template.to_string())).or_default() += shown.row.tally.total();
        }
    }
    // What is shown is bounded; what is counted in a row of its own is not dead either.
    let all: BTreeSet<String> = discovered
        .rows()
        .filter_map(|row| match row.key {
            RowKey::Template(template) => Some(shape(&template.to_string())),
            _ => None,
        })
        .collect();
    let mut known: BTreeSet<String> = endpoints.iter().map(Endpoint::shape).collect();
    known.insert(format!("GET {HEALTH}"));
    let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
    for (endpoint, calls) in endpoints.iter().zip(counts) {
        *wanted.entry(endpoint.shape()).or_default() += calls;
    }
    wanted.retain(|_, calls| *calls >= CALLS_MIN);
    let often: Vec<_> = rows.iter().filter(|(_, calls)| **calls >= CALLS_MIN).collect();
    let junk: Vec<_> = often
        .iter()
        .filter(|(shape, _)| !known.contains(*shape))
        .map(|(shape, calls)| format!("{shape}  ({calls})"))
        .collect();
    let missed: Vec<_> = wanted
        .iter()
        .filter(|(shape, _)| !rows.contains_key(*shape))
        .map(|(shape, calls)| format!("{shape}  ({calls})"))
        .collect();
    let dead = answered
        .iter()
        .filter(|(endpoint, path)| {
            let call = format!("{} {path}", endpoints[**endpoint].method);
            !rows.keys().chain(&all).any(|shape| is_call_of(&call, shape))
        })
        .count();
    Score {
        expected: wanted.len(),
        shown: often.len(),
        right: often.len() - junk.len(),
        found: wanted.len() - missed.len(),
        junk,
        missed,
        sums_exact: sent == kept && sent == seen && sent == drained,
        dead,
        calls_per_s,
    }
}

/// `{}` for every placeholder.
fn shape(template: &str) -> String {
    let segment = |segment: &str| match segment.split_once('{').and_then(|(_, rest)| rest.split_once('}')) {
        Some((_, after)) => format!("{{}}{}", interface::ending(after)),
        None => segment.to_owned(),
    };
    template.split('/').map(segment).collect::<Vec<_>>().join("/")
}

fn is_call_of(call: &str, shape: &str) -> bool {
    let (mut call, mut shape) = (call.split('/'), shape.split('/'));
    loop {
        match (call.next(), shape.next()) {
            (None, None) => return true,
            (Some(text), Some(form)) => {
                let fits = match form.strip_prefix("{}") {
                    Some(ending) => text.ends_with(ending),
                    None => text == form,
                };
                if !fits {
                    return false;
                }
            }
            _ => return false,
        }
    }
}
