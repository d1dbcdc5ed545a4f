//! The ledger as its users see it: a writer, readers beside it, and everything that can stand in the way.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure is the test's")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use starve_ledger::{
    Batch, ComparisonCount, Count, DiscoveredCount, Event, EventKind, FieldDelta, Ledger, LedgerError,
    Reader, Sample,
};
use starve_migration::Side;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// 2026-06-15T10:00:00Z.
const T0: u64 = 1_781_517_600_000;

fn count(route: &str, side: Option<Side>, method: &'static str, class: u8, calls: u64, at: u64) -> Count {
    Count {
        route: route.to_owned(),
        side,
        method: method.into(),
        class,
        calls,
        duration_us: calls * 1_000,
        bytes_out: calls * 7,
        bytes_in: 0,
        apart: 0,
        last_at_unix_ms: at,
    }
}

fn batch_with(counts: Vec<Count>, at: u64) -> Batch {
    Batch { counts, ..Batch::new(at - 1_000, at) }
}

fn discovered(template: &str, calls: u64, at: u64) -> DiscoveredCount {
    DiscoveredCount {
        template: template.to_owned(),
        method: "GET".into(),
        class: 2,
        calls,
        duration_us: calls * 500,
        apart: 0,
        last_at_unix_ms: at,
    }
}

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("starve.db");
    (folder, path)
}

/// Records as the proxy does: what comes back is merged with the next.
fn record_all(ledger: &Ledger, batches: impl IntoIterator<Item = Batch>) {
    let mut kept: Option<Batch> = None;
    for batch in batches {
        let batch = match kept.take() {
            Some(mut earlier) => {
                earlier.merge(batch);
                earlier
            }
            None => batch,
        };
        kept = ledger.record(batch).err();
    }
    let deadline = Instant::now() + PATIENCE;
    while let Some(batch) = kept.take() {
        assert!(Instant::now() < deadline, "the queue never emptied: {:?}", ledger.health());
        kept = ledger.record(batch).err();
        std::thread::yield_now();
    }
}

fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

fn calls_of(path: &Path, route: &str) -> u64 {
    let totals = Reader::open(path).unwrap().totals(0).unwrap();
    totals.iter().filter(|row| row.route == route).map(|row| row.calls).sum()
}

