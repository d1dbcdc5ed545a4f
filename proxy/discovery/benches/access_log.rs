//! What a line of an access log costs: read, and read and counted.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use starve_discovery::access_log::{Counter, Fields, Format, Line, Reader, Targets};
use starve_discovery::inventory::Inventory;
use starve_routing::{Entry, Predicates, RouteTable};

const LINES: u64 = 10_000;

fn lines(format: &str) -> String {
    let line = |n: u64| {
        let (minute, second, path) = (n / 60 % 60, n % 60, n % 300);
        match format {
            "combined" => format!(
                "203.0.113.{} - - [20/Nov/2026:13:{minute:02}:{second:02} +0000] \"GET /shop{path}/items/{n}?q=tea HTTP/1.1\" \
                 200 5120 \"https://shop.example/\" \"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\"\n",
                n % 256
            ),
            "json" => format!(
                "{{\"time\":\"2026-11-20T13:{minute:02}:{second:02}+00:00\",\"remote_addr\":\"203.0.113.7\",\"request_method\":\"GET\",\
                 \"request_uri\":\"/shop{path}/items/{n}?q=tea\",\"status\":200,\"body_bytes_sent\":5120,\"request_time\":0.012,\
                 \"http_user_agent\":\"Mozilla/5.0 (X11; Linux x86_64; rv:128.0)\"}}\n"
            ),
            _ => format!(
                "h2 2026-11-20T13:{minute:02}:{second:02}.186641Z app/shop/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.000 \
                 0.001 0.000 200 200 34 5120 \"GET https://shop.example:443/shop{path}/items/{n}?q=tea HTTP/2.0\" \"Mozilla/5.0\" - - \
                 arn:aws:elasticloadbalancing \"Root=1-58337262\" \"-\" \"-\" 0 2026-11-20T13:55:35.000000Z \"forward\" \"-\" \"-\"\n"
            ),
        }
    };
    (0..LINES).map(line).collect()
}

fn targets() -> Targets {
    let entries = (0..300).filter_map(|n| {
        let pattern = format!("GET /shop{n}/items/{{id:int}}").parse().ok()?;
        Some(Entry { pattern, when: Predicates::default(), value: n })
    });
    let table = RouteTable::build(entries.collect()).unwrap_or_else(|conflicts| panic!("{conflicts:?}"));
    Targets::new(table, (0..300).map(|n| format!("shop{n}")).collect(), Inventory::default())
}

fn access_log(criterion: &mut Criterion) {
    let targets = targets();
    for name in ["combined", "json", "alb"] {
        let text = lines(name);
        let format = Format::of(name, Fields::default()).unwrap_or(Format::Combined);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(LINES));
        group.bench_function("read", |bencher| {
            let mut reader = Reader::new(format.clone());
            bencher.iter(|| {
                for line in text.lines() {
                    black_box(reader.read(line.as_bytes()));
                }
            });
        });
        group.bench_function("read and counted", |bencher| {
            let mut reader = Reader::new(format.clone());
            let mut counter = Counter::new(&targets);
            bencher.iter(|| {
                for line in text.lines() {
                    if let Line::Call(record) = reader.read(line.as_bytes()) {
                        counter.count(&record);
                    }
                }
            });
        });
        group.bench_function("read and counted, nothing configured", |bencher| {
            let nothing = Targets::new(
                RouteTable::build(Vec::new()).unwrap_or_else(|conflicts| panic!("{conflicts:?}")),
                Vec::new(),
                Inventory::default(),
            );
            let mut reader = Reader::new(format.clone());
            let mut counter = Counter::new(&nothing);
            bencher.iter(|| {
                for line in text.lines() {
                    if let Line::Call(record) = reader.read(line.as_bytes()) {
                        counter.count(&record);
                    }
                }
            });
        });
        group.finish();
    }
}

criterion_group!(benches, access_log);
criterion_main!(benches);
