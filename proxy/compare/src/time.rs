//! Points in time, as far as two of them can be told to be the moment of answering.

use crate::limits::TIME_TOLERANCE_SECONDS;

/// A text that is a point in time: RFC 3339 (also without offset, or with a space for the `T`), or an HTTP date
/// (RFC 9110, section 5.6.7; also with the dashes that cookies still have).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    form: Form,
    milliseconds: i64,
}

/// What a client's parser would stumble over, was it another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Iso { separator: u8, fraction_digits: u8, zone: Zone },
    Http { dash: u8 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zone {
    Local,
    Utc,
    Offset,
}

impl Moment {
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        match text.first()? {
            b'0'..=b'9' => parse_iso(text),
            b'A'..=b'Z' => parse_http(text),
            _ => None,
        }
    }

    /// Whether both are written the same way and lie within the tolerance.
    pub(crate) fn is_close_to(self, other: Self) -> bool {
        self.form == other.form
            && self.milliseconds.abs_diff(other.milliseconds) <= TIME_TOLERANCE_SECONDS as u64 * 1000
    }

    /// Whether both name the same instant, in whatever notation.
    pub(crate) fn is_same_instant(self, other: Self) -> bool {
        let local = |moment: Self| matches!(moment.form, Form::Iso { zone: Zone::Local, .. });
        self.milliseconds == other.milliseconds && local(self) == local(other)
    }
}

/// Whether two texts are moments within the tolerance, written the same way.
pub(crate) fn are_close(one: &[u8], other: &[u8]) -> bool {
    match (Moment::parse(one), Moment::parse(other)) {
        (Some(one), Some(other)) => one.is_close_to(other),
        _ => false,
    }
}

fn parse_iso(text: &[u8]) -> Option<Moment> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let [b'-', b'-', separator @ (b'T' | b't' | b' '), b':', b':'] =
        [date_time[4], date_time[7], date_time[10], date_time[13], date_time[16]]
    else {
        return None;
    };
    let day = days(number(&date_time[..4])?, number(&date_time[5..7])?, number(&date_time[8..10])?)?;
    let second =
        seconds(number(&date_time[11..13])?, number(&date_time[14..16])?, number(&date_time[17..19])?)?;
    let (fraction, zone) = match rest.split_first() {
        Some((b'.', after)) => after.split_at(after.iter().take_while(|byte| byte.is_ascii_digit()).count()),
        _ => (&[][..], rest),
    };
    if fraction.len() > 9 || (rest.first() == Some(&b'.') && fraction.is_empty()) {
        return None;
    }
    let (zone, offset_seconds) = parse_zone(zone)?;
    let millisecond =
        (0..3).fold(0, |sum, n| sum * 10 + fraction.get(n).map_or(0, |digit| i64::from(digit - b'0')));
    Some(Moment {
        form: Form::Iso { separator, fraction_digits: fraction.len() as u8, zone },
        milliseconds: (day * 86_400 + second - offset_seconds) * 1000 + millisecond,
    })
}

fn parse_zone(text: &[u8]) -> Option<(Zone, i64)> {
    match text {
        [] => Some((Zone::Local, 0)),
        [b'Z' | b'z'] => Some((Zone::Utc, 0)),
        [sign @ (b'+' | b'-'), hours @ .., b':', tens, ones] if hours.len() == 2 => {
            let seconds = seconds(number(hours)?, number(&[*tens, *ones])?, 0)?;
            Some((Zone::Offset, if *sign == b'-' { -seconds } else { seconds }))
        }
        _ => None,
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, or with `06-Nov-1994`.
fn parse_http(text: &[u8]) -> Option<Moment> {
    const MONTHS: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let [_, _, _, b',', b' ', rest @ .., b' ', b'G', b'M', b'T'] = text else { return None };
    if rest.len() != 20 {
        return None;
    }
    let [dash @ (b' ' | b'-'), second_dash, b' ', b':', b':'] =
        [rest[2], rest[6], rest[11], rest[14], rest[17]]
    else {
        return None;
    };
    let month = MONTHS.iter().position(|month| *month == &rest[3..6])? as i64 + 1;
    let day = days(number(&rest[7..11])?, month, number(&rest[..2])?)?;
    let second = seconds(number(&rest[12..14])?, number(&rest[15..17])?, number(&rest[18..20])?)?;
    let milliseconds = (day * 86_400 + second) * 1000;
    (dash == second_dash).then_some(Moment { form: Form::Http { dash }, milliseconds })
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
}

fn seconds(hour: i64, minute: i64, second: i64) -> Option<i64> {
    // 60: a leap second is a valid time of day.
    (hour < 24 && minute < 60 && second <= 60).then_some((hour * 60 + minute) * 60 + second)
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, counted from March so that leap days come last.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(text: &str) -> i64 {
        Moment::parse(text.as_bytes()).unwrap().milliseconds
    }

    #[test]
    fn instants_are_read_from_every_form() {
        assert_eq!(milliseconds("1970-01-01T00:00:00Z"), 0);
        assert_eq!(milliseconds("2000-02-29T12:00:00.5Z"), 951_825_600_500);
        assert_eq!(milliseconds("2026-11-21T01:00:00+01:00"), 1_795_219_200_000);
        assert_eq!(milliseconds("2026-11-21 00:00:00"), 1_795_219_200_000);
        assert_eq!(milliseconds("Sun, 06 Nov 1994 08:49:37 GMT"), 784_111_777_000);
        assert_eq!(milliseconds("Sun, 06-Nov-1994 08:49:37 GMT"), 784_111_777_000);
    }

    #[test]
    fn what_is_no_point_in_time_is_refused() {
        for text in [
            "",
            "2026-01-02",
            "2026-13-01T00:00:00Z",
            "2026-01-02T25:00:00Z",
            "2026-01-02T00:00:00.Z",
            "2026-01-02T00:00:00+1:00",
            "2026-01-02T00:00:00Zulu",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "20260102T030405Z",
            "2026-01-02T00:00:00+01:0",
        ] {
            assert_eq!(Moment::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn moments_within_five_seconds_in_the_same_form_are_close() {
        assert!(are_close(b"2026-01-02T03:04:05Z", b"2026-01-02T03:04:10Z"));
        assert!(!are_close(b"2026-01-02T03:04:05Z", b"2026-01-02T03:04:11Z"));
        assert!(!are_close(b"2026-01-02T03:04:05Z", b"2026-01-02T03:04:05.000Z"));
        assert!(!are_close(b"2026-01-02T03:04:05Z", b"2026-01-02 03:04:05Z"));
        assert!(!are_close(b"2026-01-02T03:04:05Z", b"2026-01-02T03:04:05+00:00"));
        assert!(are_close(b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sun, 06 Nov 1994 08:49:36 GMT"));
    }

    #[test]
    fn the_same_instant_is_seen_through_another_notation() {
        let [utc, offset, local] =
            ["2026-01-02T03:04:05Z", "2026-01-02T04:04:05.000+01:00", "2026-01-02T03:04:05"]
                .map(|text| Moment::parse(text.as_bytes()).unwrap());
        assert!(utc.is_same_instant(offset));
        assert!(!utc.is_same_instant(local));
    }
}
