//! Joining what turned out to be one place.

use super::{ENDING, EXAMPLES_MAX, Node, NodeId, ROOT, Trie, Value, WORDS_MAX, What, Why, is_word_only};
use crate::tally::{Leaves, Place};

/// A child called more often than this is only joined if it goes on as the others do.
pub(crate) const CALLS_OF_AN_ENDPOINT: u64 = 30;

impl Trie {
    /// The place for values at this node, new if need be. Words that have the form of values move there.
    pub(crate) fn make_value(&mut self, from: NodeId, why: Why, leaves: &mut Leaves) -> NodeId {
        if let Some(value) = self.node(from).value {
            return value;
        }
        let value = self.child(from, Box::default(), What::Value(Value { why, ..Value::default() }));
        let has_form = |child: &NodeId| {
            let child = self.node(*child);
            matches!(child.what, What::Word(_, Some(_))) && !child.told
        };
        let moving: Vec<_> = self.node(from).children.values().copied().filter(has_form).collect();
        for child in moving {
            self.take(from, child, value, leaves);
        }
        value
    }

    /// Moves all words that may be values to the place for them, but those that stay.
    pub(crate) fn take_words(
        &mut self,
        from: NodeId,
        value: NodeId,
        leaves: &mut Leaves,
        stays: impl Fn(&Self, NodeId) -> bool,
    ) {
        let moving: Vec<_> = self.words(from).into_iter().filter(|child| !stays(self, *child)).collect();
        if let What::Value(own) = &mut self.node_mut(value).what {
            own.words = true;
        }
        for child in moving {
            self.take(from, child, value, leaves);
        }
        self.renamed_below(value, leaves);
    }

    /// Whether a word stays one among many that are values.
    pub(crate) fn is_no_value(&self, from: NodeId, child: NodeId) -> bool {
        self.goes_its_own_way(from, child) || self.stands_out(from, child)
    }

    /// Whether a child is called far more often than any other: values have a smoother order.
    pub(crate) fn stands_out(&self, from: NodeId, child: NodeId) -> bool {
        let calls = self.node(child).calls;
        let others = self.words(from).into_iter().filter(|other| *other != child);
        calls > CALLS_OF_AN_ENDPOINT
            && others.map(|other| self.node(other).calls).max().is_some_and(|most| calls >= 4 * most)
    }

    /// Whether a child has a tree of its own below it while hardly any other has.
    pub(crate) fn goes_its_own_way(&self, from: NodeId, child: NodeId) -> bool {
        if !self.goes_deeper(child) {
            return false;
        }
        let words = self.words(from);
        let deeper = words.iter().filter(|word| self.goes_deeper(**word)).count();
        deeper * 10 <= words.len()
    }

    /// Whether something follows: a segment that is not empty.
    pub(crate) fn goes_deeper(&self, node: NodeId) -> bool {
        let node = self.node(node);
        node.value.is_some() || node.children.keys().any(|key| !key.is_empty() && !key.starts_with(ENDING))
    }

    pub(super) fn take(&mut self, from: NodeId, child: NodeId, value: NodeId, leaves: &mut Leaves) {
        let What::Word(word, kind) = self.node(child).what.clone() else { return };
        self.node_mut(from).children.remove(&word);
        if kind.is_none() {
            self.known.add(&word);
        }
        self.note_word(value, &word, kind);
        self.join(child, value, leaves);
    }

    /// Joins one tree to another and frees it.
    fn join(&mut self, from: NodeId, to: NodeId, leaves: &mut Leaves) {
        self.changed = true;
        let gone = std::mem::replace(&mut self.nodes[from as usize], Node::new(ROOT, What::Free));
        self.free.push(from);
        self.node_mut(to).calls += gone.calls;
        self.node_mut(to).told |= gone.told;
        for (method, leaf) in gone.leaves {
            match self.node(to).leaf(method) {
                Some(own) => leaves.join(leaf, own),
                None => {
                    leaves.place(leaf, Place::Node(to, method));
                    self.node_mut(to).leaves.push((method, leaf));
                }
            }
        }
        if let Some(value) = gone.value {
            self.join_value(value, to, leaves);
        }
        for (key, child) in gone.children {
            self.put(&key, child, to, leaves);
        }
        self.take_late_words(to, leaves);
    }

    fn join_value(&mut self, value: NodeId, to: NodeId, leaves: &mut Leaves) {
        let Some(own) = self.node(to).value else {
            self.node_mut(value).parent = to;
            self.node_mut(to).value = Some(value);
            self.renamed_below(value, leaves);
            return;
        };
        if let What::Value(other) = self.node(value).what.clone()
            && let What::Value(own) = &mut self.node_mut(own).what
        {
            own.kinds.add_all(other.kinds);
            own.words |= other.words;
            own.why = own.why.max(other.why);
            own.examples.extend(other.examples);
            own.examples.truncate(EXAMPLES_MAX);
        }
        self.join(value, own, leaves);
        self.renamed_below(own, leaves);
    }

    /// Puts a child with its tree under another node.
    fn put(&mut self, key: &str, child: NodeId, to: NodeId, leaves: &mut Leaves) {
        if let Some(own) = self.node(to).children.get(key).copied() {
            return self.join(child, own, leaves);
        }
        if let What::Word(word, kind) = self.node(child).what.clone() {
            let value = match kind {
                Some(kind) if self.alike(to, kind) + 1 >= kind.values_needed() => {
                    Some(self.make_value(to, Why::Form, leaves))
                }
                Some(_) => self.node(to).value,
                None => self.value_for(to, &word).map(|(value, _)| value),
            };
            if let Some(value) = value.filter(|_| !self.node(child).told) {
                self.note_word(value, &word, kind);
                if kind.is_none() {
                    self.known.add(&word);
                }
                return self.join(child, value, leaves);
            }
        }
        self.node_mut(child).parent = to;
        self.node_mut(to).children.insert(key.into(), child);
        self.renamed_below(child, leaves);
    }

    /// After a join: what was a word here may be a value now, and there may be too many of them.
    fn take_late_words(&mut self, node: NodeId, leaves: &mut Leaves) {
        match self.node(node).value {
            Some(value) => {
                if matches!(&self.node(value).what, What::Value(own) if own.words) {
                    self.take_words(node, value, leaves, |trie, child| {
                        trie.node(child).calls > CALLS_OF_AN_ENDPOINT
                    });
                }
            }
            None if self.words(node).len() > WORDS_MAX => {
                let value = self.make_value(node, Why::Many, leaves);
                self.take_words(node, value, leaves, |trie, child| trie.is_no_value(node, child));
            }
            None => {}
        }
    }

    pub(crate) fn renamed_below(&self, node: NodeId, leaves: &mut Leaves) {
        let mut stack = vec![node];
        while let Some(id) = stack.pop() {
            let node = self.node(id);
            for (_, leaf) in &node.leaves {
                leaves.renamed(*leaf);
            }
            stack.extend(node.children.values().chain(&node.value));
        }
    }

    /// What shows where a path may go on: words that are not reserved and not of the form of a value.
    pub(crate) fn continuations(&self, node: NodeId) -> impl Iterator<Item = (&str, NodeId)> {
        self.node(node).children.values().filter_map(|child| match &self.node(*child).what {
            What::Word(word, None) if !is_word_only(word) => Some((&**word, *child)),
            _ => None,
        })
    }
}
