//! A year in the life of a monolith with 2,000 routes: writes its ledger, then tells how big it is and how long a
//! report takes.
//!
//!     cargo run --release -p starve-admin --example year [FOLDER]
//!
//! Every route is called in every hour, by both sides; the last 36 days are kept by hour, as the proxy keeps them.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "an example that measures")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use starve_admin::RouteInfo;
use starve_admin::report::{DEFAULT_WINDOW, Options, TableStyle, build};
use starve_ledger::{
    Batch, Caller, CallerCount, CallerKind, Count, HOURLY_KEPT_DAYS, LatencyCount, Ledger, Reader, Standing,
};
use starve_migration::latency::BUCKETS;
use starve_migration::{Side, Stage};

const ROUTES: u64 = 2_000;
const DAYS: u64 = 366;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// 2026-11-24.
const NOW: u64 = 1_795_500_000_000;
const PATIENCE: Duration = Duration::from_secs(600);

fn main() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = std::env::args_os().nth(1).map_or_else(|| scratch.path().to_owned(), PathBuf::from);
    let path = folder.join("year.db");
    if !path.exists() {
        write(&path);
    }
    println!("ledger: {} MB", std::fs::metadata(&path).unwrap().len() / 1_000_000);
    let routes: Vec<_> = (0..ROUTES).map(route).collect();
    for (what, window) in [
        ("35 days", DEFAULT_WINDOW),
        ("a year", Duration::from_secs(365 * 86_400)),
        ("a day", Duration::from_secs(86_400)),
    ] {
        let mut times: Vec<_> = (0..5).map(|_| report(&path, &routes, window)).collect();
        times.sort();
        println!("report over {what}: {:.0} ms (median of 5)", times[2].as_secs_f64() * 1e3);
    }
}

fn report(path: &std::path::Path, routes: &[RouteInfo], window: Duration) -> Duration {
    let began = Instant::now();
    let reader = Reader::open(path).unwrap();
    let report = build(routes, Some(&reader), &Options::last(window, NOW)).unwrap();
    let text = report.table(TableStyle { width: 120, colour: false });
    assert!(report.progress.calls > 0 && text.len() > 1_000);
    began.elapsed()
}

fn route(number: u64) -> RouteInfo {
    RouteInfo {
        id: id(number),
        match_text: id(number),
        stage: Stage::Canary,
        percent: None,
        upstream: "legacy".to_owned(),
        function: Some("new".to_owned()),
        line: None,
        killed: false,
    }
}

fn id(number: u64) -> String {
    format!("GET /api/v1/resource-{number}/{{id:int}}")
}

fn write(path: &std::path::Path) {
    let ledger = Ledger::open(path).unwrap();
    let began = Instant::now();
    for day in 0..DAYS {
        let start = NOW - (DAYS - day) * DAY_MS;
        let hours = if DAYS - day <= HOURLY_KEPT_DAYS { 24 } else { 1 };
        for hour in 0..hours {
            let since = start + hour * HOUR_MS;
            ledger.record(batch(since, since + DAY_MS / hours, hour + 1 == hours)).unwrap();
            ledger.flush(PATIENCE).unwrap();
        }
    }
    ledger.close(PATIENCE).unwrap();
    println!("written in {:.0} s", began.elapsed().as_secs_f64());
}

fn batch(since: u64, until: u64, is_last_of_day: bool) -> Batch {
    let mut batch = Batch::new(since, until);
    let last_at_unix_ms = until - 1;
    for number in 0..ROUTES {
        for side in [Some(Side::Legacy), Some(Side::Function)] {
            let calls = 1_000 + (number * 7_919 + since / HOUR_MS * 104_729) % 90_000;
            batch.counts.push(Count {
                route: id(number),
                side,
                method: "GET".into(),
                class: 2,
                calls,
                duration_us: calls * 4_321,
                bytes_out: calls * 2_345,
                bytes_in: 0,
                apart: 0,
                last_at_unix_ms,
            });
            let mut buckets = [0; BUCKETS];
            buckets.iter_mut().skip(4).take(14).enumerate().for_each(|(at, n)| *n = calls >> at);
            batch.latencies.push(LatencyCount {
                route: id(number),
                side,
                buckets: Box::new(buckets),
                last_at_unix_ms,
            });
        }
        if is_last_of_day {
            batch.callers.push(callers(number, last_at_unix_ms));
        }
    }
    batch.standing = Some(Standing { routes: ROUTES, routes_on_legacy: ROUTES });
    batch
}

fn callers(number: u64, at_unix_ms: u64) -> CallerCount {
    let agent = |n: u64| Caller { id: n + 1, name: format!("agent {n}"), calls: 100 * (n + 1), error: 0 };
    CallerCount {
        route: id(number),
        kind: CallerKind::Agent,
        calls: 1_500,
        floor: 0,
        top: (0..5).map(agent).collect(),
        different: Default::default(),
        at_unix_ms,
    }
}
