//! A report on the terminal.
//!
//! Invariant: no line is wider than asked for, as long as that is 60 or more; nothing wraps.

use std::collections::{HashMap, HashSet};

use starve_migration::Stage;

use super::{DiscoveredReport, Report, RouteReport, Verdict};
use crate::shown;

const WIDTH_MIN: usize = 60;
const WIDTH_MAX: usize = 200;
/// From this width on, errors and times have columns.
const WIDE: usize = 110;
const GAP: &str = "  ";
const DISCOVERED_SHOWN: usize = 20;
const LISTED_SHOWN: usize = 20;
const DEAD_SHOWN: usize = 200;
const OPERATIONS_SHOWN: usize = 20;
/// So many other routes with the same next step are not listed one by one.
const SHARED_FROM: usize = 3;

#[derive(Clone, Copy, Debug)]
pub struct TableStyle {
    /// In columns; held between 60 and 200.
    pub width: usize,
    /// ANSI colours.
    pub colour: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ink {
    Plain,
    Bold,
    Dim,
    Green,
    Yellow,
    Red,
}

impl Report {
    /// The dead routes alone as aligned text, each with its next step.
    pub fn dead_table(&self, style: TableStyle) -> String {
        let mut page = Page::new(style);
        for line in &self.warnings {
            page.line(&[("warning: ", Ink::Yellow), (line, Ink::Plain)]);
        }
        let observation = super::judge::observation(&self.observation);
        page.line(&[(&observation, Ink::Dim)]);
        page.dead(self);
        if self.dead.is_empty() {
            page.line(&[("no dead routes", Ink::Green)]);
        }
        page.text
    }

    /// The whole report as aligned text.
    pub fn table(&self, style: TableStyle) -> String {
        let mut page = Page::new(style);
        page.head(self);
        page.routes(self);
        page.dead(self);
        page.listed(self);
        page.discovered(self);
        page.operations(self);
        page.fields(self);
        page.next_steps(self);
        page.text
    }
}

struct Page {
    text: String,
    width: usize,
    colour: bool,
}

struct Column {
    title: &'static str,
    right: bool,
    cell: fn(&RouteReport, u64) -> (String, Ink),
}

impl Page {
    fn new(style: TableStyle) -> Self {
        let width = style.width.clamp(WIDTH_MIN, WIDTH_MAX);
        Self { text: String::new(), width, colour: style.colour }
    }

    fn head(&mut self, report: &Report) {
        let progress = &report.progress;
        if let Some(error) = &report.reload_error {
            let why = error.errors.lines().next().unwrap_or_default();
            self.line(&[("the last reload FAILED, the one before goes on: ", Ink::Red), (why, Ink::Plain)]);
        }
        let bar = progress.legacy_call_ratio.map(|ratio| bar(ratio, 24));
        let summary = report.summary();
        match bar {
            Some(bar) => self.line(&[("Monolith ", Ink::Bold), (&bar, Ink::Yellow), (" ", Ink::Plain)]),
            None => self.line(&[("Monolith", Ink::Bold)]),
        }
        for line in summary {
            self.line(&[(GAP, Ink::Plain), (&line, Ink::Plain)]);
        }
        for line in &report.warnings {
            self.line(&[(GAP, Ink::Plain), ("warning: ", Ink::Yellow), (line, Ink::Plain)]);
        }
    }

    fn routes(&mut self, report: &Report) {
        if report.routes.is_empty() {
            return;
        }
        let columns = columns(self.width);
        let now = report.generated_at_unix_ms;
        let cells: Vec<Vec<_>> = report
            .routes
            .iter()
            .map(|row| columns.iter().map(|column| (column.cell)(row, now)).collect())
            .collect();
        let mut widths: Vec<usize> = columns.iter().map(|column| length(column.title)).collect();
        for row in &cells {
            for (width, (cell, _)) in widths.iter_mut().zip(row) {
                *width = (*width).max(length(cell));
            }
        }
        // The route takes what the others leave.
        let others: usize = widths[1..].iter().map(|width| width + GAP.len()).sum();
        widths[0] = widths[0].min(self.width.saturating_sub(others));

        self.text.push('\n');
        let titles = columns.iter().map(|column| (column.title.to_owned(), Ink::Dim)).collect::<Vec<_>>();
        for row in std::iter::once(&titles).chain(&cells) {
            let mut parts = Vec::new();
            for ((column, width), (cell, ink)) in columns.iter().zip(&widths).zip(row) {
                let gap = if parts.is_empty() { "" } else { GAP };
                parts.push((format!("{gap}{}", pad(cell, *width, column.right)), *ink));
            }
            let parts: Vec<_> = parts.iter().map(|(text, ink)| (text.as_str(), *ink)).collect();
            self.line(&parts);
        }
    }

    fn dead(&mut self, report: &Report) {
        if report.dead.is_empty() {
            return;
        }
        let so_far = if report.dead.iter().all(|row| row.certain) { "" } else { " so far" };
        self.title(&format!("Dead routes{so_far} ({})", report.dead.len()));
        let shown = report.dead.iter().take(DEAD_SHOWN);
        self.list(
            shown
                .map(|row| (row.route.as_str(), format!("{}: {}", row.verdict.as_str(), row.evidence)))
                .collect(),
        );
        self.more(report.dead.len(), DEAD_SHOWN);
    }

