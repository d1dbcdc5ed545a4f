//! Where the answers of the two sides differed: the same for the running proxy and for the command line
//! beside a ledger file.

use serde::Serialize;
use serde_json::Value;
use starve_ledger::{Comparisons, FieldDifferences, LedgerError, LoggedSample, Reader};

#[derive(Clone, Debug, Serialize)]
pub struct Diffs {
    pub comparisons: Vec<Comparisons>,
    pub fields: Vec<FieldDifferences>,
    pub samples: Vec<Sample>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    pub route: String,
    pub at_unix_ms: u64,
    pub method: String,
    pub target: String,
    pub verdict: String,
    pub differences: Value,
}

impl Diffs {
    /// What was found since then, of one route or of all; `limit` is the number of samples.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn read(
        reader: &Reader,
        route: Option<&str>,
        since_unix_ms: u64,
        limit: usize,
    ) -> Result<Self, LedgerError> {
        let mut comparisons = reader.comparisons(since_unix_ms)?;
        comparisons.retain(|row| route.is_none_or(|route| row.route == route));
        let fields = reader.fields(route, since_unix_ms)?;
        let samples = reader.samples(route, limit)?.into_iter().map(Sample::from).collect();
        Ok(Self { comparisons, fields, samples })
    }
}

impl From<LoggedSample> for Sample {
    fn from(sample: LoggedSample) -> Self {
        Self {
            route: sample.route,
            at_unix_ms: sample.at_unix_ms,
            method: sample.method,
            target: sample.target,
            verdict: sample.verdict,
            differences: serde_json::from_str(&sample.differences)
                .unwrap_or_else(|_| sample.differences.into()),
        }
    }
}
