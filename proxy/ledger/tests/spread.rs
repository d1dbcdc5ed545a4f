//! What is kept beside the counts: how long calls took, who called, how far the migration was.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use starve_callers::{CallerKey, Distinct, TOP_MAX};
use starve_ledger::{
    ApartCount, Batch, Caller, CallerCount, CallerKind, Count, LatencyCount, Ledger, LedgerError, Reader,
    Standing,
};
use starve_migration::Side;
use starve_migration::latency::BUCKETS;

const PATIENCE: Duration = Duration::from_secs(20);
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// A day's beginning.
const T0: u64 = 20_000 * DAY_MS;

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("starve.db");
    (folder, path)
}

fn write(path: &Path, batches: impl IntoIterator<Item = Batch>) {
    let ledger = Ledger::open(path).unwrap();
    for batch in batches {
        ledger.record(batch).unwrap();
        ledger.flush(PATIENCE).unwrap();
    }
    ledger.close(PATIENCE).unwrap();
}

fn count(calls: u64, apart: u64, at: u64) -> Count {
    Count {
        route: "r".to_owned(),
        side: Some(Side::Legacy),
        method: "POST".into(),
        class: 2,
        calls,
        duration_us: calls * 10,
        bytes_out: calls,
        bytes_in: calls * 3,
        apart,
        last_at_unix_ms: at,
    }
}

#[test]
fn durations_bytes_and_calls_apart_add_up_over_hours_and_days() {
    let (_folder, path) = place();
    let batches = [T0, T0 + HOUR_MS, T0 + 30 * HOUR_MS].map(|at| {
        let mut batch = Batch::new(at - 1_000, at);
        batch.counts = vec![count(5, 2, at)];
        let buckets = Box::new([3; BUCKETS]);
        let (route, side) = ("r".to_owned(), Some(Side::Legacy));
        batch.latencies = vec![LatencyCount { route: route.clone(), side, buckets, last_at_unix_ms: at }];
        batch.apart = vec![ApartCount { route, kind: "bot", calls: 2, last_at_unix_ms: at }];
        batch
    });
    write(&path, batches);
    let reader = Reader::open(&path).unwrap();
    for (since, times) in [(T0, 3), (T0 + HOUR_MS, 2), (T0 + DAY_MS, 1)] {
        assert_eq!(reader.latencies(since).unwrap()[0].buckets, [3 * times; BUCKETS], "{since}");
        assert_eq!(reader.apart(since).unwrap()[0].calls, 2 * times);
        let totals = &reader.totals(since).unwrap()[0];
        assert_eq!((totals.calls, totals.apart, totals.bytes_in), (5 * times, 2 * times, 15 * times));
    }
}

#[test]
fn every_window_of_a_year_has_its_calls_exactly_once() {
    let (_folder, path) = place();
    let days = 366;
    let at = |day: u64| T0 + day * DAY_MS;
    let batches = (0..days).map(|day| {
        let mut batch = Batch::new(at(day) - 1_000, at(day));
        batch.counts = vec![count(1, 1, at(day))];
        let buckets = Box::new([1; BUCKETS]);
        let (route, side) = ("r".to_owned(), Some(Side::Legacy));
        batch.latencies =
            vec![LatencyCount { route: route.clone(), side, buckets, last_at_unix_ms: at(day) }];
        batch.apart = vec![ApartCount { route, kind: "bot", calls: 1, last_at_unix_ms: at(day) }];
        batch
    });
    write(&path, batches);
    let reader = Reader::open(&path).unwrap();
    for since in 0..days {
        let calls = days - since;
        assert_eq!(reader.totals(at(since)).unwrap()[0].calls, calls, "from day {since} on");
        assert_eq!(reader.latencies(at(since)).unwrap()[0].buckets, [calls; BUCKETS], "from day {since} on");
        assert_eq!(reader.apart(at(since)).unwrap()[0].calls, calls, "from day {since} on");
    }
}

#[test]
fn the_last_regular_call_is_told_apart_from_those_of_bots() {
    let (_folder, path) = place();
    let batches = [(T0, 0), (T0 + DAY_MS, 5)].map(|(at, apart)| {
        let mut batch = Batch::new(at - 1_000, at);
        batch.counts = vec![count(5, apart, at)];
        batch
    });
    write(&path, batches);
    let totals = &Reader::open(&path).unwrap().totals(T0).unwrap()[0];
    assert_eq!((totals.last_unix_ms, totals.last_regular_unix_ms), (T0 + DAY_MS, T0));
}

