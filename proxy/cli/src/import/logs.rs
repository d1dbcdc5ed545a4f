//! Access logs into the ledger: file by file, each whole or not at all.

use std::collections::HashMap;
use std::path::Path;

use starve_config::Plan;
use starve_discovery::access_log::{
    Cell, CellKey, Counter, Endpoint, Field, Fields, Format, Targets, UNMATCHED,
};
use starve_discovery::inventory::Inventory;
use starve_engine::{ConfigFile, joined_in};
use starve_ledger::{Importer, LedgerError, LogCount, LogEndpoint, LogFile, LogSource, MORE, Reader};
use starve_routing::{Entry, Pattern, RouteTable};

use super::arguments::AccessLog;
use super::files::{self, LogText};
use super::parse::{self, Parsed, Window};
use super::progress::Progress;
use super::summary::{FileOutcome, Summary};
use super::{failed, ledger_path};
use crate::arguments::Global;
use crate::output::{Failure, now_unix_ms};

/// Lines within this time after the last batch of a proxy that is running are counted by it.
const BATCH_RHYTHM_MS: u64 = 5_000;
/// Within a file, hours without a line up to this many are a quiet time, not a missing part.
const QUIET_HOURS: u64 = 24;

pub(super) fn run(global: &Global, log: &AccessLog) -> Result<(), Failure> {
    let fields = fields(&log.fields)?;
    let forced = match log.log_format.as_str() {
        "auto" => None,
        name => Some(Format::of(name, fields.clone()).map_err(Failure::usage)?),
    };
    let files = files::expand(&log.files)?;
    let plan = ConfigFile::new(&global.config).read()?.plan;
    let mut importer = Importer::open(&ledger_path(global)?).map_err(|error| failed(&error))?;
    let targets = targets(&plan, &ledger_path(global)?).map_err(|error| failed(&error))?;
    let now = now_unix_ms();
    let window = Window {
        since_unix_ms: log.since.map_or(0, |since| now.saturating_sub(millis(since))),
        counted_live: counted_live(&importer).map_err(|error| failed(&error))?,
        now_unix_ms: now,
    };
    let progress = Progress::new(&files, !log.quiet);
    let mut summary = Summary::default();
    for file in files {
        let outcome = one(&mut importer, &targets, &window, &file, forced.as_ref(), &fields, log, &progress);
        progress.clear();
        summary.add(&file, outcome);
    }
    progress.finish();
    // As a proxy joins what it discovers: the same rules for what both have seen.
    let joined = joined_in(&ledger_path(global)?).and_then(|joined| importer.rename_logs(&joined));
    joined.map_err(|error| failed(&error))?;
    summary.print(log.output)
}

/// One file from its name to the ledger.
#[expect(clippy::too_many_arguments, reason = "what all files share")]
fn one(
    importer: &mut Importer,
    targets: &Targets,
    window: &Window,
    file: &Path,
    forced: Option<&Format>,
    fields: &Fields,
    log: &AccessLog,
    progress: &Progress,
) -> Result<FileOutcome, String> {
    let mut text = LogText::open(file, progress)?;
    let format = match forced {
        Some(format) => format.clone(),
        None => text.detect(fields)?,
    };
    let source = LogSource {
        name: log.source.clone().unwrap_or_else(|| default_source(&format).to_owned()),
        weak: format.is_weak(),
    };
    let known = importer.known_files(&source.name).map_err(|error| crate::output::chain(&error))?;
    let begin = match text.begin_at(&known)? {
        files::Begin::New => None,
        files::Begin::Grown { id, bytes } => Some((id, bytes)),
        files::Begin::Known => return Ok(FileOutcome::known(source.name, format.name())),
    };
    let parsed = parse::file(&mut text, &format, targets, window)?;
    if parsed.calls() == 0 && parsed.bad > 0 && parsed.left_out() == 0 {
        let example =
            parsed.examples.first().map(|bad| format!("line {}: {} (`{}`)", bad.line, bad.why, bad.shown));
        return Err(format!(
            "no line of it can be read as {format}; {}; --format says what it is",
            example.unwrap_or_default()
        ));
    }
    let (endpoints, counts) = counts(&parsed.counter);
    let (head_bytes, head_hash) = text.head();
    let log_file = LogFile {
        grown_from: begin.map(|(id, _)| id),
        name: file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        head_bytes,
        head_hash,
        bytes: text.position(),
        tail_hash: text.tail_hash(),
        lines: parsed.lines,
        calls: parsed.calls(),
        bad: parsed.bad,
        first_unix_ms: counts.iter().map(|count| count.first_unix_ms).min().unwrap_or(0),
        last_unix_ms: counts.iter().map(|count| count.last_unix_ms).max().unwrap_or(0),
        at_unix_ms: window.now_unix_ms,
        spans: spans(&counts),
    };
    importer.log(&source, &log_file, &endpoints, &counts).map_err(|error| crate::output::chain(&error))?;
    Ok(outcome(source.name, &format, begin.map(|(_, bytes)| bytes), &log_file, parsed))
}

fn outcome(
    source: String,
    format: &Format,
    grown_from: Option<u64>,
    file: &LogFile,
    parsed: Parsed<'_>,
) -> FileOutcome {
    FileOutcome {
        source,
        format: format.name(),
        known: false,
        grown_from,
        lines: parsed.lines,
        calls: file.calls,
        bad: parsed.bad,
        without_request: parsed.no_request,
        too_old: parsed.too_old,
        counted_live: parsed.counted_live,
        in_the_future: parsed.in_the_future,
        first_unix_ms: file.first_unix_ms,
        last_unix_ms: file.last_unix_ms,
        examples: parsed.examples,
    }
}

