//! What a run is told: where to, how long, how much.

use std::{fmt, str::FromStr, time::Duration};

use thiserror::Error;

/// A run. `Options::new` fills in what the command line has as defaults.
#[derive(Debug, Clone)]
pub struct Options {
    pub target: Target,
    /// After it no new call begins; those under way are still awaited.
    pub duration: Duration,
    /// Calls per second over all users; 0 is as fast as the users can.
    pub rate: f64,
    /// Decides everything but the timing.
    pub seed: u64,
    /// Users at the same time, each with a connection of its own.
    pub users: usize,
    /// Percent of the users that speak HTTP/2 without asking first (prior knowledge); 0 for the shop itself.
    pub http2_percent: u8,
    /// The longest a call may take, its whole body included.
    pub timeout: Duration,
}

impl Options {
    pub fn new(target: Target) -> Self {
        Self {
            target,
            duration: Duration::from_secs(30),
            rate: 150.0,
            seed: 7,
            users: 40,
            http2_percent: 20,
            timeout: Duration::from_secs(30),
        }
    }
}

/// An origin in clear text: `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    authority: String,
    host: String,
    port: u16,
}

/// Why a text is no [`Target`].
#[derive(Debug, Error)]
#[error("target {0:?} is not of the form http://host[:port]")]
pub struct TargetError(String);

impl Target {
    /// `host:port` as it stands in Host and in absolute locations.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let refused = || TargetError(text.to_owned());
        let uri: http::Uri = text.parse().map_err(|_| refused())?;
        let authority = uri.authority().ok_or_else(refused)?;
        if uri.scheme_str() != Some("http") || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(refused());
        }
        Ok(Self {
            authority: authority.as_str().to_owned(),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_target_and_everything_else_is_refused() {
        let target: Target = "http://[::1]:8080/".parse().unwrap();
        assert_eq!((target.authority(), target.host(), target.port()), ("[::1]:8080", "::1", 8080));
        assert_eq!("http://shop".parse::<Target>().unwrap().port(), 80);
        for text in ["https://shop", "shop:80", "http://shop/path", "http://shop/?q", ""] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
