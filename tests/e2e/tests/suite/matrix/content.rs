//! Bodies that differ at every place, so that nothing can be lost, doubled or moved.

use std::sync::LazyLock;

/// A prime, so that no buffer's size divides it.
const PERIOD: usize = 65_521;
const PIECE_MAX: usize = 64 * 1024;

static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..PERIOD + PIECE_MAX).map(next).collect::<Vec<u8>>()
});

/// A part of the content at an offset, at most 64 KiB.
pub(super) fn at(offset: usize, length: usize) -> &'static [u8] {
    let begin = offset % PERIOD;
    // Behind the period it begins again.
    let end = (begin + length.min(PIECE_MAX)).min(PERIOD);
    &BYTES[begin..end]
}

/// Follows content as it comes.
#[derive(Debug, Default)]
pub(super) struct Check {
    pub(super) length: usize,
    /// Another's words: only their length is looked at.
    is_foreign: bool,
}

impl Check {
    /// For an answer; the proxy's own are not of this content.
    pub(super) fn of(head: &http::response::Parts) -> Self {
        Self { length: 0, is_foreign: head.headers.contains_key("proxy-status") }
    }

    /// # Panics
    /// A byte is not the one that was sent.
    pub(super) fn take(&mut self, mut piece: &[u8]) {
        if self.is_foreign {
            self.length += piece.len();
            return;
        }
        while !piece.is_empty() {
            let expected = at(self.length, piece.len());
            let (this, rest) = piece.split_at(expected.len());
            assert!(this == expected, "another byte within {} after {}", this.len(), self.length);
            self.length += this.len();
            piece = rest;
        }
    }
}
