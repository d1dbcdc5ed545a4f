//! The operations of a body: whatever it holds and wherever it is cut, the same bounded names.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starve_discovery::operations::{BATCH_MAX, NAME_BYTES_MAX, Peek, Protocol};

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, body) = input;
    for protocol in [Protocol::GraphQl, Protocol::JsonRpc] {
        let mut whole = Peek::new(protocol, None);
        whole.data(body);
        let names = whole.names();
        assert!(!names.is_empty() && names.len() <= 2 * BATCH_MAX);
        assert!(names.iter().all(|name| name.len() <= NAME_BYTES_MAX && !name.contains('#')));
        let mut pieces = Peek::new(protocol, None);
        for piece in body.chunks(usize::from(cut) + 1) {
            pieces.data(piece);
        }
        assert_eq!(pieces.names(), names);
    }
});
