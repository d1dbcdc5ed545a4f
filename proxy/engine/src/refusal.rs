//! Requests that are refused before they have a route, counted by reason.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use starve_http::{Error, ErrorKind};
use starve_routing::PathError;

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Every reason that can be counted, in the order of [`Refusals`].
pub(crate) const REASONS: [&str; 7] = [
    "bad_request",
    "bad_path",
    "uri_too_long",
    "body_too_large",
    "method_unsupported",
    "expectation_failed",
    "overloaded",
];

#[derive(Debug)]
pub(crate) struct Refusal {
    reason: &'static str,
    kind: ErrorKind,
}

impl Refusal {
    pub(crate) fn new(reason: &'static str, kind: ErrorKind) -> Self {
        Self { reason, kind }
    }

    pub(crate) fn of(error: Error) -> Self {
        tracing::debug!(reason = error.chain(), "request refused");
        Self::new(error.kind().as_str(), error.kind())
    }

    pub(crate) fn path(error: &PathError) -> Self {
        tracing::debug!(reason = %error, "request refused");
        Self::new("bad_path", ErrorKind::BadRequest)
    }

    pub(crate) fn overloaded() -> Self {
        Self::new("overloaded", ErrorKind::Overloaded)
    }

    pub(crate) fn error(&self) -> Error {
        Error::new(self.kind, self.reason).with_retry_after(RETRY_AFTER)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Refusals([AtomicU64; REASONS.len()]);

impl Refusals {
    pub(crate) fn count(&self, refusal: &Refusal) {
        let at = REASONS.iter().position(|reason| *reason == refusal.reason).unwrap_or(0);
        self.0[at].fetch_add(1, Relaxed);
    }

    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REASONS.into_iter().zip(self.0.iter().map(|count| count.load(Relaxed)))
    }
}
