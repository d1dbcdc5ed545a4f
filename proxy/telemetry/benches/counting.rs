//! What counting one call costs: from its beginning to its record, as every request pays it.

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use starve_callers::Kind;
use starve_migration::Side;
use starve_telemetry::{RouteStats, enter_worker};

fn counting(criterion: &mut Criterion) {
    enter_worker(0);
    let stats = Arc::new(RouteStats::new(1));
    criterion.bench_function("counting one call", |bencher| {
        bencher.iter(|| {
            let mut call = stats.begin("GET");
            call.made_by(Kind::Regular);
            call.answered_by(Some(Side::Legacy));
            call.head(200);
            call.body_bytes(1_024);
            call.finish(true);
        });
    });
    // The clock is read three times for a call, for its durations and its time: told apart, since a log line or
    // a timeout reads it as well.
    criterion.bench_function("of that, reading the clock", |bencher| {
        bencher.iter(|| {
            (
                std::time::Instant::now(),
                std::time::Instant::now(),
                std::time::Instant::now(),
                std::time::SystemTime::now(),
            )
        });
    });
    let scattered: Vec<_> = (0..100_000).map(|_| Arc::new(RouteStats::new(1))).collect();
    let mut next = 0;
    criterion.bench_function("counting one call of 100,000 routes in turn", |bencher| {
        bencher.iter(|| {
            next = (next + 7_919) % scattered.len();
            let mut call = scattered[next].begin("GET");
            call.answered_by(Some(Side::Legacy));
            call.head(200);
            call.finish(true);
        });
    });
}

criterion_group!(benches, counting);
criterion_main!(benches);
