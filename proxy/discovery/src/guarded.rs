//! Paths that are only ever refused: a route behind a login, or a firewall in front of nothing.

use std::collections::BTreeMap;

use crate::Template;
use crate::tally::{LeafId, Leaves, Place, Tally};

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

/// Candidates by template text, each counted on a leaf of its own. When it is full, new ones are turned away; after
/// as many as it holds, all weights are halved and what has nothing left goes. So a flood of made-up paths costs no
/// more than it brings, and does not keep a real route out for ever.
#[derive(Clone, Debug, Default)]
pub(crate) struct Candidates {
    seen: BTreeMap<Box<str>, Candidate>,
    turned_away: usize,
    turned_away_in_all: u64,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    leaf: LeafId,
    refusals: u64,
    misses: u64,
}

impl Candidates {
    /// Counts a refusal on the candidate's leaf, or with `others` if there is no place.
    pub(crate) fn refused(&mut self, text: &str, one: &Tally, leaves: &mut Leaves, others: LeafId) {
        match self.leaf(text, 1, leaves, others) {
            Some(leaf) => leaves.count(leaf, one),
            None => leaves.count(others, one),
        }
    }

    /// The leaf of a candidate, new if there is a place; `refusals` are added to its weight.
    pub(crate) fn leaf(
        &mut self,
        text: &str,
        refusals: u64,
        leaves: &mut Leaves,
        others: LeafId,
    ) -> Option<LeafId> {
        if let Some(candidate) = self.seen.get_mut(text) {
            candidate.refusals += refusals;
            return Some(candidate.leaf);
        }
        if self.seen.len() == CANDIDATES_MAX {
            self.turned_away += 1;
            self.turned_away_in_all += 1;
            if self.turned_away == CANDIDATES_MAX {
                self.halve(leaves, others);
            }
            return None;
        }
        let leaf = leaves.new_leaf(Place::Candidate(text.into()));
        self.seen.insert(text.into(), Candidate { leaf, refusals, misses: 0 });
        Some(leaf)
    }

    pub(crate) fn missed(&mut self, text: &str) {
        if let Some(candidate) = self.seen.get_mut(text) {
            candidate.misses += 1;
        }
    }

    /// Gives up the candidates for which `leaf` knows another leaf by now; they are joined to it.
    pub(crate) fn settle(&mut self, leaves: &mut Leaves, leaf: impl Fn(&str) -> Option<LeafId>) {
        self.seen.retain(|text, candidate| match leaf(text) {
            Some(to) => {
                leaves.join(candidate.leaf, to);
                false
            }
            None => true,
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.seen.len()
    }

    pub(crate) fn turned_away_in_all(&self) -> u64 {
        self.turned_away_in_all
    }

    /// The most refused first.
    pub(crate) fn guarded(&self) -> Vec<Guarded> {
        let is_guarded = |candidate: &Candidate| {
            candidate.refusals >= REFUSALS_MIN && candidate.misses * REFUSALS_PER_MISS <= candidate.refusals
        };
        let mut guarded: Vec<_> = self
            .seen
            .iter()
            .filter(|(_, candidate)| is_guarded(candidate))
            .map(|(text, candidate)| Guarded {
                template: Template::from_text(text),
                refusals: candidate.refusals,
                misses: candidate.misses,
            })
            .collect();
        guarded.sort_by(|one, other| {
            other.refusals.cmp(&one.refusals).then_with(|| one.template.cmp(&other.template))
        });
        guarded
    }

    fn halve(&mut self, leaves: &mut Leaves, others: LeafId) {
        self.turned_away = 0;
        self.seen.retain(|_, candidate| {
            candidate.refusals /= 2;
            candidate.misses /= 2;
            if candidate.refusals == 0 {
                leaves.join(candidate.leaf, others);
            }
            candidate.refusals > 0
        });
    }
}
