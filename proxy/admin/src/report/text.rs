//! A report for other programs and for documents: JSON, CSV, Markdown.
//!
//! Invariant: no text from traffic can break out of its cell, be run as a formula or as markup.

use std::fmt::Write as _;

use super::{BurnDown, NotWanted, OperationReport, Report, RouteReport};
use crate::shown;

const CSV_HEAD: &str = "kind,route,stage,percent,function,calls_legacy,calls_function,calls_nobody,calls_wanted,\
error_ratio_legacy,error_ratio_function,mean_ms_legacy,mean_ms_function,compared,different,last_call,verdict,\
evidence,next_step,p50_ms_legacy,p95_ms_legacy,p99_ms_legacy,p50_ms_function,p95_ms_function,p99_ms_function,\
bytes_in,bytes_out,head,preflights,failed,health_checks,bots,scanners,copies,last_wanted_call";

const DEAD_HEAD: &str = "route,configured,verdict,certain,silent_days,last_wanted_call,head,preflights,failed,\
health_checks,bots,scanners,evidence,next_step";

impl Report {
    /// The whole report; field names are part of the API.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
    }

    /// One line per configured route, listed and discovered endpoint, with a head (RFC 4180, lines ended by LF).
    pub fn csv(&self) -> String {
        let mut text = format!("{CSV_HEAD}\n");
        for row in &self.routes {
            let mut cells = vec![
                "route".to_owned(),
                row.match_text.clone(),
                row.stage.to_string(),
                row.percent.map(|percent| percent.to_string()).unwrap_or_default(),
                row.function.clone().unwrap_or_default(),
                row.legacy.calls.to_string(),
                row.function_side.calls.to_string(),
                row.calls_nobody.to_string(),
                row.calls_wanted.to_string(),
                decimal(row.legacy.error_ratio),
                decimal(row.function_side.error_ratio),
                decimal(row.legacy.mean_ms),
                decimal(row.function_side.mean_ms),
                row.comparison.compared.to_string(),
                row.comparison.different.to_string(),
                row.last_call_unix_ms.map(shown::rfc3339).unwrap_or_default(),
                row.verdict.as_str().to_owned(),
                row.evidence.clone(),
                row.next_step.clone(),
            ];
            for side in [&row.legacy, &row.function_side] {
                cells.extend([side.p50_ms, side.p95_ms, side.p99_ms].map(decimal));
            }
            cells.push((row.legacy.bytes_in + row.function_side.bytes_in).to_string());
            cells.push((row.legacy.bytes_out + row.function_side.bytes_out).to_string());
            cells.extend(row.not_wanted.numbers().map(|n| n.to_string()));
            cells.push(row.not_wanted.copies.to_string());
            cells.push(row.last_wanted_call_unix_ms.map(shown::rfc3339).unwrap_or_default());
            push_csv(&mut text, &cells);
            for operation in &row.operations {
                push_csv(&mut text, &operation_cells(row, operation));
            }
        }
        for row in &self.listed {
            let mut cells = vec!["listed".to_owned(), row.match_text.clone()];
            cells.extend(std::iter::repeat_n(String::new(), 3));
            cells.extend([row.calls, 0, 0, row.calls_wanted].map(|calls| calls.to_string()));
            let error_ratio = super::share(row.errors, row.calls);
            cells.extend([decimal(error_ratio), String::new(), decimal(row.mean_ms), String::new()]);
            let last = row.last_call_unix_ms.map(shown::rfc3339).unwrap_or_default();
            cells.extend(["0".to_owned(), "0".to_owned(), last, row.verdict.as_str().to_owned()]);
            cells.extend([row.evidence.clone(), String::new()]);
            push_csv(&mut text, &cells);
        }
        for row in &self.discovered {
            let mut cells = vec![
                "discovered".to_owned(),
                row.title(),
                String::new(),
                String::new(),
                String::new(),
                row.calls.to_string(),
                "0".to_owned(),
                "0".to_owned(),
                row.calls_wanted.to_string(),
            ];
            let error_ratio = super::share(row.errors, row.calls);
            cells.extend([decimal(error_ratio), String::new(), decimal(row.mean_ms), String::new()]);
            cells.extend(["0".to_owned(), "0".to_owned(), shown::rfc3339(row.last_call_unix_ms)]);
            cells.extend([row.verdict.as_str().to_owned(), row.evidence.clone(), String::new()]);
            cells.resize(CSV_HEAD.split(',').count(), String::new());
            push_csv(&mut text, &cells);
        }
        text
    }

    /// The dead routes alone.
    pub fn dead_json(&self) -> String {
        serde_json::to_string_pretty(&self.dead_value()).unwrap_or_default()
    }

    pub(crate) fn dead_value(&self) -> serde_json::Value {
        serde_json::json!({
            "generated_at_unix_ms": self.generated_at_unix_ms,
            "observation": self.observation,
            "warnings": self.warnings,
            "dead": self.dead,
        })
    }

    /// The dead routes alone, one a line.
    pub fn dead_csv(&self) -> String {
        let mut text = format!("{DEAD_HEAD}\n");
        for row in &self.dead {
            let mut cells = vec![
                row.route.clone(),
                row.configured.to_string(),
                row.verdict.as_str().to_owned(),
                row.certain.to_string(),
                (row.silent_ms / 86_400_000).to_string(),
                row.last_wanted_call_unix_ms.map(shown::rfc3339).unwrap_or_default(),
            ];
            cells.extend(row.not_wanted.numbers().map(|n| n.to_string()));
            cells.extend([row.evidence.clone(), row.next_step.clone()]);
            push_csv(&mut text, &cells);
        }
        text
    }

    /// The dead routes alone as a table.
    pub fn dead_markdown(&self) -> String {
        let mut text = format!("# Dead routes, {}\n\n", shown::minute(self.generated_at_unix_ms));
        for line in &self.warnings {
            let _ = writeln!(text, "- warning: {}", markdown(line));
        }
        text.push_str(
            "\n| Route | State | Silent | Evidence | Next step |\n| --- | --- | ---: | --- | --- |\n",
        );
        for row in &self.dead {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} |",
                markdown(&row.route),
                row.verdict.as_str(),
                shown::span(row.silent_ms),
                markdown(&row.evidence),
                markdown(&row.next_step),
            );
        }
        text
    }

    pub fn markdown(&self) -> String {
        let mut text = format!("# Migration report, {}\n\n", shown::minute(self.generated_at_unix_ms));
        for line in self.summary() {
            let _ = writeln!(text, "- {}", markdown(&line));
        }
        if let Some(error) = &self.reload_error {
            let why = error.errors.lines().next().unwrap_or_default();
            let _ = writeln!(text, "- the last reload failed: {}", markdown(why));
        }
        for line in &self.warnings {
            let _ = writeln!(text, "- warning: {}", markdown(line));
        }
        text.push_str(
            "\n| Route | Stage | Legacy | Function | P95 | Differs | Last call | State | Next step |\n",
        );
        text.push_str("| --- | --- | ---: | ---: | ---: | ---: | --- | --- | --- |\n");
        for row in &self.routes {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                markdown(&row.match_text),
                row.staged(),
                row.legacy.calls,
                row.function_side.calls,
                row.p95s(),
                row.differs(),
                row.last_call_unix_ms.map(shown::minute).unwrap_or_default(),
                row.verdict.as_str(),
                markdown(&row.next_step),
            );
        }
        let operations = self.routes.iter().flat_map(|row| {
            row.operations.iter().map(|operation| {
                let last = shown::minute(operation.last_call_unix_ms);
                let calls = shown::counted(operation.calls(), "call");
                format!("{} {} – {calls}, last {last}", row.match_text, operation.operation)
            })
        });
        let lists = [
            ("Operations", operations.collect()),
            (
                "Dead routes",
                self.dead.iter().map(|row| format!("{} – {}", row.route, row.evidence)).collect::<Vec<_>>(),
            ),
            (
                "Listed",
                self.listed.iter().map(|row| format!("{} – {}", row.match_text, row.evidence)).collect(),
            ),
            (
                "Discovered",
                self.discovered.iter().map(|row| format!("{} – {}", row.title(), row.evidence)).collect(),
            ),
        ];
        for (title, lines) in lists.into_iter().filter(|(_, lines)| !lines.is_empty()) {
            let _ = writeln!(text, "\n## {title}\n");
            for line in lines {
                let _ = writeln!(text, "- {}", markdown(&line));
            }
        }
        text
    }

    /// The few sentences that stand above every table.
    pub(super) fn summary(&self) -> Vec<String> {
        let progress = &self.progress;
        let calls = match progress.legacy_call_ratio {
            None => "no calls yet".to_owned(),
            Some(ratio) => {
                format!(
                    "{} of {} calls still answered by the monolith",
                    shown::ratio(ratio),
                    shown::count(progress.calls)
                )
            }
        };
        let mut lines = vec![
            calls,
            format!("{} of {} routes still need the monolith", progress.routes_on_legacy, progress.routes),
            super::judge::observation(&self.observation),
        ];
        if let Some(ratio) = progress.legacy_time_ratio {
            lines[0].push_str(&format!(", {} of the time", shown::ratio(ratio)));
        }
        lines.extend(self.burn_down_line());
        if progress.discovered > 0 {
            let discovered = shown::counted(progress.discovered as u64, "discovered endpoint");
            lines[1].push_str(&format!(", and {discovered}"));
        }
        lines
    }
}

