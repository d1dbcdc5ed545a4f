//! What a comparison costs: a JSON answer of 10 KiB, equal byte for byte, equal in meaning, and different; and
//! what a capture costs while a body streams by.

use std::fmt::Write;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use starve_compare::{Answer, Body, Call, Capture, HashKey, Rules, compare};

const KEY: HashKey = HashKey(1);

fn answer(body: &str) -> Answer {
    let headers = [("content-type", "application/json"), ("vary", "Accept"), ("date", "now")];
    Answer {
        status: 200,
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect(),
        body: Body::of(body),
    }
}

/// A list of products of about 10 KiB; `gap` between the tokens, `price` of one in the middle.
fn products(gap: &str, price: &str) -> String {
    let mut body = format!("{{\"page\":1,{gap}\"products\":[");
    for id in 0..97 {
        let comma = if id == 0 { "" } else { "," };
        let price = if id == 41 { price } else { "19.90" };
        let _ = write!(
            body,
            "{comma}{{\"id\":{id},{gap}\"name\":\"Product number {id}\",\"price\":{price},\"tags\":[\"new\",\"sale\"],\
             \"updated_at\":\"2026-01-02T03:04:05Z\"}}"
        );
    }
    body.push_str("]}");
    body
}

fn comparisons(c: &mut Criterion) {
    let call = Call { method: "GET", path: "/products", own_hosts: &["shop.example"] };
    let rules = Rules { ignore: "$..etag".parse().into_iter().collect(), ..Rules::default() };
    let legacy = answer(&products("", "19.90"));
    let mut group = c.benchmark_group("json_10_kib");
    group.throughput(Throughput::Bytes(legacy.body.length));
    for (name, function) in [
        ("same_bytes", answer(&products("", "19.90"))),
        ("same_meaning", answer(&products(" ", "19.90"))),
        ("one_field_differs", answer(&products(" ", "19.95"))),
        ("every_element_differs", answer(&products("", "19.90").replace("sale", "SALE"))),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| compare(&call, black_box(&legacy), black_box(&function), &rules, KEY))
        });
    }
    group.finish();
}

fn capture(c: &mut Criterion) {
    let chunk = vec![7; 16 * 1024];
    let mut group = c.benchmark_group("capture_1_mib");
    group.throughput(Throughput::Bytes(1024 * 1024));
    group.bench_function("in_chunks_of_16_kib", |b| {
        b.iter(|| {
            let mut capture = Capture::new(1024 * 1024);
            (0..64).for_each(|_| capture.push(black_box(&chunk)));
            capture.finish()
        });
    });
    group.finish();
}

criterion_group!(benches, comparisons, capture);
criterion_main!(benches);