    fn listed(&mut self, report: &Report) {
        if report.listed.is_empty() {
            return;
        }
        let orphans = report.inventory.orphans;
        self.title(&format!(
            "Listed, not configured ({}, of which {orphans} not called)",
            report.listed.len()
        ));
        let rows = report.listed.iter().take(LISTED_SHOWN);
        self.list(rows.map(|row| (row.match_text.as_str(), row.evidence.clone())).collect());
        self.more(report.listed.len(), LISTED_SHOWN);
    }

    fn more(&mut self, rows: usize, shown: usize) {
        if rows > shown {
            let more = format!("and {} more", rows - shown);
            self.line(&[(GAP, Ink::Plain), (&more, Ink::Dim)]);
        }
    }

    fn discovered(&mut self, report: &Report) {
        if report.discovered.is_empty() {
            return;
        }
        let listed = if report.inventory.sources.is_empty() { "configured" } else { "listed" };
        self.title(&format!("Discovered, not {listed} ({})", report.discovered.len()));
        let names: Vec<_> = report.discovered.iter().map(DiscoveredReport::title).collect();
        let rows = names.iter().zip(&report.discovered).take(DISCOVERED_SHOWN);
        self.list(rows.map(|(name, row)| (name.as_str(), row.evidence.clone())).collect());
        self.more(report.discovered.len(), DISCOVERED_SHOWN);
    }

    fn operations(&mut self, report: &Report) {
        let now = report.generated_at_unix_ms;
        for row in report.routes.iter().filter(|row| !row.operations.is_empty()) {
            self.title(&format!("Operations of {} ({})", row.match_text, row.operations.len()));
            let operations = row.operations.iter().take(OPERATIONS_SHOWN).map(|operation| {
                let by_function = match operation.calls_function {
                    0 => String::new(),
                    calls => format!(", {} by the function", shown::count(calls)),
                };
                let errors = match operation.errors {
                    0 => String::new(),
                    errors => format!(", {} failed", shown::count(errors)),
                };
                let calls = shown::counted(operation.calls(), "call");
                let last = shown::ago(operation.last_call_unix_ms, now);
                (operation.operation.as_str(), format!("{calls}{by_function}{errors}, last {last}"))
            });
            self.list(operations.collect());
            self.more(row.operations.len(), OPERATIONS_SHOWN);
        }
    }

    fn fields(&mut self, report: &Report) {
        let differing: Vec<_> =
            report.routes.iter().filter(|row| !row.comparison.fields.is_empty()).collect();
        if differing.is_empty() {
            return;
        }
        self.title("Differences");
        for row in differing {
            let of = format!("{} of {} compared", row.differs(), shown::count(row.comparison.compared));
            self.list(vec![(row.match_text.as_str(), of)]);
            for field in row.comparison.fields.iter().take(3) {
                let line = format!("{} ({})  {}", field.path, field.kind, shown::ratio(field.ratio));
                self.line(&[("    ", Ink::Plain), (&line, Ink::Plain)]);
            }
        }
    }

    fn next_steps(&mut self, report: &Report) {
        if report.routes.is_empty() {
            return;
        }
        self.title("Next steps");
        self.list(next_steps(&report.routes));
    }

    fn title(&mut self, text: &str) {
        self.text.push('\n');
        self.line(&[(text, Ink::Bold)]);
    }

    /// Names and texts in two columns; where the text does not fit beside the name it goes below, broken at spaces.
    fn list(&mut self, rows: Vec<(&str, String)>) {
        let name_max = self.width * 2 / 5;
        let names = rows.iter().map(|(name, _)| length(name)).max().unwrap_or(0).min(name_max);
        let indent = " ".repeat(GAP.len() * 2 + names);
        let text_width = self.width - indent.len();
        for (name, text) in rows {
            let name = pad(name, names, false);
            for (index, part) in broken(&text, text_width).iter().enumerate() {
                match index {
                    0 => self.line(&[
                        (GAP, Ink::Plain),
                        (&name, Ink::Plain),
                        (GAP, Ink::Plain),
                        (part, Ink::Plain),
                    ]),
                    _ => self.line(&[(&indent, Ink::Plain), (part, Ink::Plain)]),
                }
            }
        }
    }

