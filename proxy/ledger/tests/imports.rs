//! Imports beside a running proxy: replaced whole, counted once, never added across sources.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure is the test's")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use starve_ledger::{
    Batch, Count, DiscoveredCount, ImportedEndpoint, ImportedInventory, Importer, Ledger, LedgerError,
    LogCount, LogEndpoint, LogFile, LogSource, Reader, Replaced,
};
use starve_migration::Side;
use tempfile::TempDir;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// 2026-06-15T10:00:00Z.
const T0: u64 = 1_781_517_600_000;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("starve.db");
    (folder, path)
}

fn inventory(source: &str, patterns: &[&str]) -> ImportedInventory {
    ImportedInventory {
        source: source.to_owned(),
        format: "routes".to_owned(),
        file: "routes.txt".to_owned(),
        at_unix_ms: T0,
        endpoints: patterns
            .iter()
            .enumerate()
            .map(|(line, pattern)| ImportedEndpoint {
                pattern: (*pattern).to_owned(),
                also: vec![format!("{pattern}.json")],
                line: line + 1,
            })
            .collect(),
    }
}

fn source(name: &str) -> LogSource {
    LogSource { name: name.to_owned(), weak: false }
}

fn file(name: &str, from: u64, until: u64) -> LogFile {
    LogFile {
        name: name.to_owned(),
        head_bytes: 3,
        head_hash: format!("head of {name}"),
        bytes: 300,
        tail_hash: "tail".to_owned(),
        lines: 10,
        calls: 10,
        bad: 1,
        first_unix_ms: from,
        last_unix_ms: until,
        at_unix_ms: T0,
        spans: vec![(from, until)],
        grown_from: None,
    }
}

fn count(endpoint: usize, calls: u64, at: u64) -> LogCount {
    LogCount {
        endpoint,
        method: "GET",
        class: 2,
        hour: at / HOUR_MS,
        calls,
        duration_us: calls * 100,
        bytes_out: calls * 10,
        first_unix_ms: at,
        last_unix_ms: at + 1,
        apart: 0,
        last_regular_unix_ms: 0,
    }
}

#[test]
fn an_inventory_is_replaced_whole_under_its_name() {
    let (_folder, path) = place();
    let mut importer = Importer::open(&path).unwrap();
    assert_eq!(Reader::open(&path).unwrap().inventory_version().unwrap(), 0);
    let replaced = importer.inventory(&inventory("rails", &["GET /a", "GET /b"])).unwrap();
    assert_eq!(replaced, Replaced { endpoints: 2, added: 2, removed: 0 });
    importer.inventory(&inventory("openapi", &["GET /b"])).unwrap();
    let replaced = importer.inventory(&inventory("rails", &["GET /b", "GET /c"])).unwrap();
    assert_eq!(replaced, Replaced { endpoints: 2, added: 1, removed: 1 });

    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.inventory_version().unwrap(), 3);
    let listed: Vec<_> = reader
        .inventory()
        .unwrap()
        .into_iter()
        .map(|row| (row.source, row.pattern, row.also, row.line))
        .collect();
    let row = |source: &str, pattern: &str, line| {
        (source.to_owned(), pattern.to_owned(), vec![format!("{pattern}.json")], line)
    };
    assert_eq!(listed, [row("openapi", "GET /b", 1), row("rails", "GET /b", 1), row("rails", "GET /c", 2)]);
    let sources = reader.inventory_sources().unwrap();
    assert_eq!((sources.len(), sources[1].name.as_str(), sources[1].endpoints), (2, "rails", 2));

    assert_eq!(importer.remove_inventory("rails").unwrap(), Some(2));
    assert_eq!(importer.remove_inventory("rails").unwrap(), None);
    assert_eq!(Reader::open(&path).unwrap().inventory().unwrap().len(), 1);
}

