//! A stream of an HTTP/2 connection: content that goes out, content that comes in, and both as bytes.
//!
//! Invariants: content that breaks off never looks complete at the other end, and content from there that breaks off
//! never does here; nothing is handed to the connection that the other end has made no room for.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, HeaderMap};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::BodyError;

/// What a tunnel hands to a stream at once.
const PIECE_MAX: usize = 64 * 1024;

/// A message's content on its way out.
#[derive(Debug)]
pub struct Outgoing<B> {
    stream: SendStream<Bytes>,
    /// Dropped with its last byte, before that leaves.
    body: Option<B>,
    /// What is to come, where the head said how much.
    rest: Option<u64>,
    /// What the other end has made no room for yet.
    piece: Bytes,
    has_moved: bool,
}

/// How far content has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Done,
    /// The other end makes no room.
    WaitsForRoom,
    WaitsForContent,
}

/// Why content did not come to its end.
#[derive(Debug)]
pub enum Broken {
    /// The other end has reset the stream, or the connection is gone.
    Left,
    /// The content itself broke off, or has another length than its head says.
    Content(BodyError),
}

impl<B: Body<Data = Bytes, Error = BodyError> + Unpin> Outgoing<B> {
    /// `length`: what the head has said.
    pub fn new(stream: SendStream<Bytes>, body: B, length: Option<u64>) -> Self {
        Self { stream, body: Some(body), rest: length, piece: Bytes::new(), has_moved: false }
    }

    /// Sends on as far as both ends are ready; is to be polled again when either is.
    ///
    /// # Errors
    /// It ends here. The stream is still to be reset: see [`Outgoing::reset`].
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Result<Progress, Broken> {
        if self.stream.poll_reset(cx).is_ready() {
            return Err(Broken::Left);
        }
        loop {
            while !self.piece.is_empty() {
                match self.poll_piece(cx) {
                    Poll::Ready(Ok(())) => self.has_moved = true,
                    Poll::Ready(Err(_gone)) => return Err(Broken::Left),
                    Poll::Pending => return Ok(Progress::WaitsForRoom),
                }
            }
            let Some(body) = &mut self.body else { return Ok(Progress::Done) };
            let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else {
                return Ok(Progress::WaitsForContent);
            };
            match frame.transpose().map_err(Broken::Content)?.map(Frame::into_data) {
                Some(Ok(piece)) => self.take(piece)?,
                Some(Err(frame)) => self.end(frame.into_trailers().ok())?,
                None => self.end(None)?,
            }
        }
    }

    /// Whether anything has left since the last time that this was asked.
    pub fn has_moved(&mut self) -> bool {
        std::mem::take(&mut self.has_moved)
    }

    pub fn reset(&mut self, reason: Reason) {
        self.stream.send_reset(reason);
    }

    fn take(&mut self, piece: Bytes) -> Result<(), Broken> {
        if let Some(rest) = &mut self.rest {
            *rest = rest.checked_sub(piece.len() as u64).ok_or_else(wrong_length)?;
        }
        if self.body.as_ref().is_some_and(Body::is_end_stream) {
            if piece.is_empty() {
                return self.end(None);
            }
            self.ends_here()?;
        }
        self.stream.reserve_capacity(piece.len());
        self.piece = piece;
        Ok(())
    }

    fn ends_here(&mut self) -> Result<(), Broken> {
        if self.rest.is_some_and(|rest| rest > 0) {
            return Err(wrong_length());
        }
        self.body = None;
        Ok(())
    }

    /// Hands on as much of the piece as there is room for.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        let room = ready!(poll_room(&mut self.stream, cx))?;
        let part = self.piece.split_to(room.min(self.piece.len()));
        let is_end = self.piece.is_empty() && self.body.is_none();
        Poll::Ready(self.stream.send_data(part, is_end))
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Broken> {
        self.ends_here()?;
        self.has_moved = true;
        let sent = match trailers {
            None => self.stream.send_data(Bytes::new(), true),
            Some(mut trailers) => {
                let unfit: Vec<_> = trailers.keys().filter(|name| !may_trail(name)).cloned().collect();
                for name in unfit {
                    trailers.remove(name);
                }
                self.stream.send_trailers(trailers)
            }
        };
        sent.map_err(|_gone| Broken::Left)
    }
}

