use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use crate::{Body, BodyError};

/// How a body came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every byte was handed on.
    Complete,
    /// The sender broke off: the message is cut.
    Failed,
    /// The receiver went away before the end.
    Dropped,
}

/// Watches a body go by. It is told of every piece of data and, exactly once, of the end.
pub trait Observer: Send + Unpin {
    fn data(&mut self, _data: &Bytes) {}
    fn end(&mut self, end: End);
}

/// A body with an observer. It changes nothing, holds nothing back, and waits for nobody but the body.
#[derive(Debug)]
pub struct Observed<O: Observer> {
    body: Body,
    observer: Option<O>,
}

impl<O: Observer> Observed<O> {
    pub fn new(body: Body, observer: O) -> Self {
        Self { body, observer: Some(observer) }
    }

    /// The observer, until it has been told of the end.
    pub fn observer_mut(&mut self) -> Option<&mut O> {
        self.observer.as_mut()
    }

    fn finish(&mut self, end: End) {
        if let Some(mut observer) = self.observer.take() {
            observer.end(end);
        }
    }
}

impl<O: Observer> http_body::Body for Observed<O> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(data), Some(observer)) = (frame.data_ref(), self.observer.as_mut()) {
                    observer.data(data);
                }
            }
            Some(Err(_)) => self.finish(End::Failed),
            None => self.finish(End::Complete),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<O: Observer> Drop for Observed<O> {
    /// A consumer that knows the length stops polling at the last byte, so a body that says it is at
    /// its end was consumed whole; any other was abandoned.
    fn drop(&mut self) {
        let end = if self.body.is_end_stream() { End::Complete } else { End::Dropped };
        self.finish(end);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http_body_util::BodyExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<String>>>);

    impl Observer for Log {
        fn data(&mut self, data: &Bytes) {
            self.0.lock().unwrap().push(format!("{data:?}"));
        }
        fn end(&mut self, end: End) {
            self.0.lock().unwrap().push(format!("{end:?}"));
        }
    }

    type Piece = Result<Frame<Bytes>, BodyError>;

    fn streamed(pieces: Vec<Piece>) -> Body {
        struct Pieces(std::vec::IntoIter<Piece>);
        impl http_body::Body for Pieces {
            type Data = Bytes;
            type Error = BodyError;
            fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Piece>> {
                Poll::Ready(self.0.next())
            }
        }
        Body::wrap(Pieces(pieces.into_iter()))
    }

    fn data(text: &'static str) -> Piece {
        Ok(Frame::data(Bytes::from_static(text.as_bytes())))
    }

    #[tokio::test]
    async fn a_body_read_to_its_end_is_complete() {
        let log = Log::default();
        Observed::new(streamed(vec![data("a"), data("b")]), log.clone()).collect().await.unwrap();
        assert_eq!(*log.0.lock().unwrap(), ["b\"a\"", "b\"b\"", "Complete"]);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_has_failed() {
        let log = Log::default();
        let body = Observed::new(streamed(vec![data("a"), Err("cut".into())]), log.clone());
        assert!(body.collect().await.is_err());
        assert_eq!(*log.0.lock().unwrap(), ["b\"a\"", "Failed"]);
    }

    #[tokio::test]
    async fn a_body_left_before_its_end_was_dropped() {
        let log = Log::default();
        let mut body = Observed::new(streamed(vec![data("a"), data("b")]), log.clone());
        body.frame().await.unwrap().unwrap();
        drop(body);
        assert_eq!(*log.0.lock().unwrap(), ["b\"a\"", "Dropped"]);
    }

    #[test]
    fn an_empty_body_nobody_polls_is_complete() {
        let log = Log::default();
        drop(Observed::new(Body::empty(), log.clone()));
        assert_eq!(*log.0.lock().unwrap(), ["Complete"]);
    }

    #[tokio::test]
    async fn a_full_body_is_complete_at_its_last_byte() {
        let log = Log::default();
        let mut body = Observed::new(Body::from("abc"), log.clone());
        body.frame().await.unwrap().unwrap();
        drop(body);
        assert_eq!(log.0.lock().unwrap().last().unwrap(), "Complete");
    }
}
