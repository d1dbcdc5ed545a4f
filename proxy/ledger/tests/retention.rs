//! What is old goes, a step at a time, and nothing else does.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure is the test's")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use starve_ledger::{
    Batch, ComparisonCount, Count, DAILY_KEPT_DAYS, DiscoveredCount, Event, EventKind, HOURLY_KEPT_DAYS,
    Ledger, Reader,
};
use starve_migration::Side;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// 2026-06-15T10:00:00Z.
const T0: u64 = 1_781_517_600_000;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("starve.db");
    (folder, path)
}

/// One call of the route `r`.
fn count(at: u64) -> Count {
    Count {
        route: "r".to_owned(),
        side: Some(Side::Legacy),
        method: "GET".into(),
        class: 2,
        calls: 1,
        duration_us: 1_000,
        bytes_out: 7,
        bytes_in: 0,
        apart: 0,
        last_at_unix_ms: at,
    }
}

fn discovered(template: &str, at: u64) -> DiscoveredCount {
    DiscoveredCount {
        template: template.to_owned(),
        method: "GET".into(),
        class: 2,
        calls: 1,
        duration_us: 500,
        apart: 0,
        last_at_unix_ms: at,
    }
}

fn batch_with(counts: Vec<Count>, at: u64) -> Batch {
    Batch { counts, ..Batch::new(at - 1_000, at) }
}

fn record(ledger: &Ledger, batch: Batch) {
    ledger.record(batch).unwrap();
    ledger.flush(PATIENCE).unwrap();
}

fn calls_of(path: &Path) -> u64 {
    Reader::open(path).unwrap().totals(0).unwrap().iter().map(|row| row.calls).sum()
}

#[test]
fn old_counts_go_step_by_step_and_totals_stay() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).unwrap();
    let old = T0 - (DAILY_KEPT_DAYS + 3) * DAY_MS;
    let mut first = batch_with(vec![count(old)], old);
    first.discovered = vec![discovered("/old", old)];
    first.events = vec![Event {
        at_unix_ms: old,
        kind: EventKind::Start,
        route: None,
        from: None,
        to: None,
        text: "began".into(),
    }];
    first.comparisons = vec![ComparisonCount { route: "r".into(), verdict: "equal".into(), n: 1 }];
    let recent = T0 - (HOURLY_KEPT_DAYS + 1) * DAY_MS;
    let second = batch_with(vec![count(recent)], recent);
    record(&ledger, first);
    record(&ledger, second);
    // One batch an hour is enough for the hourly step.
    for hour in 0..5 {
        let at = T0 + hour * HOUR_MS;
        record(&ledger, batch_with(vec![count(at)], at));
    }
    ledger.close(PATIENCE).unwrap();
    let reader = Reader::open(&path).unwrap();
    let totals = reader.totals(0).unwrap();
    assert_eq!(
        (totals[0].calls, totals[0].first_unix_ms),
        (6, old),
        "the oldest day and with it its month are gone, the total is not"
    );
    let hours = reader.hourly(Some("r"), 0).unwrap();
    assert_eq!(hours.len(), 5, "only what is young is kept by the hour: {hours:?}");
    assert_eq!(reader.discovered(0).unwrap(), []);
    assert_eq!(reader.events(9).unwrap(), []);
    assert_eq!(reader.comparisons(0).unwrap(), []);
    // What lies before the hourly counts is taken from its day.
    assert_eq!(reader.totals(recent).unwrap()[0].calls, 6);
}

#[test]
fn a_new_endpoint_has_no_calls_of_a_forgotten_one_whose_month_is_kept() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).unwrap();
    let oldest_kept = T0 - (DAILY_KEPT_DAYS - 1) * DAY_MS;
    let month_began = oldest_kept / DAY_MS / 32 * 32 * DAY_MS;
    assert!(month_began < T0 - (DAILY_KEPT_DAYS + 1) * DAY_MS, "{T0} leaves no room");
    let mut first = batch_with(vec![count(oldest_kept)], oldest_kept);
    first.discovered = vec![discovered("/old", month_began)];
    record(&ledger, first);
    // What is old goes after a batch is flushed: with the second one that of the first has been done.
    for at in [T0, T0 + HOUR_MS] {
        record(&ledger, batch_with(vec![], at));
    }
    assert_eq!(Reader::open(&path).unwrap().discovered(0).unwrap(), [], "forgotten");
    let later = T0 + 2 * HOUR_MS;
    let mut new = batch_with(vec![], later);
    new.discovered = vec![discovered("/new", later)];
    record(&ledger, new);
    ledger.close(PATIENCE).unwrap();
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.discovered(0).unwrap()[0].calls, 1);
    assert_eq!(calls_of(&path), 1);
}

#[test]
fn a_clock_that_jumps_ahead_does_not_empty_the_ledger() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).unwrap();
    for day in 0..10 {
        let at = T0 + day * DAY_MS;
        record(&ledger, batch_with(vec![count(at)], at));
    }
    let wrong = T0 + 30 * 365 * DAY_MS;
    record(&ledger, batch_with(vec![count(wrong)], wrong));
    ledger.close(PATIENCE).unwrap();
    let days = rusqlite::Connection::open(&path).unwrap();
    let days: i64 = days.query_row("SELECT count(*) FROM calls_daily", [], |row| row.get(0)).unwrap();
    assert_eq!(days, 10, "ten days and the wrong one, less the oldest");
    assert_eq!(calls_of(&path), 11, "a month is kept until its last day goes");
}
