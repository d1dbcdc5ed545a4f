//! Which words are values: judged by what follows them.
//!
//! From the leaves upwards, so that the places below a word are known when the word is judged.

mod alike;

use std::collections::{BTreeMap, BTreeSet};

use crate::tally::Leaves;
use crate::trie::{CALLS_OF_AN_ENDPOINT, NodeId, ROOT, Trie, What, Why};
use crate::words::is_front;

/// So many children must go deeper,
const DEEPER_MIN: usize = 5;
/// or so many where what follows is looked for two segments below, or is one word alone.
const DEEPER_MIN_STRICT: usize = 10;
/// A word is common if it follows so many of them,
const COMMON_MIN: usize = 3;
/// and this percentage.
const COMMON_PERCENT: usize = 12;
/// How many known values show that a place takes values, if they are half of it.
const KNOWN_MIN: usize = 3;
/// Fewer words are not judged late.
const LATE_WORDS_MIN: usize = 20;
/// So many words that lead to the same new place are values.
const TOGETHER_MIN: usize = 4;

impl Trie {
    /// Looks at the whole tree again.
    pub(crate) fn judge(&mut self, leaves: &mut Leaves) {
        self.judge_below(ROOT, leaves);
        self.changed = false;
    }

    fn judge_below(&mut self, node: NodeId, leaves: &mut Leaves) {
        let children: Vec<_> =
            self.node(node).children.values().copied().chain(self.node(node).value).collect();
        for child in children {
            self.judge_below(child, leaves);
        }
        self.add_up(node, leaves);
        if node != ROOT && self.judge_node(node, leaves) {
            // What was joined is judged as one, and may show more.
            if let Some(value) = self.node(node).value {
                self.judge_below(value, leaves);
            }
        }
    }

    fn add_up(&mut self, node: NodeId, leaves: &Leaves) {
        let own: u64 = self.node(node).leaves.iter().map(|(_, leaf)| leaves.calls(*leaf)).sum();
        let children = self.node(node).children.values().chain(&self.node(node).value);
        let below: u64 = children.map(|child| self.node(*child).calls).sum();
        self.node_mut(node).calls = own + below;
    }

    fn judge_node(&mut self, node: NodeId, leaves: &mut Leaves) -> bool {
        let words = self.words(node);
        let taken = self.take_doubtful(node, &words, leaves);
        let words = if taken { self.words(node) } else { words };
        if words.len() < KNOWN_MIN {
            return taken;
        }
        if self.is_front(node) {
            return taken;
        }
        if let Some(going_on) = self.evidence(node, &words, 1).or_else(|| self.evidence(node, &words, 2)) {
            let value = self.make_value(node, Why::Below, leaves);
            self.take_words(node, value, leaves, |_, child| !going_on.contains(&child));
            self.take_doubtful(node, &self.words(node), leaves);
            return true;
        }
        if self.mostly_known(&words) {
            let value = self.make_value(node, Why::Known, leaves);
            self.take_words(node, value, leaves, |trie, child| {
                let often = trie.node(child).calls > CALLS_OF_AN_ENDPOINT;
                often && !trie.is_known(child) || trie.stands_out(node, child)
            });
            return true;
        }
        taken
    }

    fn methods(&self, node: NodeId) -> impl Iterator<Item = u8> {
        self.node(node).leaves.iter().map(|(method, _)| *method)
    }

