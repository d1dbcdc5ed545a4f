//! A million paths that nobody asked for before: what they leave behind is bounded.

use std::fmt::Write as _;
use std::time::Duration;

use starve_discovery::{CANDIDATES_MAX, Call, Discovered, NODES_MAX, RowKey, SHOWN_MAX, TOP_MAX};

const PATHS: u64 = 1_000_000;

/// A path of its own for each number, of the sorts that scanners and broken clients send; some of them answered.
fn hostile(n: u64, path: &mut String) -> u16 {
    path.clear();
    // Numbers in letters, so that no form is seen in them.
    let mut word = |mut n: u64| {
        path.push_str("/x");
        while n > 0 {
            path.push(char::from(b'a' + (n % 26) as u8));
            n /= 26;
        }
    };
    match n % 8 {
        0 => word(n),
        1 => [n % 1_000, n].into_iter().for_each(word),
        2 => [n, n % 1_000, n].into_iter().for_each(word),
        3 => {
            word(n);
            path.push_str("/wp-login.php");
        }
        4 => _ = write!(path, "/a/{n}/b{n}/{n:016x}"),
        5 => _ = write!(path, "/{n}%2Fetc%2Fpasswd"),
        6 => _ = write!(path, "/{n:0130}"),
        _ => (0..20).for_each(|_| word(n)),
    }
    [200, 404, 403, 404, 302, 404, 500, 404][(n / 8 % 8) as usize]
}

#[test]
fn a_million_distinct_paths_leave_bounded_tables_and_every_call() {
    let mut discovered = Discovered::new();
    let mut path = String::new();
    let mut drained = 0;
    for n in 0..PATHS {
        let status = hostile(n, &mut path);
        discovered.observe(&Call {
            method: if n % 5 == 0 { "POST" } else { "GET" },
            path: &path,
            status,
            location: None,
            apart: false,
            now_unix_s: 1_000 + n / 100_000,
            duration: Duration::from_millis(1),
        });
        if n % 100_000 == 0 {
            drained += discovered.drain_changes().iter().map(|change| change.added.total()).sum::<u64>();
            assert!(discovered.nodes() <= NODES_MAX, "{} nodes", discovered.nodes());
        }
    }
    drained += discovered.drain_changes().iter().map(|change| change.added.total()).sum::<u64>();
    assert!(discovered.nodes() <= NODES_MAX, "{} nodes", discovered.nodes());
    assert!(discovered.candidates() <= CANDIDATES_MAX);
    assert!(discovered.top_unmatched().len() <= TOP_MAX);
    let rows: Vec<_> = discovered.rows().collect();
    assert!(rows.len() <= NODES_MAX + CANDIDATES_MAX + 3, "{} rows", rows.len());
    assert_eq!(rows.iter().map(|row| row.tally.total()).sum::<u64>(), PATHS);
    assert_eq!(drained, PATHS);
    let text = |key: &RowKey| match key {
        RowKey::Template(template) | RowKey::Guarded(Some(template)) => template.to_string().len(),
        _ => 0,
    };
    let longest = rows.iter().map(|row| text(&row.key)).max();
    assert!(longest.is_some_and(|bytes| bytes < 2_200), "{longest:?}");
    let shown = discovered.shown();
    assert!(shown.len() <= SHOWN_MAX + 1, "{} shown", shown.len());
    assert_eq!(shown.iter().map(|shown| shown.row.tally.total()).sum::<u64>(), PATHS);
}
