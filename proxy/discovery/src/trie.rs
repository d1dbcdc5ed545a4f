//! The tree of paths: words, and at each node at most one place for values.
//!
//! Invariants: at most [`NODES_MAX`] nodes, at most [`DEPTH_MAX`] segments deep, no word longer than 128 bytes.
//! Joining two nodes adds up their leaves; nothing that was counted is dropped.

mod join;
mod sweep;
mod told;

use std::collections::BTreeMap;

pub(crate) use join::CALLS_OF_AN_ENDPOINT;
pub(crate) use told::Told;

use crate::kind::{Kind, Kinds, WORD_BYTES_MAX};
use crate::known::Known;
use crate::path::{Step, Steps};
use crate::tally::{LeafId, Leaves, Place};
use crate::words::is_reserved;

/// How many nodes the tree has at most.
pub const NODES_MAX: usize = 20_000;
/// What lies deeper is one placeholder.
pub(crate) const DEPTH_MAX: usize = 16;
/// So many different words at one place are values, whatever follows them.
pub(crate) const WORDS_MAX: usize = 256;
/// A place for values with so many calls has shown what its values go on with.
const SETTLED_CALLS: u64 = 50;
/// So many words wait at such a place until it is judged what they are.
const DOUBTFUL_MAX: usize = 64;
/// Values shown to a person who reviews a template.
pub(crate) const EXAMPLES_MAX: usize = 3;

pub(crate) type NodeId = u32;
pub(crate) const ROOT: NodeId = 0;

/// Marks the key of an ending, which no word has.
const ENDING: char = '\u{1}';
const REST: &str = "\u{2}";

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) parent: NodeId,
    pub(crate) what: What,
    pub(crate) children: BTreeMap<Box<str>, NodeId>,
    pub(crate) value: Option<NodeId>,
    pub(crate) leaves: Vec<(u8, LeafId)>,
    /// A person said that this is one endpoint, or one step towards it.
    pub(crate) told: bool,
    /// Calls on it and below, as the last judgement found them.
    pub(crate) calls: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Root,
    Word(Box<str>, Option<Kind>),
    /// `.json`, `:cancel`: belongs to the segment in front.
    Ending(Box<str>),
    Value(Value),
    /// All that follows.
    Rest,
    Free,
}

/// A place that takes values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Value {
    pub(crate) kinds: Kinds,
    /// Whether words are values here.
    pub(crate) words: bool,
    pub(crate) why: Why,
    pub(crate) examples: Vec<Box<str>>,
}

/// Why a place takes values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Their form says it.
    #[default]
    Form,
    /// It was found before the last start; the reason is not kept.
    Before,
    /// Most of the words in this place are values in another.
    Known,
    /// The same words follow most of them.
    Below,
    /// The calls of most of them spread alike over methods and over what follows.
    Alike,
    /// There are more than any vocabulary has.
    Many,
    /// A person said it.
    Told,
}

#[derive(Clone, Debug)]
pub(crate) struct Trie {
    pub(crate) nodes: Vec<Node>,
    free: Vec<NodeId>,
    pub(crate) known: Known,
    /// Whether nodes came or were joined since this was last reset.
    pub(crate) changed: bool,
    /// Places for values whose name is another one since.
    renamed: Vec<NodeId>,
    pub(crate) evicted: u64,
    may_sweep: bool,
}

/// Where a path leads.
pub(crate) struct Found {
    pub(crate) node: NodeId,
    /// A value had a form that its place has not had before.
    pub(crate) new_form: bool,
}

impl Default for Trie {
    fn default() -> Self {
        let root = Node::new(ROOT, What::Root);
        Self {
            nodes: vec![root],
            free: Vec::new(),
            known: Known::default(),
            changed: false,
            renamed: Vec::new(),
            evicted: 0,
            may_sweep: true,
        }
    }
}