#[test]
fn one_import_at_a_time_beside_the_running_proxy() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).unwrap();
    let mut importer = Importer::open(&path).unwrap();
    let second = Importer::open(&path).unwrap_err();
    assert!(matches!(second, LedgerError::Importing { holder: Some(_), .. }), "{second}");
    importer.inventory(&inventory("rails", &["GET /a"])).unwrap();
    let mut batch = Batch::new(T0 - 1_000, T0);
    batch.counts = vec![Count {
        route: "GET /a".to_owned(),
        side: Some(Side::Legacy),
        method: "GET".into(),
        class: 2,
        calls: 4,
        duration_us: 4,
        bytes_out: 4,
        bytes_in: 0,
        apart: 0,
        last_at_unix_ms: T0,
    }];
    ledger.record(batch).unwrap();
    ledger.flush(Duration::from_secs(30)).unwrap();
    // The same number for the same name, whoever came first.
    let endpoints = [LogEndpoint::Route("GET /a".to_owned())];
    importer
        .log(
            &source("nginx"),
            &file("a.log", T0 - DAY_MS, T0 - HOUR_MS),
            &endpoints,
            &[count(0, 6, T0 - HOUR_MS)],
        )
        .unwrap();
    let totals = Reader::open(&path).unwrap().totals(T0 - DAY_MS).unwrap();
    assert_eq!(totals.len(), 1);
    assert_eq!((totals[0].calls, totals[0].first_unix_ms, totals[0].last_unix_ms), (10, T0 - HOUR_MS, T0));
    drop(importer);
    Importer::open(&path).unwrap();
}

#[test]
fn logs_of_one_source_add_up_and_those_of_two_do_not() {
    let (_folder, path) = place();
    let mut importer = Importer::open(&path).unwrap();
    let endpoints = [LogEndpoint::Route("r".to_owned()), LogEndpoint::Discovered("/x/{int}".to_owned())];
    let at = T0 - 3 * HOUR_MS;
    importer
        .log(&source("web"), &file("1", at, at), &endpoints, &[count(0, 5, at), count(1, 2, at)])
        .unwrap();
    importer.log(&source("web"), &file("2", at, at), &endpoints, &[count(0, 7, at)]).unwrap();
    importer
        .log(&source("cdn"), &file("3", at, at), &endpoints, &[count(0, 9, at), count(1, 8, at)])
        .unwrap();
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.totals(0).unwrap()[0].calls, 12);
    assert_eq!(reader.totals(T0).unwrap()[0].calls, 0, "before the window, and known all the same");
    let discovered = reader.discovered(0).unwrap();
    assert_eq!((discovered[0].template.as_str(), discovered[0].calls), ("/x/{int}", 8));
    let logs = reader.imported_logs().unwrap();
    assert_eq!((logs[1].name.as_str(), logs[1].files, logs[1].calls, logs[1].bad_lines), ("web", 2, 20, 2));
}

#[test]
fn the_history_of_a_log_follows_when_endpoints_turn_out_to_be_one() {
    let (_folder, path) = place();
    let mut importer = Importer::open(&path).unwrap();
    let endpoints =
        ["/t/a", "/t/b", "/t/c", "/t/{value}"].map(|path| LogEndpoint::Discovered(path.to_owned()));
    let (at, old) = (T0 - 3 * HOUR_MS, T0 - 60 * DAY_MS);
    let bot = LogCount { apart: 5, last_regular_unix_ms: 0, ..count(0, 5, at) };
    let counts = [bot, count(1, 2, at), count(2, 100, at), count(3, 7, old)];
    importer.log(&source("web"), &file("1", old, at), &endpoints, &counts).unwrap();
    importer.log(&source("cdn"), &file("2", at, at), &endpoints, &[count(0, 9, at)]).unwrap();
    let name = |path: &str| (path.to_owned(), "GET".into());
    let rename = |from| starve_ledger::Rename { from: name(from), to: name("/t/{value}") };
    // Once by the import itself, once by the proxy that joins what it has discovered.
    importer.rename_logs(&[rename("/t/a"), rename("/t/never")]).unwrap();
    let ledger = Ledger::open(&path).unwrap();
    let mut batch = Batch::new(T0 - 1_000, T0);
    batch.renames = vec![rename("/t/b")];
    ledger.record(batch).unwrap();
    ledger.flush(Duration::from_secs(30)).unwrap();
    let reader = Reader::open(&path).unwrap();
    for (since, calls, apart) in [(0, 14, 5), (old, 14, 5), (at, 9, 0)] {
        let rows = reader.discovered(since).unwrap();
        let found: Vec<_> =
            rows.iter().map(|row| (row.template.as_str(), row.calls, row.apart, row.first_unix_ms)).collect();
        assert_eq!(found, [("/t/c", 100, 0, at), ("/t/{value}", calls, apart, old)], "{since}");
    }
    assert_eq!(names(&path), ["/t/c", "/t/{value}"], "what has no calls left takes no place");
}

