//! The first page: how far the migration is.

use maud::{Markup, html};

use super::{ago, badge, banners, mean, ratio};
use crate::control::Status;
use crate::discovered::Findings;
use crate::query::encoded;
use crate::report::{Report, RouteReport};
use crate::shown;

/// More are in the report; a page of thousands helps nobody.
const DISCOVERED_SHOWN: usize = 100;
/// Of the paths that nothing answers; `starve discovered` lists more.
const UNMATCHED_SHOWN: usize = 10;
/// Days; the report has all.
const BURN_DOWN_SHOWN: usize = 35;

pub(super) fn main(status: &Status, report: &Report, found: Option<&Findings>) -> Markup {
    html! {
        main {
            (banners(status))
            (progress(report))
            (routes(report))
            (dead(report))
            (discovered(report))
            @if let Some(found) = found { (unmatched(found)) }
        }
    }
}

fn progress(report: &Report) -> Markup {
    let progress = &report.progress;
    let coverage = &report.observation;
    html! {
        section.progress {
            h1 {
                @match progress.legacy_call_ratio {
                    Some(share) => { (shown::ratio(share)) " of calls are still the monolith’s" }
                    None => { "No calls yet" }
                }
            }
            @if let Some(share) = progress.legacy_call_ratio {
                progress max="1" value=(format!("{share:.4}")) aria-label="share of calls on the monolith" {}
            }
            p {
                (shown::counted(progress.calls, "call")) ": "
                (shown::count(progress.calls_legacy)) " by the monolith, "
                (shown::count(progress.calls_function)) " by functions"
                @if progress.calls_nobody > 0 { ", " (shown::count(progress.calls_nobody)) " refused" }
                ". "
                (progress.routes_on_legacy) " of " (progress.routes) " routes need the monolith"
                @if progress.discovered > 0 {
                    ", and " (shown::counted(progress.discovered as u64, "discovered endpoint"))
                }
                "."
            }
            p.dim {
                "Window " (shown::span(coverage.window_ms())) ", observed " (shown::span(coverage.observed_ms))
                " of it (" (shown::ratio(coverage.ratio())) ")"
                @if !coverage.gaps.is_empty() {
                    ", with " (shown::counted(coverage.gaps.len() as u64, "gap"))
                }
                "."
            }
            @for warning in &report.warnings { p.banner { (warning) "." } }
            (burn_down(report))
        }
    }
}