impl Node {
    fn new(parent: NodeId, what: What) -> Self {
        Self {
            parent,
            what,
            children: BTreeMap::new(),
            value: None,
            leaves: Vec::new(),
            told: false,
            calls: 0,
        }
    }

    pub(crate) fn leaf(&self, method: u8) -> Option<LeafId> {
        self.leaves.iter().find(|(own, _)| *own == method).map(|(_, leaf)| *leaf)
    }

    fn values(&self) -> Option<&Value> {
        match &self.what {
            What::Value(value) => Some(value),
            _ => None,
        }
    }
}

impl Trie {
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    pub(crate) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    /// Whether a path can be added, after a sweep if need be.
    pub(crate) fn has_room(&mut self, leaves: &mut Leaves, other: LeafId) -> bool {
        if self.len() + DEPTH_MAX + 2 <= NODES_MAX {
            return true;
        }
        if !self.may_sweep {
            return false;
        }
        // Once between two settlements: a flood cannot make every call pay for one.
        self.may_sweep = false;
        self.sweep(leaves, other);
        self.len() + DEPTH_MAX + 2 <= NODES_MAX
    }

    pub(crate) fn allow_sweep(&mut self) {
        self.may_sweep = true;
    }

    /// The node of a path, if the tree has it.
    pub(crate) fn find(&self, path: &str) -> Option<Found> {
        let mut found = Found { node: ROOT, new_form: false };
        let mut rest = None;
        for step in Steps::of_path(path) {
            rest = self.told_rest_of(found.node).or(rest);
            let Some((next, new_form)) = self.next(found.node, &step) else {
                return rest.map(|node| Found { node, new_form: false });
            };
            found.new_form |= new_form;
            found.node = next;
            if matches!(self.node(next).what, What::Rest) {
                break;
            }
        }
        Some(found)
    }

    /// The same for the text of a template.
    pub(crate) fn find_template(&self, path: &str) -> Option<NodeId> {
        let mut node = ROOT;
        for step in Steps::of_template(path) {
            node = self.next(node, &step)?.0;
        }
        Some(node)
    }

    /// The node of a path, which is added if need be. There must be room. A word of which nobody knows whether it is
    /// a value is only taken for one where the values of its place go on as it does; else it is judged later.
    pub(crate) fn add(&mut self, mut steps: Steps<'_>, method: u8, leaves: &mut Leaves) -> NodeId {
        let mut node = ROOT;
        let mut rest = None;
        while let Some(step) = steps.next() {
            rest = self.told_rest_of(node).or(rest);
            node = match self.next(node, &step) {
                Some((next, _))
                    if self.is_doubtful(node, next, &step) && !self.leads_to(next, &steps, method) =>
                {
                    self.changed = true;
                    self.word(node, &step)
                }
                Some((next, _)) => {
                    self.note(next, &step);
                    next
                }
                // Beside a word that a person split off, what they merged goes on.
                None => match rest {
                    Some(rest) => return rest,
                    None => self.grow(node, &step, leaves),
                },
            };
            if matches!(self.node(node).what, What::Rest) {
                break;
            }
        }
        node
    }

    fn next(&self, from: NodeId, step: &Step<'_>) -> Option<(NodeId, bool)> {
        let node = self.node(from);
        let child = |key: &str| node.children.get(key).map(|child| (*child, false));
        match *step {
            Step::Rest => child(REST),
            Step::Ending(text) => child(&ending_key(text)),
            Step::Value(kind) => {
                let value = node.value?;
                Some((value, kind.is_some_and(|kind| !self.has_kind(value, kind))))
            }
            Step::Word(word) => {
                let known = if word.len() > WORD_BYTES_MAX { None } else { child(word) };
                known.or_else(|| self.value_for(from, word)).or_else(|| child(REST))
            }
        }
    }

