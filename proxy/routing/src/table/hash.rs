//! A fast hash for texts that the operator wrote.
//!
//! The maps of a table hold route texts only; a client's text is looked up and never put in. So nobody can make
//! it collide but the one whose table it is, and a keyed hash would buy nothing.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

pub(super) type Map<V> = HashMap<Box<str>, V, BuildHasherDefault<TextHasher>>;

#[derive(Clone, Debug, Default)]
pub(super) struct TextHasher(u64);

/// Odd, with its bits spread evenly: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

impl TextHasher {
    fn mix(&mut self, word: u64) {
        let wide = u128::from(self.0 ^ word) * u128::from(SPREAD);
        self.0 = (wide as u64) ^ ((wide >> 64) as u64);
    }
}

impl Hasher for TextHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, tail) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        if !tail.is_empty() {
            let mut word = [0; 8];
            word[..tail.len()].copy_from_slice(tail);
            self.mix(u64::from_le_bytes(word));
        }
    }

    /// Ends every text; its value is the same for all.
    fn write_u8(&mut self, byte: u8) {
        self.mix(u64::from(byte));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::Hash;

    use super::*;

    #[test]
    fn similar_texts_spread() {
        let hash = |text: &str| {
            let mut hasher = TextHasher::default();
            text.hash(&mut hasher);
            hasher.finish()
        };
        let hashes: HashSet<u64> = (0..100_000).map(|n| hash(&format!("item-{n}"))).collect();
        assert_eq!(hashes.len(), 100_000);
        // What a map takes its place and its tag from.
        let places: HashSet<u64> = hashes.iter().map(|hash| hash & 0x1_FFFF).collect();
        let tags: HashSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
        assert!(places.len() > 60_000, "{}", places.len());
        assert_eq!(tags.len(), 128);
    }
}
