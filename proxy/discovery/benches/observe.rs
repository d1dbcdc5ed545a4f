//! What an observed call costs: of a known endpoint, and of paths that were never asked for before.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use starve_discovery::{Call, Discovered};

/// As many as arrive between two settlements, which come once a second.
const CALLS: u64 = 100_000;

fn call(path: &str, status: u16) -> Call<'_> {
    Call {
        method: "GET",
        path,
        status,
        location: None,
        apart: false,
        now_unix_s: 1_000,
        duration: Duration::from_millis(1),
    }
}

/// Paths of words, numbers and ids in which nothing comes twice.
fn distinct(from: u64) -> Vec<String> {
    let word = |mut n: u64| {
        let mut word = String::from("x");
        while n > 0 {
            word.push(char::from(b'a' + (n % 26) as u8));
            n /= 26;
        }
        word
    };
    let path = |n: u64| match n % 4 {
        0 => format!("/{}", word(n)),
        1 => format!("/shop/{}/{}", word(n % 1_000), word(n)),
        2 => format!("/{}/{n}/{}.php", word(n), word(n * 7)),
        _ => format!("/a/b{n}/{n:016x}/{}", word(n)),
    };
    (from..from + CALLS).map(path).collect()
}

fn observe(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("observe");
    group.throughput(Throughput::Elements(CALLS)).sample_size(10);
    let known: Vec<_> = (0..CALLS).map(|n| format!("/api/v1/shops/{}/items/{}", n % 100, n)).collect();
    let flood: Vec<Vec<String>> = (0..8).map(|n| distinct(n * CALLS)).collect();
    for (name, statuses) in [
        ("a known endpoint", None),
        ("a flood, 404", Some([404; 4])),
        ("a flood, 403", Some([403; 4])),
        ("a flood, 200", Some([200; 4])),
        ("a flood, mixed", Some([404, 404, 403, 200])),
    ] {
        let mut discovered = Discovered::new();
        let mut round = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let paths = if statuses.is_some() { &flood[round % flood.len()] } else { &known };
                round += 1;
                for (n, path) in paths.iter().enumerate() {
                    discovered.observe(&call(path, statuses.map_or(200, |statuses| statuses[n / 4 % 4])));
                }
                black_box(discovered.drain_changes());
            });
        });
    }
    group.finish();
}

criterion_group!(benches, observe);
criterion_main!(benches);