    fn line(&mut self, parts: &[(&str, Ink)]) {
        let mut line = String::new();
        let mut left = self.width;
        for (text, ink) in parts {
            let text = cut(text, left);
            left -= length(&text);
            match code(*ink) {
                Some(code) if self.colour => line.push_str(&format!("\u{1b}[{code}m{text}\u{1b}[0m")),
                _ => line.push_str(&text),
            }
        }
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }
}

fn columns(width: usize) -> Vec<Column> {
    let mut columns = vec![
        Column { title: "ROUTE", right: false, cell: |row, _| (row.match_text.clone(), Ink::Plain) },
        Column { title: "STAGE", right: false, cell: |row, _| (row.staged(), stage_ink(row)) },
        Column { title: "LEGACY", right: true, cell: |row, _| number(row.legacy.calls) },
        Column { title: "FUNCTION", right: true, cell: |row, _| number(row.function_side.calls) },
    ];
    if width >= WIDE {
        columns.extend([
            Column { title: "L ERR", right: true, cell: |row, _| error(row.legacy.error_ratio) },
            Column { title: "F ERR", right: true, cell: |row, _| error(row.function_side.error_ratio) },
            Column { title: "L P95", right: true, cell: |row, _| time(row.legacy.p95_ms) },
            Column { title: "F P95", right: true, cell: |row, _| time(row.function_side.p95_ms) },
        ]);
    }
    columns.extend([
        Column { title: "DIFFERS", right: true, cell: |row, _| (row.differs(), differs_ink(row)) },
        Column { title: "LAST CALL", right: true, cell: last_call },
        Column {
            title: "STATE",
            right: false,
            cell: |row, _| (row.verdict.as_str().to_owned(), verdict_ink(row.verdict)),
        },
    ]);
    columns
}

fn number(n: u64) -> (String, Ink) {
    (shown::count(n), if n == 0 { Ink::Dim } else { Ink::Plain })
}

fn error(ratio: Option<f64>) -> (String, Ink) {
    let ink = if ratio.is_some_and(|ratio| ratio > 0.0) { Ink::Red } else { Ink::Dim };
    (ratio.map_or_else(|| "–".to_owned(), shown::ratio), ink)
}

fn time(ms: Option<f64>) -> (String, Ink) {
    (ms.map_or_else(|| "–".to_owned(), shown::milliseconds), Ink::Plain)
}

fn last_call(row: &RouteReport, now: u64) -> (String, Ink) {
    match row.last_call_unix_ms {
        None => ("never".to_owned(), Ink::Dim),
        Some(at) => (shown::ago(at, now), Ink::Plain),
    }
}

fn differs_ink(row: &RouteReport) -> Ink {
    match row.comparison.different {
        0 if row.comparison.compared == 0 => Ink::Dim,
        0 => Ink::Green,
        _ => Ink::Red,
    }
}

fn stage_ink(row: &RouteReport) -> Ink {
    match row.stage {
        _ if row.killed => Ink::Red,
        Stage::Legacy => Ink::Plain,
        Stage::Shadow | Stage::Canary => Ink::Yellow,
        Stage::Live | Stage::Done => Ink::Green,
        Stage::Retired => Ink::Dim,
    }
}

fn verdict_ink(verdict: Verdict) -> Ink {
    match verdict {
        Verdict::Live => Ink::Green,
        Verdict::Quiet => Ink::Yellow,
        Verdict::DeadCandidate | Verdict::NeverSeen => Ink::Red,
        Verdict::Unknown => Ink::Dim,
    }
}

fn code(ink: Ink) -> Option<u8> {
    match ink {
        Ink::Plain => None,
        Ink::Bold => Some(1),
        Ink::Dim => Some(2),
        Ink::Green => Some(32),
        Ink::Yellow => Some(33),
        Ink::Red => Some(31),
    }
}

/// A bar that is neither empty nor full as long as there is something of either.
fn bar(ratio: f64, width: usize) -> String {
    let full = (ratio * width as f64).round() as usize;
    let full = match full {
        0 if ratio > 0.0 => 1,
        _ if full >= width && ratio < 1.0 => width - 1,
        _ => full.min(width),
    };
    "█".repeat(full) + &"░".repeat(width - full)
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn cut(text: &str, width: usize) -> String {
    let text = shown::plain(text);
    match length(&text) > width {
        false => text,
        true => text.chars().take(width.saturating_sub(1)).chain((width > 0).then_some('…')).collect(),
    }
}

fn pad(text: &str, width: usize, right: bool) -> String {
    let text = cut(text, width);
    let space = " ".repeat(width - length(&text));
    if right { space + &text } else { text + &space }
}

fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        match lines[last].is_empty() {
            true => word.clone_into(&mut lines[last]),
            false if length(&lines[last]) + 1 + length(word) <= width => {
                lines[last].push(' ');
                lines[last].push_str(word);
            }
            false => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Each step with its route; a step that many routes share is told once, where the first of them stands.
fn next_steps(routes: &[RouteReport]) -> Vec<(&str, String)> {
    let mut shared: HashMap<&str, usize> = HashMap::new();
    for row in routes {
        *shared.entry(&row.next_step).or_default() += 1;
    }
    let mut told: HashSet<&str> = HashSet::new();
    let mut rows = Vec::new();
    for row in routes {
        let step = row.next_step.as_str();
        let others = shared[step] - 1;
        if others < SHARED_FROM {
            rows.push((row.match_text.as_str(), row.next_step.clone()));
        } else if told.insert(step) {
            rows.push((row.match_text.as_str(), format!("and {others} others: {step}")));
        }
    }
    rows
}
