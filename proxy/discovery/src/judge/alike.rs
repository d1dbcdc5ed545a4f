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
/// So many where a path only begins, and the resources of an interface stand.
const FRONT_WORDS_MIN: usize = 20;
/// A use that so many words have is one of values.
const SHARED_MIN: usize = 3;
/// So many words must be compared one by one where there are too few calls for all of them.
const GATHERED_MIN: usize = 8;
/// Words with fewer calls are compared as if they were one.
const CALLS_MIN: u64 = 5;
/// Uses with a smaller share of the calls are added up.
const USE_PERCENT: u64 = 2;
/// A use that has nearly all calls tells nothing.
const ONE_USE_PERCENT: u64 = 95;
/// One word in so many may be used in another way, and stays a word.
const OTHERS_OF: usize = 5;
/// The corrected statistic per call up to which the uses are the same. A few endpoints may be like one another by
/// accident, many are not.
const DIFFERENCE_MAX: f64 = 0.025;
const DIFFERENCE_OF_FEW_MAX: f64 = 0.012;
const FEW: usize = 10;
/// So many standard deviations of what chance makes of the statistic must be below that.
const DEVIATIONS: f64 = 2.0;

/// Words and how often each use of them was called. Those with few calls are in one row.
struct Table {
    rows: Vec<(Vec<NodeId>, Vec<u64>)>,
}

impl Trie {
    /// The words that are used alike, if they are so many and called so often that it is no chance.
    pub(super) fn used_alike(&self, place: NodeId, words: &[NodeId], leaves: &Leaves) -> Option<Vec<NodeId>> {
        if words.len() < WORDS_MIN {
            return None;
        }
        let words = self.without_others(words, leaves);
        let (compared, rare): (Vec<NodeId>, Vec<NodeId>) =
            words.iter().partition(|word| self.node(**word).calls >= CALLS_MIN);
        if compared.len() < WORDS_MIN || self.is_front(place) && compared.len() < FRONT_WORDS_MIN {
            return None;
        }
        let is_few = compared.len() < FEW;
        let difference_max = if is_few { DIFFERENCE_OF_FEW_MAX } else { DIFFERENCE_MAX };
        let mut table = self.table(compared, rare, leaves);
        table.gather(difference_max)?;
        let mut may_go = if is_few { 0 } else { table.rows.len() / OTHERS_OF };
        while !table.is_same(difference_max) {
            if may_go == 0 {
                return None;
            }
            may_go -= 1;
            table.drop_strangest();
        }
        Some(table.rows.into_iter().flat_map(|(words, _)| words).collect())
    }

    /// A word that leads where hardly any other does is another endpoint, however few calls it has among the rest.
    fn without_others(&self, words: &[NodeId], leaves: &Leaves) -> Vec<NodeId> {
        let uses: Vec<_> = words.iter().map(|word| (*word, self.uses(&[*word], leaves))).collect();
        let mut shared: BTreeMap<&str, usize> = BTreeMap::new();
        for text in uses.iter().flat_map(|(_, uses)| uses.keys()) {
            *shared.entry(text).or_default() += 1;
        }
        let is_like = |own: &BTreeMap<String, u64>| {
            let common = own
                .iter()
                .filter(|(text, _)| shared.get(text.as_str()).is_some_and(|words| *words >= SHARED_MIN));
            common.map(|(_, calls)| calls).sum::<u64>() * 2 > own.values().sum()
        };
        uses.iter().filter(|(_, own)| is_like(own)).map(|(word, _)| *word).collect()
    }

    fn table(&self, mut words: Vec<NodeId>, rare: Vec<NodeId>, leaves: &Leaves) -> Table {
        words.sort_by_key(|word| (std::cmp::Reverse(self.node(*word).calls), *word));
        let groups: Vec<_> = words.into_iter().map(|word| vec![word]).chain([rare]).collect();
        let uses: Vec<_> = groups.iter().map(|words| self.uses(words, leaves)).collect();
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
        let rows: Vec<_> = uses.iter().map(row).collect();
        let rows = groups.into_iter().zip(rows).filter(|(_, row)| row.iter().sum::<u64>() > 0);
        Table { rows: rows.collect() }
    }

    /// Method and what follows, for each endpoint below some words. `HEAD` and `OPTIONS` come along with any of them.
    fn uses(&self, words: &[NodeId], leaves: &Leaves) -> BTreeMap<String, u64> {
        let side = [method_number("HEAD"), method_number("OPTIONS")];
        let mut uses = BTreeMap::new();
        let mut stack: Vec<_> = words.iter().map(|word| (*word, self.render(*word).len())).collect();
        while let Some((id, front)) = stack.pop() {
            let node = self.node(id);
            let path = self.render(id);
            for (method, leaf) in node.leaves.iter().filter(|(method, _)| !side.contains(method)) {
                let text = format!("{method}{}", path.get(front..).unwrap_or_default());
                *uses.entry(text).or_default() += leaves.calls(*leaf);
            }
            stack.extend(node.children.values().chain(&node.value).map(|child| (*child, front)));
        }
        uses
    }
}

impl Table {
    fn sums(&self) -> Vec<f64> {
        let width = self.rows.first().map_or(0, |(_, row)| row.len());
        let column = |at: usize| self.rows.iter().map(|(_, row)| row[at] as f64).sum();
        (0..width).map(column).collect()
    }

    /// Puts the rarer words into one row until chance makes little of the statistic; `None` where the calls cannot tell.
    fn gather(&mut self, difference_max: f64) -> Option<()> {
        let sums = self.sums();
        let all: f64 = sums.iter().sum();
        if !self.tells() {
            return None;
        }
        while DEVIATIONS * (2.0 * self.freedom()).sqrt() > difference_max * all {
            let kept = self.rows.len() / 2;
            if kept < GATHERED_MIN {
                return None;
            }
            let rare = self.rows.split_off(kept);
            let (mut words, mut sum) = (Vec::new(), vec![0; sums.len()]);
            for (own, row) in rare {
                words.extend(own);
                sum.iter_mut().zip(row).for_each(|(sum, calls)| *sum += calls);
            }
            self.rows.push((words, sum));
        }
        Some(())
    }

    /// Whether there are several uses to compare.
    fn tells(&self) -> bool {
        let sums = self.sums();
        let most = sums.iter().copied().fold(0.0, f64::max);
        self.uses() >= 2.0 && most * 100.0 <= sums.iter().sum::<f64>() * ONE_USE_PERCENT as f64
    }

    fn uses(&self) -> f64 {
        self.sums().iter().filter(|sum| **sum > 0.0).count() as f64
    }

    fn freedom(&self) -> f64 {
        (self.rows.len() as f64 - 1.0) * (self.uses() - 1.0)
    }

    fn is_same(&self, difference_max: f64) -> bool {
        let sums = self.sums();
        let statistic: f64 = self.rows.iter().map(|(_, row)| strangeness(row, &sums)).sum();
        self.tells() && (statistic - self.freedom()) / sums.iter().sum::<f64>() <= difference_max
    }

    fn drop_strangest(&mut self) {
        let sums = self.sums();
        let strange = self
            .rows
            .iter()
            .enumerate()
            .max_by(|(_, (_, one)), (_, (_, other))| {
                strangeness(one, &sums).total_cmp(&strangeness(other, &sums))
            })
            .map(|(at, _)| at);
        if let Some(at) = strange {
            self.rows.remove(at);
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
