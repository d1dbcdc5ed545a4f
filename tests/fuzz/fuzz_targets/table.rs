//! The table against a matcher that asks every route, on routes that collide all the time.

#![no_main]

#[path = "../../../proxy/routing/tests/oracle/mod.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;
use starve_routing::{ConflictKind, Entry, RouteTable};

/// Bytes of an entry and of a request: each picks from a list.
const ENTRY: usize = 7;
const REQUEST: usize = 8;

fuzz_target!(|bytes: &[u8]| {
    let Some((count, bytes)) = bytes.split_first() else { return };
    let split = (usize::from(*count % 48) * ENTRY).min(bytes.len());
    let mut entries: Vec<Entry<()>> = bytes[..split].chunks_exact(ENTRY).map(entry).collect();
    let requests: Vec<_> = bytes[split..].chunks_exact(REQUEST).take(64).map(request).collect();

    let table = loop {
        let conflicts = match RouteTable::build(entries.clone()) {
            Ok(table) => break table,
            Err(conflicts) => conflicts,
        };
        for request in &requests {
            let winner = oracle::find(&entries, request);
            let accused = conflicts.iter().filter(|conflict| Some(conflict.second) == winner);
            assert!(
                accused.into_iter().all(|conflict| conflict.kind == ConflictKind::Duplicate),
                "{conflicts:?}"
            );
        }
        let mut place = 0;
        entries.retain(|_| {
            place += 1;
            conflicts.iter().all(|conflict| conflict.second != place - 1)
        });
    };
    for request in &requests {
        let found = table.find(request).map(|found| found.index);
        assert_eq!(found, oracle::find(table.entries(), request), "{request:?}");
        assert_eq!(found, table.explain(request).winner, "{request:?}");
    }
});

fn entry(bytes: &[u8]) -> Entry<()> {
    let numbers: Vec<usize> = bytes.iter().map(|byte| usize::from(*byte)).collect();
    oracle::entry(numbers[0], numbers[1], &numbers[3..4 + numbers[3] % 4], numbers[2])
}

fn request(bytes: &[u8]) -> starve_routing::PlainRequest {
    let numbers: Vec<usize> = bytes.iter().map(|byte| usize::from(*byte)).collect();
    oracle::request(numbers[0], numbers[1], &numbers[4..5 + numbers[4] % 4], numbers[2], numbers[3])
}
