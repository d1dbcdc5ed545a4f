//! What is counted, and the leaves on which it is.
//!
//! Invariant: a call is on one leaf. Leaves are joined by addition, so no sum changes whatever is learnt.

use std::time::Duration;

use crate::RowKey;

/// What a row counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// By status class: 1 to 5, or 0 where there was no answer.
    pub calls: [u64; 6],
    /// The sum of the durations, by status class.
    pub duration: [Duration; 6],
    /// Of the calls, those of health checks, bots and scanners.
    pub apart: [u64; 6],
    pub first_seen_unix_s: u64,
    pub last_seen_unix_s: u64,
}

impl Tally {
    /// One call. `status` is 0 when there was no answer; `apart`: a health check, bot or scanner made it.
    pub fn one(status: u16, now_unix_s: u64, duration: Duration, apart: bool) -> Self {
        let class = class_of(status);
        let mut tally =
            Self { first_seen_unix_s: now_unix_s, last_seen_unix_s: now_unix_s, ..Self::default() };
        tally.calls[class] = 1;
        tally.apart[class] = u64::from(apart);
        tally.duration[class] = duration;
        tally
    }

    pub fn total(&self) -> u64 {
        self.calls.iter().sum()
    }

    /// Calls with a 5xx answer or none.
    pub fn errors(&self) -> u64 {
        self.calls[5] + self.calls[0]
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        if other.total() == 0 {
            return;
        }
        // Clocks may be set back: the times are the outermost seen, not those of the first and last call.
        self.first_seen_unix_s = match self.total() {
            0 => other.first_seen_unix_s,
            _ => self.first_seen_unix_s.min(other.first_seen_unix_s),
        };
        self.last_seen_unix_s = self.last_seen_unix_s.max(other.last_seen_unix_s);
        for class in 0..self.calls.len() {
            self.calls[class] += other.calls[class];
            self.apart[class] += other.apart[class];
            self.duration[class] = self.duration[class].saturating_add(other.duration[class]);
        }
    }

    fn since(&self, before: &Self) -> Self {
        let mut added = *self;
        for class in 0..self.calls.len() {
            added.calls[class] -= before.calls[class];
            added.apart[class] = self.apart[class].saturating_sub(before.apart[class]);
            added.duration[class] = self.duration[class].saturating_sub(before.duration[class]);
        }
        added
    }
}

fn class_of(status: u16) -> usize {
    match status / 100 {
        class @ 1..=5 => usize::from(class),
        _ => 0,
    }
}

pub(crate) type LeafId = usize;

/// Where a leaf hangs; its name follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Fixed(RowKey),
    /// A method, by its number, at a node of the tree.
    Node(u32, u8),
    /// A path that is only refused, by its template.
    Candidate(Box<str>),
    Free,
}

#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) place: Place,
    pub(crate) total: Tally,
    /// What of it was given away by [`Leaves::drain`].
    drained: Tally,
    /// The names under which it was given away, the current one last.
    names: Vec<Box<str>>,
    waiting: bool,
}

/// All leaves, numbered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaves {
    slots: Vec<Leaf>,
    free: Vec<LeafId>,
    waiting: Vec<LeafId>,
}

/// A leaf to be given away: the names it no longer has, and what was added.
pub(crate) struct Drained {
    pub(crate) leaf: LeafId,
    pub(crate) names: Vec<Box<str>>,
    pub(crate) added: Tally,
}

impl Leaves {
    pub(crate) fn new_leaf(&mut self, place: Place) -> LeafId {
        let leaf = Leaf {
            place,
            total: Tally::default(),
            drained: Tally::default(),
            names: Vec::new(),
            waiting: false,
        };
        match self.free.pop() {
            Some(id) => {
                // It may still wait from its former life; it is looked at once in any case.
                let waiting = self.slots[id].waiting;
                self.slots[id] = Leaf { waiting, ..leaf };
                id
            }
            None => {
                self.slots.push(leaf);
                self.slots.len() - 1
            }
        }
    }

    pub(crate) fn get(&self, id: LeafId) -> &Leaf {
        &self.slots[id]
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (LeafId, &Leaf)> {
        self.slots.iter().enumerate().filter(|(_, leaf)| leaf.place != Place::Free)
    }

    pub(crate) fn calls(&self, id: LeafId) -> u64 {
        self.slots[id].total.total()
    }

    pub(crate) fn count(&mut self, id: LeafId, one: &Tally) {
        self.slots[id].total.add(one);
        self.wait(id);
    }

    /// Counts from before, that the taker of changes has already, under this name.
    pub(crate) fn restore(&mut self, id: LeafId, tally: &Tally, name: &str) {
        let leaf = &mut self.slots[id];
        leaf.total.add(tally);
        leaf.drained.add(tally);
        // The rows of a name mostly follow each other; a name that comes again is found when they are given away. Thousands
        // may be on one leaf.
        if leaf.names.last().is_none_or(|known| **known != *name) {
            leaf.names.push(name.into());
        }
        self.wait(id);
    }

    pub(crate) fn place(&mut self, id: LeafId, place: Place) {
        self.slots[id].place = place;
        self.renamed(id);
    }

    /// Its name may be another one now.
    pub(crate) fn renamed(&mut self, id: LeafId) {
        if !self.slots[id].names.is_empty() {
            self.wait(id);
        }
    }

    /// Joins one leaf to another and frees it.
    pub(crate) fn join(&mut self, from: LeafId, to: LeafId) {
        let leaf = &mut self.slots[from];
        leaf.place = Place::Free;
        let (total, drained, names) = (leaf.total, leaf.drained, std::mem::take(&mut leaf.names));
        leaf.total = Tally::default();
        leaf.drained = Tally::default();
        self.free.push(from);
        let into = &mut self.slots[to];
        into.total.add(&total);
        into.drained.add(&drained);
        into.names.extend(names);
        self.wait(to);
    }

    /// All leaves with something new. Calls `name` for the current name of each.
    pub(crate) fn drain(&mut self, name: impl Fn(&Place) -> String) -> Vec<Drained> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut all = Vec::with_capacity(waiting.len());
        for id in waiting {
            let leaf = &mut self.slots[id];
            leaf.waiting = false;
            if leaf.place == Place::Free {
                continue;
            }
            let added = leaf.total.since(&leaf.drained);
            if leaf.names.is_empty() && added.total() == 0 {
                continue;
            }
            let current = name(&leaf.place);
            let mut names = std::mem::replace(&mut leaf.names, vec![current.as_str().into()]);
            names.retain(|name| **name != *current);
            names.sort_unstable();
            names.dedup();
            leaf.drained = leaf.total;
            if added.total() > 0 || !names.is_empty() {
                all.push(Drained { leaf: id, names, added });
            }
        }
        all
    }

    pub(crate) fn names(&self, id: LeafId) -> &[Box<str>] {
        &self.slots[id].names
    }

    fn wait(&mut self, id: LeafId) {
        let leaf = &mut self.slots[id];
        if !leaf.waiting {
            leaf.waiting = true;
            self.waiting.push(id);
        }
    }
}
