//! What is shown of what was discovered.

use crate::discovered::{OTHER, row_key};
use crate::tally::Place;
use crate::trie::{NodeId, ROOT, What, Why};
use crate::{Discovered, Row, RowKey};

/// How many rows are shown at most; the calls of further ones are added up in [`RowKey::Other`].
pub const SHOWN_MAX: usize = 2_048;

/// A row as it is shown, and the rows that were drained or restored and are part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub row: Row,
    pub was: Vec<RowKey>,
    /// What in its path is a value, from left to right.
    pub values: Vec<Evident>,
}

/// A place for values, and why it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evident {
    pub why: Why,
    /// A few values that were seen; none of a form by which a person could be known.
    pub examples: Vec<String>,
}

impl Discovered {
    /// All rows with calls, the most called first, with the parts of paths joined that look like values although it
    /// is not certain enough to join them for good.
    pub fn shown(&self) -> Vec<Shown> {
        let late = self.late();
        let mut all: Vec<_> = late
            .leaves
            .all()
            .filter(|(_, leaf)| leaf.total.total() > 0)
            .map(|(id, leaf)| Shown {
                row: Row { key: late.key(&leaf.place), tally: leaf.total },
                was: late.leaves.names(id).iter().map(|name| row_key(name)).collect(),
                values: match leaf.place {
                    Place::Node(node, _) => late.values_above(node),
                    _ => Vec::new(),
                },
            })
            .collect();
        let rank = |shown: &Shown| {
            let endpoint = matches!(shown.row.key, RowKey::Template(_));
            (endpoint, std::cmp::Reverse(shown.row.tally.total()), shown.row.key.clone())
        };
        all.sort_by_cached_key(rank);
        let more = all.split_off(all.len().min(SHOWN_MAX));
        if !more.is_empty() {
            let other = all.iter().position(|shown| shown.row.key == RowKey::Other).unwrap_or_else(|| {
                let tally = late.leaves.get(OTHER).total;
                all.push(Shown {
                    row: Row { key: RowKey::Other, tally },
                    was: Vec::new(),
                    values: Vec::new(),
                });
                all.len() - 1
            });
            for shown in more {
                all[other].row.tally.add(&shown.row.tally);
                all[other].was.extend(shown.was);
            }
        }
        all
    }

    fn late(&self) -> Self {
        let mut late = self.clone();
        late.settle();
        late.trie.judge_late(&mut late.leaves);
        late
    }

    fn values_above(&self, mut node: NodeId) -> Vec<Evident> {
        let mut values = Vec::new();
        while node != ROOT {
            if let What::Value(value) = &self.trie.node(node).what {
                values.push(Evident {
                    why: value.why,
                    examples: value.examples.iter().map(ToString::to_string).collect(),
                });
            }
            node = self.trie.node(node).parent;
        }
        values.reverse();
        values
    }
}
