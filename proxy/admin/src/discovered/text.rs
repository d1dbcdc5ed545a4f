//! Findings for terminals, documents and other programs.
//!
//! Invariant: no text from traffic can break out of its cell, be run as a formula or as markup.

use std::fmt::Write as _;

use super::{Findings, FoundEndpoint};
use crate::report::text::{markdown, push_csv};
use crate::shown;

const CSV_HEAD: &str =
    "kind,method,path,calls,calls_at_most,calls_apart,errors,first_call,last_call,sure,why,examples\n";
/// Of the paths that nothing answers.
const TOP_SHOWN: usize = 20;

impl Findings {
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Endpoints, guarded and unmatched paths below one another.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let now = self.generated_at_unix_ms;
        section(
            &mut text,
            "Told",
            self.told.iter().map(|path| ([String::new(), path.clone()], String::new())),
        );
        let endpoint = |row: &FoundEndpoint| {
            let last = shown::ago(row.last_call_unix_ms, now);
            let sure = format!("{last:>10}  {}{}", row.sure.as_str(), doubts(row));
            ([shown::count(row.calls), format!("{} {}", row.method, row.template)], sure)
        };
        section(&mut text, "Endpoints", self.endpoints.iter().map(endpoint));
        let guarded = self.guarded.iter().map(|row| {
            let misses = match row.misses {
                0 => String::new(),
                misses => format!("{} said that nothing is there", shown::counted(misses, "answer")),
            };
            ([shown::count(row.refusals), format!("{} {}", row.method, row.template)], misses)
        });
        section(&mut text, "Only ever refused", guarded);
        let top = self.unmatched.top.iter().take(TOP_SHOWN).map(|row| {
            let calls = crate::callers::calls(row.calls_at_least, row.calls_at_most);
            ([calls, format!("{} {}", row.method, row.template)], String::new())
        });
        let title = format!(
            "Nothing there ({}; the most frequent since the start)",
            shown::count(self.unmatched.calls)
        );
        section(&mut text, &title, top);
        if self.more > 0 {
            let _ = writeln!(
                text,
                "\n{} of endpoints for which there was no place",
                shown::counted(self.more, "call")
            );
        }
        if text.is_empty() {
            text.push_str("Nothing was discovered: every call had a route.\n");
        }
        text.trim_start_matches('\n').to_owned()
    }

    pub fn csv(&self) -> String {
        let mut text = CSV_HEAD.to_owned();
        for row in &self.endpoints {
            let whys: Vec<_> = row.values.iter().map(|value| value.why).collect();
            let examples: Vec<_> = row.values.iter().map(|value| value.examples.join(" ")).collect();
            push_csv(
                &mut text,
                &[
                    "endpoint".to_owned(),
                    row.method.clone(),
                    row.template.clone(),
                    row.calls.to_string(),
                    row.calls.to_string(),
                    row.calls_apart.to_string(),
                    row.errors.to_string(),
                    shown::rfc3339(row.first_call_unix_ms),
                    shown::rfc3339(row.last_call_unix_ms),
                    row.sure.as_str().to_owned(),
                    whys.join("; "),
                    examples.join("; "),
                ],
            );
        }
        let guarded = self
            .guarded
            .iter()
            .map(|row| ("guarded", &row.method, &row.template, row.refusals, row.refusals));
        let unmatched = self
            .unmatched
            .top
            .iter()
            .map(|row| ("unmatched", &row.method, &row.template, row.calls_at_least, row.calls_at_most));
        for (kind, method, path, least, most) in guarded.chain(unmatched) {
            let mut cells =
                vec![kind.to_owned(), method.clone(), path.clone(), least.to_string(), most.to_string()];
            cells.resize(CSV_HEAD.split(',').count(), String::new());
            push_csv(&mut text, &cells);
        }
        text
    }

    pub fn markdown(&self) -> String {
        let mut text =
            "# Discovered endpoints\n\n| Endpoint | Calls | Last call | Sure |\n| --- | ---: | --- | --- |\n"
                .to_owned();
        for row in &self.endpoints {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                markdown(&format!("{} {}", row.method, row.template)),
                shown::count(row.calls),
                shown::minute(row.last_call_unix_ms),
                markdown(&format!("{}{}", row.sure.as_str(), doubts(row))),
            );
        }
        text.push_str("\n# Only ever refused\n\n| Path | Refusals |\n| --- | ---: |\n");
        for row in &self.guarded {
            let path = markdown(&format!("{} {}", row.method, row.template));
            let _ = writeln!(text, "| {path} | {} |", shown::count(row.refusals));
        }
        text.push_str("\n# Nothing there\n\n| Path | Calls |\n| --- | ---: |\n");
        for row in &self.unmatched.top {
            let path = markdown(&format!("{} {}", row.method, row.template));
            let _ = writeln!(
                text,
                "| {path} | {} |",
                crate::callers::calls(row.calls_at_least, row.calls_at_most)
            );
        }
        text
    }
}

/// What speaks for its values where their form does not: `: the same follows them (acme, initech)`.
fn doubts(row: &FoundEndpoint) -> String {
    let doubtful = row.values.iter().filter(|value| value.why != "form" && value.why != "told");
    let said = doubtful.map(|value| match value.examples.is_empty() {
        true => value.why.to_owned(),
        false => format!("{} ({})", value.why, value.examples.join(", ")),
    });
    let said: Vec<_> = said.collect();
    if said.is_empty() { String::new() } else { format!(": {}", said.join("; ")) }
}

fn section(text: &mut String, title: &str, rows: impl Iterator<Item = ([String; 2], String)>) {
    let rows: Vec<_> =
        rows.map(|(cells, more)| (cells.map(|cell| shown::plain(&cell)), shown::plain(&more))).collect();
    if rows.is_empty() {
        return;
    }
    let widest =
        |column: usize| rows.iter().map(|(cells, _)| cells[column].chars().count()).max().unwrap_or(0);
    let (numbers, names) = (widest(0), widest(1));
    let _ = writeln!(text, "\n{title}");
    for ([number, name], more) in &rows {
        let line = format!("  {number:>numbers$}  {name:names$}  {more}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
}
