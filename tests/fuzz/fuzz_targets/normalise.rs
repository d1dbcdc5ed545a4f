//! The path normaliser: idempotent, and nothing left that another parser could still resolve or decode.

#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use starve_routing::normalise_path;

fuzz_target!(|path: &str| {
    let Ok(normal) = normalise_path(path) else { return };
    assert!(matches!(normalise_path(&normal), Ok(Cow::Borrowed(text)) if text == normal));
    assert!(normal.starts_with('/') && normal.is_ascii());
    assert!(normal.split('/').all(|segment| segment != "." && segment != ".."));
    assert!(!normal.bytes().any(|byte| byte <= b' ' || byte == 0x7f || b"\\?#\"<>^`{|}".contains(&byte)));
    for escape in normal.split('%').skip(1) {
        let digits = &escape[..2];
        let byte = u8::from_str_radix(digits, 16).expect("two hexadecimal digits");
        assert_eq!(digits, digits.to_uppercase());
        assert!(byte != 0 && !byte.is_ascii_alphanumeric() && !b"-._~".contains(&byte), "%{digits}");
    }
});
