//! The field `Date`, made anew once a second.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderValue;

struct Known {
    second: u64,
    text: Option<HeaderValue>,
}

thread_local! {
    static KNOWN: RefCell<Known> = const { RefCell::new(Known { second: 0, text: None }) };
}

fn with<T>(use_it: impl FnOnce(&HeaderValue) -> T) -> T {
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    KNOWN.with_borrow_mut(|known| {
        if known.second != second || known.text.is_none() {
            // A date is a value in any case.
            let text = HeaderValue::try_from(httpdate::fmt_http_date(now)).ok();
            *known = Known { second, text };
        }
        use_it(known.text.get_or_insert(HeaderValue::from_static("")))
    })
}

pub(crate) fn field(out: &mut Vec<u8>) {
    with(|text| {
        out.extend_from_slice(b"date: ");
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\r\n");
    });
}

/// The value of the field `Date` now.
pub fn date() -> HeaderValue {
    with(HeaderValue::clone)
}
