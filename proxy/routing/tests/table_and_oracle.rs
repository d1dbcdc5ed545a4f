//! The table against a matcher that asks every route, on routes that collide all the time.

#![expect(clippy::unwrap_used, reason = "a panic in a helper is a failed test")]

mod oracle;

use proptest::collection::vec;
use proptest::prelude::*;
use starve_routing::{ConflictKind, Entry, Match, PlainRequest, RouteTable};

fn entries() -> impl Strategy<Value = Vec<Entry<()>>> {
    let entry = (any::<usize>(), host(), vec(any::<usize>(), 1..4), when())
        .prop_map(|(method, host, segments, when)| oracle::entry(method, host, &segments, when));
    vec(entry, 1..40)
}

/// Mostly none: the more that routes share, the more they collide.
fn host() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(0), 1 => any::<usize>()]
}

fn when() -> impl Strategy<Value = usize> {
    prop_oneof![1 => Just(0), 1 => any::<usize>()]
}

fn requests() -> impl Strategy<Value = Vec<PlainRequest>> {
    let request = (any::<usize>(), any::<usize>(), vec(any::<usize>(), 1..5), any::<usize>(), any::<usize>())
        .prop_map(|(method, host, segments, query, headers)| {
            oracle::request(method, host, &segments, query, headers)
        });
    vec(request, 1..60)
}

/// The table without the entries that were complained of.
fn build(mut entries: Vec<Entry<()>>) -> RouteTable<()> {
    loop {
        let conflicts = match RouteTable::build(entries.clone()) {
            Ok(table) => return table,
            Err(conflicts) => conflicts,
        };
        let mut place = 0;
        entries.retain(|_| {
            place += 1;
            conflicts.iter().all(|conflict| conflict.second != place - 1)
        });
    }
}

fn index<T>(found: Option<Match<'_, T>>) -> Option<usize> {
    found.map(|found| found.index)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn the_table_finds_what_asking_every_route_finds(entries in entries(), requests in requests()) {
        let table = build(entries);
        for request in &requests {
            let found = table.find(request);
            prop_assert_eq!(index(found), oracle::find(table.entries(), request), "{:?}", request);
            prop_assert_eq!(index(found), table.explain(request).winner, "{:?}", request);
        }
    }

    #[test]
    fn explain_tries_candidates_in_the_order_in_which_they_win(entries in entries(), requests in requests()) {
        let table = build(entries);
        for request in &requests {
            // Take the winner away, and the next candidate that is said to match must win.
            let explanation = table.explain(request);
            let Some(winner) = explanation.winner else { continue };
            let next = explanation.candidates.iter().find_map(|candidate| {
                matches!(candidate.outcome, starve_routing::Outcome::Shadowed { .. }).then_some(candidate.index)
            });
            let mut others = table.entries().to_vec();
            others.remove(winner);
            let found = index(build(others).find(request));
            prop_assert_eq!(found, next.map(|next| if next > winner { next - 1 } else { next }));
        }
    }

    #[test]
    fn a_route_called_unreachable_takes_no_request(entries in entries(), requests in requests()) {
        let Err(conflicts) = RouteTable::build(entries.clone()) else { return Ok(()) };
        for request in &requests {
            let winner = oracle::find(&entries, request);
            let accused = conflicts.iter().find(|conflict| Some(conflict.second) == winner);
            prop_assert!(accused.is_none_or(|conflict| conflict.kind == ConflictKind::Duplicate), "{:?}", accused);
        }
    }

    #[test]
    fn values_are_what_makes_the_path_again(entries in entries(), requests in requests()) {
        let table = build(entries);
        for request in &requests {
            let Some(found) = table.find(request) else { continue };
            prop_assert!(found.pattern.matches_path(&request.path));
            let mut path = found.pattern.path_template().to_owned();
            for (name, value) in found.params.iter() {
                let start = path.find(&format!("{{{name}")).unwrap();
                let end = start + path[start..].find('}').unwrap();
                path.replace_range(start..=end, value);
            }
            prop_assert_eq!(&path, &request.path);
        }
    }
}
