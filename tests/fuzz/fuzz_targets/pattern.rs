//! The pattern parser: round trip, spans, and agreement with the path normaliser.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starve_routing::{Pattern, normalise_path};

fuzz_target!(|text: &str| {
    match text.parse::<Pattern>() {
        Ok(pattern) => {
            let canonical = pattern.to_string();
            let again: Pattern = canonical.parse().expect("a canonical text parses");
            assert_eq!(again, pattern);
            assert_eq!(again.to_string(), canonical);
            if pattern.is_literal() {
                let path = pattern.path_template();
                assert_eq!(normalise_path(path).as_deref(), Ok(path), "a literal pattern can be asked for");
                assert!(pattern.matches_path(path));
            }
        }
        Err(error) => {
            assert!(text.get(error.span.clone()).is_some(), "{error:?}");
            assert!(!error.message.is_empty() && !error.expected.is_empty());
        }
    }
});
