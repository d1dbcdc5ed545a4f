//! Numbers, times and texts as a person reads them, the same on the terminal and on the pages.
//!
//! Invariant: no text that came from traffic reaches a terminal with control characters in it.

use jiff::Timestamp;
use jiff::tz::TimeZone;

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// `31 s`, `12 min`, `5 h`, `35 d`: the largest unit that fits, rounded down.
pub(crate) fn span(ms: u64) -> String {
    match ms {
        0..SECOND_MS => format!("{ms} ms"),
        SECOND_MS..MINUTE_MS => format!("{} s", ms / SECOND_MS),
        MINUTE_MS..HOUR_MS => format!("{} min", ms / MINUTE_MS),
        HOUR_MS..=DAY_MS => format!("{} h", ms / HOUR_MS),
        _ => format!("{} d", ms / DAY_MS),
    }
}

pub(crate) fn ago(at_unix_ms: u64, now_unix_ms: u64) -> String {
    match now_unix_ms.saturating_sub(at_unix_ms) {
        0..SECOND_MS => "just now".to_owned(),
        ms => format!("{} ago", span(ms)),
    }
}

/// `12,345` up to a million, then `1.2M`, `3.4G`.
pub(crate) fn count(n: u64) -> String {
    match n {
        0..1_000_000 => grouped(n),
        1_000_000..1_000_000_000 => format!("{:.1}M", n as f64 / 1e6),
        _ => format!("{:.1}G", n as f64 / 1e9),
    }
}

/// `1 call`, `1,234 calls`.
pub(crate) fn counted(n: u64, one: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        _ => format!("{} {one}s", count(n)),
    }
}

/// One decimal; what is more than nothing or less than all never shows as nothing or all.
pub(crate) fn ratio(ratio: f64) -> String {
    let percent = ratio * 100.0;
    match percent {
        _ if ratio > 0.0 && percent < 0.1 => "<0.1 %".to_owned(),
        _ if ratio < 1.0 && percent > 99.9 => ">99.9 %".to_owned(),
        _ if (percent - percent.round()).abs() < 0.05 => format!("{percent:.0} %"),
        _ => format!("{percent:.1} %"),
    }
}

pub(crate) fn milliseconds(mean_ms: f64) -> String {
    match mean_ms {
        _ if mean_ms < 10.0 => format!("{mean_ms:.1} ms"),
        _ => format!("{mean_ms:.0} ms"),
    }
}

/// `2026-06-15 10:00 UTC`.
pub(crate) fn minute(unix_ms: u64) -> String {
    let shown = timestamp(unix_ms).map(|at| at.to_zoned(TimeZone::UTC).strftime("%F %H:%M UTC").to_string());
    shown.unwrap_or_else(|| "?".to_owned())
}

/// `512 B`, `1.5 KiB`, `3.0 GiB`.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if n < 1_024 {
        return format!("{n} B");
    }
    let (mut value, mut unit) = (n as f64 / 1_024.0, 0);
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1_024.0, unit + 1);
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `2026-06-15`, in UTC.
pub(crate) fn day(unix_ms: u64) -> String {
    let shown = timestamp(unix_ms).map(|at| at.to_zoned(TimeZone::UTC).strftime("%F").to_string());
    shown.unwrap_or_else(|| "?".to_owned())
}

/// The newest of these shares (0 to 1), at most `width`, as a row of bars; `·` where there was nothing.
pub(crate) fn bars(shares: &[Option<f64>], width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let newest = &shares[shares.len().saturating_sub(width)..];
    newest
        .iter()
        .map(|share| share.map_or('·', |share| BARS[((share * 8.0).ceil() as usize).clamp(1, 8) - 1]))
        .collect()
}

/// RFC 3339, for `datetime` attributes and tables meant for programs.
pub(crate) fn rfc3339(unix_ms: u64) -> String {
    timestamp(unix_ms).map(|at| at.to_string()).unwrap_or_default()
}

/// For a terminal: without control characters and marks that turn the direction of writing.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|char| match char {
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            _ if char.is_control() => '\u{fffd}',
            _ => char,
        })
        .collect()
}

fn timestamp(unix_ms: u64) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(unix_ms).ok()?).ok()
}

fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_read_well() {
        for (ms, shown) in [
            (0, "0 ms"),
            (31_999, "31 s"),
            (60_000, "1 min"),
            (DAY_MS, "24 h"),
            (DAY_MS + 1, "1 d"),
            (35 * DAY_MS, "35 d"),
        ] {
            assert_eq!(span(ms), shown);
        }
        for (n, shown) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (123_456, "123,456"), (1_250_000, "1.2M")]
        {
            assert_eq!(count(n), shown);
        }
        for (share, shown) in [
            (0.0, "0 %"),
            (0.000_1, "<0.1 %"),
            (0.09, "9 %"),
            (0.624, "62.4 %"),
            (0.999_9, ">99.9 %"),
            (1.0, "100 %"),
        ] {
            assert_eq!(ratio(share), shown);
        }
        assert_eq!(bars(&[Some(1.0), None, Some(0.5), Some(0.0), Some(0.001)], 4), "·▄▁▁");
        assert_eq!([0, 1_023, 1_536, 3 << 30].map(bytes), ["0 B", "1023 B", "1.5 KiB", "3.0 GiB"]);
        assert_eq!(day(1_781_517_600_000), "2026-06-15");
        assert_eq!(minute(1_781_517_600_000), "2026-06-15 10:00 UTC");
    }

    #[test]
    fn a_path_cannot_drive_the_terminal() {
        assert_eq!(plain("/a\u{1b}[2J\r\n\u{202e}b"), "/a\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}b");
    }
}