fn names(path: &Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT name FROM endpoints ORDER BY name").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_running_proxy_does_not_count_under_the_number_of_a_name_that_an_import_gave_up() {
    let (_folder, path) = place();
    let endpoint = |path: &str| LogEndpoint::Discovered(path.to_owned());
    let name = |path: &str| (path.to_owned(), "GET".into());
    let rename = |from, to| starve_ledger::Rename { from: name(from), to: name(to) };
    let ledger = Ledger::open(&path).unwrap();
    let record = |batch| {
        ledger.record(batch).unwrap();
        ledger.flush(Duration::from_secs(30)).unwrap();
    };
    let mut importer = Importer::open(&path).unwrap();
    let log = |importer: &mut Importer, path: &str| {
        importer.log(&source("web"), &file(path, T0, T0), &[endpoint(path)], &[count(0, 5, T0)]).unwrap();
    };
    // What is old goes with the first batch, and with it all that the proxy knows of numbers.
    record(Batch::new(T0 - 2_000, T0 - 1_000));
    // The proxy learns the number of a name that only the log has calls of, and the import gives it up.
    log(&mut importer, "/a");
    log(&mut importer, "/b");
    let mut batch = Batch::new(T0 - 1_000, T0);
    batch.renames = vec![rename("/a", "/b")];
    record(batch);
    importer.rename_logs(&[rename("/b", "/c")]).unwrap();
    importer.rename_logs(&[rename("/c", "/d")]).unwrap();
    assert_eq!(names(&path), ["/d"]);
    let mut batch = Batch::new(T0, T0 + 1_000);
    batch.discovered = vec![DiscoveredCount {
        template: "/b".to_owned(),
        method: "GET".into(),
        class: 2,
        calls: 3,
        duration_us: 500,
        apart: 0,
        last_at_unix_ms: T0,
    }];
    record(batch);
    let rows = Reader::open(&path).unwrap().discovered(0).unwrap();
    let found: Vec<_> = rows.iter().map(|row| (row.template.as_str(), row.calls)).collect();
    assert_eq!(found, [("/b", 3), ("/d", 10)]);
}

#[test]
fn every_window_of_a_year_of_a_log_has_its_calls_exactly_once() {
    let (_folder, path) = place();
    let mut importer = Importer::open(&path).unwrap();
    // In two files, so that sums are added to.
    let counts: Vec<_> = (0..390).map(|day| count(0, 1 + day, T0 - day * DAY_MS)).collect();
    for (name, part) in ["1", "2"].into_iter().zip(counts.chunks(195)) {
        let endpoints = [LogEndpoint::Route("r".to_owned())];
        importer.log(&source("web"), &file(name, T0 - 390 * DAY_MS, T0), &endpoints, part).unwrap();
    }
    let reader = Reader::open(&path).unwrap();
    let today = T0 / DAY_MS;
    for days in 0..395 {
        let expected: u64 = (0..390).take(days + 1).map(|day| 1 + day).sum();
        let found = reader.totals((today - days as u64) * DAY_MS).unwrap()[0].calls;
        assert_eq!(found, expected, "{days} days");
    }
}

