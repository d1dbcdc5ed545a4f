//! The types a parameter can have.

use std::fmt;

/// What a typed parameter takes. The order is the precedence among typed parameters at the same place; no
/// type takes all that a later one takes, so that every one of them can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParameterType {
    /// `2026-11-20`: a day of the Gregorian calendar, RFC 3339 `full-date`.
    Date,
    /// `8-4-4-4-12` hexadecimal digits of any case and version, RFC 9562 section 4.
    Uuid,
    /// 1 to 19 decimal digits, no sign: it fits an unsigned 64-bit number.
    Int,
    /// One or more hexadecimal digits of any case.
    Hex,
    /// Lower-case letters and digits in words joined by single hyphens: `blue-shirt-2`.
    Slug,
}

impl ParameterType {
    /// All of them, in the order of precedence.
    pub const ALL: [Self; 5] = [Self::Date, Self::Uuid, Self::Int, Self::Hex, Self::Slug];

    /// As it is written in a pattern.
    pub fn name(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::Uuid => "uuid",
            Self::Int => "int",
            Self::Hex => "hex",
            Self::Slug => "slug",
        }
    }

    pub fn accepts(self, value: &str) -> bool {
        let bytes = value.as_bytes();
        match self {
            Self::Date => is_date(bytes),
            Self::Uuid => is_uuid(bytes),
            Self::Int => (1..=19).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_digit),
            Self::Hex => !bytes.is_empty() && bytes.iter().all(u8::is_ascii_hexdigit),
            Self::Slug => is_slug(bytes),
        }
    }
}

impl fmt::Display for ParameterType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn is_date(bytes: &[u8]) -> bool {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = bytes else { return false };
    let digits = [y1, y2, y3, y4, m1, m2, d1, d2];
    if !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let number = |digits: &[u8]| digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    let (year, month, day) = (number(&digits[..4]), number(&digits[4..6]), number(&digits[6..]));
    (1..=days_of(year, month)).contains(&day)
}

/// 0 for a month that does not exist.
fn days_of(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    }
}

fn is_uuid(bytes: &[u8]) -> bool {
    let hyphen = |index: usize| matches!(index, 8 | 13 | 18 | 23);
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(index, byte)| match hyphen(index) {
            true => *byte == b'-',
            false => byte.is_ascii_hexdigit(),
        })
}

fn is_slug(bytes: &[u8]) -> bool {
    let word = |word: &[u8]| {
        !word.is_empty() && word.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    bytes.split(|byte| *byte == b'-').all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types_of(value: &str) -> Vec<&'static str> {
        ParameterType::ALL.into_iter().filter(|kind| kind.accepts(value)).map(ParameterType::name).collect()
    }

    #[test]
    fn an_int_has_one_to_nineteen_digits_and_no_sign() {
        assert!(ParameterType::Int.accepts("0"));
        assert!(ParameterType::Int.accepts("9999999999999999999"));
        for other in ["", "-1", "+1", "1.0", "10000000000000000000", "1e3", "１"] {
            assert!(!ParameterType::Int.accepts(other), "{other}");
        }
    }

    #[test]
    fn a_date_is_a_day_that_exists() {
        for day in ["2026-11-20", "2024-02-29", "2000-02-29", "1999-12-31"] {
            assert!(ParameterType::Date.accepts(day), "{day}");
        }
        for other in
            ["2026-02-29", "1900-02-29", "2026-13-01", "2026-00-10", "2026-04-31", "2026-04-00", "26-04-01"]
        {
            assert!(!ParameterType::Date.accepts(other), "{other}");
        }
    }

    #[test]
    fn a_uuid_has_its_hyphens_at_their_places() {
        assert!(ParameterType::Uuid.accepts("0B5AF3E2-1d2c-4b6a-9f00-aabbccddeeff"));
        assert!(!ParameterType::Uuid.accepts("0b5af3e21d2c4b6a9f00aabbccddeeff"));
        assert!(!ParameterType::Uuid.accepts("0b5af3e2-1d2c-4b6a-9f00-aabbccddeefg"));
        assert!(!ParameterType::Uuid.accepts("0b5af3e2d1d2c-4b6a-9f00-aabbccddeeff"));
    }

    #[test]
    fn a_slug_is_words_joined_by_single_hyphens() {
        assert!(ParameterType::Slug.accepts("blue-shirt-2"));
        for other in ["", "-a", "a-", "a--b", "A", "a_b", "caf%C3%A9"] {
            assert!(!ParameterType::Slug.accepts(other), "{other}");
        }
    }

    #[test]
    fn every_type_takes_something_that_no_earlier_type_takes() {
        assert_eq!(types_of("2026-11-20"), ["date", "slug"]);
        assert_eq!(types_of("0B5AF3E2-1d2c-4b6a-9f00-aabbccddeeff"), ["uuid"]);
        assert_eq!(types_of("42"), ["int", "hex", "slug"]);
        assert_eq!(types_of("ff"), ["hex", "slug"]);
        assert_eq!(types_of("zoo"), ["slug"]);
    }
}
