//! What a person says are endpoints: it wins over every rule.

use super::{NodeId, REST, ROOT, Trie, What, Why, ending_key};
use crate::tally::{Leaves, Place};

/// A step of what a person said. In the order in which they are told: words before the values beside them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Told {
    Word(String),
    /// What belongs to the segment in front.
    Ending(String),
    /// `words`: every word is a value, else only those of the form of one.
    Value {
        words: bool,
    },
    Rest,
}

impl Trie {
    pub(crate) fn told(&mut self, steps: impl IntoIterator<Item = Told>, leaves: &mut Leaves) {
        let mut node = ROOT;
        for step in steps {
            node = match step {
                Told::Word(word) => match self.node(node).children.get(word.as_str()) {
                    Some(child) => *child,
                    None => self.child(node, word.as_str().into(), What::Word(word.as_str().into(), None)),
                },
                Told::Value { words } => self.told_value(node, words, leaves),
                Told::Ending(text) => match self.node(node).children.get(&*ending_key(&text)) {
                    Some(child) => *child,
                    None => self.child(node, ending_key(&text).into(), What::Ending(text.as_str().into())),
                },
                Told::Rest => self.told_rest(node, leaves),
            };
            self.node_mut(node).told = true;
        }
        self.changed = true;
    }

    /// Forgets who said what. What was joined stays so, as if an earlier run had found it.
    pub(crate) fn nothing_told(&mut self) {
        self.changed = true;
        for node in &mut self.nodes {
            node.told = false;
            if let What::Value(value) = &mut node.what
                && value.why == Why::Told
            {
                value.why = Why::Before;
            }
        }
    }

    fn told_value(&mut self, node: NodeId, words: bool, leaves: &mut Leaves) -> NodeId {
        let value = self.make_value(node, Why::Told, leaves);
        if let What::Value(own) = &mut self.node_mut(value).what {
            own.why = Why::Told;
            own.words |= words;
        }
        self.node_mut(value).told = true;
        if words {
            let taken: Vec<_> = self
                .node(node)
                .children
                .values()
                .copied()
                .filter(|child| self.may_be_taken(*child))
                .collect();
            for child in taken {
                self.take(node, child, value, leaves);
            }
            self.renamed_below(value, leaves);
        }
        value
    }

    /// Where all goes that lies below a node and leads nowhere else.
    pub(super) fn told_rest_of(&self, node: NodeId) -> Option<NodeId> {
        self.node(node).children.get(REST).copied().filter(|rest| self.node(*rest).told)
    }

    /// Every word, reserved ones too, that nobody said is an endpoint.
    fn may_be_taken(&self, child: NodeId) -> bool {
        let child = self.node(child);
        matches!(&child.what, What::Word(word, _) if !word.is_empty()) && !child.told
    }

    /// All that lies below belongs to one place now, but for what was told.
    fn told_rest(&mut self, node: NodeId, leaves: &mut Leaves) -> NodeId {
        let rest = match self.node(node).children.get(REST) {
            Some(child) => *child,
            None => self.child(node, REST.into(), What::Rest),
        };
        let below = self.node(node).children.values().chain(&self.node(node).value);
        for child in below.copied().filter(|child| *child != rest).collect::<Vec<_>>() {
            self.give(child, rest, leaves);
        }
        rest
    }

    /// Gives all leaves of a tree to one node, and frees what is left bare.
    fn give(&mut self, node: NodeId, to: NodeId, leaves: &mut Leaves) {
        let below = self.node(node).children.values().chain(&self.node(node).value);
        for child in below.copied().collect::<Vec<_>>() {
            self.give(child, to, leaves);
        }
        if self.node(node).told || matches!(&self.node(node).what, What::Word(word, _) if word.is_empty()) {
            return;
        }
        for (method, leaf) in std::mem::take(&mut self.node_mut(node).leaves) {
            match self.node(to).leaf(method) {
                Some(own) => leaves.join(leaf, own),
                None => {
                    leaves.place(leaf, Place::Node(to, method));
                    self.node_mut(to).leaves.push((method, leaf));
                }
            }
        }
        self.prune(node);
    }
}
