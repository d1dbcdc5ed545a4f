//! Is a route alive? The verdict, with the evidence in words.

use serde::Serialize;
use starve_ledger::Coverage;

use super::facts::Calls;
use super::{NotWanted, Who};
use crate::shown;

/// How much of the window must have been observed before silence means anything.
const OBSERVED_MIN: f64 = 0.95;
/// A route is falling when the last quarter of the window had less than this share of an even quarter.
const QUIET_BELOW: f64 = 0.1;
/// Fewer calls than this in the window are too few to see a fall.
const QUIET_CALLS_MIN: u64 = 20;
/// Silence over less than this may hide a yearly job.
const YEARLY_MS: u64 = 396 * 86_400_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Called within the window.
    Live,
    /// Called, and hardly any more of late.
    Quiet,
    /// Not called over a window that was observed; called before.
    DeadCandidate,
    /// Not called so far, and not observed long enough to tell.
    Unknown,
    /// Not called over a window that was observed, nor ever.
    NeverSeen,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Quiet => "quiet",
            Self::DeadCandidate => "dead-candidate",
            Self::Unknown => "unknown",
            Self::NeverSeen => "never-seen",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Judgement {
    pub(super) verdict: Verdict,
    pub(super) evidence: String,
}

pub(super) fn judge(calls: &Calls, coverage: &Coverage, now_unix_ms: u64) -> Judgement {
    let verdict = verdict(calls, coverage);
    Judgement { verdict, evidence: evidence(verdict, calls, coverage, now_unix_ms) }
}

pub(super) fn is_observed(coverage: &Coverage) -> bool {
    coverage.ratio() >= OBSERVED_MIN
}

/// What is said as long as a yearly job may not have shown.
pub(super) fn short_observation(coverage: &Coverage, now_unix_ms: u64) -> Option<String> {
    let since = now_unix_ms.saturating_sub(coverage.first_unix_ms?);
    (since < YEARLY_MS).then(|| {
        format!(
            "counting began {} ago: what runs once a year may not have shown (13 months)",
            shown::span(since)
        )
    })
}

/// `observed only 31 s of 35 d`, or how much of the window was.
pub(super) fn observation(coverage: &Coverage) -> String {
    let window = shown::span(coverage.window_ms());
    match coverage.observed_ms {
        0 => "nothing observed yet".to_owned(),
        _ if is_observed(coverage) => {
            format!("observed {} of {window}{}", shown::ratio(coverage.ratio()), gaps(coverage))
        }
        observed => format!("observed only {} of {window}{}", shown::span(observed), gaps(coverage)),
    }
}

/// `, 2 gaps, 1 of them after a kill`.
fn gaps(coverage: &Coverage) -> String {
    let gaps = coverage.gaps.len();
    let killed = coverage.gaps.iter().filter(|gap| !gap.clean).count();
    match (gaps, killed) {
        (0, _) => String::new(),
        (1, 1) => ", 1 gap after a kill".to_owned(),
        (_, 0) => format!(", {}", shown::counted(gaps as u64, "gap")),
        _ => format!(", {gaps} gaps, {killed} of them after a kill"),
    }
}

fn verdict(calls: &Calls, coverage: &Coverage) -> Verdict {
    match calls.wanted {
        0 if !is_observed(coverage) => Verdict::Unknown,
        0 if calls.last_wanted_unix_ms.is_none() => Verdict::NeverSeen,
        0 => Verdict::DeadCandidate,
        wanted if is_observed(coverage) && is_falling(wanted, calls.wanted_recently) => Verdict::Quiet,
        _ => Verdict::Live,
    }
}

fn is_falling(wanted: u64, recently: u64) -> bool {
    wanted >= QUIET_CALLS_MIN && (recently as f64) < wanted as f64 / 4.0 * QUIET_BELOW
}

fn evidence(verdict: Verdict, calls: &Calls, coverage: &Coverage, now_unix_ms: u64) -> String {
    let window = shown::span(coverage.window_ms());
    let last = calls.last_wanted_unix_ms.map(|at| shown::ago(at, now_unix_ms));
    let mut text = match (verdict, last) {
        (Verdict::Live, Some(last)) => {
            format!("{} in {window}, the last {last}", shown::counted(calls.wanted, "call"))
        }
        (Verdict::Quiet, Some(last)) => format!(
            "{} in {window}, {} of them in the last quarter of it, the last {last}",
            shown::counted(calls.wanted, "call"),
            shown::count(calls.wanted_recently)
        ),
        (Verdict::Unknown, Some(last)) => format!("no calls ({}), the last {last}", observation(coverage)),
        (Verdict::Unknown, None) => format!("no calls ({})", observation(coverage)),
        (_, Some(last)) => format!("no calls in {window} ({}), the last {last}", observation(coverage)),
        (_, None) => format!("no calls in {window} ({}) nor ever", observation(coverage)),
    };
    if calls.wanted == 0 {
        text.push_str(&apart(calls.not_wanted));
        text.push_str(&yearly(verdict, coverage, now_unix_ms));
    }
    text
}

/// `; by curl (12), Chrome (3)`.
pub(super) fn who(who: &[Who]) -> String {
    let told: Vec<_> = who.iter().map(|who| format!("{} ({})", who.agent, shown::count(who.calls))).collect();
    if told.is_empty() { String::new() } else { format!("; by {}", told.join(", ")) }
}

/// Calls that do not keep a route alive may still come from somebody: they are named.
fn apart(not_wanted: NotWanted) -> String {
    let NotWanted { probes, failed, automated, .. } = not_wanted;
    let parts = [
        (probes, "HEAD or OPTIONS"),
        (failed, "answered 4xx or 5xx"),
        (automated, "by health checks, bots or scanners"),
    ];
    let told: Vec<_> = parts
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{} {what}", shown::count(n)))
        .collect();
    if told.is_empty() { String::new() } else { format!("; not counted: {}", told.join(", ")) }
}

fn yearly(verdict: Verdict, coverage: &Coverage, now_unix_ms: u64) -> String {
    let observed_since = coverage.first_unix_ms.map_or(0, |first| now_unix_ms.saturating_sub(first));
    match verdict {
        Verdict::DeadCandidate | Verdict::NeverSeen if observed_since < YEARLY_MS => {
            format!("; a yearly job may not show: counting began {} ago", shown::span(observed_since))
        }
        _ => String::new(),
    }
}
