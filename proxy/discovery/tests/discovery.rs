//! What is learnt from traffic, and what hostile traffic cannot do.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use starve_discovery::{
    CANDIDATES_MAX, Call, Discovered, NODES_MAX, Row, RowKey, SHOWN_MAX, TOP_MAX, Tally, Template, Why,
};
use starve_routing::normalise_path;

fn call<'a>(method: &'a str, path: &'a str, status: u16) -> Call<'a> {
    let duration = Duration::from_millis(2);
    Call { method, path, status, location: None, now_unix_s: 1_000, duration, apart: false }
}

fn calls(discovered: &Discovered, key: &RowKey) -> u64 {
    discovered.rows().filter(|row| row.key == *key).map(|row| row.tally.total()).sum()
}

fn template(method: &str, path: &str) -> RowKey {
    RowKey::Template(Template::stored(method, path))
}

#[test]
fn an_answer_makes_a_template_and_from_then_on_all_its_calls_count_there() {
    let mut discovered = Discovered::new();
    discovered.observe(&call("GET", "/products/1", 404));
    discovered.observe(&call("GET", "/products/2", 200));
    discovered.observe(&Call { now_unix_s: 2_000, ..call("GET", "/products/3", 200) });
    for status in [404, 403, 500, 0] {
        discovered.observe(&Call { now_unix_s: 2_000, ..call("GET", "/products/4", status) });
    }
    let row = discovered.rows().find(|row| row.key == template("GET", "/products/{int}")).unwrap();
    assert_eq!(row.tally.calls, [1, 0, 2, 0, 2, 1]);
    assert_eq!((row.tally.total(), row.tally.errors()), (6, 2));
    assert_eq!(row.tally.duration[2], Duration::from_millis(4));
    assert_eq!((row.tally.first_seen_unix_s, row.tally.last_seen_unix_s), (1_000, 2_000));
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
    discovered.settle();
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
    assert_eq!(calls(&discovered, &RowKey::Guarded(Some(guarded[0].template.clone()))), 10);
    assert_eq!(calls(&discovered, &RowKey::Unmatched), 6);
}

#[test]
fn earlier_refusals_are_counted_on_the_endpoint_when_it_shows_up() {
    let mut discovered = Discovered::new();
    for n in 0..3 {
        discovered.observe(&call("GET", &format!("/accounts/{n}"), 401));
    }
    let before = discovered.drain_changes();
    assert_eq!(before.len(), 1);
    discovered.observe(&call("GET", "/accounts/4", 200));
    discovered.observe(&call("GET", "/accounts/5", 200));
    let changes = discovered.drain_changes();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].key, template("GET", "/accounts/{int}"));
    assert_eq!(changes[0].was, [before[0].key.clone()]);
    assert_eq!(changes[0].added.total(), 2);
    assert_eq!(calls(&discovered, &changes[0].key), 5);
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

fn letters(mut n: usize) -> String {
    let mut word = String::from("x");
    while n > 0 {
        word.push(char::from(b"abcdefghijklmnopqrstuvwxyz"[n % 26]));
        n /= 26;
    }
    word
}

#[test]
fn hostile_paths_keep_every_bound_and_every_call() {
    let mut discovered = Discovered::new();
    discovered.observe(&call("GET", "/real", 200));
    let mut count = 1;
    for n in 0..60_000 {
        let path = match n % 3 {
            0 => format!("/{}/{}", letters(n), "y".repeat(n % 140)),
            1 => format!("/{}", letters(n)),
            _ => format!("/a/{}/b/{}/c/{}", letters(n % 1_000), letters(n % 7_777), letters(n)),
        };
        for (method, status) in [("GET", 200), ("GET", 404), ("POST", 403), ("MADEUP", 302)] {
            discovered.observe(&call(method, &path, status));
            count += 1;
        }
        if n % 10_000 == 0 {
            discovered.settle();
            assert!(discovered.nodes() <= NODES_MAX);
        }
    }
    assert!(discovered.nodes() <= NODES_MAX);
    assert!(discovered.rows().count() <= NODES_MAX * 2 + CANDIDATES_MAX + 3);
    assert!(discovered.candidates() <= CANDIDATES_MAX);
    assert!(discovered.top_unmatched().len() <= TOP_MAX);
    assert!(discovered.evicted() > 0);
    assert!(calls(&discovered, &RowKey::Other) > 0);
    assert_eq!(discovered.rows().map(|row| row.tally.total()).sum::<u64>(), count);
    let shown = discovered.shown();
    assert!(shown.len() <= SHOWN_MAX + 1);
    assert_eq!(shown.iter().map(|shown| shown.row.tally.total()).sum::<u64>(), count);
}

