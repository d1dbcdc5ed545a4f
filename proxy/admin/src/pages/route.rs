//! The page of one route: both sides, what differs, samples, and the way to another stage.

use maud::{Markup, html};
use serde_json::Value;
use starve_ledger::LoggedSample;
use starve_migration::Stage;

use super::{ago, badge, banners, mean, moment, ratio};
use crate::callers::{self, Callers};
use crate::control::Status;
use crate::report::{RouteReport, SideReport};
use crate::shown;

pub(super) const SAMPLES_SHOWN: usize = 20;
pub(super) const CALLERS_SHOWN: usize = callers::SHOWN_DEFAULT;
const DIFFERENCES_SHOWN: usize = 10;

pub(super) fn main(
    status: &Status,
    row: &RouteReport,
    samples: &[LoggedSample],
    callers: &Callers,
    now_unix_ms: u64,
) -> Markup {
    html! {
        main {
            (banners(status))
            h1 { code { (row.match_text) } }
            p {
                span class={ "stage " (row.stage.as_str()) } { (row.staged()) } " " (badge(row.verdict))
                " " (row.evidence) "."
            }
            p { strong { "Next: " } (row.next_step) "." }
            (facts(row, now_unix_ms))
            (sides(row))
            (operations(row, now_unix_ms))
            (caller_lists(callers))
            (fields(row))
            (sample_list(samples))
            (flip(row))
        }
    }
}

fn facts(row: &RouteReport, now_unix_ms: u64) -> Markup {
    html! {
        dl {
            dt { "Upstream" } dd { (row.upstream) }
            dt { "Function" } dd { (row.function.as_deref().unwrap_or("none")) }
            @if let Some(line) = row.line { dt { "Line" } dd { (line) } }
            dt { "Last call" } dd { (ago(row.last_call_unix_ms, now_unix_ms)) }
            dt { "Last wanted call" } dd { (ago(row.last_wanted_call_unix_ms, now_unix_ms)) }
            dt { "Not counted as wanted" }
            dd {
                (row.not_wanted.head) " HEAD, " (row.not_wanted.preflights) " OPTIONS, "
                (row.not_wanted.failed) " answered 4xx or 5xx; "
                (row.not_wanted.health_checks) " by health checks, " (row.not_wanted.bots) " by bots, "
                (row.not_wanted.scanners) " by scanners; " (row.not_wanted.copies) " copies of our own"
            }
        }
    }
}

fn sides(row: &RouteReport) -> Markup {
    let side = |name: &str, side: &SideReport| {
        html! {
            tr {
                th { (name) }
                td.number { (shown::count(side.calls)) }
                td.number { (ratio(side.error_ratio)) }
                @for time in [side.p50_ms, side.p95_ms, side.p99_ms, side.mean_ms] { td.number { (mean(time)) } }
                td.number { (shown::bytes(side.bytes_in)) }
                td.number { (shown::bytes(side.bytes_out)) }
            }
        }
    };
    html! {
        section {
            h2 { "Calls" }
            table {
                thead {
                    tr {
                        th { "Side" } th.number { "Calls" } th.number { "Errors" }
                        @for title in ["P50", "P95", "P99", "Mean", "In", "Out"] { th.number { (title) } }
                    }
                }
                tbody {
                    (side("legacy", &row.legacy))
                    (side("function", &row.function_side))
                    @if row.calls_nobody > 0 {
                        tr { th { "nobody" } td.number { (shown::count(row.calls_nobody)) } td colspan="7" {} }
                    }
                }
            }
        }
    }
}