#[test]
fn an_older_ledger_has_the_calls_of_its_logs_by_the_month_as_well() {
    let (_folder, path) = place();
    let old = rusqlite::Connection::open(&path).unwrap();
    for script in [
        include_str!("../src/schema/1.sql"),
        include_str!("../src/schema/latency.sql"),
        include_str!("../src/schema/imports.sql"),
        include_str!("../src/schema/callers.sql"),
        include_str!("../src/schema/discovery.sql"),
        include_str!("../src/schema/monthly.sql"),
        "PRAGMA application_id = 0x73747276; PRAGMA user_version = 6;
         INSERT INTO endpoints VALUES (1, 0, 'r');
         INSERT INTO log_sources VALUES (1, 'web', 0);
         INSERT INTO log_total VALUES (1, 1, 'GET', 2, 12, 90, 900, 1000, 2000, 0, 2000);
         INSERT INTO log_daily VALUES (20000, 1, 1, 'GET', 2, 9, 60, 600, 0), (20001, 1, 1, 'GET', 2, 3, 30, 300, 0);",
    ] {
        old.execute_batch(script).unwrap();
    }
    drop(old);
    drop(Ledger::open(&path).unwrap());
    let reader = Reader::open(&path).unwrap();
    for (since_day, calls) in [(19_000, 12), (20_000, 12), (20_001, 3), (20_002, 0)] {
        assert_eq!(reader.totals(since_day * DAY_MS).unwrap()[0].calls, calls, "{since_day}");
    }
}

/// Every row of the logs but for the endpoints' numbers, in order.
fn log_rows(path: &Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut rows = Vec::new();
    for (table, key) in [
        ("log_hourly", "t.hour, t.source"),
        ("log_daily", "t.day, t.source"),
        ("log_monthly", "t.month, t.source"),
        ("log_total", "t.source"),
    ] {
        let more = if table == "log_total" { "t.first_ms, t.last_ms, t.regular_ms" } else { "0, 0, 0" };
        let sql = format!(
            "SELECT concat_ws(' ', '{table}', {key}, e.name, t.method, t.class, t.calls, t.duration_us, t.bytes_out,
                 t.apart, {more}) FROM {table} t JOIN endpoints e ON e.id = t.endpoint"
        );
        let mut statement = connection.prepare(&sql).unwrap();
        rows.extend(statement.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap));
    }
    rows.sort();
    rows
}

#[test]
fn many_renames_at_once_leave_what_one_after_the_other_leaves() {
    let name = |path: &str| (path.to_owned(), "GET".into());
    let rename = |from: &str, to: &str| starve_ledger::Rename { from: name(from), to: name(to) };
    // To one name; along a chain whose end is free, or taken, or left before; and there and back.
    let mut renames: Vec<_> = (0..150).map(|n| rename(&format!("/f/{n}"), "/f/{value}")).collect();
    renames.extend([
        rename("/b", "/c"),
        rename("/a", "/b"),
        rename("/c", "/d"),
        rename("/x", "/y"),
        rename("/y", "/x"),
    ]);
    let names: Vec<String> = (0..160).map(|n| format!("/f/{n}")).collect();
    let all = names.iter().map(String::as_str).chain(["/f/{value}", "/a", "/b", "/c", "/d", "/x", "/y"]);
    let endpoints: Vec<_> = all.map(|path| LogEndpoint::Discovered(path.to_owned())).collect();
    let counts: Vec<_> = (0..endpoints.len() * 3)
        .map(|n| LogCount {
            apart: n as u64 % 2,
            ..count(n % endpoints.len(), 1 + n as u64, T0 - (n as u64 * 7 % 90) * DAY_MS)
        })
        .collect();
    let made = [renames.len(), 1].map(|at_once| {
        let (folder, path) = place();
        let mut importer = Importer::open(&path).unwrap();
        for of in ["web", "cdn"] {
            importer.log(&source(of), &file(of, T0 - 90 * DAY_MS, T0), &endpoints, &counts).unwrap();
        }
        let before = log_rows(&path);
        renames.chunks(at_once).for_each(|some| importer.rename_logs(some).unwrap());
        drop(importer);
        let rows = log_rows(&path);
        assert_ne!(rows, before);
        drop(folder);
        rows
    });
    assert_eq!(made[0], made[1]);
    assert!(!made[0].iter().any(|row| row.contains(" /f/149 ") || row.contains(" /y ")), "{:?}", made[0]);
    assert!(made[0].iter().any(|row| row.contains(" /f/150 ")));
}