#[test]
fn a_flood_of_refusals_does_not_keep_a_guarded_route_out() {
    let mut discovered = Discovered::new();
    for n in 0..CANDIDATES_MAX * 3 {
        discovered.observe(&call("GET", &format!("/junk/{}", letters(n)), 403));
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
    assert_eq!(changes[0].added.calls, [0, 0, 1, 0, 0, 1]);
    assert_eq!(discovered.drain_changes(), []);
    discovered.observe(&Call { now_unix_s: 5_000, ..call("GET", "/a", 200) });
    let added = discovered.drain_changes()[0].added;
    assert_eq!((added.total(), added.errors()), (1, 0));
    assert_eq!((added.first_seen_unix_s, added.last_seen_unix_s), (1_000, 5_000));
}

#[test]
fn what_is_restored_is_known_and_not_drained_again() {
    let mut before = Discovered::new();
    for (path, status) in [("/a/7", 200), ("/a/8", 200), ("/a/7", 403), ("/b", 401), ("/none", 404)] {
        before.observe(&call("GET", path, status));
    }
    before.drain_changes();
    let mut after = Discovered::new();
    before.rows().for_each(|row| after.restore(&row));
    let sorted = |discovered: &Discovered| {
        let mut rows: Vec<Row> = discovered.rows().collect();
        rows.sort_by(|one, other| one.key.cmp(&other.key));
        rows
    };
    assert_eq!(sorted(&after), sorted(&before));
    assert_eq!(after.drain_changes(), []);
    after.observe(&call("GET", "/a/9", 403));
    assert_eq!(calls(&after, &template("GET", "/a/{int}")), 4);
    assert_eq!(after.drain_changes()[0].added.total(), 1);
}

/// The templates with calls, as they are shown.
fn shown(discovered: &Discovered) -> Vec<String> {
    let endpoint = |key: &RowKey| match key {
        RowKey::Template(template) => Some(template.to_string()),
        _ => None,
    };
    let mut templates: Vec<_> =
        discovered.shown().iter().filter_map(|shown| endpoint(&shown.row.key)).collect();
    templates.sort_unstable();
    templates
}

#[test]
fn a_value_seen_once_stays_a_word_and_two_are_a_parameter() {
    let mut discovered = Discovered::new();
    discovered.observe(&call("GET", "/2010-04-01/accounts/7", 200));
    assert_eq!(shown(&discovered), ["GET /2010-04-01/accounts/7"]);
    discovered.observe(&call("GET", "/2010-04-01/accounts/8", 200));
    assert_eq!(shown(&discovered), ["GET /2010-04-01/accounts/{int}"]);
    let uuid = "/2010-04-01/accounts/0b5af3e2-1d2c-4b6a-9f00-aabbccddeeff";
    discovered.observe(&call("GET", uuid, 200));
    assert_eq!(shown(&discovered), ["GET /2010-04-01/accounts/{id}"]);
}

#[test]
fn words_are_values_when_the_same_words_follow_them() {
    let mut discovered = Discovered::new();
    for n in 0..30 {
        for tail in ["issues", "pulls", "stars"] {
            discovered.observe(&call(
                "GET",
                &format!("/repos/{}/{}/{tail}", letters(n), letters(n + 90)),
                200,
            ));
        }
        discovered.observe(&call("GET", "/repos/search", 200));
        for _ in 0..3 {
            discovered.observe(&call("GET", "/repos/popular", 200));
        }
    }
    let expected = [
        "GET /repos/popular",
        "GET /repos/search",
        "GET /repos/{value}/{value}/issues",
        "GET /repos/{value}/{value}/pulls",
        "GET /repos/{value}/{value}/stars",
    ];
    assert_eq!(shown(&discovered), expected);
    let review: Vec<_> = discovered.shown().into_iter().filter(|shown| !shown.values.is_empty()).collect();
    assert_eq!(review.len(), 3);
    assert_eq!(review[0].values[0].why, Why::Below);
    assert!(!review[0].values[0].examples.is_empty());
}

#[test]
fn resources_are_no_values_although_the_same_methods_and_numbers_follow_them() {
    let mut discovered = Discovered::new();
    for resource in ["users", "orders", "products", "carts", "coupons", "stores", "invoices", "refunds"] {
        for n in 0..20 {
            discovered.observe(&call("GET", &format!("/api/v1/{resource}/{n}"), 200));
            discovered.observe(&call("POST", &format!("/api/v1/{resource}"), 201));
            discovered.observe(&call("GET", &format!("/api/v1/{resource}/search"), 200));
        }
    }
    assert_eq!(shown(&discovered).len(), 24);
}

#[test]
fn more_words_than_any_vocabulary_has_are_values() {
    let mut discovered = Discovered::new();
    for n in 0..300 {
        discovered.observe(&call("GET", &format!("/tags/{}", letters(n)), 200));
        discovered.observe(&call("GET", &format!("/{}", letters(n)), 200));
    }
    let templates = shown(&discovered);
    assert!(templates.contains(&"GET /tags/{value}".to_owned()));
    assert_eq!(templates.len(), 301, "the first segment stays a word");
}

#[test]
fn what_a_person_says_wins_and_stays() {
    let mut discovered = Discovered::new();
    discovered.observe(&call("GET", "/teams/red", 200));
    discovered.drain_changes();
    let told: Vec<_> = ["* /teams/{name}", "* /teams/best", "* /files/{path*}"]
        .map(|pattern| pattern.parse().unwrap())
        .into();
    discovered.tell(&told);
    let changes = discovered.drain_changes();
    assert_eq!(changes[0].was, [template("GET", "/teams/red")]);
    for path in ["/teams/blue", "/teams/search", "/teams/best", "/files/a/b/c.txt", "/files/d/e"] {
        discovered.observe(&call("GET", path, 200));
    }
    assert_eq!(shown(&discovered), ["GET /files/{rest}", "GET /teams/best", "GET /teams/{value}"]);
    for n in 0..300 {
        discovered.observe(&call("GET", &format!("/teams/{}", letters(n)), 200));
    }
    assert_eq!(calls(&discovered, &template("GET", "/teams/best")), 1);
    assert_eq!(calls(&discovered, &template("GET", "/teams/{value}")), 303);
}

#[test]
fn a_merge_takes_all_that_was_found_before_but_what_was_split_off() {
    let mut discovered = Discovered::new();
    let paths =
        ["/teams/red", "/teams/new", "/teams/7", "/teams/best", "/docs/a/b", "/docs/c/7/d", "/docs/c"];
    for path in paths {
        discovered.observe(&call("GET", path, 200));
    }
    discovered.drain_changes();
    let told = ["* /teams/{name}", "* /docs/{path*}", "* /teams/best", "* /docs/c"];
    discovered.tell(&told.map(|pattern| pattern.parse().unwrap()));
    let expected = ["GET /docs/c", "GET /docs/{rest}", "GET /teams/best", "GET /teams/{value}"];
    assert_eq!(shown(&discovered), expected);
    let mut was: Vec<_> = discovered.drain_changes().into_iter().flat_map(|change| change.was).collect();
    was.sort();
    let joined = ["/docs/a/b", "/docs/c/7/d", "/teams/7", "/teams/new", "/teams/red"];
    assert_eq!(was, joined.map(|path| template("GET", path)));
    assert_eq!(calls(&discovered, &template("GET", "/docs/{rest}")), 2);
    // New words and new depths go the same way.
    for path in ["/teams/search", "/docs/x/y/z", "/docs/c/9"] {
        discovered.observe(&call("GET", path, 200));
    }
    assert_eq!(shown(&discovered), expected);
    let why: Vec<_> =
        discovered.shown().iter().flat_map(|row| row.values.clone()).map(|value| value.why).collect();
    assert_eq!(why, [Why::Told]);
}

#[test]
fn what_was_told_and_found_is_the_same_after_a_restart_and_can_be_taken_back() {
    let told = ["* /teams/{name}", "* /teams/best"].map(|pattern| pattern.parse().unwrap());
    let rows = [("/teams/{value}", 40), ("/teams/best", 7), ("/teams/late", 1)];
    let mut discovered = Discovered::new();
    discovered.tell(&told);
    for (path, calls) in rows {
        let mut tally = Tally::default();
        tally.calls[2] = calls;
        discovered.restore(&Row { key: template("GET", path), tally });
    }
    assert_eq!(shown(&discovered), ["GET /teams/best", "GET /teams/{value}"]);
    assert_eq!(calls(&discovered, &template("GET", "/teams/{value}")), 41);
    let changes = discovered.drain_changes();
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0].was, [template("GET", "/teams/late")]);
    // Without the word of a person the rules judge: what was joined stays so, and the word is one of its values.
    discovered.tell(&[]);
    discovered.settle();
    assert_eq!(shown(&discovered), ["GET /teams/{value}"]);
    assert_eq!(calls(&discovered, &template("GET", "/teams/{value}")), 48);
}

