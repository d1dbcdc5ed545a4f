//! The differences of a route, gathered by field.
//!
//! Invariant: bounded whatever is recorded: [`TABLE_PATHS`] paths, and [`TABLE_SAMPLES`] samples and the newest
//! for each path and kind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::difference::{Comparison, Difference, Kind, Note};
use crate::limits::{TABLE_PATHS, TABLE_SAMPLES};
use crate::shown::Shown;

/// How often each field of a route's answers differed, and how. Serialisable for the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldTable {
    comparisons: u64,
    paths: BTreeMap<String, Vec<Field>>,
}

/// One way in which one field differed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    pub kind: Kind,
    /// Pairs of answers in which it differed.
    pub answers: u64,
    /// Occurrences in them; more than `answers` where elements of arrays differ.
    pub times: u64,
    /// Unix seconds.
    pub first_seen: u64,
    /// Unix seconds.
    pub last_seen: u64,
    /// A random choice of all that was recorded, each with the same probability.
    pub samples: Vec<Sample>,
    pub newest: Sample,
}

/// One occurrence, redacted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Unix seconds.
    pub at: u64,
    pub legacy: Shown,
    pub function: Shown,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Note>,
}

/// Where the paths beyond [`TABLE_PATHS`] are counted.
const OTHER: &str = "other";

impl FieldTable {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a comparison, with or without differences. `at`: Unix seconds. `draw`: 64 random bits, which choose
    /// the samples.
    pub fn record(&mut self, comparison: &Comparison, at: u64, draw: u64) {
        self.comparisons += u64::from(comparison.verdict.is_compared());
        for (n, difference) in comparison.differences.iter().enumerate() {
            // One draw serves all fields of a comparison: each needs its own bits.
            self.record_difference(difference, at, mix(draw.wrapping_add(n as u64)));
        }
    }

    /// Comparisons that came to a judgement: what the counts are a share of.
    pub fn comparisons(&self) -> u64 {
        self.comparisons
    }

    /// Every path and the ways in which it differed, by path.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Field)> {
        self.paths.iter().flat_map(|(path, fields)| fields.iter().map(move |field| (path.as_str(), field)))
    }

    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    fn record_difference(&mut self, difference: &Difference, at: u64, draw: u64) {
        let fields = self.fields_of(&difference.path);
        let sample = Sample {
            at,
            legacy: difference.legacy.clone(),
            function: difference.function.clone(),
            note: difference.note,
        };
        match fields.iter_mut().find(|field| field.kind == difference.kind) {
            Some(field) => field.record(difference.times, sample, draw),
            None => fields.push(Field {
                kind: difference.kind,
                answers: 1,
                times: u64::from(difference.times),
                first_seen: at,
                last_seen: at,
                samples: vec![sample.clone()],
                newest: sample,
            }),
        }
    }

    fn fields_of(&mut self, path: &str) -> &mut Vec<Field> {
        let known = self.paths.contains_key(path);
        let path = if known || self.paths.len() < TABLE_PATHS { path } else { OTHER };
        self.paths.entry(path.to_owned()).or_default()
    }
}

impl Field {
    fn record(&mut self, times: u32, sample: Sample, draw: u64) {
        self.answers += 1;
        self.times += u64::from(times);
        self.first_seen = self.first_seen.min(sample.at);
        self.last_seen = self.last_seen.max(sample.at);
        self.newest = sample.clone();
        if self.samples.len() < TABLE_SAMPLES {
            self.samples.push(sample);
        } else if let Some(place) = self.samples.get_mut((draw % self.answers) as usize) {
            *place = sample;
        }
    }
}

/// Scatters neighbouring numbers over all 64 bits (the finaliser of SplitMix64).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layer, Tolerated, Verdict};

    fn comparison(paths: &[&str]) -> Comparison {
        let differences = paths.iter().map(|path| Difference {
            path: (*path).to_owned(),
            kind: Kind::Value,
            legacy: Shown::NULL,
            function: Shown::ABSENT,
            times: 2,
            note: None,
        });
        Comparison {
            verdict: Verdict::Different(Layer::Body),
            differences: differences.collect(),
            unlisted: 0,
            tolerated: Tolerated::default(),
        }
    }

    fn field<'t>(table: &'t FieldTable, path: &str) -> &'t Field {
        table.fields().find(|(known, _)| *known == path).unwrap().1
    }

    #[test]
    fn answers_and_occurrences_are_counted_apart() {
        let mut table = FieldTable::new();
        table.record(&comparison(&["a", "b"]), 100, 1);
        table.record(&comparison(&["a"]), 90, 2);
        table.record(&Comparison::of(Verdict::Equal), 110, 3);
        table.record(&Comparison::of(Verdict::TooLarge), 110, 3);
        assert_eq!(table.comparisons(), 3);
        let a = field(&table, "a");
        assert_eq!((a.answers, a.times, a.first_seen, a.last_seen), (2, 4, 90, 100));
        assert_eq!(field(&table, "b").answers, 1);
    }

    #[test]
    fn paths_beyond_the_limit_are_counted_as_other() {
        let mut table = FieldTable::new();
        for n in 0..TABLE_PATHS + 10 {
            table.record(&comparison(&[&format!("body:$.f{n}")]), 1, 0);
        }
        assert_eq!(table.fields().count(), TABLE_PATHS + 1);
        assert_eq!(field(&table, "other").answers, 10);
        table.record(&comparison(&["body:$.f0"]), 2, 0);
        assert_eq!(field(&table, "body:$.f0").answers, 2);
    }

    #[test]
    fn samples_are_few_the_newest_is_kept_and_none_is_preferred() {
        let (rounds, calls) = (400, 100);
        let mut late = 0;
        for round in 0..rounds {
            let mut table = FieldTable::new();
            for at in 0..calls {
                table.record(&comparison(&["a"]), at, mix(round * calls + at));
            }
            let field = field(&table, "a");
            assert_eq!((field.samples.len(), field.newest.at), (TABLE_SAMPLES, calls - 1));
            late += field.samples.iter().filter(|sample| sample.at >= calls / 2).count();
        }
        let share = late as f64 / (rounds as usize * TABLE_SAMPLES) as f64;
        assert!((0.45..0.55).contains(&share), "{share}");
    }

    #[test]
    fn a_table_survives_being_stored() {
        let mut table = FieldTable::new();
        table.record(&comparison(&["a", "b"]), 100, 1);
        let stored = serde_json::to_string(&table).unwrap();
        assert_eq!(serde_json::from_str::<FieldTable>(&stored).unwrap(), table);
    }
}
