//! Which lines are of health checks, bots and scanners, by their user agents.

use std::hash::Hasher as _;

use rustc_hash::FxHasher;
use starve_callers::Family;

/// User agents that are remembered, by a hash of them: finding out takes a microsecond or more.
const REMEMBERED: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Agents(Vec<Option<(u64, bool)>>);

impl Agents {
    /// Whether the call shows nobody's need. Of two agents with one hash, one is taken for the other.
    pub(super) fn is_apart(&mut self, agent: Option<&[u8]>) -> bool {
        let Some(agent) = agent.filter(|agent| !matches!(*agent, b"" | b"-")) else { return false };
        let mut hasher = FxHasher::default();
        hasher.write(agent);
        let hash = hasher.finish();
        if self.0.is_empty() {
            self.0.resize(REMEMBERED, None);
        }
        // The remainder is below the number of places.
        let place = &mut self.0[(hash % REMEMBERED as u64) as usize];
        match place {
            Some((known, is_apart)) if *known == hash => *is_apart,
            _ => {
                let is_apart = Family::of(agent).kind().apart().is_some();
                *place = Some((hash, is_apart));
                is_apart
            }
        }
    }
}