fn operations(row: &RouteReport, now_unix_ms: u64) -> Markup {
    html! {
        @if !row.operations.is_empty() {
            section {
                h2 { "Operations" }
                table {
                    thead {
                        tr {
                            th { "Operation" } th.number { "Legacy" } th.number { "Function" } th.number { "Failed" }
                            th.number { "Mean" } th { "Last call" }
                        }
                    }
                    tbody {
                        @for operation in &row.operations {
                            tr {
                                td { code { (operation.operation) } }
                                td.number { (shown::count(operation.calls_legacy)) }
                                td.number { (shown::count(operation.calls_function)) }
                                td.number { (shown::count(operation.errors)) }
                                td.number { (mean(operation.mean_ms)) }
                                td { (ago(Some(operation.last_call_unix_ms), now_unix_ms)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn caller_lists(callers: &Callers) -> Markup {
    html! {
        @if !callers.kinds.is_empty() {
            section {
                h2 { "Callers" }
                @for kind in &callers.kinds {
                    details open[kind.kind == "agent"] {
                        summary { (callers::title(kind)) " (" (callers::distinct(kind)) ")" }
                        table {
                            thead { tr { th { "Caller" } th.number { "Calls" } } }
                            tbody {
                                @for row in &kind.top {
                                    tr {
                                        td { code { (row.caller) } }
                                        td.number { (callers::calls(row.calls_at_least, row.calls_at_most)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn fields(row: &RouteReport) -> Markup {
    let comparison = &row.comparison;
    html! {
        section {
            h2 { "Comparison" }
            p {
                (shown::count(comparison.compared)) " compared, " (shown::count(comparison.equal)) " equal, "
                (shown::count(comparison.different)) " different"
                @if comparison.function_failed > 0 {
                    ", " (shown::count(comparison.function_failed)) " without an answer of the function"
                }
                @for (reason, n) in &comparison.not_compared { ", " (shown::count(*n)) " " (reason) }
                "."
            }
            @if !comparison.fields.is_empty() {
                table {
                    thead {
                        tr { th { "Where" } th { "How" } th.number { "Calls" } th.number { "Share" } }
                    }
                    tbody {
                        @for field in &comparison.fields {
                            tr {
                                td { code { (field.path) } }
                                td { (field.kind) }
                                td.number { (shown::count(field.n)) }
                                td.number { (shown::ratio(field.ratio)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn sample_list(samples: &[LoggedSample]) -> Markup {
    html! {
        @if !samples.is_empty() {
            section {
                h2 { "Samples" }
                @for sample in samples {
                    details {
                        summary {
                            code { (sample.method) " " (sample.target) } " " (sample.verdict) " "
                            span.dim { (moment(sample.at_unix_ms)) }
                        }
                        (differences(&sample.differences))
                    }
                }
            }
        }
    }
}

/// The differences as a table when they have the known shape, else as they are.
fn differences(text: &str) -> Markup {
    let Ok(Value::Array(items)) = serde_json::from_str(text) else {
        return html! { pre { (text) } };
    };
    html! {
        table {
            thead { tr { th { "Where" } th { "How" } th { "Legacy" } th { "Function" } } }
            tbody {
                @for item in items.iter().take(DIFFERENCES_SHOWN) {
                    tr {
                        td { code { (cell(item, "path")) } }
                        td { (cell(item, "kind")) }
                        td { code { (cell(item, "legacy")) } }
                        td { code { (cell(item, "function")) } }
                    }
                }
            }
        }
    }
}

fn cell(item: &Value, name: &str) -> String {
    match item.get(name) {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Shown by the script only: a form cannot send JSON. Without it, the command stands there.
fn flip(row: &RouteReport) -> Markup {
    html! {
        section {
            h2 { "Change the stage" }
            form.scripted data-flip=(row.id) {
                label {
                    "Stage "
                    select name="stage" {
                        @for stage in Stage::ALL {
                            @if row.function.is_some() || !stage.needs_function() {
                                option value=(stage.as_str()) selected[stage == row.stage] { (stage.as_str()) }
                            }
                        }
                    }
                }
                label { " Percent " input name="percent" type="number" min="0" max="100" step="0.01"; }
                " " button type="submit" { "Flip" }
            }
            p { "On the command line: " code { "starve flip '" (row.id) "' STAGE" } }
        }
    }
}
