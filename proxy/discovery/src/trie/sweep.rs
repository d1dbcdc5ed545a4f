//! Making room: the least called leaves go, their counts stay.

use std::borrow::Cow;

use super::{NodeId, REST, ROOT, Trie, What, ending_key};
use crate::tally::{LeafId, Leaves, Place};

impl Trie {
    /// Gives up a twentieth of the leaves, those with the fewest calls and among them the oldest; their calls are
    /// counted with `other` from now on.
    pub(super) fn sweep(&mut self, leaves: &mut Leaves, other: LeafId) {
        let mut all: Vec<_> = leaves
            .all()
            .filter_map(|(id, leaf)| match leaf.place {
                Place::Node(node, _) if !self.node(node).told => {
                    Some((leaf.total.total(), leaf.total.last_seen_unix_s, id, node))
                }
                _ => None,
            })
            .collect();
        all.sort_unstable();
        let going = all.len().div_ceil(20);
        for (_, _, leaf, node) in all.into_iter().take(going) {
            self.node_mut(node).leaves.retain(|(_, own)| *own != leaf);
            leaves.join(leaf, other);
            self.evicted += 1;
            self.prune(node);
        }
    }

    /// Removes a node on which nothing hangs, and those above it that held only this one.
    pub(super) fn prune(&mut self, mut id: NodeId) {
        loop {
            let node = self.node(id);
            let bare = node.leaves.is_empty() && node.children.is_empty() && node.value.is_none();
            if id == ROOT || !bare || node.told {
                return;
            }
            let parent = node.parent;
            // By its key: there may be thousands beside it.
            match self.key(id).map(Cow::into_owned) {
                Some(key) => drop(self.node_mut(parent).children.remove(key.as_str())),
                None => self.node_mut(parent).value = None,
            }
            self.node_mut(id).what = What::Free;
            self.free.push(id);
            id = parent;
        }
    }

    /// Under what a node stands among its parent's children; `None` for the place for values.
    fn key(&self, id: NodeId) -> Option<Cow<'_, str>> {
        match &self.node(id).what {
            What::Word(word, _) => Some(Cow::Borrowed(word)),
            What::Ending(text) => Some(Cow::Owned(ending_key(text))),
            What::Rest => Some(Cow::Borrowed(REST)),
            What::Value(_) | What::Root | What::Free => None,
        }
    }
}