/// Logs of different kinds of servers may tell of the same calls.
fn default_source(format: &Format) -> &'static str {
    match format {
        Format::Alb => "alb",
        Format::CloudFront => "cloudfront",
        Format::Iis => "iis",
        _ => "access-log",
    }
}

fn fields(given: &[String]) -> Result<Fields, Failure> {
    let mut fields = Fields::default();
    for field in given {
        let (what, name) = field.split_once('=').unwrap_or((field, ""));
        let known = Fields::NAMES.iter().find(|(known, _)| *known == what);
        let (Some((_, field)), false) = (known, name.is_empty()) else {
            let names = Fields::NAMES.map(|(name, _): (&str, Field)| name).join(", ");
            return Err(Failure::usage(format!("--field {field}: write WHAT=NAME, WHAT one of {names}")));
        };
        fields.set(*field, name);
    }
    Ok(fields)
}

/// What a call can be of: the configured routes, then the inventories.
fn targets(plan: &Plan, ledger: &Path) -> Result<Targets, LedgerError> {
    let entries = plan.routes.iter().enumerate().map(|(place, route)| Entry {
        pattern: route.pattern.clone(),
        when: route.when.clone(),
        value: place,
    });
    // The plan is valid, so its routes can stand together.
    let table = RouteTable::build(entries.collect()).unwrap_or_else(|_| no_routes());
    let names = plan.routes.iter().map(|route| route.id.clone()).collect();
    let rows = Reader::open(ledger)?.inventory()?;
    let listed = rows.iter().filter_map(|row| {
        let also = row.also.iter().filter_map(|also| also.parse().ok()).collect();
        Some((row.pattern.parse::<Pattern>().ok()?, also))
    });
    let configured: Vec<&Pattern> = plan.routes.iter().map(|route| &route.pattern).collect();
    Ok(Targets::new(table, names, Inventory::build(listed, &configured)))
}

fn no_routes() -> RouteTable<usize> {
    match RouteTable::build(Vec::new()) {
        Ok(table) => table,
        Err(_) => unreachable!("nothing conflicts with nothing"),
    }
}

/// When a proxy counted into this ledger, in order and without overlaps.
fn counted_live(importer: &Importer) -> Result<Vec<(u64, u64)>, LedgerError> {
    let mut spans: Vec<(u64, u64)> = Vec::new();
    for (from, until) in importer.observed()? {
        let until = until.saturating_add(BATCH_RHYTHM_MS);
        match spans.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ => spans.push((from, until)),
        }
    }
    Ok(spans)
}

/// Cells as the ledger takes them. What is the same endpoint there becomes one count.
fn counts(counter: &Counter<'_>) -> (Vec<LogEndpoint>, Vec<LogCount>) {
    let known = counter.endpoints();
    let mut places: HashMap<LogEndpoint, usize> = HashMap::new();
    let mut endpoints = Vec::new();
    let mut place_of = vec![None; known.len()];
    let mut sums: HashMap<CellKey, Cell> = HashMap::new();
    for (key, cell) in counter.cells() {
        let place = *place_of[key.endpoint].get_or_insert_with(|| {
            let endpoint = match &known[key.endpoint] {
                Endpoint::Known(id) => LogEndpoint::Route(id.clone()),
                Endpoint::Template(path) => LogEndpoint::Discovered(path.clone()),
                Endpoint::Unmatched => LogEndpoint::Discovered(UNMATCHED.to_owned()),
                Endpoint::More => LogEndpoint::Discovered(MORE.to_owned()),
            };
            *places.entry(endpoint.clone()).or_insert_with(|| {
                endpoints.push(endpoint);
                endpoints.len() - 1
            })
        });
        let is_one_row = !matches!(known[key.endpoint], Endpoint::Known(_) | Endpoint::Template(_));
        // As the live counts of these rows: they are of no endpoint, so of no method.
        let method = if is_one_row { "_OTHER" } else { key.method };
        let sum = sums.entry(CellKey { endpoint: place, method, ..key });
        sum.and_modify(|sum| sum.add(&cell)).or_insert(cell);
    }
    // In the order of the table's key: SQLite then appends instead of searching.
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_unstable_by_key(|(key, _)| (key.hour, key.endpoint, key.method, key.class));
    let count = |(key, cell): (CellKey, Cell)| LogCount {
        endpoint: key.endpoint,
        method: key.method,
        class: key.class,
        hour: key.hour,
        calls: cell.calls,
        duration_us: cell.duration_us,
        bytes_out: cell.bytes_out,
        apart: cell.apart,
        first_unix_ms: cell.first_unix_ms,
        last_unix_ms: cell.last_unix_ms,
        last_regular_unix_ms: cell.last_regular_unix_ms,
    };
    (endpoints, sums.into_iter().map(count).collect())
}

/// The stretches of time of which the file has lines.
fn spans(counts: &[LogCount]) -> Vec<(u64, u64)> {
    let mut spans: Vec<(u64, u64)> = Vec::new();
    let mut hour_before = 0;
    // In the order of hours.
    for count in counts {
        match spans.last_mut() {
            Some(span) if count.hour <= hour_before + QUIET_HOURS => {
                span.0 = span.0.min(count.first_unix_ms);
                span.1 = span.1.max(count.last_unix_ms);
            }
            _ => spans.push((count.first_unix_ms, count.last_unix_ms)),
        }
        hour_before = count.hour;
    }
    spans
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