    /// Words at a place for words: values are those that are known as such, that lead nowhere but where values lead,
    /// or that lead as several others do to where no value has led before.
    fn take_doubtful(&mut self, node: NodeId, words: &[NodeId], leaves: &mut Leaves) -> bool {
        let Some(value) = self.node(node).value else { return false };
        if words.is_empty() || !matches!(&self.node(value).what, What::Value(own) if own.words) {
            return false;
        }
        let mut taken = BTreeSet::new();
        let mut elsewhere: BTreeMap<String, Vec<NodeId>> = BTreeMap::new();
        for word in words {
            let mut places = Vec::new();
            self.leads_elsewhere(*word, value, self.render(*word).len(), &mut places);
            let few_calls = self.node(*word).calls <= CALLS_OF_AN_ENDPOINT;
            if self.is_known(*word) || places.is_empty() && (few_calls || self.goes_deeper(*word)) {
                taken.insert(*word);
            }
            for place in places {
                elsewhere.entry(place).or_default().push(*word);
            }
        }
        for together in elsewhere.values().filter(|together| together.len() >= TOGETHER_MIN) {
            let calls: u64 = together.iter().map(|word| self.node(*word).calls).sum();
            if calls < 8 * together.len() as u64 {
                taken.extend(together);
            }
        }
        if taken.is_empty() {
            return false;
        }
        self.take_words(node, value, leaves, |_, child| !taken.contains(&child));
        true
    }

    /// The leaves below one node that have no like below the other, as texts without the first `front` bytes.
    fn leads_elsewhere(&self, node: NodeId, other: NodeId, front: usize, places: &mut Vec<String>) {
        let own = self.node(node);
        for (method, _) in &own.leaves {
            if self.node(other).leaf(*method).is_none() {
                places.push(format!("{method}{}", self.render(node).get(front..).unwrap_or_default()));
            }
        }
        for child in own
            .children
            .iter()
            .map(|(key, child)| (Some(key), child))
            .chain(own.value.iter().map(|value| (None, value)))
        {
            let (key, child) = child;
            let like = match key {
                None => self.node(other).value,
                Some(key) => {
                    self.node(other).children.get(key).copied().or_else(|| match &self.node(*child).what {
                        What::Word(word, _) => self.value_for(other, word).map(|(value, _)| value),
                        _ => None,
                    })
                }
            };
            match like {
                Some(like) => self.leads_elsewhere(*child, like, front, places),
                None => self.all_leaves(*child, front, places),
            }
        }
    }

    fn all_leaves(&self, node: NodeId, front: usize, places: &mut Vec<String>) {
        let mut stack = vec![node];
        while let Some(id) = stack.pop() {
            let node = self.node(id);
            let path = self.render(id);
            let text = path.get(front..).unwrap_or_default();
            places.extend(node.leaves.iter().map(|(method, _)| format!("{method}{text}")));
            stack.extend(node.children.values().chain(&node.value));
        }
    }

    /// Whether the path only begins here: `/`, `/api/`, `/api/v1/`.
    pub(crate) fn is_front(&self, mut node: NodeId) -> bool {
        while node != ROOT {
            match &self.node(node).what {
                What::Word(word, kind) if is_front(word) || kind.is_some() => node = self.node(node).parent,
                _ => return false,
            }
        }
        true
    }

    /// The children that go on with a common word, if there are enough of them to show that this place takes values.
    /// `below` is how many segments deeper the words are looked for.
    fn evidence(&self, node: NodeId, words: &[NodeId], below: usize) -> Option<BTreeSet<NodeId>> {
        let deeper: Vec<_> = words.iter().copied().filter(|child| self.goes_deeper(*child)).collect();
        if deeper.len() < if below > 1 { DEEPER_MIN_STRICT } else { DEEPER_MIN } {
            return None;
        }
        let mut follows: BTreeMap<&str, Vec<(NodeId, u64)>> = BTreeMap::new();
        for child in &deeper {
            for (word, calls) in self.words_below(*child, below) {
                follows.entry(word).or_default().push((*child, calls));
            }
        }
        // What is a value here already has its say on what values go on with.
        let accepted: BTreeSet<&str> = match self.node(node).value {
            Some(value) => self.words_below(value, below).into_keys().collect(),
            None => BTreeSet::new(),
        };
        let is_common = |word: &str, count: usize| {
            accepted.contains(word) || count >= COMMON_MIN && count * 100 >= deeper.len() * COMMON_PERCENT
        };
        follows.retain(|word, children| is_common(word, children.len()));
        let going_on: BTreeSet<NodeId> = follows.values().flatten().map(|(child, _)| *child).collect();
        let calls_common: u64 = follows.values().flatten().map(|(_, calls)| *calls).sum();
        let calls_below: u64 = deeper.iter().map(|child| self.calls_below(*child)).sum();
        let enough = match follows.len() {
            0 => false,
            // One word alone must follow nearly all of many.
            1 => {
                deeper.len() >= DEEPER_MIN_STRICT
                    && going_on.len() * 10 >= deeper.len() * 9
                    && calls_common * 10 >= calls_below * 9
            }
            _ => going_on.len() * 2 >= deeper.len() && calls_common * 2 >= calls_below,
        };
        enough.then_some(going_on)
    }