fn integrity(path: &Path) -> String {
    rusqlite::Connection::open(path)
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn every_call_is_counted_once_over_many_batches_and_restarts() {
    let (_folder, path) = place();
    for round in 0..3 {
        let ledger = Ledger::open(&path).unwrap();
        record_all(
            &ledger,
            (0..500).map(|n| {
                let at = T0 + (round * 500 + n) * 1_000;
                let mut batch = batch_with(
                    vec![
                        count("GET /a", Some(Side::Legacy), "GET", 2, 3, at),
                        count("GET /a", Some(Side::Function), "GET", 5, 2, at),
                        count("GET /gone", None, "GET", 4, 1, at),
                    ],
                    at,
                );
                batch.discovered = vec![discovered("/x/{id}", 5, at)];
                batch.comparisons =
                    vec![ComparisonCount { route: "GET /a".into(), verdict: "different".into(), n: 2 }];
                batch.fields = vec![FieldDelta {
                    route: "GET /a".into(),
                    path: "body:$.x".into(),
                    kind: "changed".into(),
                    n: 2,
                }];
                batch
            }),
        );
        ledger.close(PATIENCE).unwrap();
    }
    let reader = Reader::open(&path).unwrap();
    let last = T0 + 1_499_000;
    let totals = reader.totals(0).unwrap();
    let seen: Vec<_> = totals
        .iter()
        .map(|row| (row.route.as_str(), row.side, row.class, row.calls, row.duration_us, row.bytes_out))
        .collect();
    assert_eq!(
        seen,
        [
            ("GET /a", Some(Side::Legacy), 2, 4_500, 4_500_000, 31_500),
            ("GET /a", Some(Side::Function), 5, 3_000, 3_000_000, 21_000),
            ("GET /gone", None, 4, 1_500, 1_500_000, 10_500),
        ]
    );
    assert!(totals.iter().all(|row| row.first_unix_ms <= T0 + 16_000 && row.last_unix_ms == last));
    let discovered = reader.discovered(0).unwrap();
    assert_eq!((discovered.len(), discovered[0].calls), (1, 7_500));
    assert_eq!(reader.comparisons(T0).unwrap()[0].n, 3_000);
    assert_eq!(reader.fields(Some("GET /a"), T0).unwrap()[0].n, 3_000);
    assert_eq!(reader.fields(Some("GET /b"), T0).unwrap(), []);
    let hourly = reader.hourly(Some("GET /a"), T0).unwrap();
    assert_eq!(hourly.iter().map(|hour| hour.calls).sum::<u64>(), 7_500);
    assert_eq!(integrity(&path), "ok");
}

#[test]
fn a_window_counts_from_its_hour_on_and_keeps_the_last_call_before_it() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).unwrap();
    let ats = [T0 - 30 * DAY_MS, T0 - DAY_MS, T0 - 3 * HOUR_MS, T0 - HOUR_MS, T0];
    record_all(&ledger, ats.map(|at| batch_with(vec![count("r", Some(Side::Legacy), "GET", 2, 1, at)], at)));
    ledger.close(PATIENCE).unwrap();
    let reader = Reader::open(&path).unwrap();
    for (since, calls) in [
        (0, 5),
        (ats[0], 5),
        (ats[0] + HOUR_MS, 4),
        (T0 - DAY_MS, 4),
        (T0 - DAY_MS + HOUR_MS, 3),
        (T0 - 3 * HOUR_MS + 1, 3),
        (T0 - 2 * HOUR_MS, 2),
        (T0, 1),
        (T0 + HOUR_MS, 0),
        (T0 + 3 * DAY_MS, 0),
    ] {
        let totals = reader.totals(since).unwrap();
        assert_eq!(totals.len(), 1);
        assert_eq!(totals[0].calls, calls, "since {since}");
        assert_eq!((totals[0].first_unix_ms, totals[0].last_unix_ms), (ats[0], T0));
    }
}

#[test]
fn samples_and_events_come_back_newest_first_and_bounded() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).unwrap();
    let mut batch = Batch::new(T0, T0 + 1);
    for n in 0..80 {
        for route in ["a", "b"] {
            batch.samples.push(Sample {
                route: route.into(),
                at_unix_ms: T0 + n,
                method: "GET".into(),
                target: format!("/p/{n}"),
                verdict: "different".into(),
                differences: "[1]".into(),
            });
        }
        batch.events.push(Event {
            at_unix_ms: T0 + n,
            kind: EventKind::Stage,
            route: Some("a".into()),
            from: Some("shadow".into()),
            to: Some("live".into()),
            text: n.to_string(),
        });
    }
    ledger.record(batch).unwrap();
    ledger.close(PATIENCE).unwrap();
    let reader = Reader::open(&path).unwrap();
    let samples = reader.samples(Some("a"), 1_000).unwrap();
    assert_eq!(samples.len(), 50);
    assert_eq!((samples[0].target.as_str(), samples[49].target.as_str()), ("/p/79", "/p/30"));
    assert_eq!(reader.samples(None, 1_000).unwrap().len(), 100);
    let events = reader.events(3).unwrap();
    assert_eq!(events.iter().map(|event| event.text.as_str()).collect::<Vec<_>>(), ["79", "78", "77"]);
    assert_eq!((events[0].kind.as_str(), events[0].to.as_deref()), ("stage", Some("live")));
}

