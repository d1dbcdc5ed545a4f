//! What `explain` says.

#![expect(clippy::unwrap_used, reason = "a panic in a helper is a failed test")]

use starve_routing::{Entry, PlainRequest, Predicates, RouteTable, ValueMatch};

fn table() -> RouteTable<()> {
    let route = |pattern: &str, headers: &[(&str, &str)], query: &[(&str, &str)]| {
        let owned = |(name, value): &(&str, &str)| {
            let value = if *value == "*" { ValueMatch::Any } else { ValueMatch::Exact((*value).to_owned()) };
            ((*name).to_owned(), value)
        };
        let when = Predicates {
            headers: headers.iter().map(owned).collect(),
            query: query.iter().map(owned).collect(),
        };
        Entry { pattern: pattern.parse().unwrap(), when, value: () }
    };
    RouteTable::build(vec![
        route("* /{rest*}", &[], &[]),
        route("GET /products/{id:int}", &[], &[]),
        route("GET /products/{id:int}", &[("accept", "application/json")], &[("fields", "*")]),
        route("GET //b2b.shop.example/products/{id}", &[], &[]),
        route("POST,PUT /products/{id}", &[], &[]),
        route("GET /products/", &[], &[]),
        route("GET /Products/{id}", &[], &[]),
        route("GET /search", &[("accept", "application/json")], &[("q", "1")]),
    ])
    .unwrap()
}

fn explain(request: PlainRequest) -> String {
    let table = table();
    let explanation = table.explain(&request);
    assert_eq!(explanation.winner, table.find(&request).map(|found| found.index));
    explanation.to_string()
}

#[test]
fn every_candidate_is_told_why_it_lost_or_won() {
    let request = PlainRequest::parse("GET", "https://shop.example/products/42?page=2").unwrap();
    insta::assert_snapshot!(explain(request.with_header("accept", "text/html")));
}

#[test]
fn what_nearly_matches_is_told_as_well() {
    let targets = ["/products/blue", "/products", "//products/7", "/search/?q=2"];
    let texts = targets.map(|target| explain(PlainRequest::new("GET", target)));
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn a_request_without_route_says_where_it_goes() {
    let entry = Entry { pattern: "GET /a".parse().unwrap(), when: Predicates::default(), value: () };
    let table = RouteTable::build(vec![entry]).unwrap();
    insta::assert_snapshot!(table.explain(&PlainRequest::new("POST", "/a")));
}

#[test]
fn a_near_miss_stays_a_short_list() {
    let entries = (0..50).map(|n| Entry {
        pattern: format!("GET //h{n}.example/Products").parse().unwrap(),
        when: Predicates::default(),
        value: (),
    });
    let table = RouteTable::build(entries.collect()).unwrap();
    assert_eq!(table.explain(&PlainRequest::new("GET", "/products")).candidates.len(), 10);
}