    fn is_doubtful(&self, from: NodeId, next: NodeId, step: &Step<'_>) -> bool {
        let Step::Word(word) = *step else { return false };
        let place = self.node(next);
        place.values().is_some_and(|value| value.words)
            && !place.told
            && place.calls >= SETTLED_CALLS
            && word.len() <= WORD_BYTES_MAX
            && self.kind(from, word).is_none()
            && !self.known.has(word)
            && self.words(from).len() < DOUBTFUL_MAX
    }

    fn leads_to(&self, mut node: NodeId, steps: &Steps<'_>, method: u8) -> bool {
        for step in steps.clone() {
            match self.next(node, &step) {
                Some((next, _)) => node = next,
                None => return false,
            }
        }
        self.node(node).leaf(method).is_some()
    }

    fn word(&mut self, from: NodeId, step: &Step<'_>) -> NodeId {
        match *step {
            Step::Word(word) => self.child(from, word.into(), What::Word(word.into(), None)),
            _ => from,
        }
    }

    /// The place for values, if it takes this one.
    pub(crate) fn value_for(&self, from: NodeId, word: &str) -> Option<(NodeId, bool)> {
        let id = self.node(from).value?;
        let value = self.node(id).values()?;
        if let Some(kind) = self.kind(from, word) {
            return Some((id, !value.kinds.has(kind)));
        }
        let told = self.node(id).told && value.words && !word.is_empty();
        let takes =
            told || !is_word_only(word) && (value.words || self.known.has(word)) && !self.is_front(from);
        takes.then_some((id, !value.words))
    }

    fn has_kind(&self, value: NodeId, kind: Kind) -> bool {
        self.node(value).values().is_some_and(|value| value.kinds.has(kind))
    }

    /// The form of a word in this place.
    pub(crate) fn kind(&self, from: NodeId, word: &str) -> Option<Kind> {
        let before = match &self.node(from).what {
            What::Root => None,
            What::Word(word, _) => Some(&**word),
            _ => Some(""),
        };
        Kind::of(word, before)
    }

    /// Adds a child, or finds that this makes a place for values.
    fn grow(&mut self, from: NodeId, step: &Step<'_>, leaves: &mut Leaves) -> NodeId {
        self.changed = true;
        match *step {
            Step::Rest => self.child(from, REST.into(), What::Rest),
            Step::Ending(text) => self.child(from, ending_key(text).into(), What::Ending(text.into())),
            Step::Value(kind) => {
                let why = if kind.is_some() { Why::Form } else { Why::Before };
                let value = self.make_value(from, why, leaves);
                self.note_kind(value, kind);
                value
            }
            Step::Word(word) => self.grow_word(from, word, leaves),
        }
    }

    fn grow_word(&mut self, from: NodeId, word: &str, leaves: &mut Leaves) -> NodeId {
        let kind = self.kind(from, word);
        if let Some(kind) = kind {
            if self.alike(from, kind) + 1 >= kind.values_needed() {
                let value = self.make_value(from, Why::Form, leaves);
                self.note_word(value, word, Some(kind));
                return value;
            }
        } else if !is_word_only(word) && !self.is_front(from) && self.words(from).len() >= WORDS_MAX {
            let value = self.make_value(from, Why::Many, leaves);
            self.note_word(value, word, None);
            self.take_words(from, value, leaves, |trie, child| trie.is_no_value(from, child));
            return value;
        }
        self.child(from, word.into(), What::Word(word.into(), kind))
    }

    fn child(&mut self, parent: NodeId, key: Box<str>, what: What) -> NodeId {
        let node = Node::new(parent, what);
        let id = match self.free.pop() {
            Some(id) => {
                self.nodes[id as usize] = node;
                id
            }
            None => {
                self.nodes.push(node);
                NodeId::try_from(self.nodes.len() - 1).unwrap_or(ROOT)
            }
        };
        match &self.node(id).what {
            What::Value(_) => self.node_mut(parent).value = Some(id),
            _ => {
                self.node_mut(parent).children.insert(key, id);
            }
        }
        id
    }

