//! What is remembered of paths saves work and changes nothing.

use std::collections::BTreeMap;

use proptest::prelude::*;
use starve_routing::{Entry, Pattern, Predicates, ValueMatch};

use super::*;

/// Patterns that tell numbers, UUIDs, hosts and queries apart, or none of them.
const CONFIGURED: [&[&str]; 4] = [
    &[],
    &["GET /products/{id:int}", "* /feed/{name}.json", "GET /api/{id:slug}/a"],
    &["GET /products/404", "GET /products/{id:hex}", "GET /a/4{rest}", "POST /{id:uuid}"],
    &["GET //shop.example/a/{id}", "GET //*.example/7", "GET /a/{rest*}"],
];
const LISTED: [&[&str]; 3] = [&[], &["GET /orders/{id}", "* /a/7"], &["GET /feed/{id:uuid}"]];

fn targets(configured: usize, listed: usize, asks_query: bool) -> Targets {
    let parse = |text: &&str| text.parse::<Pattern>().unwrap();
    let entry = |(value, pattern)| {
        let query = vec![("q".to_owned(), ValueMatch::Any)];
        let when =
            if asks_query { Predicates { query, ..Predicates::default() } } else { Predicates::default() };
        Entry { pattern, when, value }
    };
    let patterns = CONFIGURED[configured].iter().map(parse);
    let table = RouteTable::build(patterns.enumerate().map(entry).collect()).unwrap();
    let names = CONFIGURED[configured].iter().map(ToString::to_string).collect();
    let listed = LISTED[listed].iter().map(|text| (parse(text), Vec::new()));
    Targets::new(table, names, Inventory::build(listed, &[]))
}

fn sums(counter: &Counter<'_>) -> BTreeMap<(Endpoint, CellKey), Cell> {
    let endpoints = counter.endpoints();
    let sum = |(key, cell): (CellKey, Cell)| ((endpoints[key.endpoint].clone(), key), cell);
    let all: Vec<_> = counter.cells().map(sum).collect();
    let sums: BTreeMap<_, _> = all.iter().cloned().collect();
    assert_eq!(all.len(), sums.len(), "two cells of one key");
    sums
}

#[derive(Clone, Debug)]
struct Told {
    method: &'static str,
    host: Option<&'static str>,
    target: String,
    status: u16,
    hour: u64,
    is_decoded: bool,
}

fn told() -> impl Strategy<Value = Told> {
    let segment = prop::sample::select(vec![
        "a",
        "products",
        "orders",
        "feed",
        "api",
        "v1",
        "7",
        "42",
        "404",
        "4",
        "0b5af3e2-1d2c-4b6a-9f00-aabbccddeeff",
        "ffffffff-1d2c-4b6a-9f00-aabbccddeeff",
        "FFFFFFFF-1d2c-4b6a-9f00-aabbccddeeff",
        "x.json",
        "7.json",
        "",
        ".",
        "..",
        "%37",
        "\\x37",
        "999999999999999999",
        "9999999999999999999",
        "99999999999999999999",
        "de",
        "en-US",
        "+",
        "+",
        "+",
        "+",
        "a b",
        "2026-11-20",
        "ff",
        "\u{1}",
        "\u{2}",
        "é",
        "%zz",
        "deadbeefdeadbeef",
    ]);
    // Near to the patterns, so that calls meet whose targets differ in little that decides.
    let form = prop::sample::select(vec![
        "/products/{}",
        "/products/{}",
        "/a/{}",
        "/a/{}",
        "/feed/{}",
        "/orders/{}",
        "/api/{}/a",
        "/{}",
        "/{}/{}",
        "/{}/b/{}",
    ]);
    let path = (form, segment.clone(), segment)
        .prop_map(|(form, one, other)| form.replacen("{}", one, 1).replacen("{}", other, 1));
    let front = prop::sample::select(vec!["", "", "", "https://shop.example", "http://a.example:80", "x"]);
    let query = prop::sample::select(vec!["", "", "?", "?q=1", "?p=2", "#q"]);
    let method = prop::sample::select(vec!["GET", "GET", "POST", "HEAD", "OPTIONS", "BREW", ""]);
    let status = prop::sample::select(vec![0, 200, 200, 301, 302, 304, 404, 500, 999]);
    let host = prop::sample::select(vec![None, None, Some("shop.example"), Some("b.example")]);
    (front, path, query, method, status, host, 0_u64..3, any::<bool>()).prop_map(
        |(front, path, query, method, status, host, hour, is_decoded)| Told {
            method,
            host,
            target: format!("{front}{path}{query}"),
            status,
            hour,
            is_decoded,
        },
    )
}

proptest! {
    #[test]
    fn what_is_remembered_changes_no_sum(
        calls in prop::collection::vec(told(), 1..300),
        configured in 0..CONFIGURED.len(),
        listed in 0..LISTED.len(),
        asks_query in any::<bool>(),
    ) {
        let targets = targets(configured, listed, asks_query);
        let (mut counter, mut forgetful) = (Counter::new(&targets), Counter::new(&targets));
        for (n, told) in calls.iter().enumerate() {
            let record = Record {
                at_unix_ms: told.hour * HOUR_MS + n as u64,
                method: told.method.as_bytes(),
                target: told.target.as_bytes(),
                host: told.host.map(str::as_bytes),
                status: told.status,
                duration_us: 1,
                bytes_out: 2,
                is_decoded: told.is_decoded,
                agent: None,
            };
            counter.count(&record);
            forgetful.count_new(&record, &Target::of(&record));
        }
        prop_assert_eq!(sums(&counter), sums(&forgetful));
    }
}

#[test]
fn templates_without_a_place_are_counted_by_what_the_answer_shows() {
    let targets = targets(0, 0, false);
    let mut counter = Counter::new(&targets);
    let mut count = |path: &str, status| {
        counter.count(&Record { method: b"GET", target: path.as_bytes(), status, ..Record::default() });
    };
    for n in 0..TEMPLATES_MAX {
        count(&format!("/word{n}x"), 200);
    }
    for _ in 0..3 {
        count("/late", 200);
        count("/late", 404);
        count("/late", 304);
        count("/late", 301);
    }
    let sums = sums(&counter);
    let of = |wanted: Endpoint| {
        sums.iter().filter(|((endpoint, _), _)| *endpoint == wanted).map(|(_, cell)| cell.calls).sum::<u64>()
    };
    assert_eq!((of(Endpoint::More), of(Endpoint::Unmatched)), (6, 6));
}
