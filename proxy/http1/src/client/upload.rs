//! The content of a request on its way to the server, beside the answer that may come before its end.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame};
use starve_http::{Body, BodyError};

use super::Failed;
use crate::encode::{self, Encoder};
use crate::io::{Duplex, Io, with_scratch};

/// Content up to this is copied behind the head, or behind its frame.
const COPIED_MAX: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Upload {
    state: State,
    encoder: Encoder,
    /// What was put behind the head, until it is known that it has left.
    first: Option<Bytes>,
}

#[derive(Debug)]
enum State {
    Done,
    /// The server was asked whether it wants the content, and has not said so yet.
    HeldBack(Body),
    Streaming(Body),
    /// The server takes no more; it may have an answer all the same.
    Refused,
}

impl Upload {
    pub(super) fn none() -> Self {
        Self { state: State::Done, encoder: Encoder::Nothing, first: None }
    }

    pub(super) fn new(body: Body, encoder: Encoder, asks_first: bool) -> Self {
        let state = if asks_first { State::HeldBack(body) } else { State::Streaming(body) };
        Self { state, encoder, first: None }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    pub(super) fn is_held_back(&self) -> bool {
        matches!(self.state, State::HeldBack(_))
    }

    pub(super) fn release(&mut self) {
        if let State::HeldBack(body) = std::mem::replace(&mut self.state, State::Done) {
            self.state = State::Streaming(body);
        }
    }

    /// Puts what is ready and small behind the head.
    pub(super) fn first(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), Failed> {
        let State::Streaming(body) = &mut self.state else { return Ok(()) };
        let Poll::Ready(Some(frame)) = Pin::new(&mut *body).poll_frame(cx) else { return Ok(()) };
        let Ok(piece) = frame.map_err(Failed::Body)?.into_data() else { return Ok(()) };
        if piece.is_empty() {
            return Ok(());
        }
        encode::copied(&mut self.encoder, &piece, out).map_err(|error| Failed::Body(error.into()))?;
        self.first = Some(piece);
        if self.encoder.is_complete() {
            self.state = State::Done;
        }
        Ok(())
    }

    pub(super) fn has_left(&mut self) {
        self.first = None;
    }

    /// The body as it was before anything of it was put behind the head.
    pub(super) fn take_back(&mut self) -> Option<Body> {
        let rest = match std::mem::replace(&mut self.state, State::Done) {
            State::HeldBack(body) | State::Streaming(body) => body,
            State::Done => Body::empty(),
            State::Refused => return None,
        };
        Some(rest.behind(self.first.take().into_iter().collect()))
    }

    /// Sends on, as far as both ends are ready; whether anything has moved.
    ///
    /// # Errors
    /// The content breaks off or has a wrong length. A server that takes no more is none: see whether it answers.
    pub(super) fn poll<S: Duplex>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut Io<S>,
    ) -> Result<bool, BodyError> {
        let mut has_moved = false;
        loop {
            if io.needs_flush() {
                let was_pending = io.is_pending();
                match io.poll_flush(cx) {
                    Poll::Ready(Ok(())) => has_moved |= was_pending,
                    Poll::Ready(Err(_refused)) => {
                        io.forget_pending();
                        self.state = State::Refused;
                        return Ok(true);
                    }
                    Poll::Pending => return Ok(has_moved),
                }
            }
            let State::Streaming(body) = &mut self.state else { return Ok(has_moved) };
            let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else { return Ok(has_moved) };
            has_moved = true;
            let frame = frame.transpose()?;
            let encoder = &mut self.encoder;
            let sent = with_scratch(|out| -> Result<_, BodyError> {
                let (piece, is_last) = compose(encoder, frame, out)?;
                Ok((io.send(cx, out, piece), is_last))
            });
            let (sent, is_last) = sent?;
            if sent.is_err() {
                io.forget_pending();
                self.state = State::Refused;
            } else if is_last || self.encoder.is_complete() {
                self.state = State::Done;
            }
        }
    }
}

type Piece = Option<(Bytes, &'static [u8])>;

/// What a frame looks like on the wire, and whether it is the last one.
fn compose(
    encoder: &mut Encoder,
    frame: Option<Frame<Bytes>>,
    out: &mut Vec<u8>,
) -> Result<(Piece, bool), encode::WrongLength> {
    let Some(frame) = frame else {
        encoder.end(None, out)?;
        return Ok((None, true));
    };
    match frame.into_data() {
        Ok(piece) if piece.is_empty() => Ok((None, false)),
        Ok(piece) if piece.len() <= COPIED_MAX => {
            encode::copied(encoder, &piece, out)?;
            Ok((None, false))
        }
        Ok(piece) => {
            let behind = encoder.frame(piece.len(), out)?;
            Ok((Some((piece, behind)), false))
        }
        Err(frame) => {
            encoder.end(frame.trailers_ref(), out)?;
            Ok((None, true))
        }
    }
}
