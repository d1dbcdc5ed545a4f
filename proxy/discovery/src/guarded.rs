//! Paths that are only ever refused: a route behind a login, or a firewall in front of nothing.

use std::collections::HashMap;

use crate::Template;

/// How many candidates are watched at once.
pub const CANDIDATES_MAX: usize = 4_096;

/// So many refusals make a candidate a guarded route,
const REFUSALS_MIN: u64 = 5;
/// if at most one in so many came with an answer that says nothing is there.
const REFUSALS_PER_MISS: u64 = 5;

/// A path that was refused often enough to be taken for a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guarded {
    pub template: Template,
    pub refusals: u64,
    pub misses: u64,
}

/// Candidates by template text. When it is full, new ones are turned away; after as many as it holds, all counts
/// are halved and what has nothing left goes. So a flood of made-up paths costs no more than it brings, and does not
/// keep a real route out for ever.
#[derive(Clone, Debug, Default)]
pub(crate) struct Candidates {
    seen: HashMap<Box<str>, Counts>,
    turned_away: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    refusals: u64,
    misses: u64,
}

impl Candidates {
    pub(crate) fn refused(&mut self, text: &str) {
        if let Some(counts) = self.seen.get_mut(text) {
            counts.refusals += 1;
        } else if self.seen.len() < CANDIDATES_MAX {
            self.seen.insert(text.into(), Counts { refusals: 1, misses: 0 });
        } else {
            self.turned_away += 1;
            if self.turned_away == CANDIDATES_MAX {
                self.halve();
            }
        }
    }

    pub(crate) fn missed(&mut self, text: &str) {
        if let Some(counts) = self.seen.get_mut(text) {
            counts.misses += 1;
        }
    }

    pub(crate) fn remove(&mut self, text: &str) {
        self.seen.remove(text);
    }

    pub(crate) fn len(&self) -> usize {
        self.seen.len()
    }

    pub(crate) fn guarded(&self) -> Vec<Guarded> {
        let mut guarded: Vec<_> = self
            .seen
            .iter()
            .filter(|(_, counts)| {
                counts.refusals >= REFUSALS_MIN && counts.misses * REFUSALS_PER_MISS <= counts.refusals
            })
            .map(|(text, counts)| Guarded {
                template: Template::from_text(text),
                refusals: counts.refusals,
                misses: counts.misses,
            })
            .collect();
        guarded.sort_by(|one, other| {
            other.refusals.cmp(&one.refusals).then_with(|| one.template.cmp(&other.template))
        });
        guarded
    }

    fn halve(&mut self) {
        self.turned_away = 0;
        self.seen.retain(|_, counts| {
            counts.refusals /= 2;
            counts.misses /= 2;
            counts.refusals > 0
        });
    }
}