#[test]
fn a_flood_of_names_from_traffic_is_bounded_and_loses_no_count() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).unwrap();
    let mut batch = Batch::new(T0, T0 + 1);
    for n in 0..26_000 {
        batch.discovered.push(discovered(&format!("/scan/{n}"), 1, T0));
    }
    for n in 0..5_000 {
        batch.fields.push(FieldDelta {
            route: "r".into(),
            path: format!("body:$.k{n}"),
            kind: "added".into(),
            n: 1,
        });
    }
    ledger.record(batch).unwrap();
    ledger.close(PATIENCE).unwrap();
    let reader = Reader::open(&path).unwrap();
    let found = reader.discovered(0).unwrap();
    assert!(found.len() <= 25_001, "{}", found.len());
    assert_eq!(found.iter().map(|row| row.calls).sum::<u64>(), 26_000);
    let fields = reader.fields(None, 0).unwrap();
    assert!(fields.len() <= 501, "{}", fields.len());
    assert_eq!(fields.iter().map(|field| field.n).sum::<u64>(), 5_000);
}

#[test]
fn endpoints_that_turn_out_to_be_one_are_added_up_in_every_hour() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).unwrap();
    let hour = 3_600_000;
    for (template, calls, at) in
        [("/a/x", 3, T0), ("/a/y", 4, T0), ("/a/{value}", 5, T0), ("/a/x", 6, T0 + hour)]
    {
        let mut batch = Batch::new(T0, at + 1);
        batch.discovered.push(discovered(template, calls, at));
        ledger.record(batch).unwrap();
    }
    let mut batch = Batch::new(T0, T0 + hour + 2);
    let name = |template: &str| (template.to_owned(), "GET".into());
    for from in ["/a/x", "/a/y", "/never", "/a/{value}"] {
        batch.renames.push(starve_ledger::Rename { from: name(from), to: name("/a/{value}") });
    }
    batch.discovered.push(discovered("/a/{value}", 1, T0 + hour));
    ledger.record(batch).unwrap();
    ledger.close(PATIENCE).unwrap();
    let reader = Reader::open(&path).unwrap();
    for (since, calls) in [(0, 19), (T0, 19), (T0 + hour, 7)] {
        let rows = reader.discovered(since).unwrap();
        let found: Vec<_> = rows.iter().map(|row| (row.template.as_str(), row.calls)).collect();
        assert_eq!(found, [("/a/{value}", calls)], "{since}");
        assert_eq!((rows[0].first_unix_ms, rows[0].last_unix_ms), (T0, T0 + hour));
    }
}

#[test]
fn a_second_proxy_is_refused_and_told_who_has_the_file() {
    let (folder, path) = place();
    let ledger = Ledger::open(&path).unwrap();
    let link = folder.path().join("other-name.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for name in [&path, &link] {
        let error = Ledger::open(name).unwrap_err();
        assert!(matches!(error, LedgerError::InUse { holder: Some(_), .. }), "{error:?}");
        assert!(error.to_string().contains(&format!("(process {})", std::process::id())), "{error}");
    }
    ledger.close(PATIENCE).unwrap();
    Ledger::open(&path).unwrap();
}

#[test]
fn a_reader_works_beside_the_writer_and_after_it() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).unwrap();
    record_all(&ledger, [batch_with(vec![count("r", None, "GET", 4, 1, T0)], T0)]);
    ledger.flush(PATIENCE).unwrap();
    let before = Reader::open(&path).unwrap();
    assert_eq!(before.totals(0).unwrap()[0].calls, 1);
    record_all(&ledger, [batch_with(vec![count("r", None, "GET", 4, 1, T0 + 1_000)], T0 + 1_000)]);
    ledger.flush(PATIENCE).unwrap();
    assert_eq!(before.totals(0).unwrap()[0].calls, 1, "a reader sees one moment");
    assert_eq!(calls_of(&path, "r"), 2);
    drop(before);
    ledger.close(PATIENCE).unwrap();
    assert_eq!(calls_of(&path, "r"), 2);
}

#[test]
fn a_missing_file_is_no_ledger_to_read() {
    let (_folder, path) = place();
    let error = Reader::open(&path).unwrap_err();
    assert!(matches!(error, LedgerError::Missing { .. }));
    assert!(error.to_string().contains("starve run"), "{error}");
    assert!(!path.exists());
}