/// Framing, routing and the like must not come behind the content (RFC 9110 §6.5.1), nor what a client may not claim in
/// front of it.
pub fn may_trail(name: &http::HeaderName) -> bool {
    !matches!(
        name.as_str(),
        "transfer-encoding"
            | "content-length"
            | "host"
            | "connection"
            | "keep-alive"
            | "proxy-connection"
            | "trailer"
            | "te"
            | "upgrade"
            | "forwarded"
            | "x-forwarded-for"
            | "x-forwarded-host"
            | "x-forwarded-proto"
            | "client-cert"
            | "client-cert-chain"
    )
}

fn wrong_length() -> Broken {
    Broken::Content("the content has another length than its head says".into())
}

/// Room for what was asked for, as much as there is.
fn poll_room(stream: &mut SendStream<Bytes>, cx: &mut Context<'_>) -> Poll<Result<usize, h2::Error>> {
    let mut room = stream.capacity();
    while room == 0 {
        room = match ready!(stream.poll_capacity(cx)) {
            Some(room) => room?,
            None => return Poll::Ready(Err(Reason::CANCEL.into())),
        };
    }
    Poll::Ready(Ok(room))
}

/// A message's content as it comes in. However it ends before the other end has said that this is its end, that is an
/// error: a reset without an error (NO_ERROR) too.
#[derive(Debug)]
pub struct Incoming {
    stream: RecvStream,
    /// What is to come, where the head said how much.
    rest: Option<u64>,
    is_content_done: bool,
}

impl Incoming {
    pub fn new(stream: RecvStream, fields: &HeaderMap) -> Self {
        Self { stream, rest: said_length(fields), is_content_done: false }
    }

    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        while !self.is_content_done {
            match ready!(self.stream.poll_data(cx)).transpose()? {
                None => self.is_content_done = true,
                Some(piece) if piece.is_empty() => {}
                Some(piece) => {
                    self.stream.flow_control().release_capacity(piece.len())?;
                    self.rest = self.rest.map(|rest| rest.saturating_sub(piece.len() as u64));
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
            }
        }
        let trailers = ready!(self.stream.poll_trailers(cx))?;
        Poll::Ready(trailers.map(|fields| Ok(Frame::trailers(fields))))
    }

    /// What is still to come, where that is known.
    pub fn rest(&self) -> Option<u64> {
        self.rest
    }

    pub fn is_end(&self) -> bool {
        self.stream.is_end_stream()
    }

    pub fn size_hint(&self) -> SizeHint {
        self.rest.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// The length that a head says.
pub fn said_length(fields: &HeaderMap) -> Option<u64> {
    fields.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()).and_then(|length| length.parse().ok())
}

/// Both directions of a stream as bytes. Dropped before its end, the stream is reset. What it occupies is given back with
/// it.
#[derive(Debug)]
pub struct Joined<Held> {
    outgoing: SendStream<Bytes>,
    incoming: RecvStream,
    /// What was received and not read yet.
    rest: Bytes,
    _held: Held,
}

impl<Held> Joined<Held> {
    pub fn new(outgoing: SendStream<Bytes>, incoming: RecvStream, held: Held) -> Self {
        Self { outgoing, incoming, rest: Bytes::new(), _held: held }
    }
}

impl<Held: Unpin> AsyncRead for Joined<Held> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(self.incoming.poll_data(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(piece) => self.rest = piece.map_err(io::Error::other)?,
            }
        }
        let length = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..length]);
        self.rest.advance(length);
        let released = self.incoming.flow_control().release_capacity(length);
        Poll::Ready(released.map_err(io::Error::other))
    }
}

impl<Held: Unpin> AsyncWrite for Joined<Held> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.outgoing.reserve_capacity(data.len().min(PIECE_MAX));
        let room = ready!(poll_room(&mut self.outgoing, cx)).map_err(io::Error::other)?;
        let part = Bytes::copy_from_slice(&data[..room.min(data.len()).min(PIECE_MAX)]);
        let length = part.len();
        Poll::Ready(self.outgoing.send_data(part, false).map(|()| length).map_err(io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A stream that is over already needs no end.
        let _ended = self.outgoing.send_data(Bytes::new(), true);
        Poll::Ready(Ok(()))
    }
}
