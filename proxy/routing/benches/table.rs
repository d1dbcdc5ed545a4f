//! What one look-up costs, from 10 to 100,000 routes: it has to stay flat.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use starve_routing::{Entry, PlainRequest, Predicates, RouteTable, normalise_path};

/// Routes as an application has them: a few dozen areas, resources in them, an item and what hangs below it.
fn patterns(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| {
        let (area, resource) = (n / 5 % 40, n / 200);
        match n % 5 {
            0 => format!("GET /api/area{area}/resource{resource}"),
            1 => format!("GET /api/area{area}/resource{resource}/{{id:int}}"),
            2 => format!("POST,PUT /api/area{area}/resource{resource}/{{id}}"),
            3 => format!(
                "GET /api/area{area}/resource{resource}/{{id:int}}/parts/{{part:slug}}/notes/{{note}}.json"
            ),
            _ => format!("GET /api/area{area}/resource{resource}/{{id:int}}/files/{{rest*}}"),
        }
    })
}

fn table(count: usize) -> RouteTable<usize> {
    let entries = patterns(count).enumerate().map(|(value, text)| {
        let pattern = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        Entry { pattern, when: Predicates::default(), value }
    });
    RouteTable::build(entries.collect()).unwrap_or_else(|conflicts| panic!("{conflicts:?}"))
}

fn find(c: &mut Criterion) {
    let mut group = c.benchmark_group("find");
    for count in [10, 1_000, 10_000, 100_000] {
        let table = table(count);
        let resource = (count / 200).saturating_sub(1);
        let area = if count < 200 { 1 } else { 39 };
        let base = format!("/api/area{area}/resource{resource}");
        let requests = [
            ("hit", PlainRequest::new("GET", &format!("{base}/4711")), true),
            (
                "deep_hit",
                PlainRequest::new("GET", &format!("{base}/4711/parts/blue-shirt/notes/9.json")),
                true,
            ),
            ("fall_through", PlainRequest::new("POST", &format!("{base}/4711")), true),
            ("miss", PlainRequest::new("GET", &format!("{base}/4711/parts/blue-shirt/none/9")), false),
        ];
        for (name, request, hit) in requests {
            assert_eq!(table.find(&request).is_some(), hit, "{name} {count}");
            group.bench_function(BenchmarkId::new(name, count), |b| {
                b.iter(|| table.find(black_box(&request)).map(|found| *found.value));
            });
        }
        // Another route each time, so that the table and not the cache line is measured.
        let walk: Vec<_> = (0..count.min(10_000))
            .map(|n| n * (count / count.min(10_000)) / 5)
            .map(|n| PlainRequest::new("GET", &format!("/api/area{}/resource{}/7", n % 40, n / 40)))
            .collect();
        let mut next =
            (0..walk.len()).map(|n| n * 7_919 % walk.len()).collect::<Vec<_>>().into_iter().cycle();
        group.bench_function(BenchmarkId::new("hits_all_over", count), |b| {
            b.iter(|| table.find(&walk[next.next().unwrap_or(0)]).map(|found| *found.value));
        });
    }
    group.finish();
}

/// A literal and a parameter at every place, and a path that takes every turn in vain.
fn worst(c: &mut Criterion) {
    let entries = (0..1_u32 << 12).map(|bits| {
        let path: String = (0..12)
            .map(|place| if bits >> place & 1 == 0 { "/a".to_owned() } else { format!("/{{p{place}}}") })
            .collect();
        let pattern = format!("GET {path}/end").parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        Entry { pattern, when: Predicates::default(), value: () }
    });
    let table = RouteTable::build(entries.collect()).unwrap_or_else(|conflicts| panic!("{conflicts:?}"));
    let request = PlainRequest::new("GET", &format!("{}/other", "/a".repeat(12)));
    c.bench_function("adversarial/4096_routes", |b| b.iter(|| table.find(black_box(&request)).is_some()));
}

fn normalise(c: &mut Criterion) {
    for (name, path) in [
        ("plain", "/api/area39/resource499/4711/parts/blue-shirt"),
        ("escaped", "/api/area39/resource499/caf%C3%A9/parts"),
        ("rewritten", "/api/./area39/resource%34/../resource5/x"),
    ] {
        c.bench_function(&format!("normalise/{name}"), |b| {
            b.iter(|| normalise_path(black_box(path)).map(|p| p.len()))
        });
    }
}

criterion_group!(benches, find, worst, normalise);
criterion_main!(benches);