#[test]
fn old_counts_go_to_days_and_older_ones_to_the_totals() {
    let (_folder, path) = place();
    let mut importer = Importer::open(&path).unwrap();
    let endpoints = [LogEndpoint::Route("r".to_owned())];
    let counts =
        [count(0, 1, T0 - DAY_MS), count(0, 10, T0 - 100 * DAY_MS), count(0, 100, T0 - 500 * DAY_MS)];
    importer.log(&source("web"), &file("1", T0 - 500 * DAY_MS, T0), &endpoints, &counts).unwrap();
    let reader = Reader::open(&path).unwrap();
    let calls = |since| reader.totals(since).unwrap()[0].calls;
    assert_eq!((calls(T0 - 2 * DAY_MS), calls(T0 - 101 * DAY_MS), calls(0)), (1, 11, 11));
    assert_eq!(reader.totals(0).unwrap()[0].first_unix_ms, T0 - 500 * DAY_MS);
}

#[test]
fn what_a_log_tells_of_was_observed_unless_it_may_lack_lines() {
    let (_folder, path) = place();
    let mut importer = Importer::open(&path).unwrap();
    let span = |from, until| file(&format!("{from}"), from, until);
    let weak = LogSource { name: "cdn".to_owned(), weak: true };
    importer.log(&weak, &span(T0 - 40 * DAY_MS, T0), &[], &[]).unwrap();
    let observed = |since| Reader::open(&path).unwrap().coverage(since, T0).unwrap();
    assert_eq!(observed(T0 - 10 * DAY_MS).observed_ms, 0);
    // Rotated at midnight, the last call some minutes before; then a day that is missing.
    importer.log(&source("web"), &span(T0 - 10 * DAY_MS, T0 - 9 * DAY_MS - 60_000), &[], &[]).unwrap();
    importer.log(&source("web"), &span(T0 - 9 * DAY_MS, T0 - 8 * DAY_MS), &[], &[]).unwrap();
    importer.log(&source("web"), &span(T0 - 7 * DAY_MS, T0), &[], &[]).unwrap();
    let coverage = observed(T0 - 10 * DAY_MS);
    assert_eq!(coverage.observed_ms, 9 * DAY_MS);
    assert_eq!(coverage.gaps.len(), 1);
    assert_eq!(coverage.first_unix_ms, Some(T0 - 10 * DAY_MS));
}

#[test]
fn a_file_is_known_by_its_content_and_grows() {
    let (_folder, path) = place();
    let mut importer = Importer::open(&path).unwrap();
    let endpoints = [LogEndpoint::Discovered("/a".to_owned())];
    importer.log(&source("web"), &file("access.log", T0, T0), &endpoints, &[count(0, 1, T0)]).unwrap();
    let known = importer.known_files("web").unwrap();
    assert_eq!((known.len(), known[0].bytes), (1, 300));
    assert!(importer.known_files("cdn").unwrap().is_empty());
    let grown = LogFile {
        grown_from: Some(known[0].id),
        bytes: 500,
        name: "access.log.1".to_owned(),
        ..file("access.log", T0, T0 + 5)
    };
    importer.log(&source("web"), &grown, &endpoints, &[count(0, 2, T0)]).unwrap();
    let known = importer.known_files("web").unwrap();
    assert_eq!((known.len(), known[0].bytes, known[0].name.as_str()), (1, 500, "access.log.1"));
    assert_eq!(Reader::open(&path).unwrap().discovered(0).unwrap()[0].calls, 3);
}

#[test]
fn a_ledger_of_the_first_version_is_brought_up_to_date_by_an_import() {
    let (_folder, path) = place();
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../src/schema/1.sql")).unwrap();
    old.pragma_update(None, "application_id", 0x7374_7276).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);
    Importer::open(&path).unwrap().inventory(&inventory("rails", &["GET /a"])).unwrap();
    assert_eq!(Reader::open(&path).unwrap().inventory().unwrap().len(), 1);
}
