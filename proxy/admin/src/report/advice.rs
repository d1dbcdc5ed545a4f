//! What to do next with a route, in plain words.

use starve_ledger::Coverage;
use starve_migration::Stage;

use super::facts::Calls;
use super::judge::{self, Judgement, Verdict};
use super::{ComparisonReport, FieldReport};
use crate::control::RouteInfo;
use crate::shown;

/// Compared calls without a difference before the next stage is proposed.
const COMPARED_MIN: u64 = 300;

pub(super) fn next_step(
    route: &RouteInfo,
    calls: &Calls,
    judgement: &Judgement,
    comparison: &ComparisonReport,
    coverage: &Coverage,
) -> String {
    if route.killed {
        return "the kill switch holds it at the monolith: switch it off when the cause is mended".to_owned();
    }
    match route.stage {
        Stage::Retired => retired(calls.nobody),
        Stage::Done => match calls.wanted {
            0 => unused(judgement, coverage),
            _ => "delete the monolith's code for it".to_owned(),
        },
        _ if calls.wanted == 0 && comparison.compared == 0 => unused(judgement, coverage),
        Stage::Legacy => match &route.function {
            None => "no function yet: write one, then go to shadow".to_owned(),
            Some(function) => format!("function `{function}` stands ready: go to shadow"),
        },
        Stage::Shadow | Stage::Canary | Stage::Live => compared(route.stage, comparison),
    }
}

fn retired(calls: u64) -> String {
    match calls {
        0 => "nobody asks for it any more: the entry can go".to_owned(),
        n => format!("{} still got 410: find out who", shown::counted(n, "call")),
    }
}

fn unused(judgement: &Judgement, coverage: &Coverage) -> String {
    match judgement.verdict {
        Verdict::DeadCandidate | Verdict::NeverSeen => {
            format!("no call in {}: retire it", shown::span(coverage.window_ms()))
        }
        _ => format!("no call so far ({}): keep watching", judge::observation(coverage)),
    }
}

fn compared(stage: Stage, comparison: &ComparisonReport) -> String {
    if comparison.different > 0 {
        return differs(comparison);
    }
    if comparison.function_failed > 0 {
        return format!(
            "the function failed {} of its copies: mend it",
            shown::count(comparison.function_failed)
        );
    }
    match (stage, comparison.compared) {
        (_, 0) => "nothing compared yet".to_owned(),
        (_, n) if n < COMPARED_MIN => format!("{n} of {COMPARED_MIN} compared, no difference yet"),
        (Stage::Shadow, n) => format!("{} compared, no difference: go to canary", shown::count(n)),
        (Stage::Canary, n) => format!("{} compared, no difference: raise the share", shown::count(n)),
        (_, n) => format!("{} compared, no difference: go to done", shown::count(n)),
    }
}

fn differs(comparison: &ComparisonReport) -> String {
    let ratio = shown::ratio(comparison.different_ratio.unwrap_or_default());
    let of = shown::count(comparison.compared);
    match comparison.fields.first() {
        Some(FieldReport { path, ratio, .. }) => {
            format!("differs in {path} in {} of {of}: look at `starve diffs`", shown::ratio(*ratio))
        }
        None => format!("differs in {ratio} of {of}: look at `starve diffs`"),
    }
}
