//! The content of an answer, from the connection straight to whoever reads it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use starve_http::{Body, BodyError};
use tokio::time::Instant;

use super::upload::Upload;
use super::{Connection, Home, Waits};
use crate::decode::{Decoder, Item};
use crate::io::Duplex;

#[derive(Debug)]
pub(super) struct Answer<S, H> {
    /// What came with the head.
    ready: VecDeque<Item>,
    decoder: Decoder,
    upload: Upload,
    connection: Option<Connection<S>>,
    home: Option<H>,
    silence: Duration,
    has_heard: bool,
    /// Content that came in chunks has no length, even where all of it is there: it may have trailers.
    is_length_known: bool,
}

impl<S: Duplex, H: Home<S>> Answer<S, H> {
    /// The body of an answer. One that came whole with its head gives the connection back at once. Without a
    /// home the connection is closed at the end.
    pub(super) fn body(
        mut connection: Connection<S>,
        mut decoder: Decoder,
        upload: Upload,
        home: Option<H>,
        waits: Waits,
    ) -> Body {
        let is_length_known = decoder.rest().is_some();
        let mut ready = VecDeque::new();
        // What is wrong with it will be met again where it can be told.
        if let Ok(Some(first)) = decoder.next(&mut connection.0.io.input) {
            match (first, decoder.next(&mut connection.0.io.input)) {
                (Item::Data(piece), Ok(None)) if decoder.is_done() && upload.is_done() => {
                    give_back(Some(connection), home);
                    return if is_length_known { piece.into() } else { Body::of_unsaid_length(piece) };
                }
                (first, second) => {
                    ready.push_back(first);
                    ready.extend(second.ok().flatten());
                }
            }
        } else if decoder.is_done() && upload.is_done() {
            give_back(Some(connection), home);
            return if is_length_known { Body::empty() } else { Body::of_unsaid_length(Bytes::new()) };
        }
        Body::wrap(Self {
            ready,
            decoder,
            upload,
            connection: Some(connection),
            home,
            silence: waits.silence,
            has_heard: true,
            is_length_known,
        })
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Item, BodyError>>> {
        let Some(connection) = &mut self.connection else { return Poll::Ready(None) };
        self.upload.poll(cx, &mut connection.0.io)?;
        if let Some(item) = self.ready.pop_front() {
            self.end_if_whole();
            return Poll::Ready(Some(Ok(item)));
        }
        loop {
            let item = self.decoder.next(&mut connection.0.io.input)?;
            if item.is_some() || self.decoder.is_done() {
                self.end_if_whole();
                return Poll::Ready(item.map(Ok));
            }
            match connection.0.io.poll_fill_content(cx) {
                Poll::Ready(Ok(1..)) => self.has_heard = true,
                Poll::Ready(Ok(_)) => {
                    self.decoder.end()?;
                    self.end_if_whole();
                    return Poll::Ready(None);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Poll::Pending => {
                    if std::mem::take(&mut self.has_heard) {
                        connection.0.timer.set(Instant::now() + self.silence);
                    }
                    ready!(connection.0.timer.poll(cx));
                    return Poll::Ready(Some(Err(Silent.into())));
                }
            }
        }
    }

    /// A connection on which the request is still being sent is of no more use.
    fn end_if_whole(&mut self) {
        if self.is_whole() {
            let home = self.home.take().filter(|_| self.upload.is_done());
            give_back(self.connection.take(), home);
        }
    }

    fn is_whole(&self) -> bool {
        self.ready.is_empty() && self.decoder.is_done()
    }
}

/// A connection on which something came unasked behind the answer is closed.
fn give_back<S: Duplex, H: Home<S>>(connection: Option<Connection<S>>, home: Option<H>) {
    if let (Some(connection), Some(home)) = (connection, home)
        && connection.0.io.input.is_empty()
    {
        home.take_back(connection);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server fell silent in the middle of its answer")]
struct Silent;

impl<S: Duplex, H: Home<S>> http_body::Body for Answer<S, H> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let item = ready!(self.poll_item(cx));
        Poll::Ready(item.map(|item| {
            item.map(|item| match item {
                Item::Data(piece) => Frame::data(piece),
                Item::Trailers(fields) => Frame::trailers(fields),
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.is_whole()
    }

    fn size_hint(&self) -> SizeHint {
        let ready = self.ready.iter().map(|item| match item {
            Item::Data(piece) => piece.len() as u64,
            Item::Trailers(_) => 0,
        });
        match self.decoder.rest().filter(|_| self.is_length_known) {
            Some(rest) => SizeHint::with_exact(rest + ready.sum::<u64>()),
            None => SizeHint::default(),
        }
    }
}