    /// How many children have this form.
    fn alike(&self, from: NodeId, kind: Kind) -> usize {
        if kind.at_once() {
            return 0;
        }
        let has_form =
            |child: &NodeId| matches!(self.node(*child).what, What::Word(_, Some(own)) if own == kind);
        self.node(from).children.values().filter(|child| has_form(child)).count()
    }

    /// The children that may be values: words, not reserved, not told to be endpoints.
    pub(crate) fn words(&self, from: NodeId) -> Vec<NodeId> {
        let is_word = |child: &NodeId| match &self.node(*child).what {
            What::Word(word, None) => !is_word_only(word) && !self.node(*child).told,
            _ => false,
        };
        self.node(from).children.values().copied().filter(is_word).collect()
    }

    /// What a step says about a place for values.
    fn note(&mut self, node: NodeId, step: &Step<'_>) {
        match *step {
            Step::Word(word) if self.node(node).values().is_some() => {
                let kind = self.kind(self.node(node).parent, word);
                self.note_word(node, word, kind);
            }
            Step::Value(kind) => self.note_kind(node, kind),
            _ => {}
        }
    }

    pub(crate) fn note_word(&mut self, node: NodeId, word: &str, kind: Option<Kind>) {
        if let What::Value(value) = &mut self.node_mut(node).what {
            let showable = !kind.is_some_and(Kind::is_private) && word.len() <= 64;
            if showable
                && value.examples.len() < EXAMPLES_MAX
                && !value.examples.iter().any(|one| **one == *word)
            {
                value.examples.push(word.into());
            }
        }
        self.note_kind(node, kind);
    }

    /// `None`: a word.
    fn note_kind(&mut self, node: NodeId, kind: Option<Kind>) {
        if let What::Value(value) = &mut self.node_mut(node).what {
            let before = (value.kinds.name(), value.words);
            match kind {
                Some(kind) => value.kinds.add(kind),
                None => value.words = true,
            }
            if before != (value.kinds.name(), value.words) {
                self.changed = true;
                self.renamed.push(node);
            }
        }
    }

    /// Says which leaves have another name since the last time.
    pub(crate) fn settle_names(&mut self, leaves: &mut Leaves) {
        let mut renamed = std::mem::take(&mut self.renamed);
        renamed.sort_unstable();
        renamed.dedup();
        for node in renamed {
            self.renamed_below(node, leaves);
        }
    }

    /// The path of a node, as a template has it.
    pub(crate) fn render(&self, node: NodeId) -> String {
        let mut steps = Vec::new();
        let mut at = node;
        while at != ROOT {
            steps.push(at);
            at = self.node(at).parent;
        }
        let mut text = String::new();
        for step in steps.into_iter().rev() {
            match &self.node(step).what {
                What::Word(word, _) => {
                    text.push('/');
                    text.push_str(&word.replace('{', "%7B").replace('}', "%7D"));
                }
                What::Ending(ending) => text.push_str(ending),
                What::Value(value) => {
                    text.push_str("/{");
                    text.push_str(if value.words { "value" } else { value.kinds.name() });
                    text.push('}');
                }
                What::Rest => text.push_str("/{rest}"),
                What::Root | What::Free => {}
            }
        }
        text
    }

    pub(crate) fn leaf_at(&mut self, node: NodeId, method: u8, leaves: &mut Leaves) -> LeafId {
        if let Some(leaf) = self.node(node).leaf(method) {
            return leaf;
        }
        let leaf = leaves.new_leaf(Place::Node(node, method));
        self.node_mut(node).leaves.push((method, leaf));
        self.changed = true;
        leaf
    }
}

fn ending_key(text: &str) -> String {
    format!("{ENDING}{text}")
}

/// What is never a value by itself.
pub(crate) fn is_word_only(word: &str) -> bool {
    word.is_empty() || word.starts_with('.') || is_reserved(word)
}
