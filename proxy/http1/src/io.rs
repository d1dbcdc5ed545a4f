//! A connection's bytes: what has come and was not taken yet, what is to go and was not sent yet.
//!
//! Holds no memory while nothing is under way, so that an idle connection costs next to nothing.

use std::cell::Cell;
use std::future::Future as _;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// What comes first on a quiet connection is read here, and kept in as much memory as it needs.
const FIRST_READ: usize = 8 * 1024;
/// Reads of content grow with what comes, between these.
const READ_MIN: usize = 16 * 1024;
const READ_MAX: usize = 256 * 1024;

/// Both directions of a connection.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Makes the coming close a reset: for content that ends with its connection and is not whole, there is
    /// no other way to tell. Where the protocol below has its own end mark, leaving that out is enough.
    fn abort(&mut self) {}
}

impl Duplex for tokio::net::TcpStream {
    fn abort(&mut self) {
        // Without it the close is an ordinary one; there is nothing better to be done.
        let _set = self.set_zero_linger();
    }
}

impl Duplex for tokio::net::UnixStream {}

impl Duplex for tokio::io::DuplexStream {}

impl<Held: Send + Unpin + 'static> Duplex for starve_http::stream::Joined<Held> {}

// The end mark of TLS is missing when such a stream is dropped (RFC 8446 §6.1).
impl<S: Duplex> Duplex for tokio_rustls::client::TlsStream<S> {}
impl<S: Duplex> Duplex for tokio_rustls::server::TlsStream<S> {}

impl Duplex for Box<dyn Duplex> {
    fn abort(&mut self) {
        (**self).abort();
    }
}

#[derive(Debug)]
pub(crate) struct Io<S> {
    stream: S,
    pub(crate) input: BytesMut,
    out: BytesMut,
    /// A large piece of content, which is not copied, behind `out`; and what frames its end.
    piece: Bytes,
    behind: &'static [u8],
    /// The stream may hold something back, as one with TLS does.
    unflushed: bool,
    read_size: usize,
}

impl<S: Duplex> Io<S> {
    pub(crate) fn new(stream: S, input: BytesMut) -> Self {
        Self {
            stream,
            input,
            out: BytesMut::new(),
            piece: Bytes::new(),
            behind: b"",
            unflushed: false,
            read_size: READ_MIN,
        }
    }

    pub(crate) fn into_parts(self) -> (S, BytesMut) {
        (self.stream, self.input)
    }

    pub(crate) fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Reads what comes next behind `input`; 0 is the end.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if !self.input.is_empty() {
            return self.poll_fill_content(cx);
        }
        // Gives back what the last message needed.
        if self.input.capacity() > 0 {
            self.input = BytesMut::new();
        }
        poll_read_some(&mut self.stream, cx, &mut self.input)
    }

    /// The same for content: straight into the buffer from which it is handed on, without a copy.
    pub(crate) fn poll_fill_content(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.reserve(self.read_size);
        let room = self.input.capacity() - self.input.len();
        let read = ready!(pin!(self.stream.read_buf(&mut self.input)).poll(cx))?;
        if read >= room.min(self.read_size) {
            self.read_size = (self.read_size * 2).min(READ_MAX);
        }
        Poll::Ready(Ok(read))
    }

    /// Whether anything has come, or the other end has closed, on a connection that should be silent.
    pub(crate) fn is_silent(&mut self) -> bool {
        let mut one = [MaybeUninit::uninit(); 1];
        let mut one = ReadBuf::uninit(&mut one);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        self.input.is_empty() && Pin::new(&mut self.stream).poll_read(&mut cx, &mut one).is_pending()
    }

    /// Sends these bytes and, uncopied, a piece with what frames its end. What the system does not take now
    /// is kept; [`Io::poll_flush`] goes on with it. Nothing may be pending.
    ///
    /// The number of bytes that the system has taken tells whether anything has left.
    pub(crate) fn send(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        piece: Option<(Bytes, &'static [u8])>,
    ) -> io::Result<usize> {
        debug_assert!(!self.is_pending(), "something is still to be sent");
        self.unflushed = true;
        let (piece, behind) = piece.unwrap_or_default();
        let sent = if piece.is_empty() {
            Pin::new(&mut self.stream).poll_write(cx, bytes)
        } else {
            let slices = [io::IoSlice::new(bytes), io::IoSlice::new(&piece), io::IoSlice::new(behind)];
            Pin::new(&mut self.stream).poll_write_vectored(cx, &slices)
        };
        let sent = match sent {
            Poll::Ready(Ok(0)) if !bytes.is_empty() => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(sent) => sent?,
            Poll::Pending => 0,
        };
        self.piece = piece;
        self.behind = behind;
        if sent < bytes.len() {
            self.out.extend_from_slice(&bytes[sent..]);
        } else {
            self.advance(sent - bytes.len());
        }
        Ok(sent)
    }

    pub(crate) fn is_pending(&self) -> bool {
        !(self.out.is_empty() && self.piece.is_empty() && self.behind.is_empty())
    }

    pub(crate) fn needs_flush(&self) -> bool {
        self.unflushed || self.is_pending()
    }

    /// Bytes that go out with the next flush, before anything that is sent later.
    pub(crate) fn queue(&mut self, bytes: &[u8]) {
        debug_assert!(self.piece.is_empty(), "inside a piece of content");
        self.out.extend_from_slice(bytes);
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.is_pending() {
            let slices =
                [io::IoSlice::new(&self.out), io::IoSlice::new(&self.piece), io::IoSlice::new(self.behind)];
            let stream = Pin::new(&mut self.stream);
            let sent = if self.piece.is_empty() && self.behind.is_empty() {
                ready!(stream.poll_write(cx, &self.out))?
            } else {
                ready!(stream.poll_write_vectored(cx, &slices))?
            };
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(sent);
        }
        if self.out.capacity() > 0 {
            self.out = BytesMut::new();
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    /// Gives up what the other end does not take.
    pub(crate) fn forget_pending(&mut self) {
        self.out = BytesMut::new();
        self.piece = Bytes::new();
        self.behind = b"";
        self.unflushed = false;
    }

    fn advance(&mut self, mut sent: usize) {
        let from_out = sent.min(self.out.len());
        self.out.advance(from_out);
        sent -= from_out;
        let from_piece = sent.min(self.piece.len());
        self.piece.advance(from_piece);
        self.behind = &self.behind[sent - from_piece..];
        if self.piece.is_empty() {
            // Its memory may be what the next read needs.
            self.piece = Bytes::new();
        }
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Reads what comes next on a quiet connection; 0 is the end. Waiting holds no buffer.
///
/// # Errors
/// Those of the stream.
pub fn poll_read_some<S: Duplex>(
    stream: &mut S,
    cx: &mut Context<'_>,
    input: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    let mut some = [const { MaybeUninit::uninit() }; FIRST_READ];
    let mut some = ReadBuf::uninit(&mut some);
    ready!(Pin::new(stream).poll_read(cx, &mut some))?;
    input.extend_from_slice(some.filled());
    Poll::Ready(Ok(some.filled().len()))
}

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A buffer to put a message together in; the thread's own, so that a message costs no allocation.
///
/// It is taken out while in use: whoever needs one in between gets a new one.
pub(crate) fn with_scratch<T>(use_it: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut scratch = SCRATCH.take();
    scratch.clear();
    let outcome = use_it(&mut scratch);
    SCRATCH.set(scratch);
    outcome
}
