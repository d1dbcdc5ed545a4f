//! The body of a call: nothing, one piece of known length, or several of unknown length (chunked in HTTP/1.1).

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

#[derive(Debug, Clone, Default)]
pub(crate) struct Payload {
    pieces: VecDeque<Bytes>,
    length_known: bool,
}

impl Payload {
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { pieces: VecDeque::from([bytes.into()]), length_known: true }
    }

    /// Sent in pieces of `piece_bytes` without saying how many will come.
    pub(crate) fn streamed(bytes: impl Into<Bytes>, piece_bytes: usize) -> Self {
        let bytes: Bytes = bytes.into();
        let pieces = (0..bytes.len()).step_by(piece_bytes);
        let pieces = pieces.map(|at| bytes.slice(at..bytes.len().min(at + piece_bytes))).collect();
        Self { pieces, length_known: false }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.pieces.iter().map(|piece| piece.len() as u64).sum();
        if self.length_known || left == 0 { SizeHint::with_exact(left) } else { SizeHint::default() }
    }
}
