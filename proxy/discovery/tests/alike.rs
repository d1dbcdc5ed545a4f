//! Words that are values because they are used alike, and words that are not.

use std::time::Duration;

use starve_discovery::{Call, Discovered, RowKey};

const WORDS: [&str; 6] = ["amber", "birch", "cedar", "dune", "ember", "fjord"];

/// Calls in the order in which they would come: by turns, not one endpoint after the other.
fn observe(calls: &[(String, usize)]) -> Discovered {
    let mut discovered = Discovered::new();
    let most = calls.iter().map(|(_, count)| *count).max().unwrap_or(0);
    for turn in 0..most {
        for (call, _) in calls.iter().filter(|(_, count)| turn < *count) {
            let (method, path) = call.split_once(' ').unwrap_or(("GET", call));
            discovered.observe(&Call {
                method,
                path,
                status: 200,
                location: None,
                apart: false,
                now_unix_s: 1_000 + turn as u64,
                duration: Duration::from_millis(2),
            });
        }
        if turn % 100 == 0 {
            discovered.settle();
        }
    }
    discovered
}

/// The shown endpoints below a path, sorted.
fn shown(discovered: &Discovered, below: &str) -> Vec<String> {
    let mut all: Vec<String> = discovered
        .shown()
        .into_iter()
        .filter_map(|shown| match shown.row.key {
            RowKey::Template(template) if template.path().starts_with(below) => Some(template.to_string()),
            _ => None,
        })
        .collect();
    all.sort();
    all
}

fn each(uses: impl Fn(usize) -> Vec<(&'static str, usize)>) -> Vec<(String, usize)> {
    let word = |(at, word): (usize, &&str)| {
        let uses = uses(at).into_iter();
        uses.map(|(form, count)| (form.replace("{}", word), count)).collect::<Vec<_>>()
    };
    WORDS.iter().enumerate().flat_map(word).collect()
}

#[test]
fn words_that_are_used_alike_are_values() {
    // The popular ones far more often than the others, all in the same proportions.
    let calls = each(|at| {
        let times = 36 / (at + 1);
        vec![
            ("GET /shop/pools/{}", 14 * times),
            ("PUT /shop/pools/{}", 4 * times),
            ("DELETE /shop/pools/{}", 2 * times),
        ]
    });
    let discovered = observe(&calls);
    assert_eq!(
        shown(&discovered, "/shop/pools"),
        ["DELETE /shop/pools/{value}", "GET /shop/pools/{value}", "PUT /shop/pools/{value}"]
    );
    let sum: u64 = discovered.shown().iter().map(|shown| shown.row.tally.total()).sum();
    assert_eq!(sum, calls.iter().map(|(_, count)| *count as u64).sum::<u64>());
}

#[test]
fn words_that_are_used_each_in_its_own_way_are_endpoints() {
    let calls = each(|at| {
        let writes = [8, 20, 2, 45, 12, 30][at];
        vec![
            ("GET /shop/a/{}", 100),
            ("PUT /shop/a/{}", writes),
            ("GET /shop/a/{}/7", 60),
            ("GET /shop/a/{}/8", writes * 2),
        ]
    });
    let shown = shown(&observe(&calls), "/shop/a");
    assert_eq!(shown.len(), WORDS.len() * 3, "{shown:?}");
}

#[test]
fn where_all_words_are_only_read_nothing_can_be_told() {
    let calls =
        each(|at| vec![("GET /shop/a/{}", 100 + at), ("OPTIONS /shop/a/{}", 3), ("HEAD /shop/a/{}", 2)]);
    let shown = shown(&observe(&calls), "/shop/a");
    assert_eq!(shown.iter().filter(|row| row.starts_with("GET")).count(), WORDS.len(), "{shown:?}");
}

#[test]
fn few_calls_tell_nothing() {
    let calls = each(|_| vec![("GET /shop/a/{}", 5), ("PUT /shop/a/{}", 3)]);
    let shown = shown(&observe(&calls), "/shop/a");
    assert_eq!(shown.len(), WORDS.len() * 2, "{shown:?}");
}

#[test]
fn an_endpoint_among_values_that_leads_elsewhere_stays() {
    let mut calls = each(|_| vec![("GET /shop/pools/{}", 300), ("DELETE /shop/pools/{}", 60)]);
    calls.extend([("GET /shop/pools/overview/daily".to_owned(), 40)]);
    let shown = shown(&observe(&calls), "/shop/pools");
    assert_eq!(
        shown,
        ["DELETE /shop/pools/{value}", "GET /shop/pools/overview/daily", "GET /shop/pools/{value}"]
    );
}
