//! A report for other programs and for documents: JSON, CSV, Markdown.
//!
//! Invariant: no text from traffic can break out of its cell, be run as a formula or as markup.

use std::fmt::Write as _;

use super::{Report, RouteReport};
use crate::shown;

const CSV_HEAD: &str = "kind,route,stage,percent,function,calls_legacy,calls_function,calls_nobody,calls_wanted,\
error_ratio_legacy,error_ratio_function,mean_ms_legacy,mean_ms_function,compared,different,last_call,verdict,\
evidence,next_step";

impl Report {
    /// The whole report; field names are part of the API.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
    }

    /// One line per configured route and discovered endpoint, with a head (RFC 4180, lines ended by LF).
    pub fn csv(&self) -> String {
        let mut text = format!("{CSV_HEAD}\n");
        for row in &self.routes {
            push_csv(
                &mut text,
                &[
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
                ],
            );
        }
        for row in &self.discovered {
            let mut cells = vec![
                "discovered".to_owned(),
                format!("{} {}", row.method, row.template),
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
            push_csv(&mut text, &cells);
        }
        text
    }

    pub fn markdown(&self) -> String {
        let mut text = format!("# Migration report, {}\n\n", shown::minute(self.generated_at_unix_ms));
        for line in self.summary() {
            let _ = writeln!(text, "- {}", markdown(&line));
        }
        text.push_str("\n| Route | Stage | Legacy | Function | Differs | Last call | State | Next step |\n");
        text.push_str("| --- | --- | ---: | ---: | ---: | --- | --- | --- |\n");
        for row in &self.routes {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                markdown(&row.match_text),
                row.staged(),
                row.legacy.calls,
                row.function_side.calls,
                row.differs(),
                row.last_call_unix_ms.map(shown::minute).unwrap_or_default(),
                row.verdict.as_str(),
                markdown(&row.next_step),
            );
        }
        let lists = [
            (
                "Dead routes",
                self.dead.iter().map(|row| format!("{} – {}", row.route, row.evidence)).collect::<Vec<_>>(),
            ),
            (
                "Discovered",
                self.discovered
                    .iter()
                    .map(|row| format!("{} {} – {}", row.method, row.template, row.evidence))
                    .collect(),
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
        if progress.discovered > 0 {
            let discovered = shown::counted(progress.discovered as u64, "discovered endpoint");
            lines[1].push_str(&format!(", and {discovered}"));
        }
        if let Some(error) = &self.reload_error {
            lines
                .push(format!("the last reload failed: {}", error.errors.lines().next().unwrap_or_default()));
        }
        lines
    }
}

impl RouteReport {
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

fn push_csv(text: &mut String, cells: &[String]) {
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

fn markdown(text: &str) -> String {
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
