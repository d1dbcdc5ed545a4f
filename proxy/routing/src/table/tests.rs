use super::*;
use crate::{PlainRequest, ValueMatch};

fn route(pattern: &str) -> Entry<&str> {
    Entry { pattern: pattern.parse().unwrap(), when: Predicates::default(), value: pattern }
}

fn when<'a>(
    pattern: &'a str,
    name: &'a str,
    headers: &[(&str, &str)],
    query: &[(&str, &str)],
) -> Entry<&'a str> {
    let owned = |(name, value): &(&str, &str)| {
        let value = if *value == "*" { ValueMatch::Any } else { ValueMatch::Exact((*value).to_owned()) };
        ((*name).to_owned(), value)
    };
    let when =
        Predicates { headers: headers.iter().map(owned).collect(), query: query.iter().map(owned).collect() };
    Entry { when, value: name, ..route(pattern) }
}

fn table<'a>(patterns: &[&'a str]) -> RouteTable<&'a str> {
    RouteTable::build(patterns.iter().map(|pattern| route(pattern)).collect()).unwrap()
}

fn winner<'a>(table: &RouteTable<&'a str>, method: &str, target: &str) -> &'a str {
    let request = PlainRequest::parse(method, target).unwrap();
    table.find(&request).map_or("none", |found| found.value)
}

fn conflicts(entries: Vec<Entry<&str>>) -> Vec<(usize, usize, ConflictKind)> {
    let conflicts = RouteTable::build(entries).err().unwrap_or_default();
    conflicts.iter().map(|conflict| (conflict.first, conflict.second, conflict.kind)).collect()
}

#[test]
fn the_more_specific_segment_wins_whatever_the_order_of_the_file() {
    let mut patterns = [
        "GET /p/{rest*}",
        "GET /p/{plain}",
        "GET /p/{slug:slug}",
        "GET /p/{hex:hex}",
        "GET /p/{id:int}",
        "GET /p/{uuid:uuid}",
        "GET /p/{day:date}",
        "GET /p/2{n}",
        "GET /p/{n}.json",
        "GET /p/2{n}.json",
        "GET /p/2024",
    ];
    for _ in 0..patterns.len() {
        patterns.rotate_left(1);
        let table = table(&patterns);
        for (path, pattern) in [
            ("/p/2024", "GET /p/2024"),
            ("/p/24.json", "GET /p/2{n}.json"),
            ("/p/4.json", "GET /p/{n}.json"),
            ("/p/25", "GET /p/2{n}"),
            ("/p/1999-12-31", "GET /p/{day:date}"),
            ("/p/0b5af3e2-1d2c-4b6a-9f00-aabbccddeeff", "GET /p/{uuid:uuid}"),
            ("/p/42", "GET /p/{id:int}"),
            ("/p/FF", "GET /p/{hex:hex}"),
            ("/p/blue-shirt", "GET /p/{slug:slug}"),
            ("/p/Blue", "GET /p/{plain}"),
            ("/p/a/b", "GET /p/{rest*}"),
            ("/p/", "GET /p/{rest*}"),
            ("/p", "none"),
        ] {
            assert_eq!(winner(&table, "GET", path), pattern, "{path}");
        }
    }
}

#[test]
fn of_equal_literal_text_the_longer_front_wins() {
    let table = table(&["GET /{n}ab", "GET /a{n}b", "GET /ab{n}"]);
    assert_eq!(winner(&table, "GET", "/abab"), "GET /ab{n}");
    assert_eq!(winner(&table, "GET", "/acab"), "GET /a{n}b");
    assert_eq!(winner(&table, "GET", "/ccab"), "GET /{n}ab");
    assert_eq!(winner(&table, "GET", "/ab"), "none");
}

#[test]
fn an_earlier_segment_decides_before_a_later_one() {
    let table = table(&["GET /{a}/b/c", "GET /a/{b}/{c}"]);
    assert_eq!(winner(&table, "GET", "/a/b/c"), "GET /a/{b}/{c}");
}

#[test]
fn a_dead_end_falls_back_to_a_less_specific_branch() {
    let table = table(&["GET /api/{v}/docs/help", "GET /api/v1/docs/{page}/edit", "GET /{rest*}"]);
    assert_eq!(winner(&table, "GET", "/api/v1/docs/help"), "GET /api/{v}/docs/help");
    assert_eq!(winner(&table, "GET", "/api/v1/docs/help/print"), "GET /{rest*}");
}

#[test]
fn a_rejected_method_falls_through_to_another_branch() {
    let table = table(&["GET /products/featured", "* /products/{id}", "POST /{rest*}"]);
    assert_eq!(winner(&table, "GET", "/products/featured"), "GET /products/featured");
    assert_eq!(winner(&table, "POST", "/products/featured"), "* /products/{id}");
    assert_eq!(winner(&table, "POST", "/products"), "POST /{rest*}");
    assert_eq!(winner(&table, "GET", "/products"), "none");
}

