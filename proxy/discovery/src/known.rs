//! Words that were values somewhere.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

/// How many are remembered; what comes later is not.
const KNOWN_MAX: usize = 65_536;

/// By hash alone: a word taken for another one makes a suggestion worse, and no sum wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known(HashSet<u64>);

impl Known {
    pub(crate) fn add(&mut self, word: &str) {
        if self.0.len() < KNOWN_MAX {
            self.0.insert(hash(word));
        }
    }

    pub(crate) fn has(&self, word: &str) -> bool {
        self.0.contains(&hash(word))
    }
}

fn hash(word: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(word)
}
