//! What a comparison said, as one closed set: it is a metric's label, so it must never grow with traffic.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What is known about a call that was meant to be compared.
///
/// [`compare`](crate::compare) gives the first six kinds; the rest are set by whoever sends the copies, since
/// only the sender knows that there was no second answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Verdict {
    /// Nothing differs that counts.
    Equal,
    /// The answers differ; the first layer that does.
    Different(Layer),
    /// Both sides answered 5xx. Says nothing about whether the function is right.
    BothFailed,
    /// A body is longer than the capture limit, or unpacks to more than the limit, and the rest was equal.
    TooLarge,
    /// The JSON is too large or too deep to compare, and no difference was found before the end.
    Budget,
    /// Bodies without an end or a known form: event streams, upgrades, unknown content codings.
    NotComparable,
    /// The function broke off, refused the connection or crashed.
    FunctionError,
    /// The function did not answer in time.
    FunctionTimeout,
    /// The copy to legacy broke off. Not held against the function.
    LegacyError,
    /// The copy to legacy was not answered in time. Not held against the function.
    LegacyTimeout,
    /// No copy was sent because the queue or the copies' budget was full.
    Shed,
    /// No copy was sent because this call must not be repeated (a write, an unfinished body).
    NotSent,
}

/// The parts of an answer, in the order in which they are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// 2xx against 4xx: the outcome is another.
    StatusClass,
    /// 200 against 201: the same outcome, said otherwise.
    Status,
    /// Where `Location` leads.
    Redirect,
    Headers,
    Body,
}

impl Verdict {
    /// Every verdict, so that each can be exported as zero from the start.
    pub const ALL: [Self; 16] = [
        Self::Equal,
        Self::Different(Layer::StatusClass),
        Self::Different(Layer::Status),
        Self::Different(Layer::Redirect),
        Self::Different(Layer::Headers),
        Self::Different(Layer::Body),
        Self::BothFailed,
        Self::TooLarge,
        Self::Budget,
        Self::NotComparable,
        Self::FunctionError,
        Self::FunctionTimeout,
        Self::LegacyError,
        Self::LegacyTimeout,
        Self::Shed,
        Self::NotSent,
    ];

    /// The value of the label `verdict`. Dashboards rely on it: it never changes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Different(Layer::StatusClass) => "different_status_class",
            Self::Different(Layer::Status) => "different_status",
            Self::Different(Layer::Redirect) => "different_redirect",
            Self::Different(Layer::Headers) => "different_headers",
            Self::Different(Layer::Body) => "different_body",
            Self::BothFailed => "both_failed",
            Self::TooLarge => "too_large",
            Self::Budget => "budget",
            Self::NotComparable => "not_comparable",
            Self::FunctionError => "function_error",
            Self::FunctionTimeout => "function_timeout",
            Self::LegacyError => "legacy_error",
            Self::LegacyTimeout => "legacy_timeout",
            Self::Shed => "shed",
            Self::NotSent => "not_sent",
        }
    }

    /// Whether both answers were there and judged: what a share of differing calls is a share of.
    pub const fn is_compared(self) -> bool {
        matches!(self, Self::Equal | Self::Different(_))
    }

    pub const fn is_different(self) -> bool {
        matches!(self, Self::Different(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Verdict> for &'static str {
    fn from(verdict: Verdict) -> Self {
        verdict.as_str()
    }
}

/// A label that is no verdict: written by another version, or not by us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a verdict")]
pub struct UnknownVerdict(String);

impl FromStr for Verdict {
    type Err = UnknownVerdict;

    fn from_str(label: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|verdict| verdict.as_str() == label)
            .ok_or_else(|| UnknownVerdict(label.to_owned()))
    }
}

impl TryFrom<String> for Verdict {
    type Error = UnknownVerdict;

    fn try_from(label: String) -> Result<Self, Self::Error> {
        label.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_distinct_and_reads_back() {
        for verdict in Verdict::ALL {
            assert_eq!(verdict.as_str().parse(), Ok(verdict));
        }
    }

    #[test]
    fn an_unknown_label_is_refused_by_name() {
        let error = "odd".parse::<Verdict>().unwrap_err();
        assert_eq!(error.to_string(), "`odd` is not a verdict");
    }

    #[test]
    fn a_verdict_is_stored_as_its_label() {
        let stored = serde_json::to_string(&Verdict::Different(Layer::Body)).unwrap();
        assert_eq!(stored, "\"different_body\"");
        assert_eq!(serde_json::from_str::<Verdict>(&stored).unwrap(), Verdict::Different(Layer::Body));
    }
}
