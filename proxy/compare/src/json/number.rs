//! Numbers by decimal value: never through a double, which would take different long numbers for equal.

use std::hash::{Hash, Hasher};

/// A number in its one normal form: equal numbers are equal here, however they were written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal<'a> {
    negative: bool,
    /// The power of ten of the first digit.
    exponent: i64,
    /// The significant digits, without zeros at either end, in two parts as the point cut them.
    digits: [&'a [u8]; 2],
}

impl<'a> Decimal<'a> {
    /// Of a JSON number. Nothing for an exponent beyond every use: such numbers are compared as they are written.
    pub(super) fn parse(literal: &'a [u8]) -> Option<Self> {
        let (negative, unsigned) = match literal {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let mantissa_end =
            unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(unsigned.len());
        let (mantissa, exponent) = unsigned.split_at(mantissa_end);
        let point = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
        let whole = without_leading_zeros(&mantissa[..point]);
        let fraction = without_trailing_zeros(mantissa.get(point + 1..).unwrap_or_default());

        let significant_fraction = if whole.is_empty() { without_leading_zeros(fraction) } else { fraction };
        let significant_whole = if fraction.is_empty() { without_trailing_zeros(whole) } else { whole };
        let digits = [significant_whole, significant_fraction];
        if digits.iter().all(|part| part.is_empty()) {
            return Some(Self { negative: false, exponent: 0, digits });
        }
        let zeros_behind_point = (fraction.len() - significant_fraction.len()) as i64;
        let first_digit = if whole.is_empty() { -1 - zeros_behind_point } else { whole.len() as i64 - 1 };
        Some(Self { negative, exponent: parse_exponent(exponent)?.checked_add(first_digit)?, digits })
    }

    fn digits(&self) -> impl Iterator<Item = &u8> {
        self.digits.iter().copied().flatten()
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.negative == other.negative && self.exponent == other.exponent && self.digits().eq(other.digits())
    }
}

impl Hash for Decimal<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(u8::from(self.negative));
        state.write_i64(self.exponent);
        self.digits().for_each(|digit| state.write_u8(*digit));
    }
}

/// Whether two literals name the same number.
pub(super) fn are_equal(one: &[u8], other: &[u8]) -> bool {
    match (Decimal::parse(one), Decimal::parse(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// Of `e+5`, or of nothing.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let Some((_, digits)) = text.split_first() else { return Some(0) };
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn without_leading_zeros(digits: &[u8]) -> &[u8] {
    &digits[digits.iter().take_while(|digit| **digit == b'0').count()..]
}

fn without_trailing_zeros(digits: &[u8]) -> &[u8] {
    &digits[..digits.len() - digits.iter().rev().take_while(|digit| **digit == b'0').count()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn equal(one: &str, other: &str) -> bool {
        are_equal(one.as_bytes(), other.as_bytes())
    }

    #[test]
    fn the_notation_does_not_count() {
        for (one, other) in [
            ("0.00005", "0.5e-4"),
            ("1", "1.0"),
            ("100", "1E+2"),
            ("0", "-0.0e7"),
            ("1200", "1.2e3"),
            ("0.012", "12e-3"),
            ("10.0100", "10.01"),
            ("12345678901234567890123", "1.2345678901234567890123e22"),
            ("1e99999999999999999999", "1e99999999999999999999"),
        ] {
            assert!(equal(one, other), "{one} {other}");
        }
    }

    #[test]
    fn different_numbers_differ_however_close() {
        for (one, other) in [
            ("12345678901234567890123", "12345678901234567890124"),
            ("0.1", "0.10000000000000000000000001"),
            ("1", "-1"),
            ("1", "10"),
            ("0.1", "0.01"),
            ("101", "1.1"),
            ("9007199254740993", "9007199254740992"),
            ("1e99999999999999999999", "1e99999999999999999998"),
        ] {
            assert!(!equal(one, other), "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn moving_the_point_and_the_exponent_together_changes_nothing(digits in "[1-9][0-9]{0,30}", by in 1_usize..40) {
            let fraction = format!("0.{}{digits}e{}", "0".repeat(by), by + digits.len());
            prop_assert!(equal(&digits, &fraction));
            let whole = format!("{digits}{}.00e-{by}", "0".repeat(by));
            prop_assert!(equal(&digits, &whole));
        }

        #[test]
        fn two_integers_are_equal_as_numbers_when_they_are(one: i64, other: i64) {
            prop_assert_eq!(equal(&one.to_string(), &other.to_string()), one == other);
        }
    }
}
