//! The most frequent of any number of texts, in a fixed space.

/// How many texts a list holds.
pub const TOP_MAX: usize = 64;

/// A text and how often it came. The true number is between `count - error` and `count`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopEntry {
    pub text: Box<str>,
    pub count: u64,
    /// What the text took over from the one it replaced.
    pub error: u64,
}

/// Space-Saving (Metwally, Agrawal, El Abbadi 2005): a text that makes up more than one in [`TOP_MAX`] of all is
/// always in the list. Looked through one by one: short, and only met by calls that lead nowhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Top {
    entries: Vec<TopEntry>,
}

impl Top {
    pub(crate) fn count(&mut self, text: &str) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| *entry.text == *text) {
            entry.count += 1;
        } else if self.entries.len() < TOP_MAX {
            self.entries.push(TopEntry { text: text.into(), count: 1, error: 0 });
        } else if let Some(least) = self.entries.iter_mut().min_by_key(|entry| entry.count) {
            *least = TopEntry { text: text.into(), count: least.count + 1, error: least.count };
        }
    }

    pub(crate) fn retain(&mut self, stays: impl Fn(&str) -> bool) {
        self.entries.retain(|entry| stays(&entry.text));
    }

    /// The most frequent first.
    pub(crate) fn entries(&self) -> Vec<TopEntry> {
        let mut entries = self.entries.clone();
        entries.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.text.cmp(&other.text)));
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frequent_text_stays_in_the_list_through_a_flood_of_rare_ones() {
        let mut top = Top::default();
        for n in 0..10_000 {
            top.count(&format!("/junk{n}"));
            if n % 20 == 0 {
                top.count("/often");
            }
        }
        let entries = top.entries();
        assert_eq!(entries.len(), TOP_MAX);
        let often = entries.iter().find(|entry| &*entry.text == "/often").unwrap();
        assert!((often.count - often.error..=often.count).contains(&500), "{often:?}");
        assert_eq!(entries.iter().map(|entry| entry.count).sum::<u64>(), 10_500);
    }
}
