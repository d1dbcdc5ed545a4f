use std::fmt;
use std::str::FromStr;

use crate::{Bucket, Percent};

/// Which of the two implementations of an endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    Legacy,
    Function,
}

impl Side {
    pub const ALL: [Self; 2] = [Self::Legacy, Self::Function];

    pub fn other(self) -> Self {
        match self {
            Self::Legacy => Self::Function,
            Self::Function => Self::Legacy,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Function => "function",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a route has moved from the monolith to its function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The monolith answers; nothing is copied.
    #[default]
    Legacy,
    /// The monolith answers; a share of the calls is copied to the function and compared.
    Shadow,
    /// The function answers for a sticky share of the users.
    Canary,
    /// The function answers; a share of the calls is copied back to the monolith and compared.
    Live,
    /// The function answers; nothing is copied.
    Done,
    /// Nobody answers: 410, still counted.
    Retired,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a stage: one of legacy, shadow, canary, live, done, retired")]
pub struct StageError(String);

impl Stage {
    pub const ALL: [Self; 6] =
        [Self::Legacy, Self::Shadow, Self::Canary, Self::Live, Self::Done, Self::Retired];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Shadow => "shadow",
            Self::Canary => "canary",
            Self::Live => "live",
            Self::Done => "done",
            Self::Retired => "retired",
        }
    }

    /// Whether a route in this stage can do without a function.
    pub fn needs_function(self) -> bool {
        !matches!(self, Self::Legacy | Self::Retired)
    }

    /// Whether the monolith still answers for somebody.
    pub fn needs_legacy(self) -> bool {
        matches!(self, Self::Legacy | Self::Shadow | Self::Canary)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Stage {
    type Err = StageError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == text).ok_or_else(|| StageError(text.to_owned()))
    }
}

/// Methods that only read, the ones that may be repeated and copied without being asked
/// (RFC 9110 §9.2.1: GET, HEAD, OPTIONS, TRACE).
pub fn is_read(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
}

/// All that decides about one route's calls, read from its stage and shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub stage: Stage,
    /// `shadow.percent`: the share of calls copied to the function.
    pub shadow: Percent,
    /// `canary.percent`: the share of users that the function answers.
    pub canary: Percent,
    /// `live.mirror`: the share of calls copied back to the monolith.
    pub mirror: Percent,
    /// `shadow.writes`: whether calls that change something are copied as well.
    pub copy_writes: bool,
}

/// Who answers a call and who gets a copy of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Answer {
        by: Side,
        copy_to: Option<Side>,
    },
    /// 410 Gone.
    Gone,
}

impl Policy {
    /// Decides one call. `bucket` is the user's place (asked for only in `canary`), `draw` an evenly
    /// distributed number in 0..10,000 for the sampling of copies.
    pub fn decide(&self, method: &str, bucket: impl FnOnce() -> Bucket, draw: u16) -> Decision {
        let (by, share) = match self.stage {
            Stage::Retired => return Decision::Gone,
            Stage::Legacy => (Side::Legacy, Percent::ZERO),
            Stage::Shadow => (Side::Legacy, self.shadow),
            Stage::Canary if bucket().is_in(self.canary) => (Side::Function, Percent::HUNDRED),
            Stage::Canary => (Side::Legacy, Percent::HUNDRED),
            Stage::Live => (Side::Function, self.mirror),
            Stage::Done => (Side::Function, Percent::ZERO),
        };
        let may_copy = self.copy_writes || is_read(method);
        let copy_to = (may_copy && share.contains(draw)).then(|| by.other());
        Decision::Answer { by, copy_to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Salt;

    fn policy(stage: Stage) -> Policy {
        Policy {
            stage,
            shadow: Percent::HUNDRED,
            canary: Percent::HUNDRED,
            mirror: Percent::HUNDRED,
            copy_writes: false,
        }
    }

    fn decide(policy: Policy, method: &str) -> Decision {
        policy.decide(method, || Bucket::of(Salt::of("g"), b"user"), 0)
    }

    #[test]
    fn each_stage_has_its_answering_side_and_its_copy() {
        use Side::{Function, Legacy};
        for (stage, by, copy_to) in [
            (Stage::Legacy, Legacy, None),
            (Stage::Shadow, Legacy, Some(Function)),
            (Stage::Canary, Function, Some(Legacy)),
            (Stage::Live, Function, Some(Legacy)),
            (Stage::Done, Function, None),
        ] {
            assert_eq!(decide(policy(stage), "GET"), Decision::Answer { by, copy_to }, "{stage}");
        }
        assert_eq!(decide(policy(Stage::Retired), "GET"), Decision::Gone);
    }

    #[test]
    fn writes_are_copied_only_when_the_route_says_so() {
        for stage in [Stage::Shadow, Stage::Canary, Stage::Live] {
            for method in ["POST", "PUT", "PATCH", "DELETE", "PURGE"] {
                let Decision::Answer { copy_to, .. } = decide(policy(stage), method) else { panic!("gone") };
                assert_eq!(copy_to, None, "{method} in {stage}");
                let Decision::Answer { copy_to, .. } =
                    decide(Policy { copy_writes: true, ..policy(stage) }, method)
                else {
                    panic!("gone")
                };
                assert_ne!(copy_to, None, "{method} in {stage} with writes");
            }
        }
    }

    #[test]
    fn users_outside_the_canary_stay_with_the_monolith() {
        let outside = Policy { canary: Percent::ZERO, ..policy(Stage::Canary) };
        assert_eq!(
            decide(outside, "GET"),
            Decision::Answer { by: Side::Legacy, copy_to: Some(Side::Function) }
        );
    }

    #[test]
    fn stages_are_read_as_they_are_written() {
        for stage in Stage::ALL {
            assert_eq!(stage.to_string().parse(), Ok(stage));
        }
        assert!("Live".parse::<Stage>().is_err());
    }
}
