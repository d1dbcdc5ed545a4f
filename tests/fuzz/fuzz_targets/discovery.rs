//! Templates and the table of what was discovered, on calls made of lines `METHOD STATUS PATH`.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use starve_discovery::{Call, Discovered, NODES_MAX, Template};
use starve_routing::normalise_path;

fuzz_target!(|text: &str| {
    let mut discovered = Discovered::new();
    let mut count = 0;
    for line in text.lines() {
        let mut words = line.splitn(3, ' ');
        let (Some(method), Some(status), Some(path)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let (Ok(status), Ok(path)) = (status.parse(), normalise_path(path)) else { continue };
        let template = Template::of(method, &path);
        assert!(template.path().len() <= 2_200);
        let again = Template::of(method, &path);
        assert_eq!(template, again);
        let (location, duration) = (None, Duration::from_millis(1));
        discovered.observe(&Call { method, path: &path, status, location, now_unix_s: count, duration, apart: false });
        count += 1;
        if count % 64 == 0 {
            discovered.settle();
        }
    }
    assert_eq!(discovered.shown().iter().map(|shown| shown.row.tally.total()).sum::<u64>(), count);
    assert_eq!(discovered.rows().map(|row| row.tally.total()).sum::<u64>(), count);
    assert_eq!(discovered.drain_changes().iter().map(|change| change.added.total()).sum::<u64>(), count);
    assert!(discovered.nodes() <= NODES_MAX);
});