#[test]
fn a_listed_method_wins_over_any() {
    let table = table(&["* /a", "POST,PUT /a"]);
    assert_eq!(winner(&table, "PUT", "/a"), "POST,PUT /a");
    assert_eq!(winner(&table, "GET", "/a"), "* /a");
    assert_eq!(winner(&table, "put", "/a"), "* /a");
}

#[test]
fn head_goes_to_the_route_for_get_unless_a_route_lists_it() {
    let without = table(&["* /a", "GET /a"]);
    assert_eq!(winner(&without, "HEAD", "/a"), "GET /a");
    let with = table(&["* /a", "GET /a", "HEAD /a"]);
    assert_eq!(winner(&with, "HEAD", "/a"), "HEAD /a");
    let deeper = table(&["HEAD /{a}", "GET /a"]);
    assert_eq!(winner(&deeper, "HEAD", "/a"), "GET /a");
}

#[test]
fn an_exact_host_wins_over_the_longest_wildcard_and_that_over_none() {
    let table =
        table(&["* /{r*}", "* //*.example/{r*}", "* //*.shop.example/{r*}", "* //eu.shop.example/{r*}"]);
    for (host, pattern) in [
        ("http://eu.shop.example/a", "* //eu.shop.example/{r*}"),
        ("http://EU.Shop.Example:8443/a", "* //eu.shop.example/{r*}"),
        ("http://eu.shop.example./a", "* //eu.shop.example/{r*}"),
        ("http://us.shop.example/a", "* //*.shop.example/{r*}"),
        ("http://a.us.shop.example/a", "* //*.shop.example/{r*}"),
        ("http://shop.example/a", "* //*.example/{r*}"),
        ("http://.shop.example/a", "* //*.example/{r*}"),
        ("http://example/a", "* /{r*}"),
        ("/a", "* /{r*}"),
    ] {
        assert_eq!(winner(&table, "GET", host), pattern, "{host}");
    }
    let long = format!("http://{}.shop.example/a", "a".repeat(300));
    assert_eq!(winner(&table, "GET", &long), "* /{r*}");
}

#[test]
fn a_host_is_more_specific_than_any_path() {
    let table = table(&["GET /a/b", "GET //shop.example/{rest*}"]);
    assert_eq!(winner(&table, "GET", "http://shop.example/a/b"), "GET //shop.example/{rest*}");
}

#[test]
fn more_predicates_win_headers_before_query_and_rejected_ones_fall_through() {
    let table = RouteTable::build(vec![
        when("GET /s", "plain", &[], &[]),
        when("GET /s", "query", &[], &[("q", "*"), ("r", "*")]),
        when("GET /s", "header", &[("accept", "application/json")], &[]),
        when("GET /s", "both", &[("accept", "application/json")], &[("q", "*")]),
    ])
    .unwrap();
    let ask = |target: &str, accept: &str| {
        let request = PlainRequest::parse("GET", target).unwrap().with_header("Accept", accept);
        table.find(&request).map(|found| *found.value)
    };
    assert_eq!(ask("/s?q=1&r=2", "application/json"), Some("both"));
    assert_eq!(ask("/s?r=2", "application/json"), Some("header"));
    assert_eq!(ask("/s?q=1&r=2", "text/html"), Some("query"));
    assert_eq!(ask("/s?q=1", "text/html"), Some("plain"));
}

#[test]
fn among_equals_the_earlier_in_the_file_wins() {
    let table = RouteTable::build(vec![
        when("GET /s", "x", &[("x", "*")], &[]),
        when("GET /s", "y", &[("y", "*")], &[]),
    ])
    .unwrap();
    let request = PlainRequest::new("GET", "/s").with_header("y", "1").with_header("x", "1");
    assert_eq!(table.find(&request).map(|found| *found.value), Some("x"));
}

#[test]
fn a_match_has_the_names_of_its_own_route() {
    let table = table(&["GET /orders/{id}/{rest*}", "POST /orders/{order}/{tail*}"]);
    let request = PlainRequest::new("POST", "/orders/7/a/b");
    let found = table.find(&request).unwrap();
    assert_eq!(found.params.iter().collect::<Vec<_>>(), [("order", "7"), ("tail", "a/b")]);
    assert_eq!(found.index, 1);
}

