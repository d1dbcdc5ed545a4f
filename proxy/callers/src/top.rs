/// How many callers a list holds.
pub const TOP_MAX: usize = 64;

/// A caller and how often it called. The true number is between `count - error` and `count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopEntry {
    pub caller: u64,
    pub count: u64,
    /// What the caller took over from the one it replaced.
    pub error: u64,
}

/// Space-Saving (Metwally, Agrawal, El Abbadi 2005): who makes up more than one in [`TOP_MAX`] of all calls is
/// always in the list.
#[derive(Clone, Debug, Default)]
pub struct Top {
    entries: Vec<TopEntry>,
    total: u64,
}

impl Top {
    pub fn add(&mut self, caller: u64, calls: u64) {
        self.total += calls;
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.caller == caller) {
            entry.count += calls;
        } else if self.entries.len() < TOP_MAX {
            self.entries.push(TopEntry { caller, count: calls, error: 0 });
        } else if let Some(least) = self.entries.iter_mut().min_by_key(|entry| entry.count) {
            *least = TopEntry { caller, count: least.count + calls, error: least.count };
        }
    }

    /// All calls, those of callers that fell out of the list included.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How often a caller may have called that is not in the list; 0 as long as all are.
    pub fn floor(&self) -> u64 {
        match self.entries.len() < TOP_MAX {
            true => 0,
            false => self.entries.iter().map(|entry| entry.count).min().unwrap_or(0),
        }
    }

    /// Without order.
    pub fn entries(&self) -> &[TopEntry] {
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frequent_caller_stays_in_the_list_and_the_bounds_hold() {
        let mut top = Top::default();
        for n in 0..20_000 {
            top.add(1_000_000 + n, 1);
            if n % 20 == 0 {
                top.add(7, 1);
            }
        }
        assert_eq!((top.total(), top.entries().len()), (21_000, TOP_MAX));
        let often = top.entries().iter().find(|entry| entry.caller == 7).unwrap();
        assert!((often.count - often.error..=often.count).contains(&1_000), "{often:?}");
        assert!(top.floor() <= 21_000 / TOP_MAX as u64 + 1, "{}", top.floor());
    }
}