/// The monolith's share of the calls and its routes, day by day.
fn burn_down(report: &Report) -> Markup {
    let days = &report.burn_down[report.burn_down.len().saturating_sub(BURN_DOWN_SHOWN)..];
    html! {
        @if days.len() > 1 {
            details open {
                summary { "Day by day" }
                div.scroll {
                    table {
                        thead {
                            tr {
                                th { "Day" } th { "Monolith" } th.number { "Calls" } th.number { "Time" }
                                th.number { "Routes" }
                            }
                        }
                        tbody {
                            @for day in days.iter().rev() {
                                tr {
                                    td { (day.day) }
                                    td {
                                        @if let Some(share) = day.legacy_call_ratio {
                                            progress max="1" value=(format!("{share:.4}")) {}
                                        }
                                    }
                                    td.number { (ratio(day.legacy_call_ratio)) }
                                    td.number { (ratio(day.legacy_time_ratio)) }
                                    td.number {
                                        @match (day.routes_on_legacy, day.routes) {
                                            (Some(legacy), Some(routes)) => { (legacy) " of " (routes) }
                                            _ => { "–" }
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
}

fn routes(report: &Report) -> Markup {
    html! {
        @if !report.routes.is_empty() {
            section {
                h2 { "Routes" }
                div.scroll {
                    table {
                        thead {
                            tr {
                                th { "Route" } th { "Stage" }
                                th.number { "Legacy" } th.number { "Function" }
                                th.number { "Errors" } th.number { "P95" }
                                th.number { "Differs" } th { "Last call" } th { "State" } th { "Next step" }
                            }
                        }
                        tbody { @for row in &report.routes { (route_row(row, report.generated_at_unix_ms)) } }
                    }
                }
            }
        }
    }
}

fn route_row(row: &RouteReport, now_unix_ms: u64) -> Markup {
    let (legacy, function) = (&row.legacy, &row.function_side);
    html! {
        tr {
            td { a href={ "/routes?id=" (encoded(&row.id)) } { code { (row.match_text) } } }
            td {
                span class={ "stage " (row.stage.as_str()) } { (row.staged()) }
                @if row.killed { " " span.badge.bad { "killed" } }
            }
            td.number { (shown::count(legacy.calls)) }
            td.number { (shown::count(function.calls)) }
            td.number { (ratio(legacy.error_ratio)) " / " (ratio(function.error_ratio)) }
            td.number { (row.p95s()) }
            td.number.bad[row.comparison.different > 0] {
                (row.differs())
                @if row.comparison.compared > 0 { span.dim { " of " (shown::count(row.comparison.compared)) } }
            }
            td { (ago(row.last_call_unix_ms, now_unix_ms)) }
            td title=(row.evidence) { (badge(row.verdict)) }
            td { (row.next_step) }
        }
    }
}

fn dead(report: &Report) -> Markup {
    let so_far = !report.dead.iter().all(|row| row.certain);
    html! {
        @if !report.dead.is_empty() {
            section {
                h2 { "Dead routes" @if so_far { " so far" } }
                div.scroll {
                    table {
                        thead {
                            tr { th { "Endpoint" } th { "State" } th.number { "Silent" } th { "Evidence" } th { "Next step" } }
                        }
                        tbody {
                            @for row in &report.dead {
                                tr {
                                    td { code { (row.route) } @if !row.configured { span.dim { " discovered" } } }
                                    td { (badge(row.verdict)) }
                                    td.number { (shown::span(row.silent_ms)) }
                                    td { (row.evidence) }
                                    td { (row.next_step) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn discovered(report: &Report) -> Markup {
    let now = report.generated_at_unix_ms;
    let hidden = report.discovered.len().saturating_sub(DISCOVERED_SHOWN);
    html! {
        @if !report.discovered.is_empty() {
            section {
                h2 { "Discovered, not configured" }
                div.scroll {
                    table {
                        thead {
                            tr {
                                th { "Endpoint" } th.number { "Calls" } th.number { "Errors" } th.number { "Mean" }
                                th { "Last call" } th { "State" }
                            }
                        }
                        tbody {
                            @for row in report.discovered.iter().take(DISCOVERED_SHOWN) {
                                tr {
                                    td { code { (row.method) " " (row.template) } }
                                    td.number { (shown::count(row.calls)) }
                                    td.number { (shown::count(row.errors)) }
                                    td.number { (mean(row.mean_ms)) }
                                    td { (ago(Some(row.last_call_unix_ms), now)) }
                                    td { (badge(row.verdict)) }
                                }
                            }
                        }
                    }
                }
                @if hidden > 0 { p.dim { "and " (hidden) " more: " code { "starve report" } " lists all" } }
            }
        }
    }
}

/// Paths that are only refused, and those where nothing is: scanners, old links, mistakes.
fn unmatched(found: &Findings) -> Markup {
    let refused = found.guarded.iter().take(UNMATCHED_SHOWN);
    let nothing = found.unmatched.top.iter().take(UNMATCHED_SHOWN);
    html! {
        @if found.unmatched.calls > 0 || !found.guarded.is_empty() {
            section {
                h2 { "Nothing there, or only refused" }
                p.dim { (shown::counted(found.unmatched.calls, "call")) " showed no endpoint." }
                div.scroll {
                    table {
                        thead { tr { th { "Path" } th.number { "Calls" } th { "Answer" } } }
                        tbody {
                            @for row in refused {
                                tr {
                                    td { code { (row.method) " " (row.template) } }
                                    td.number { (shown::count(row.refusals)) }
                                    td { "refused" }
                                }
                            }
                            @for row in nothing {
                                tr {
                                    td { code { (row.method) " " (row.template) } }
                                    td.number { (crate::callers::calls(row.calls_at_least, row.calls_at_most)) }
                                    td { "nothing there" }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