#[test]
fn files_that_are_no_ledger_are_refused_and_left_as_they_are() {
    let (folder, _) = place();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "not a database, but long enough to have a header that is wrong\n".repeat(40))
        .unwrap();
    let other = folder.path().join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE customers (id)").unwrap();
    for path in [&text, &other] {
        let before = std::fs::read(path).unwrap();
        let error = Ledger::open(path).unwrap_err();
        assert!(matches!(error, LedgerError::Foreign { .. }), "{error:?}");
        assert!(!error.to_string().contains('\n'));
        assert!(matches!(Reader::open(path).unwrap_err(), LedgerError::Foreign { .. }));
        assert_eq!(std::fs::read(path).unwrap(), before);
    }
}

#[test]
fn a_damaged_ledger_is_refused_with_a_way_out() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).unwrap();
    let mut batch = Batch::new(T0, T0 + 1);
    batch.discovered = (0..2_000).map(|n| discovered(&format!("/path/{n}"), 1, T0)).collect();
    ledger.record(batch).unwrap();
    ledger.close(PATIENCE).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() > 100_000);
    bytes[8_192..90_000].fill(0xA5);
    std::fs::write(&path, bytes).unwrap();
    let error = Ledger::open(&path).unwrap_err();
    assert!(matches!(error, LedgerError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("move it away") && !error.to_string().contains('\n'), "{error}");
}

#[test]
fn a_ledger_of_a_newer_version_is_refused() {
    let (_folder, path) = place();
    Ledger::open(&path).unwrap().close(PATIENCE).unwrap();
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    for error in [Ledger::open(&path).unwrap_err(), Reader::open(&path).unwrap_err()] {
        assert!(matches!(error, LedgerError::Newer { found: 99, .. }), "{error:?}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named_with_the_remedy() {
    let (folder, path) = place();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    // Not a matter of permissions, so that it holds for root as well.
    for path in [file.join("starve.db"), folder.path().join("missing/starve.db"), "/proc/starve.db".into()] {
        let error = Ledger::open(&path).unwrap_err();
        assert!(matches!(error, LedgerError::Unwritable { .. }), "{error:?}");
        assert!(error.to_string().contains("writable for the user"), "{error}");
        assert!(error.to_string().contains("starve.db"), "{error}");
    }
    assert!(!path.exists());
}

#[test]
fn a_locked_file_degrades_gives_batches_back_and_recovers_without_loss() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let mut at = T0;
    let mut recorded = 0;
    let mut record = |kept: Option<Batch>| {
        at += 1;
        recorded += 1;
        let mut batch = batch_with(vec![count("r", Some(Side::Legacy), "GET", 2, 1, at)], at);
        if let Some(mut earlier) = kept {
            earlier.merge(batch);
            batch = earlier;
        }
        ledger.record(batch).err()
    };
    // The thread waits for the lock, so the queue fills up and a batch comes back.
    let mut kept = None;
    wait_until("a batch comes back", || {
        kept = record(kept.take());
        kept.is_some()
    });
    let took = Instant::now();
    kept = record(kept);
    assert!(took.elapsed() < Duration::from_millis(500), "recording waited for the lock");
    wait_until("degraded", || ledger.health().degraded.is_some());
    let health = ledger.health();
    assert!(health.degraded.as_deref().is_some_and(|why| why.contains("locked")), "{health:?}");
    assert!(health.pending > 0);
    assert!(ledger.flush(Duration::from_millis(10)).is_err());

    other.execute_batch("ROLLBACK").unwrap();
    wait_until("everything is taken", || {
        kept = kept.take().and_then(|batch| ledger.record(batch).err());
        kept.is_none()
    });
    ledger.flush(PATIENCE).unwrap();
    let health = ledger.health();
    assert_eq!((health.degraded, health.pending), (None, 0));
    assert!(health.last_commit_unix_ms.is_some());
    assert_eq!(calls_of(&path, "r"), recorded);
}

#[test]
fn a_full_disk_degrades_and_recovers_without_loss() {
    let (_folder, path) = place();
    Ledger::open(&path).unwrap().close(PATIENCE).unwrap();
    // A trigger stands for the disk: it fails the transaction in its middle, after rows were written.
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER full BEFORE UPDATE ON marks WHEN new.name = 'applied_batch'
             BEGIN SELECT raise(ABORT, 'disk full'); END",
        )
        .unwrap();
    let ledger = Ledger::open(&path).unwrap();
    record_all(&ledger, (1..=5).map(|n| batch_with(vec![count("r", None, "GET", 4, 1, T0 + n)], T0 + n)));
    wait_until("degraded", || ledger.health().degraded.is_some());
    assert_eq!(calls_of(&path, "r"), 0, "half a batch is in the file");
    other.execute_batch("DROP TRIGGER full").unwrap();
    ledger.flush(PATIENCE).unwrap();
    assert_eq!(calls_of(&path, "r"), 5);
    assert_eq!(ledger.health().degraded, None);
}