    /// The words that follow, with the calls through them.
    fn words_below(&self, child: NodeId, below: usize) -> BTreeMap<&str, u64> {
        let mut found = BTreeMap::new();
        let mut note = |node: NodeId| {
            for (word, next) in self.continuations(node) {
                *found.entry(word).or_default() += self.node(next).calls;
            }
        };
        match below {
            1 => note(child),
            _ => self.continuations(child).for_each(|(_, next)| note(next)),
        }
        found
    }

    /// Calls that go deeper than this node.
    fn calls_below(&self, node: NodeId) -> u64 {
        let node = self.node(node);
        let deeper = node.children.iter().filter(|(key, _)| !key.is_empty()).map(|(_, child)| child);
        deeper.chain(&node.value).map(|child| self.node(*child).calls).sum()
    }

    fn mostly_known(&self, words: &[NodeId]) -> bool {
        let known = words.iter().filter(|child| self.is_known(**child)).count();
        known >= KNOWN_MIN && known * 2 >= words.len()
    }

    fn is_known(&self, child: NodeId) -> bool {
        matches!(&self.node(child).what, What::Word(word, _) if self.known.has(word))
    }

    /// Joins for showing what the calls look like values, without the certainty that it takes to join it for good.
    pub(crate) fn judge_late(&mut self, leaves: &mut Leaves) {
        self.judge(leaves);
        loop {
            let mut found = false;
            for id in 0..self.nodes.len() {
                found |= NodeId::try_from(id).is_ok_and(|id| self.join_late(id, leaves));
            }
            if !found {
                return;
            }
            // What is a value in one place may be known in others now.
            self.judge(leaves);
        }
    }

    fn join_late(&mut self, id: NodeId, leaves: &mut Leaves) -> bool {
        let words = self.words(id);
        let value = if let Some(alike) = self.used_alike(id, &words, leaves) {
            let value = self.make_value(id, Why::Alike, leaves);
            self.take_words(id, value, leaves, |_, child| !alike.contains(&child));
            value
        } else if words.len() > LATE_WORDS_MIN && !self.is_front(id) && self.looks_like_values(id, &words) {
            let value = self.make_value(id, Why::Many, leaves);
            self.take_words(id, value, leaves, |trie, child| trie.is_no_value(id, child));
            value
        } else {
            return false;
        };
        self.judge_below(value, leaves);
        true
    }

    fn looks_like_values(&self, node: NodeId, words: &[NodeId]) -> bool {
        // Words that stay would be found again and again.
        if words.iter().all(|child| self.is_no_value(node, *child)) {
            return false;
        }
        let count = words.len() as u64;
        let calls: u64 = words.iter().map(|child| self.node(*child).calls).sum();
        let once = words.iter().filter(|child| self.node(**child).calls == 1).count() as u64;
        let alike = || {
            let first = words.first().map(|child| self.methods(*child).collect::<BTreeSet<_>>());
            let like = |child: &&NodeId| Some(self.methods(**child).collect()) == first;
            words.iter().filter(like).count() * 10 >= words.len() * 9
        };
        let many = count > 45 && calls >= 200 && calls < 8 * count && once * 100 >= 15 * count;
        let few =
            count > LATE_WORDS_MIN as u64 && calls >= 50 && calls < 4 * count && once * 100 >= 40 * count;
        many || few && alike()
    }
}