impl Report {
    /// The monolith's share day by day: `2026-05-12 100 % ██▇▆ 62.4 % 2026-06-15`.
    fn burn_down_line(&self) -> Option<String> {
        const DAYS: usize = 35;
        let shares: Vec<_> = self.burn_down.iter().map(|day| day.legacy_call_ratio).collect();
        let newest = &self.burn_down[self.burn_down.len().saturating_sub(DAYS)..];
        let [first, .., last] = newest else { return None };
        let ratio = |day: &BurnDown| day.legacy_call_ratio.map_or_else(|| "–".to_owned(), shown::ratio);
        let bars = shown::bars(&shares, DAYS);
        Some(format!("day by day: {} {} {bars} {} {}", first.day, ratio(first), ratio(last), last.day))
    }
}

/// A line of the kind `operation`, named `ROUTE#OPERATION`.
fn operation_cells(row: &RouteReport, operation: &OperationReport) -> Vec<String> {
    let errors = decimal(super::share(operation.errors, operation.calls()));
    let mut cells = vec!["operation".to_owned(), format!("{}#{}", row.id, operation.operation)];
    cells.extend(std::iter::repeat_n(String::new(), 3));
    cells.extend([operation.calls_legacy, operation.calls_function].map(|calls| calls.to_string()));
    cells.extend([String::new(), String::new(), errors, String::new(), decimal(operation.mean_ms)]);
    cells.extend(std::iter::repeat_n(String::new(), 3));
    cells.push(shown::rfc3339(operation.last_call_unix_ms));
    cells.resize(CSV_HEAD.split(',').count(), String::new());
    cells
}