#[test]
fn what_was_observed_is_counted_by_what_it_showed() {
    let mut discovered = Discovered::new();
    for (path, status) in [("/a", 200), ("/a", 500), ("/b", 403), ("/c", 404), ("/c", 404)] {
        discovered.observe(&call("GET", path, status));
    }
    discovered.observe(&Call { apart: true, ..call("GET", "/a", 200) });
    let observed = discovered.observed();
    assert_eq!((observed.endpoint, observed.guarded, observed.unmatched, observed.more), (3, 1, 2, 0));
    let row = discovered.rows().find(|row| row.key == template("GET", "/a")).unwrap();
    assert_eq!((row.tally.calls, row.tally.apart), ([0, 0, 2, 0, 0, 1], [0, 0, 1, 0, 0, 0]));
}

/// What the ledger does with changes.
fn apply(ledger: &mut BTreeMap<RowKey, Tally>, discovered: &mut Discovered) {
    let changes = discovered.drain_changes();
    for change in &changes {
        ledger.entry(change.key.clone()).or_default().add(&change.added);
    }
    for change in &changes {
        for was in &change.was {
            let moved = ledger.remove(was).unwrap_or_default();
            ledger.entry(change.key.clone()).or_default().add(&moved);
        }
    }
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
        observed in proptest::collection::vec((method(), path(), status(), any::<bool>(), 0..9_u64), 1..200),
        drain_every in 1..20_usize,
        restart_at in 0..200_usize,
    ) {
        let mut discovered = Discovered::new();
        let mut ledger: BTreeMap<RowKey, Tally> = BTreeMap::new();
        let mut expected = Tally::default();
        for (n, (method, path, status, login, duration_s)) in observed.iter().enumerate() {
            let location = login.then_some("/login");
            let duration = Duration::from_secs(*duration_s);
            discovered.observe(&Call { location, duration, ..call(method, path, *status) });
            expected.add(&Tally::one(*status, 1_000, duration, false));
            if n % drain_every == 0 || n == restart_at || n + 1 == observed.len() {
                apply(&mut ledger, &mut discovered);
            }
            if n == restart_at {
                discovered = Discovered::new();
                ledger.iter().for_each(|(key, tally)| discovered.restore(&Row { key: key.clone(), tally: *tally }));
            }
        }
        apply(&mut ledger, &mut discovered);
        let sum = |tallies: &mut dyn Iterator<Item = Tally>| tallies.fold(Tally::default(), |mut sum, tally| {
            sum.add(&tally);
            sum
        });
        prop_assert_eq!(sum(&mut discovered.rows().map(|row| row.tally)), expected);
        prop_assert_eq!(sum(&mut ledger.values().copied()), expected);
        prop_assert_eq!(sum(&mut discovered.shown().iter().map(|shown| shown.row.tally)), expected);
        for row in discovered.rows().filter(|row| row.tally.total() > 0) {
            prop_assert_eq!(ledger.get(&row.key), Some(&row.tally), "{:?}", row.key);
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
