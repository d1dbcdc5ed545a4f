//! `sunset`: the end of an endpoint, told to its callers beforehand.
//!
//! Pure: the clock is an argument.

use std::fmt;
use std::ops::Range;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// When an endpoint is deprecated and when it ends. Times are seconds since 1970 in UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SunsetPlan {
    pub deprecated: Option<i64>,
    /// Never before `deprecated` (RFC 9745 §4).
    pub at: Option<i64>,
    /// Where callers read what to do.
    pub link: Option<String>,
    /// Windows in which the endpoint is switched off on purpose; in order, none touches another.
    pub brownouts: Vec<Range<i64>>,
}

impl SunsetPlan {
    /// The fields of every answer: `Deprecation` (RFC 9745 §2), `Sunset` (RFC 8594 §3), `Link` (RFC 8288).
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = Vec::new();
        let mut relations = Vec::new();
        if let Some(deprecated) = self.deprecated {
            fields.push(("deprecation", format!("@{deprecated}")));
            relations.push("deprecation");
        }
        if let Some(date) = self.at.and_then(http_date) {
            fields.push(("sunset", date));
            relations.push("sunset");
        }
        if let Some(link) = &self.link {
            fields.push(("link", format!("<{link}>; rel=\"{}\"", relations.join(" "))));
        }
        fields
    }

    /// The window that this second is in.
    pub fn brownout(&self, now: i64) -> Option<&Range<i64>> {
        self.next_brownout(now).filter(|window| window.start <= now)
    }

    /// The window that is open now, else the next one.
    pub fn next_brownout(&self, now: i64) -> Option<&Range<i64>> {
        self.brownouts.get(self.brownouts.partition_point(|window| window.end <= now))
    }
}

/// IMF-fixdate (RFC 9110 §5.6.7).
fn http_date(seconds: i64) -> Option<String> {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::from_second(seconds).ok()?).ok()
}

/// A time as people read it: `2027-03-01T00:00:00Z`.
pub fn utc(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| format!("@{seconds}"), |time| time.to_string())
}

impl fmt::Display for SunsetPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        words.extend(self.deprecated.map(|time| format!("deprecated {}", utc(time))));
        words.extend(self.at.map(|time| format!("at {}", utc(time))));
        words.extend(self.link.clone());
        words.extend(self.brownouts.iter().map(|one| format!("off {}/{}", utc(one.start), utc(one.end))));
        f.write_str(&words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_as_the_rfcs_want_them() {
        let sunset = SunsetPlan {
            deprecated: Some(1_796_083_200),
            at: Some(1_803_859_200),
            link: Some("https://shop.example/move".to_owned()),
            brownouts: Vec::new(),
        };
        assert_eq!(
            sunset.fields(),
            [
                ("deprecation", "@1796083200".to_owned()),
                ("sunset", "Mon, 01 Mar 2027 00:00:00 GMT".to_owned()),
                ("link", "<https://shop.example/move>; rel=\"deprecation sunset\"".to_owned()),
            ]
        );
    }

    #[test]
    fn a_window_is_open_from_its_first_second_to_the_one_before_its_end() {
        let sunset = SunsetPlan { brownouts: vec![10..20, 30..40], ..SunsetPlan::default() };
        for (now, open, next) in [
            (9, None, Some(10..20)),
            (10, Some(10..20), Some(10..20)),
            (19, Some(10..20), Some(10..20)),
            (20, None, Some(30..40)),
            (39, Some(30..40), Some(30..40)),
            (40, None, None),
        ] {
            assert_eq!(sunset.brownout(now), open.as_ref(), "{now}");
            assert_eq!(sunset.next_brownout(now), next.as_ref(), "{now}");
        }
    }
}
