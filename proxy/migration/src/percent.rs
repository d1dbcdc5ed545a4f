use std::fmt;
use std::str::FromStr;

/// A share between 0 and 100 percent, kept in hundredths of a percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u16);

/// The text or number is no share between 0 and 100 with at most two decimals.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a percentage between 0 and 100 with at most two decimals")]
pub struct PercentError(String);

impl Percent {
    pub const ZERO: Self = Self(0);
    pub const HUNDRED: Self = Self(10_000);

    /// # Errors
    /// Outside 0 to 100, not finite, or with more than two decimals.
    pub fn new(value: f64) -> Result<Self, PercentError> {
        let hundredths = value * 100.0;
        if !(0.0..=10_000.0).contains(&hundredths) || (hundredths - hundredths.round()).abs() > 1e-6 {
            return Err(PercentError(value.to_string()));
        }
        // In range by the test above, so the conversion neither truncates nor wraps.
        Ok(Self(hundredths.round() as u16))
    }

    /// The share in hundredths of a percent, 0 to 10,000.
    pub fn hundredths(self) -> u16 {
        self.0
    }

    /// Whether a draw in 0..10,000 falls into the share.
    pub fn contains(self, draw: u16) -> bool {
        draw < self.0
    }
}

impl FromStr for Percent {
    type Err = PercentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_suffix('%').unwrap_or(text).trim();
        number.parse().map_err(|_| PercentError(text.to_owned())).and_then(Self::new)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        match rest {
            0 => write!(f, "{whole}"),
            _ if rest % 10 == 0 => write!(f, "{whole}.{}", rest / 10),
            _ => write!(f, "{whole}.{rest:02}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_shares() {
        for (text, shown) in [("0", "0"), ("5", "5"), ("0.5", "0.5"), ("12.25%", "12.25"), ("100", "100")] {
            assert_eq!(text.parse::<Percent>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn refuses_what_is_no_share() {
        for text in ["-1", "100.01", "0.001", "NaN", "inf", "many", ""] {
            assert!(text.parse::<Percent>().is_err(), "{text} was taken");
        }
    }
}
