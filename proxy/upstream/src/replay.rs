//! The body of a request that can be sent once more, as long as it fits.
//!
//! The body is passed on as it comes and remembered on the way; what was not yet read is still there. So a
//! request can be repeated whether or not its body had begun, as long as little enough of it was sent.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use starve_http::{Body, BodyError, Request};

/// Bytes of a body that are remembered.
pub(crate) const BYTES_MAX: usize = 64 * 1024;

/// What is needed to send the body of a request again; of one without a body, nothing.
#[derive(Debug)]
pub(crate) struct Spare(Option<Arc<Mutex<Memory>>>);

#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Gone when somebody else has taken it over.
    rest: Option<Body>,
    pieces: VecDeque<Bytes>,
    bytes: usize,
    /// More was sent than is remembered, or the body has broken off.
    is_lost: bool,
}

impl Spare {
    /// Watches over the request's body from now on.
    pub(crate) fn of(request: &mut Request) -> Self {
        if request.body().is_end_stream() {
            return Self(None);
        }
        let rest = Some(std::mem::take(request.body_mut()));
        let memory = Arc::new(Mutex::new(Memory { rest, ..Memory::default() }));
        *request.body_mut() = Body::wrap(Watched { memory: memory.clone() });
        Self(Some(memory))
    }

    /// Gives the request its body again, as if nothing of it had been sent; `false` where too much of it is
    /// gone. Whoever still holds the one before gets an error.
    pub(crate) fn restore(self, request: &mut Request) -> bool {
        let Some(memory) = self.0 else {
            *request.body_mut() = Body::empty();
            return true;
        };
        let mut memory = lock(&memory);
        if memory.is_lost {
            return false;
        }
        let Some(rest) = memory.rest.take() else { return false };
        let pieces = std::mem::take(&mut memory.pieces);
        *request.body_mut() = rest.behind(pieces);
        true
    }
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Watched {
    memory: Arc<Mutex<Memory>>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut memory = lock(&self.memory);
        let Some(body) = memory.rest.as_mut() else {
            return Poll::Ready(Some(Err("the request is sent over another connection".into())));
        };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => memory.remember(frame),
            Some(Err(_)) => memory.forget(),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.memory).rest.as_ref().is_some_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.memory).rest.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Memory {
    fn remember(&mut self, frame: &Frame<Bytes>) {
        // Trailers end a body: what has been sent to its end is not repeated.
        let Some(piece) = frame.data_ref() else { return self.forget() };
        self.bytes += piece.len();
        if self.bytes > BYTES_MAX {
            self.forget();
        } else if !self.is_lost {
            self.pieces.push_back(piece.clone());
        }
    }

    fn forget(&mut self) {
        self.is_lost = true;
        self.pieces.clear();
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    /// A body in pieces.
    struct Pieces(VecDeque<Bytes>);

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    fn request(pieces: &[&[u8]]) -> Request {
        let pieces = pieces.iter().map(|piece| Bytes::copy_from_slice(piece)).collect();
        http::Request::put("/a").header("x", "y").body(Body::wrap(Pieces(pieces))).unwrap()
    }

    async fn whole(request: Request) -> Bytes {
        request.into_body().collect().await.unwrap().to_bytes()
    }

    #[tokio::test]
    async fn a_body_is_repeated_from_its_beginning_however_much_was_sent() {
        for sent in 0..=3 {
            let mut request = request(&[b"one", b"two"]);
            let spare = Spare::of(&mut request);
            for _ in 0..sent {
                let _piece = request.body_mut().frame().await;
            }
            assert!(spare.restore(&mut request));
            assert_eq!(whole(request).await, "onetwo", "after {sent} pieces");
        }
    }

    #[tokio::test]
    async fn a_body_of_which_too_much_was_sent_is_not_repeated() {
        let mut request = request(&[&vec![b'a'; BYTES_MAX], b"b"]);
        let spare = Spare::of(&mut request);
        while request.body_mut().frame().await.is_some() {}
        assert!(!spare.restore(&mut request));
    }

    #[tokio::test]
    async fn who_still_reads_the_first_one_gets_an_error_and_no_byte_twice() {
        let mut request = request(&[b"one"]);
        let spare = Spare::of(&mut request);
        let first = std::mem::take(request.body_mut());
        assert!(spare.restore(&mut request));
        assert!(first.collect().await.is_err());
        assert_eq!(whole(request).await, "one");
    }

    #[tokio::test]
    async fn a_request_without_a_body_has_no_memory() {
        let mut empty = http::Request::get("/a").body(Body::empty()).unwrap();
        let spare = Spare::of(&mut empty);
        assert!(spare.0.is_none() && spare.restore(&mut empty));
        assert!(empty.body().is_end_stream());
    }
}
