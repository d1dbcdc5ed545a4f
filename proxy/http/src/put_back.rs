use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::{Body, BodyError};

/// Pieces that were taken from the front of a body, and then the rest of it.
#[derive(Debug)]
struct PutBack {
    pieces: VecDeque<Bytes>,
    rest: Body,
}

impl Body {
    /// The body as it was before these pieces were taken from its front.
    #[must_use]
    pub fn behind(self, pieces: VecDeque<Bytes>) -> Self {
        if pieces.is_empty() { self } else { Self::wrap(PutBack { pieces, rest: self }) }
    }
}

impl http_body::Body for PutBack {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.pieces.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let taken: u64 = self.pieces.iter().map(|piece| piece.len() as u64).sum();
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + taken);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + taken);
        }
        hint
    }
}
