//! What the endpoint answers: pure text in, text out.

/// Every product by rising id: its JSON object up to, but without, the closing brace.
static PRODUCTS: &[(i64, &str)] = include!(concat!(env!("OUT_DIR"), "/products.rs"));

#[derive(Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
    /// The methods that are served, for the answer to any other one.
    pub allow: Option<&'static str>,
}

impl Answer {
    fn error(status: u16, message: &str) -> Self {
        Self { status, body: format!("{{\"error\":\"{message}\"}}"), allow: None }
    }

    pub fn method_not_allowed() -> Self {
        Self { allow: Some("GET, HEAD"), ..Self::error(405, "method not allowed") }
    }
}

/// Answers `/api/products/{id}`; the time is that since 1970 in UTC.
pub fn answer(path_with_query: &str, seconds: u64, nanoseconds: u32) -> Answer {
    let path = path_with_query.split('?').next().unwrap_or_default();
    let Some(segment) = segment(path) else { return Answer::error(404, "not found") };
    let Some(id) = integer(segment) else { return Answer::error(400, "bad product id") };
    let Ok(at) = PRODUCTS.binary_search_by_key(&id, |(id, _)| *id) else {
        return Answer::error(404, "no such product");
    };
    let updated_at = timestamp(seconds, nanoseconds);
    Answer { status: 200, body: format!("{},\"updated_at\":\"{updated_at}\"}}", PRODUCTS[at].1), allow: None }
}

/// The one segment after `/api/products/`.
fn segment(path: &str) -> Option<&str> {
    let segment = path.strip_prefix("/api/products/")?;
    if segment.is_empty() || segment.contains('/') { None } else { Some(segment) }
}

/// An optional `-` and one to nine digits, percent-encoded or not.
fn integer(segment: &str) -> Option<i64> {
    let text = percent_decoded(segment)?;
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let plain = (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// The text without its `%xx`; nothing when it is not ASCII, which no integer is.
fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = String::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, tail) = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => (hex(*high)? << 4 | hex(*low)?, tail),
            _ => (*first, tail),
        };
        decoded.push(byte.is_ascii().then_some(byte as char)?);
        rest = tail;
    }
    Some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// `2026-03-01T09:30:00.123Z`.
fn timestamp(seconds: u64, nanoseconds: u32) -> String {
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let millisecond = nanoseconds / 1_000_000;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

/// The date of a day counted from 1 January 1970. The year is taken to begin in March, so that the leap day
/// is its last and every five months from March on have 153 days.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(path: &str) -> u16 {
        answer(path, 0, 0).status
    }

    #[test]
    fn a_product_has_all_fields_in_the_monolith_s_order() {
        let answer = answer("/api/products/1?page=2", 1_772_357_400, 123_456_789);
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.body,
            r#"{"id":1,"slug":"enamel-saucepan-16-cm","name":"Enamel Saucepan 16 cm","description":"White enamel on steel with a blue rim, good on gas and induction.","category":"kitchen","price_cents":2450,"currency":"EUR","tags":["classic","enamel","hob"],"stock":14,"rating":4.7,"updated_at":"2026-03-01T09:30:00.123Z"}"#
        );
    }

    #[test]
    fn ids_that_are_no_integers_are_bad_and_those_without_a_product_unknown() {
        for path in ["/api/products/x", "/api/products/1.0", "/api/products/+1"] {
            assert_eq!(status(path), 400, "{path}");
        }
        for path in ["/api/products/1234567890", "/api/products/-", "/api/products/%C3%BC"] {
            assert_eq!(status(path), 400, "{path}");
        }
        assert_eq!(answer("/api/products/abc", 0, 0).body, r#"{"error":"bad product id"}"#);
        assert_eq!(answer("/api/products/121", 0, 0).body, r#"{"error":"no such product"}"#);
        assert_eq!(status("/api/products/-1"), 404);
        for path in ["/elsewhere", "/api/products/", "/api/products/1/x"] {
            assert_eq!(answer(path, 0, 0).body, r#"{"error":"not found"}"#, "{path}");
        }
    }

    #[test]
    fn an_encoded_or_padded_id_counts_as_the_monolith_counts_it() {
        assert_eq!(answer("/api/products/%31", 0, 0), answer("/api/products/1", 0, 0));
        assert_eq!(answer("/api/products/01", 0, 0), answer("/api/products/1", 0, 0));
    }

    #[test]
    fn dates_hold_over_leap_days_and_centuries() {
        assert_eq!(timestamp(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(timestamp(951_827_696, 7_000_000), "2000-02-29T12:34:56.007Z");
        assert_eq!(timestamp(1_709_251_199, 999_999_999), "2024-02-29T23:59:59.999Z");
        assert_eq!(timestamp(1_735_689_600, 0), "2025-01-01T00:00:00.000Z");
        assert_eq!(timestamp(4_107_542_400, 0), "2100-03-01T00:00:00.000Z");
    }
}
