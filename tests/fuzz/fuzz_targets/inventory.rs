//! The readers of inventories, each on the same text, and the table of what they found.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starve_discovery::inventory::{Format, Inventory, Options, proxies_to_routes, read};

fuzz_target!(|text: &str| {
    for format in Format::ALL {
        let Ok(listing) = read(format, text, &Options::default()) else { continue };
        for endpoint in &listing.endpoints {
            assert_eq!(endpoint.pattern.to_string().parse().as_ref(), Ok(&endpoint.pattern));
        }
        Inventory::build(listing.endpoints.into_iter().map(|one| (one.pattern, one.also)), &[]);
    }
    let _converted = proxies_to_routes(text);
});