impl NotWanted {
    fn numbers(&self) -> [u64; 6] {
        [self.head, self.preflights, self.failed, self.health_checks, self.bots, self.scanners]
    }
}

impl RouteReport {
    /// The 95th percentiles of the sides that answered: `4.8 ms / 1.2 ms`.
    pub(crate) fn p95s(&self) -> String {
        let shown = |ms: Option<f64>| ms.map_or_else(|| "–".to_owned(), shown::milliseconds);
        format!("{} / {}", shown(self.legacy.p95_ms), shown(self.function_side.p95_ms))
    }

    /// The stage with its share: `canary 5%`.
    pub(crate) fn staged(&self) -> String {
        match self.percent {
            Some(percent) => format!("{} {percent}%", self.stage),
            None => self.stage.to_string(),
        }
    }

    /// The share of compared calls that differ, or a dash when none was compared.
    pub(crate) fn differs(&self) -> String {
        self.comparison.different_ratio.map_or_else(|| "–".to_owned(), shown::ratio)
    }
}

pub(crate) fn push_csv(text: &mut String, cells: &[String]) {
    let cells: Vec<_> = cells.iter().map(|cell| csv(cell)).collect();
    text.push_str(&cells.join(","));
    text.push('\n');
}

/// A cell that a spreadsheet would take for a formula is marked as text.
fn csv(cell: &str) -> String {
    let risky = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = shown::plain(cell);
    let cell = if risky { format!("'{cell}") } else { cell };
    match cell.contains(['"', ',', '\n', '\r']) || risky {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    }
}

fn decimal(value: Option<f64>) -> String {
    value.map(|value| format!("{value:.4}")).unwrap_or_default()
}

pub(crate) fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in shown::plain(text).chars() {
        if matches!(char, '|' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '\\' | '&' | '#') {
            escaped.push('\\');
        }
        escaped.push(char);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula_and_never_two_cells() {
        assert_eq!(csv("GET /a"), "GET /a");
        assert_eq!(csv("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(csv("=cmd()"), "\"'=cmd()\"");
    }

    #[test]
    fn markup_in_a_path_stays_text() {
        assert_eq!(markdown("/a|<b>`x`"), "/a\\|\\<b\\>\\`x\\`");
    }
}
