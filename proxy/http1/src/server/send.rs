//! An answer on its way to the client: head and small content in one write, large content uncopied.

use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Response, response};
use http_body::Frame;
use starve_http::BodyError;
use tokio::time::Instant;

use super::{Ended, Limits, Wire, lock};
use crate::encode::{self, Asked, Encoder};
use crate::io::{Duplex, with_scratch};
use crate::timer::LazyTimer;

/// Content up to this is put behind the head into one write.
const COPIED_MAX: usize = 16 * 1024;

/// How the sending came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Whole { keep_alive: bool },
    Broken(Ended),
}

pub(super) struct Sending<B> {
    head: Option<response::Parts>,
    /// Dropped with the last byte that is put together, so that the call is counted before the client has it all.
    body: Option<B>,
    asked: Asked,
    keep_alive: bool,
    encoder: Encoder,
    /// A write is waited for, with the timer set.
    is_stalled: bool,
}

enum Next {
    /// The bytes that were copied, and a piece that is not, with what frames its end.
    Send(Option<(Bytes, &'static [u8])>),
    /// The body has nothing at the moment.
    Wait,
}

impl<B> Sending<B>
where
    B: http_body::Body<Data = Bytes, Error = BodyError> + Unpin,
{
    pub(super) fn new(response: Response<B>, asked: Asked, keep_alive: bool) -> Self {
        let (head, body) = response.into_parts();
        Self {
            head: Some(head),
            body: Some(body),
            asked,
            keep_alive,
            encoder: Encoder::Nothing,
            is_stalled: false,
        }
    }

    pub(super) fn poll<S: Duplex>(
        &mut self,
        cx: &mut Context<'_>,
        shared: &Mutex<Wire<S>>,
        timer: &mut LazyTimer,
        limits: &Limits,
    ) -> Poll<Sent> {
        loop {
            let mut wire = lock(shared);
            if wire.io.needs_flush() {
                match wire.io.poll_flush(cx) {
                    Poll::Ready(Ok(())) => self.is_stalled = false,
                    Poll::Ready(Err(_)) => return Poll::Ready(Sent::Broken(Ended::ClientGone)),
                    Poll::Pending => return self.poll_stalled(cx, timer, limits),
                }
            }
            if self.body.is_none() {
                return Poll::Ready(Sent::Whole { keep_alive: self.keep_alive });
            }
            // The body may be read from this very connection.
            drop(wire);
            let broken = ready!(with_scratch(|out| self.send_next(cx, shared, out)));
            if let Some(ended) = broken {
                return Poll::Ready(Sent::Broken(ended));
            }
        }
    }

    /// Sends what there is; pending when the body has to be waited for. `Some` is the end of it all.
    fn send_next<S: Duplex>(
        &mut self,
        cx: &mut Context<'_>,
        shared: &Mutex<Wire<S>>,
        out: &mut Vec<u8>,
    ) -> Poll<Option<Ended>> {
        let Ok(next) = self.collect(cx, out) else {
            let mut wire = lock(shared);
            // What was ready goes out; the missing end tells that there was more.
            let _sent = wire.io.send(cx, out, None);
            if self.encoder == Encoder::UntilClose {
                wire.io.stream().abort();
            }
            return Poll::Ready(Some(Ended::CutOff));
        };
        let mut wire = lock(shared);
        match next {
            Next::Wait if wire.has_client_gone(cx) => Poll::Ready(Some(Ended::ClientGone)),
            // An interim answer or a word to go on may have come up meanwhile.
            Next::Wait if wire.io.needs_flush() => Poll::Ready(None),
            Next::Wait => Poll::Pending,
            Next::Send(piece) => Poll::Ready(wire.io.send(cx, out, piece).err().map(|_| Ended::ClientGone)),
        }
    }

    /// Puts head and small content together, until there is enough for a write or the body has to be waited
    /// for. An error means that the content breaks off here.
    fn collect(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<Next, ()> {
        let Some(body) = &mut self.body else { return Ok(Next::Send(None)) };
        if let Some(head) = self.head.take() {
            self.encoder = encode::response(&head, &body.size_hint(), self.asked, self.keep_alive, out);
            self.keep_alive &= self.encoder != Encoder::UntilClose;
        }
        let mut next = None;
        while next.is_none() && !self.encoder.is_complete() {
            let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) else {
                return Ok(if out.is_empty() { Next::Wait } else { Next::Send(None) });
            };
            let Some(frame) = frame else { return self.end(None, out) };
            let piece = match frame.map_err(drop)?.into_data() {
                Ok(piece) => piece,
                Err(frame) => return self.end(Some(&frame), out),
            };
            if out.len() + piece.len() > COPIED_MAX {
                let behind = self.encoder.frame(piece.len(), out).map_err(drop)?;
                next = Some((piece, behind));
            } else if !piece.is_empty() {
                encode::copied(&mut self.encoder, &piece, out).map_err(drop)?;
            }
        }
        if self.encoder.is_complete() {
            self.body = None;
        }
        Ok(Next::Send(next))
    }

    fn end(&mut self, trailers: Option<&Frame<Bytes>>, out: &mut Vec<u8>) -> Result<Next, ()> {
        let trailers = trailers.and_then(Frame::trailers_ref);
        self.encoder.end(trailers, out).map_err(drop)?;
        self.body = None;
        Ok(Next::Send(None))
    }

    fn poll_stalled(&mut self, cx: &mut Context<'_>, timer: &mut LazyTimer, limits: &Limits) -> Poll<Sent> {
        if !std::mem::replace(&mut self.is_stalled, true) {
            timer.set(Instant::now() + limits.send_timeout);
        }
        timer.poll(cx).map(|()| Sent::Broken(Ended::SendTimeout))
    }
}
