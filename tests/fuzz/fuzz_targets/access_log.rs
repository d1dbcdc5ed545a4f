//! The readers of access logs, each on the same lines, and the sums of what they read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starve_discovery::access_log::{Counter, Fields, Format, Line, Reader, Targets, detect, redacted};
use starve_discovery::inventory::Inventory;
use starve_routing::RouteTable;

fuzz_target!(|text: &[u8]| {
    let Ok(table) = RouteTable::build(Vec::new()) else { return };
    let targets = Targets::new(table, Vec::new(), Inventory::default());
    for name in Format::NAMES.into_iter().chain(["$host [$time_local] \"$request\" $status", "%h %t %r %s"]) {
        let Ok(format) = Format::of(name, Fields::default()) else { continue };
        let (mut reader, mut counter, mut calls) = (Reader::new(format), Counter::new(&targets), 0);
        for line in text.split(|byte| *byte == b'\n') {
            if let Line::Call(record) = reader.read(line) {
                counter.count(&record);
                calls += 1;
            }
        }
        assert_eq!(counter.cells().map(|(_, cell)| cell.calls).sum::<u64>(), calls);
    }
    detect(text, &Fields::default());
    redacted(text);
});