#[test]
fn closing_gives_up_at_its_deadline_and_says_what_is_missing() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    ledger.record(Batch::new(T0, T0 + 1)).unwrap();
    let error = ledger.close(Duration::from_millis(50)).unwrap_err();
    assert_eq!(error.pending, 1);
    assert!(error.to_string().contains("1 batches are not written"), "{error}");
    assert!(ledger.record(Batch::new(T0, T0 + 2)).is_err(), "a closed ledger takes nothing");
}

#[test]
fn a_file_deleted_under_the_proxy_is_begun_anew() {
    let (folder, path) = place();
    let ledger = Ledger::open(&path).unwrap();
    record_all(&ledger, [batch_with(vec![count("r", None, "GET", 4, 1, T0)], T0)]);
    ledger.flush(PATIENCE).unwrap();
    for name in ["starve.db", "starve.db-wal", "starve.db-shm"] {
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
    for n in 1..=3 {
        record_all(&ledger, [batch_with(vec![count("r", None, "GET", 4, 1, T0 + n)], T0 + n)]);
    }
    ledger.flush(PATIENCE).unwrap();
    assert_eq!(calls_of(&path, "r"), 3);
    ledger.close(PATIENCE).unwrap();
    assert_eq!(integrity(&path), "ok");
}

#[test]
fn a_copy_put_in_place_of_the_file_takes_the_counts_that_follow() {
    let (folder, path) = place();
    let older = folder.path().join("older.db");
    let before = Ledger::open(&older).unwrap();
    for n in 1..=20 {
        record_all(&before, [batch_with(vec![count("r", None, "GET", 4, 1, T0 + n)], T0 + n)]);
        before.flush(PATIENCE).unwrap();
    }
    before.close(PATIENCE).unwrap();
    let ledger = Ledger::open(&path).unwrap();
    record_all(&ledger, [batch_with(vec![count("r", None, "GET", 4, 100, T0)], T0)]);
    ledger.flush(PATIENCE).unwrap();
    std::fs::rename(&older, &path).unwrap();
    for name in ["starve.db-wal", "starve.db-shm"] {
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
    record_all(&ledger, [batch_with(vec![count("r", None, "GET", 4, 1, T0 + 60)], T0 + 60)]);
    ledger.close(PATIENCE).unwrap();
    assert_eq!(calls_of(&path, "r"), 21, "its batches have numbers of their own");
    assert_eq!(integrity(&path), "ok");
}

#[test]
fn stops_and_holes_in_the_counting_are_known() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).unwrap();
    record_all(&ledger, (1..=10).map(|n| Batch::new(T0 + (n - 1) * 1_000, T0 + n * 1_000)));
    ledger.close(PATIENCE).unwrap();
    let ledger = Ledger::open(&path).unwrap();
    let again = T0 + 60_000;
    record_all(&ledger, [Batch::new(again, again + 1_000)]);
    ledger.flush(PATIENCE).unwrap();
    let coverage = Reader::open(&path).unwrap().coverage(T0 - 9_000, again + 1_000).unwrap();
    assert_eq!(coverage.observed_ms, 11_000);
    assert_eq!(coverage.window_ms(), 70_000);
    assert_eq!(coverage.gaps.len(), 1);
    let gap = coverage.gaps[0];
    assert_eq!((gap.from_unix_ms, gap.until_unix_ms, gap.clean), (T0 + 10_000, again, true));
}
