//! What an import of access logs came to.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use super::parse::BadLine;
use crate::arguments::Format;
use crate::output::{Failure, print, print_json};

#[derive(Debug, Default, Serialize)]
pub(super) struct FileOutcome {
    pub(super) source: String,
    pub(super) format: &'static str,
    /// All of it was imported before.
    pub(super) known: bool,
    /// How much of it was imported before.
    pub(super) grown_from: Option<u64>,
    pub(super) lines: u64,
    pub(super) calls: u64,
    pub(super) bad: u64,
    pub(super) without_request: u64,
    pub(super) too_old: u64,
    pub(super) counted_live: u64,
    pub(super) in_the_future: u64,
    pub(super) first_unix_ms: u64,
    pub(super) last_unix_ms: u64,
    pub(super) examples: Vec<BadLine>,
}

impl FileOutcome {
    pub(super) fn known(source: String, format: &'static str) -> Self {
        Self { source, format, known: true, ..Self::default() }
    }
}

#[derive(Serialize)]
struct Row {
    file: String,
    #[serde(flatten)]
    outcome: Option<FileOutcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) struct Summary {
    rows: Vec<Row>,
    began: Instant,
}

impl Default for Summary {
    fn default() -> Self {
        Self { rows: Vec::new(), began: Instant::now() }
    }
}

impl Summary {
    pub(super) fn add(&mut self, file: &Path, outcome: Result<FileOutcome, String>) {
        let file = file.display().to_string();
        self.rows.push(match outcome {
            Ok(outcome) => Row { file, outcome: Some(outcome), error: None },
            Err(error) => Row { file, outcome: None, error: Some(error) },
        });
    }

    /// Fails if a file did: what went well is in all the same.
    pub(super) fn print(self, format: Format) -> Result<(), Failure> {
        let failed: Vec<String> = self
            .rows
            .iter()
            .filter_map(|row| Some(format!("{}: {}", row.file, row.error.as_ref()?)))
            .collect();
        match format {
            Format::Json => print_json(&self.rows)?,
            Format::Text => print(&self.text())?,
        }
        match failed.split_first() {
            None => Ok(()),
            Some((first, others)) => Err(others
                .iter()
                .fold(Failure::new(first), |failure, other| failure.with(&format!("error: {other}")))),
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let (mut calls, mut lines) = (0, 0);
        // A String takes all that is written to it.
        for (file, outcome) in self.rows.iter().filter_map(|row| Some((&row.file, row.outcome.as_ref()?))) {
            if outcome.known {
                let _written =
                    writeln!(text, "{file}: was imported before as `{}`; nothing added", outcome.source);
                continue;
            }
            calls += outcome.calls;
            lines += outcome.lines;
            let _written = writeln!(
                text,
                "{file}: {} calls of {} lines ({}) added to `{}`",
                outcome.calls, outcome.lines, outcome.format, outcome.source
            );
            if let Some(bytes) = outcome.grown_from {
                let _written = writeln!(text, "  it has grown: the first {bytes} bytes were imported before");
            }
            for (n, what) in [
                (outcome.bad, "could not be read and are left out"),
                (outcome.without_request, "are of connections that brought no request"),
                (outcome.too_old, "are older than --since and left out"),
                (outcome.counted_live, "are of times in which the proxy itself counted, and left out"),
                (outcome.in_the_future, "are of a time to come and left out"),
            ] {
                if n > 0 {
                    let _written = writeln!(text, "  {n} lines {what}");
                }
            }
            for BadLine { line, why, shown } in &outcome.examples {
                let _written = writeln!(text, "    line {line}: {why}: `{shown}`");
            }
        }
        let files = self.rows.iter().filter(|row| row.outcome.is_some()).count();
        if files > 0 {
            let seconds = self.began.elapsed().as_secs_f64();
            let rate = lines as f64 / seconds.max(1e-3);
            let _written = writeln!(
                text,
                "{calls} calls of {files} file{} in {seconds:.1} s, {rate:.0} lines/s; `starve report` counts them in",
                if files == 1 { "" } else { "s" },
            );
        }
        text
    }
}
