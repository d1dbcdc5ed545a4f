//! The field `Date`, made anew once a second.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

struct Known {
    second: u64,
    text: String,
}

thread_local! {
    static KNOWN: RefCell<Known> = const { RefCell::new(Known { second: 0, text: String::new() }) };
}

pub(crate) fn field(out: &mut Vec<u8>) {
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    KNOWN.with_borrow_mut(|known| {
        if known.second != second || known.text.is_empty() {
            *known = Known { second, text: httpdate::fmt_http_date(now) };
        }
        out.extend_from_slice(b"date: ");
        out.extend_from_slice(known.text.as_bytes());
        out.extend_from_slice(b"\r\n");
    });
}
