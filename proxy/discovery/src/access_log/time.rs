//! Points in time as logs write them. All of them name their zone or are UTC.

const DAY_MS: u64 = 86_400_000;
/// The length of what [`Clock::common`] reads.
pub(super) const COMMON_BYTES: usize = 26;

/// Reads times; most lines share the hour with the line before them, which is remembered.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    /// `10/Oct/2000:13` and the zone, and when that hour began.
    known: Option<([u8; 14], [u8; 5], u64)>,
}

impl Clock {
    /// `10/Oct/2000:13:55:36 -0700`.
    pub(super) fn common(&mut self, text: &[u8]) -> Option<u64> {
        let text: &[u8; COMMON_BYTES] = text.get(..COMMON_BYTES)?.try_into().ok()?;
        let (&hour, &zone): (&[u8; 14], &[u8; 5]) =
            (text[..14].try_into().ok()?, text[21..].try_into().ok()?);
        let began = match self.known {
            Some((known_hour, known_zone, began)) if known_hour == hour && known_zone == zone => began,
            _ => {
                let began = hour_began(&hour, &zone)?;
                self.known = Some((hour, zone, began));
                began
            }
        };
        if (text[14], text[17], text[20]) != (b':', b':', b' ') {
            return None;
        }
        let (minute, second) = (two(&text[15..])?, two(&text[18..])?);
        (minute < 60 && second <= 60).then_some(began + (minute * 60 + second) * 1_000)
    }
}

fn hour_began(text: &[u8; 14], zone: &[u8; 5]) -> Option<u64> {
    if (text[2], text[6], text[11]) != (b'/', b'/', b':') {
        return None;
    }
    let month = match &text[3..6] {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    };
    let (day, year, hour) = (two(text)?, two(&text[7..])? * 100 + two(&text[9..])?, two(&text[12..])?);
    let local = date(year, month, day)? + (hour < 24).then_some(hour)? * 3_600_000;
    shifted(local, zone)
}

/// The point in UTC of a local time in a zone `+0200`.
fn shifted(local: u64, zone: &[u8]) -> Option<u64> {
    let offset = two(&zone[1..])? * 3_600_000 + two(&zone[3..])? * 60_000;
    match zone[0] {
        b'+' => local.checked_sub(offset),
        b'-' => Some(local + offset),
        _ => None,
    }
}

/// RFC 3339, with a space in place of the `T` too; without a zone it is UTC: `2026-11-20T13:55:36.123Z`.
pub(super) fn rfc3339(text: &[u8]) -> Option<u64> {
    let separated = (*text.get(4)?, *text.get(7)?, *text.get(13)?, *text.get(16)?);
    if separated != (b'-', b'-', b':', b':') || !matches!(text[10], b'T' | b't' | b' ') {
        return None;
    }
    let seconds = two(&text[17..])?;
    let (day, clock) = (day(text)?, two(&text[11..])? * 3_600 + two(&text[14..])? * 60 + seconds);
    if clock > DAY_MS / 1_000 {
        return None;
    }
    let mut at = day + clock * 1_000;
    let mut rest = &text[19..];
    if let Some((b'.' | b',', fraction)) = rest.split_first() {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digit = |place: usize| if place < digits { u64::from(fraction[place] - b'0') } else { 0 };
        at += digit(0) * 100 + digit(1) * 10 + digit(2);
        rest = &fraction[digits..];
    }
    match rest {
        b"" | b"Z" | b"z" => Some(at),
        [sign, h1, h2, b':', m1, m2] => shifted(at, &[*sign, *h1, *h2, *m1, *m2]),
        zone if zone.len() == 5 => shifted(at, zone),
        _ => None,
    }
}

/// `2026-11-20`, as the milliseconds at which it begins.
pub(super) fn day(text: &[u8]) -> Option<u64> {
    if (*text.get(4)?, *text.get(7)?) != (b'-', b'-') {
        return None;
    }
    date(two(text)? * 100 + two(&text[2..])?, two(&text[5..])?, two(&text[8..])?)
}