#[test]
fn how_far_the_migration_was_is_kept_day_by_day() {
    let (_folder, path) = place();
    let mut first = Batch::new(T0, T0 + 1_000);
    first.counts = vec![count(5, 0, T0 + 500)];
    first.standing = Some(Standing { routes: 4, routes_on_legacy: 3 });
    let mut later = Batch::new(T0 + DAY_MS, T0 + DAY_MS + 1_000);
    later.counts = vec![Count { side: Some(Side::Function), ..count(7, 0, T0 + DAY_MS) }];
    write(&path, [first, later]);
    let days = Reader::open(&path).unwrap().progress().unwrap();
    let seen: Vec<_> =
        days.iter().map(|day| (day.calls_legacy, day.calls_function, day.routes_on_legacy)).collect();
    assert_eq!(seen, [(5, 0, Some(3)), (0, 7, None)]);
}

fn callers(from: u64, at: u64) -> Batch {
    let mut batch = Batch::new(at - 1_000, at);
    let (mut different, key) = (Distinct::default(), CallerKey::new([1; 16]));
    let rare = (from..from + TOP_MAX as u64 - 1).map(|id| (id, 1));
    let top: Vec<_> = rare
        .chain([(1, 1_000)])
        .map(|(id, calls)| {
            different.add(key.hash(&id.to_le_bytes()));
            Caller { id, name: format!("#{id}"), calls, error: 0 }
        })
        .collect();
    let calls = top.iter().map(|caller| caller.calls).sum();
    batch.callers = vec![CallerCount {
        route: "r".to_owned(),
        kind: CallerKind::Client,
        calls,
        floor: 0,
        top,
        different,
        at_unix_ms: at,
    }];
    batch
}

#[test]
fn callers_add_up_within_their_bounds_and_the_frequent_one_stays() {
    let (_folder, path) = place();
    write(&path, (0..10).map(|n| callers(100 + n * 100, T0 + n * 10_000)));
    let rows: i64 = rusqlite::Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM callers_daily", [], |row| row.get(0))
        .unwrap();
    assert!(rows <= 2 * TOP_MAX as i64, "{rows}");
    let kinds = Reader::open(&path).unwrap().callers("r", T0, 3).unwrap();
    assert_eq!((kinds[0].kind, kinds[0].calls, kinds[0].top.len()), ("client", 10 * 1_063, 3));
    let often = &kinds[0].top[0];
    assert_eq!((often.caller.as_str(), often.calls_at_least), ("#1", 10_000));
    assert!((10_000..10_020).contains(&often.calls_at_most), "{often:?}");
    let distinct = kinds[0].distinct as f64;
    assert!((distinct / 631.0 - 1.0).abs() < 0.1, "{distinct}");
    assert!(Reader::open(&path).unwrap().callers("r", T0 + DAY_MS, 3).unwrap().is_empty());
}

#[test]
fn an_older_ledger_is_named_by_readers_and_brought_up_to_date_with_its_counts() {
    let (_folder, path) = place();
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../src/schema/1.sql")).unwrap();
    old.execute_batch(
        "PRAGMA application_id = 0x73747276; PRAGMA user_version = 1;
         INSERT INTO endpoints VALUES (1, 0, 'r');
         INSERT INTO calls_total VALUES (1, 1, 'GET', 2, 9, 90, 900, 1000, 2000);
         INSERT INTO calls_daily VALUES (20000, 1, 1, 'GET', 2, 9, 90, 900);",
    )
    .unwrap();
    drop(old);
    let refused = Reader::open(&path).unwrap_err();
    assert!(matches!(refused, LedgerError::Older { found: 1, .. }), "{refused}");
    assert!(refused.to_string().contains("`starve run` brings it up to date"), "{refused}");
    write(&path, []);
    let reader = Reader::open(&path).unwrap();
    let totals = &reader.totals(T0).unwrap()[0];
    assert_eq!((totals.calls, totals.last_regular_unix_ms, totals.bytes_in), (9, 2_000, 0));
    assert_eq!(reader.progress().unwrap()[0].calls_legacy, 9);
    let before = reader.totals(19_000 * DAY_MS).unwrap();
    assert_eq!(
        (before[0].calls, before[0].bytes_out),
        (9, 900),
        "what was kept by the day is there by the month"
    );
}
