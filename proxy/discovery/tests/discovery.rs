//! What is learnt from traffic, and what hostile traffic cannot do.

use std::time::Duration;

use proptest::prelude::*;
use starve_discovery::{
    CANDIDATES_MAX, Call, Discovered, Row, RowKey, TEMPLATES_MAX, TOP_MAX, Tally, Template,
};
use starve_routing::normalise_path;

fn call<'a>(method: &'a str, path: &'a str, status: u16) -> Call<'a> {
    Call { method, path, status, location: None, now_unix_s: 1_000, duration: Duration::from_millis(2) }
}

fn calls(discovered: &Discovered, key: &RowKey) -> u64 {
    discovered.rows().filter(|row| row.key == *key).map(|row| row.tally.calls).sum()
}

fn template(method: &str, path: &str) -> RowKey {
    RowKey::Template(Template::stored(method, path))
}

#[test]
fn an_answer_makes_a_template_and_from_then_on_all_its_calls_count_there() {
    let mut discovered = Discovered::new();
    discovered.observe(&call("GET", "/products/1", 404));
    discovered.observe(&call("GET", "/products/2", 200));
    for status in [200, 404, 403, 500, 0] {
        discovered.observe(&Call { now_unix_s: 2_000, ..call("GET", "/products/3", status) });
    }
    let row = discovered.rows().find(|row| row.key == template("GET", "/products/{int}")).unwrap();
    let tally = Tally {
        calls: 6,
        errors: 2,
        first_seen_unix_s: 1_000,
        last_seen_unix_s: 2_000,
        duration_total: Duration::from_millis(12),
    };
    assert_eq!(row.tally, tally);
    assert_eq!(calls(&discovered, &RowKey::Unmatched), 1);
}

#[test]
fn methods_have_rows_of_their_own() {
    let mut discovered = Discovered::new();
    discovered.observe(&call("GET", "/a", 200));
    discovered.observe(&call("POST", "/a", 201));
    assert_eq!(discovered.templates(), 2);
}

#[test]
fn head_and_options_show_no_route_but_count_on_a_known_one() {
    let mut discovered = Discovered::new();
    for method in ["HEAD", "OPTIONS"] {
        discovered.observe(&call(method, "/a", 200));
    }
    assert_eq!(discovered.templates(), 0);
    assert_eq!(calls(&discovered, &RowKey::Unmatched), 2);
    discovered.observe(&call("GET", "/a", 200));
    discovered.observe(&call("HEAD", "/a", 200));
    assert_eq!(calls(&discovered, &template("HEAD", "/a")), 1);
    assert_eq!(calls(&discovered, &template("GET", "/a")), 1);
}

#[test]
fn a_redirect_to_a_login_shows_no_route() {
    let mut discovered = Discovered::new();
    for _ in 0..5 {
        discovered.observe(&Call { location: Some("/login?next=/a"), ..call("GET", "/a", 302) });
    }
    assert_eq!(discovered.templates(), 0);
    assert_eq!(discovered.guarded()[0].template.to_string(), "GET /a");
    discovered.observe(&Call { location: Some("/b"), ..call("GET", "/a", 302) });
    assert_eq!(discovered.templates(), 1);
    assert_eq!(discovered.guarded(), []);
}

#[test]
fn five_refusals_with_hardly_a_miss_are_a_guarded_route() {
    let mut discovered = Discovered::new();
    for n in 0..10 {
        discovered.observe(&call("GET", &format!("/accounts/{n}"), 401));
        discovered.observe(&call("GET", "/wp-login", if n % 2 == 0 { 403 } else { 404 }));
    }
    discovered.observe(&call("GET", "/accounts/9", 500));
    discovered.observe(&call("GET", "/once", 403));
    let guarded = discovered.guarded();
    assert_eq!(guarded.len(), 1);
    assert_eq!(guarded[0].template.path(), "/accounts/{int}");
    assert_eq!((guarded[0].refusals, guarded[0].misses), (10, 1));
    assert_eq!(calls(&discovered, &RowKey::Guarded), 16);
}