#[test]
fn a_path_deeper_than_any_pattern_only_meets_a_rest() {
    let deepest = format!("GET {}", "/a".repeat(crate::SEGMENTS_MAX));
    let table = table(&[&deepest, "GET /a/{rest*}"]);
    assert_eq!(winner(&table, "GET", &"/a".repeat(crate::SEGMENTS_MAX)), deepest);
    assert_eq!(winner(&table, "GET", &"/a".repeat(crate::SEGMENTS_MAX + 1)), "GET /a/{rest*}");
    assert_eq!(winner(&table, "GET", &"/a".repeat(5_000)), "GET /a/{rest*}");
    let request = PlainRequest::new("GET", &"/a".repeat(5_000));
    assert_eq!(table.find(&request).unwrap().params.value("rest").map(str::len), Some(9_997));
}

#[test]
fn many_children_are_found_as_few_are() {
    let patterns: Vec<String> = (0..500).map(|n| format!("GET /p/word{n}/x{n}-{{v}}.json")).collect();
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let table = table(&patterns);
    assert_eq!(winner(&table, "GET", "/p/word321/x321-a.json"), "GET /p/word321/x321-{v}.json");
    assert_eq!(winner(&table, "GET", "/p/word321/x32-a.json"), "none");
}

#[test]
fn equal_routes_are_duplicates_whatever_their_parameters_are_called() {
    use ConflictKind::Duplicate;
    assert_eq!(conflicts(vec![route("GET /a/{x}"), route("GET /a/{y}")]), [(0, 1, Duplicate)]);
    assert_eq!(
        conflicts(vec![route("GET,POST /a"), route("* /a"), route("PUT,POST /a")]),
        [(0, 2, Duplicate)]
    );
    assert_eq!(
        conflicts(vec![route("* /a"), route("* /a"), route("* /a")]),
        [(0, 1, Duplicate), (0, 2, Duplicate)]
    );
    assert_eq!(conflicts(vec![route("* //A.x/"), route("* //a.X/")]), [(0, 1, Duplicate)]);
    let one = when("GET /a", "one", &[("x", "1"), ("y", "2")], &[]);
    let other = when("GET /a", "other", &[("y", "2"), ("x", "1")], &[]);
    assert_eq!(conflicts(vec![one, other]), [(0, 1, Duplicate)]);
}

#[test]
fn a_duplicate_names_the_methods_in_common() {
    let conflicts =
        RouteTable::build(vec![route("GET,POST,PUT /a"), route("PUT,DELETE,POST /a")]).unwrap_err();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].methods, ["PUT", "POST"]);
}

#[test]
fn routes_that_differ_in_anything_are_no_duplicates() {
    let entries = vec![
        route("GET /a/{x}"),
        route("POST /a/{x}"),
        route("HEAD /a/{x}"),
        route("* /a/{x}"),
        route("GET /a/{x:int}"),
        route("GET /a/{x}b"),
        route("GET /a/{x*}"),
        route("GET /a"),
        route("GET /a/"),
        route("GET //h/a/{x}"),
        route("GET //*.h/a/{x}"),
        when("GET /a/{x}", "", &[("x", "1")], &[]),
        when("GET /a/{x}", "", &[("x", "2")], &[]),
        when("GET /a/{x}", "", &[], &[("x", "1")]),
    ];
    assert_eq!(conflicts(entries), []);
}

#[test]
fn a_narrower_route_behind_a_wider_one_of_the_same_rank_is_unreachable() {
    use ConflictKind::Unreachable;
    let wide = || when("GET,POST /a", "wide", &[("x", "*")], &[]);
    let narrow = |pattern| when(pattern, "narrow", &[("x", "1")], &[]);
    assert_eq!(conflicts(vec![wide(), narrow("GET /a")]), [(0, 1, Unreachable)]);
    assert_eq!(conflicts(vec![narrow("GET /a"), wide()]), []);
    assert_eq!(conflicts(vec![wide(), narrow("GET,PUT /a")]), []);
    let post = when("POST /a", "post", &[("x", "*")], &[]);
    let get = when("GET /a", "get", &[("x", "*")], &[]);
    assert_eq!(conflicts(vec![post, get, narrow("GET,POST /a")]), [(1, 2, Unreachable)]);
}

#[test]
fn a_route_with_fewer_predicates_never_hides_one_with_more() {
    let entries = vec![when("GET /a", "all", &[], &[]), when("GET /a", "some", &[], &[("q", "*")])];
    assert_eq!(conflicts(entries), []);
}

#[test]
fn all_conflicts_are_told_at_once() {
    let entries = vec![route("GET /a"), route("GET /b"), route("GET /b"), route("GET /a")];
    assert_eq!(conflicts(entries), [(1, 2, ConflictKind::Duplicate), (0, 3, ConflictKind::Duplicate)]);
}

#[test]
fn an_empty_table_finds_nothing() {
    let table = table(&[]);
    assert!(table.is_empty());
    assert_eq!(winner(&table, "GET", "/"), "none");
}
