//! PROXY headers: what was decided about a beginning holds whatever follows, and nothing too long is taken.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starve_listener::{HEADER_BYTES_MAX, parse_proxy_header};

fuzz_target!(|bytes: &[u8]| {
    let whole = parse_proxy_header(bytes);
    if let Ok(Some(header)) = whole {
        assert!(header.length <= bytes.len() && header.length <= HEADER_BYTES_MAX);
        assert_eq!(parse_proxy_header(&bytes[..header.length]), whole);
        assert_eq!(parse_proxy_header(&bytes[..header.length - 1]), Ok(None));
    }
    for end in 0..bytes.len().min(256) {
        match parse_proxy_header(&bytes[..end]) {
            Ok(None) => {}
            decided => assert_eq!(decided, whole),
        }
    }
});