#[test]
fn misses_are_listed_the_most_frequent_first() {
    let mut discovered = Discovered::new();
    for path in ["/old/1", "/old/2", "/gone"] {
        discovered.observe(&call("GET", path, 404));
    }
    let top: Vec<_> =
        discovered.top_unmatched().iter().map(|entry| (entry.text.to_string(), entry.count)).collect();
    assert_eq!(top, [("GET /old/{int}".to_owned(), 2), ("GET /gone".to_owned(), 1)]);
}

#[test]
fn a_flood_of_hostile_paths_keeps_every_bound_and_every_call() {
    let mut discovered = Discovered::new();
    discovered.observe(&call("GET", "/real", 200));
    let letters = |mut n: usize| {
        let mut word = String::from("x");
        while n > 0 {
            word.push(char::from(b'a' + u8::try_from(n % 26).unwrap()));
            n /= 26;
        }
        word
    };
    let mut count = 1;
    for n in 0..15_000 {
        let path = format!("/{}/{}", letters(n), "y".repeat(n % 128));
        for (method, status) in [("GET", 200), ("GET", 404), ("POST", 403), ("MADEUP", 404)] {
            discovered.observe(&call(method, &path, status));
            count += 1;
        }
    }
    assert_eq!(discovered.templates(), TEMPLATES_MAX);
    assert_eq!(discovered.rows().count(), TEMPLATES_MAX + 3);
    assert!(discovered.candidates() <= CANDIDATES_MAX);
    assert_eq!(discovered.top_unmatched().len(), TOP_MAX);
    assert!(calls(&discovered, &RowKey::Other) > 0);
    assert_eq!(discovered.rows().map(|row| row.tally.calls).sum::<u64>(), count);
}

#[test]
fn a_flood_of_refusals_does_not_keep_a_guarded_route_out() {
    let mut discovered = Discovered::new();
    for n in 0..CANDIDATES_MAX * 3 {
        let word: String = n.to_string().bytes().map(|digit| char::from(digit + b'a' - b'0')).collect();
        discovered.observe(&call("GET", &format!("/junk/{word}"), 403));
        // It comes when all places are taken.
        if n > CANDIDATES_MAX && n % 100 == 0 {
            discovered.observe(&call("GET", "/accounts", 401));
        }
        assert!(discovered.candidates() <= CANDIDATES_MAX);
    }
    let guarded = discovered.guarded();
    assert_eq!(guarded.iter().map(|guarded| guarded.template.path()).collect::<Vec<_>>(), ["/accounts"]);
}

#[test]
fn changes_are_drained_once() {
    let mut discovered = Discovered::new();
    discovered.observe(&call("GET", "/a", 200));
    discovered.observe(&call("GET", "/a", 500));
    let changes = discovered.drain_changes();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].key, template("GET", "/a"));
    assert_eq!((changes[0].added.calls, changes[0].added.errors), (2, 1));
    assert_eq!(discovered.drain_changes(), []);
    discovered.observe(&Call { now_unix_s: 5_000, ..call("GET", "/a", 200) });
    let added = discovered.drain_changes()[0].added;
    assert_eq!((added.calls, added.errors), (1, 0));
    assert_eq!((added.first_seen_unix_s, added.last_seen_unix_s), (1_000, 5_000));
}

#[test]
fn what_is_restored_is_known_and_not_drained_again() {
    let mut before = Discovered::new();
    for status in [200, 403] {
        before.observe(&call("GET", "/a/7", status));
    }
    before.observe(&call("GET", "/none", 404));
    let mut after = Discovered::new();
    before.rows().for_each(|row| after.restore(row));
    assert_eq!(after.rows().collect::<Vec<Row>>(), before.rows().collect::<Vec<Row>>());
    assert_eq!(after.drain_changes(), []);
    after.observe(&call("GET", "/a/8", 403));
    assert_eq!(calls(&after, &template("GET", "/a/{int}")), 3);
    assert_eq!(after.drain_changes()[0].added.calls, 1);
}

/// Segments of real interfaces and of hostile clients.
fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("products".to_owned()),
        Just("v1".to_owned()),
        Just(String::new()),
        "[0-9]{1,22}",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[0-9a-f]{16,40}",
        "20[0-9]{2}-[01][0-9]-[0-3][0-9]",
        "[a-z]{1,5}[_-][0-9A-Za-z]{1,12}",
        "[a-zA-Z0-9._~@%2Fc-]{0,30}",
        "[0-9]{1,4}\\.(json|csv|html)",
    ]
}

