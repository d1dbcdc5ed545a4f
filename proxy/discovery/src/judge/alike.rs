//! Words that are used alike: how their calls spread over methods and over what follows is the same for all of them.
//!
//! Values of one parameter lead to the same endpoints in the same proportions, whichever value it is; endpoints that
//! stand side by side are each called in their own proportions. The difference is measured by the chi-square statistic of
//! the table words × uses, corrected for what chance alone makes of it.

use std::collections::BTreeMap;

use crate::tally::Leaves;
use crate::template::method_number;
use crate::trie::{NodeId, Trie};

/// So many words must be compared.
const WORDS_MIN: usize = 5;
/// Words with fewer calls are not compared; they go with the others.
const CALLS_MIN: u64 = 5;
/// Uses with a smaller share of the calls are added up.
const USE_PERCENT: u64 = 2;
/// A use that has nearly all calls tells nothing.
const ONE_USE_PERCENT: u64 = 95;
/// One word in so many may be used in another way, and stays a word.
const OTHERS_OF: usize = 5;
/// The corrected statistic per call up to which the uses are the same.
const DIFFERENCE_MAX: f64 = 0.025;
/// What chance makes of the statistic must be below this per call, at four standard deviations.
const CHANCE_MAX: f64 = 0.05;

/// Words and how often each use of them was called.
struct Table {
    words: Vec<(NodeId, Vec<u64>)>,
}

impl Trie {
    /// The words that are used alike, if they are so many and called so often that it is no chance.
    pub(super) fn used_alike(&self, words: &[NodeId], leaves: &Leaves) -> Option<Vec<NodeId>> {
        if words.len() < WORDS_MIN {
            return None;
        }
        let (mut compared, mut alike): (Vec<NodeId>, Vec<NodeId>) =
            words.iter().partition(|word| self.node(**word).calls >= CALLS_MIN);
        if compared.len() < WORDS_MIN || compared.len() * 2 < words.len() {
            return None;
        }
        compared.sort_unstable();
        let mut table = self.table(&compared, leaves);
        let mut may_go = compared.len() / OTHERS_OF;
        while !table.is_same()? {
            if may_go == 0 || table.words.len() == WORDS_MIN {
                return None;
            }
            may_go -= 1;
            table.drop_strangest();
        }
        alike.extend(table.words.iter().map(|(word, _)| *word));
        Some(alike)
    }

    fn table(&self, words: &[NodeId], leaves: &Leaves) -> Table {
        let uses: Vec<_> = words.iter().map(|word| self.uses(*word, leaves)).collect();
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        for (text, calls) in uses.iter().flatten() {
            *sums.entry(text).or_default() += calls;
        }
        let all: u64 = sums.values().sum();
        let often: Vec<&str> = sums
            .iter()
            .filter(|(_, calls)| **calls * 100 >= all * USE_PERCENT)
            .map(|(text, _)| *text)
            .collect();
        let row = |uses: &BTreeMap<String, u64>| {
            let mut row = vec![0; often.len() + 1];
            for (text, calls) in uses {
                row[often.iter().position(|one| one == text).unwrap_or(often.len())] += calls;
            }
            row
        };
        Table { words: words.iter().copied().zip(uses.iter().map(row)).collect() }
    }

    /// Method and what follows, for each endpoint below a word. `HEAD` and `OPTIONS` come along with any of them.
    fn uses(&self, word: NodeId, leaves: &Leaves) -> BTreeMap<String, u64> {
        let front = self.render(word).len();
        let side = [method_number("HEAD"), method_number("OPTIONS")];
        let mut uses = BTreeMap::new();
        let mut stack = vec![word];
        while let Some(id) = stack.pop() {
            let node = self.node(id);
            let path = self.render(id);
            for (method, leaf) in node.leaves.iter().filter(|(method, _)| !side.contains(method)) {
                let text = format!("{method}{}", path.get(front..).unwrap_or_default());
                *uses.entry(text).or_default() += leaves.calls(*leaf);
            }
            stack.extend(node.children.values().chain(&node.value));
        }
        uses
    }
}

impl Table {
    fn sums(&self) -> Vec<f64> {
        let width = self.words.first().map_or(0, |(_, row)| row.len());
        let column = |at: usize| self.words.iter().map(|(_, row)| row[at] as f64).sum();
        (0..width).map(column).collect()
    }

    /// `None` where the calls cannot tell.
    fn is_same(&self) -> Option<bool> {
        let sums = self.sums();
        let all: f64 = sums.iter().sum();
        let used = sums.iter().filter(|sum| **sum > 0.0).count();
        let most = sums.iter().copied().fold(0.0, f64::max);
        if used < 2 || most * 100.0 > all * ONE_USE_PERCENT as f64 {
            return None;
        }
        let freedom = ((self.words.len() - 1) * (used - 1)) as f64;
        if 4.0 * (2.0 * freedom).sqrt() > CHANCE_MAX * all {
            return None;
        }
        let statistic: f64 = self.words.iter().map(|(_, row)| strangeness(row, &sums)).sum();
        Some((statistic - freedom) / all <= DIFFERENCE_MAX)
    }

    fn drop_strangest(&mut self) {
        let sums = self.sums();
        let strange = self
            .words
            .iter()
            .enumerate()
            .max_by(|(_, (_, one)), (_, (_, other))| {
                strangeness(one, &sums).total_cmp(&strangeness(other, &sums))
            })
            .map(|(at, _)| at);
        if let Some(at) = strange {
            self.words.remove(at);
        }
    }
}

/// A word's part of the chi-square statistic.
fn strangeness(row: &[u64], sums: &[f64]) -> f64 {
    let all: f64 = sums.iter().sum();
    let own: f64 = row.iter().map(|calls| *calls as f64).sum();
    let part = |(calls, sum): (&u64, &f64)| {
        let expected = own * sum / all;
        (*calls as f64 - expected).powi(2) / expected
    };
    row.iter().zip(sums).filter(|(_, sum)| **sum > 0.0).map(part).sum()
}