/// `13:55:36`, in milliseconds.
pub(super) fn time_of_day(text: &[u8]) -> Option<u64> {
    if (*text.get(2)?, *text.get(5)?) != (b':', b':') {
        return None;
    }
    let (hour, minute, second) = (two(text)?, two(&text[3..])?, two(&text[6..])?);
    (hour < 24 && minute < 60 && second <= 60).then_some((hour * 3_600 + minute * 60 + second) * 1_000)
}

/// Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size; a fraction is of the unit.
pub(super) fn epoch(text: &[u8]) -> Option<u64> {
    let (whole, fraction) = match memchr::memchr(b'.', text) {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &b""[..]),
    };
    if whole.is_empty() || whole.len() > 19 || !whole.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = super::number(whole);
    Some(match number {
        0..100_000_000_000 => {
            let digit = |place: usize| fraction.get(place).filter(|byte| byte.is_ascii_digit());
            let digit = |place| digit(place).map_or(0, |byte| u64::from(byte - b'0'));
            number * 1_000 + digit(0) * 100 + digit(1) * 10 + digit(2)
        }
        100_000_000_000..100_000_000_000_000 => number,
        100_000_000_000_000..100_000_000_000_000_000 => number / 1_000,
        _ => number / 1_000_000,
    })
}

fn two(text: &[u8]) -> Option<u64> {
    match text {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', ..] => Some(u64::from(a - b'0') * 10 + u64::from(b - b'0')),
        _ => None,
    }
}

/// Days from the civil calendar (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"), from 1970 on.
fn date(year: u64, month: u64, day: u64) -> Option<u64> {
    const DAYS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = DAYS[usize::try_from(month - 1).ok()?] + u64::from(is_leap && month == 2);
    if !(1..=last).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    Some((era * 146_097 + day_of_era - 719_468) * DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_form_are_the_same_point() {
        let at = 971_211_336_000;
        let mut clock = Clock::default();
        assert_eq!(clock.common(b"10/Oct/2000:13:55:36 -0700"), Some(at));
        assert_eq!(clock.common(b"10/Oct/2000:13:56:36 -0700"), Some(at + 60_000));
        assert_eq!(clock.common(b"10/Oct/2000:22:55:36 +0200"), Some(at));
        assert_eq!(rfc3339(b"2000-10-10T20:55:36Z"), Some(at));
        assert_eq!(rfc3339(b"2000-10-10 22:55:36.5+02:00"), Some(at + 500));
        assert_eq!(rfc3339(b"2000-10-10T22:55:36.123456+0200"), Some(at + 123));
        assert_eq!(rfc3339(b"2000-10-10T20:55:36"), Some(at));
        assert_eq!(epoch(b"971211336"), Some(at));
        assert_eq!(epoch(b"971211336.25"), Some(at + 250));
        assert_eq!(epoch(b"971211336250"), Some(at + 250));
        assert_eq!(day(b"2000-10-10").zip(time_of_day(b"20:55:36")).map(|(a, b)| a + b), Some(at));
        assert_eq!(day(b"2024-02-29").map(|day| day / DAY_MS), Some(19_782));
    }

    #[test]
    fn what_is_no_time_is_none() {
        let mut clock = Clock::default();
        for text in [
            "",
            "10/Foo/2000:13:55:36 -0700",
            "32/Oct/2000:13:55:36 -0700",
            "10/Oct/2000:24:55:36 -0700",
            "10/Oct/2000:13:55:99 -0700",
            "10/Oct/2000:13:55:36 0700 ",
        ] {
            assert_eq!(clock.common(text.as_bytes()), None, "{text}");
        }
        for text in
            ["", "2000-10-10", "2000-13-10T20:55:36Z", "2000-10-10T99:55:36Z", "2000-10-10T20:55:36 CET"]
        {
            assert_eq!(rfc3339(text.as_bytes()), None, "{text}");
        }
        assert_eq!(epoch(b"12x"), None);
        assert_eq!(day(b"2023-02-29"), None);
    }
}