fn path() -> impl Strategy<Value = String> {
    proptest::collection::vec(segment(), 1..7).prop_filter_map("no path", |segments| {
        Some(normalise_path(&format!("/{}", segments.join("/"))).ok()?.into_owned())
    })
}

fn method() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("GET"), Just("POST"), Just("HEAD"), Just("OPTIONS"), Just("BREW")]
}

fn status() -> impl Strategy<Value = u16> {
    prop_oneof![Just(200), Just(302), Just(404), Just(403), Just(500), Just(0), any::<u16>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_call_is_in_exactly_one_row_and_drained_exactly_once(
        observed in proptest::collection::vec((method(), path(), status(), any::<bool>(), 0..9_u64), 1..60),
        drain_every in 1..20_usize,
    ) {
        let mut discovered = Discovered::new();
        let mut ledger: Vec<Row> = Vec::new();
        let mut expected = Tally::default();
        for (n, (method, path, status, login, duration_s)) in observed.iter().enumerate() {
            let location = login.then_some("/login");
            let duration = Duration::from_secs(*duration_s);
            discovered.observe(&Call { location, duration, ..call(method, path, *status) });
            expected.calls += 1;
            expected.errors += u64::from(*status == 0 || *status >= 500);
            expected.duration_total += duration;
            if n % drain_every == 0 || n + 1 == observed.len() {
                for change in discovered.drain_changes() {
                    match ledger.iter_mut().find(|row| row.key == change.key) {
                        Some(row) => row.tally.add(&change.added),
                        None => ledger.push(Row { key: change.key, tally: change.added }),
                    }
                }
            }
        }
        let sum = |rows: &mut dyn Iterator<Item = Row>| rows.fold(Tally::default(), |mut sum, row| {
            sum.calls += row.tally.calls;
            sum.errors += row.tally.errors;
            sum.duration_total += row.tally.duration_total;
            sum
        });
        prop_assert_eq!(sum(&mut discovered.rows()), expected);
        prop_assert_eq!(sum(&mut ledger.iter().cloned()), expected);
        for row in discovered.rows().filter(|row| row.tally.calls > 0) {
            prop_assert!(ledger.contains(&row), "{:?}", row);
        }
    }

    #[test]
    fn ids_of_one_type_give_one_template(
        ints in ("[0-9]{1,19}", "[0-9]{1,19}"),
        uuids in ("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}"),
        prefixed in ("cus_[0-9][0-9A-Za-z]{8}", "ord_[A-Za-z]{8}[0-9]{2}"),
        keys in ("[A-Z]{2,6}-[0-9]{1,5}", "[A-Z]{2,6}-[0-9]{1,5}"),
        emails in ("[a-z]{1,9}@[a-z]{1,9}\\.example", "[a-z]{1,9}%40[a-z]{1,9}\\.example"),
        shape in prop_oneof![Just("/things/@"), Just("/api/v1/things/@/parts"), Just("/things/@.json"), Just("/a/@/@/")],
    ) {
        let known = ["V-", "UTF-8", "SHA-256", "COVID-19"];
        prop_assume!(!known.contains(&keys.0.as_str()) && !known.contains(&keys.1.as_str()));
        for (one, other) in [ints, uuids, prefixed, keys, emails] {
            let of = |value: &str| Template::of("GET", &shape.replace('@', value));
            prop_assert_eq!(of(&one), of(&other), "{} {}", one, other);
            prop_assert_ne!(of(&one).path().find("{"), None);
        }
    }

    #[test]
    fn a_suggested_pattern_takes_the_path_it_was_learnt_from(path in path()) {
        // Without a host in front, two slashes would begin one.
        prop_assume!(!path.starts_with("//"));
        let template = Template::of("GET", &path);
        let pattern = template.suggested_pattern();
        let pattern = pattern.ok_or_else(|| TestCaseError::fail(format!("none for {template}")))?;
        prop_assert!(pattern.matches_path(&path), "{} {}", pattern, path);
    }
}
