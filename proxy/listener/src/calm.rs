//! An HTTP/2 client's stream that keeps the [account](crate::frames) of its frames, and ends the connection of one that
//! floods it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::accept::Counters;
use crate::activity::Activity;
use crate::frames::{Account, Flood, FrameLimits};

#[derive(Debug)]
pub(crate) struct Calm<S> {
    stream: S,
    account: Account,
    activity: Arc<Activity>,
    counters: Arc<Counters>,
}

impl<S: AsyncWrite + Unpin> Calm<S> {
    pub(crate) fn new(
        stream: S,
        limits: FrameLimits,
        activity: Arc<Activity>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { stream, account: Account::new(limits), activity, counters }
    }

    /// Says goodbye as far as that goes without waiting; the reader then ends the connection.
    fn end(&mut self, cx: &mut Context<'_>, flood: Flood) -> io::Error {
        let counter = match flood {
            Flood::Resets => &self.counters.http2_resets,
            Flood::ControlFrames => &self.counters.http2_control_frames,
        };
        counter.fetch_add(1, Relaxed);
        if let Some(goodbye) = self.account.goaway() {
            // A client that takes nothing is not waited for.
            let _said = Pin::new(&mut self.stream).poll_write(cx, &goodbye);
            let _sent = Pin::new(&mut self.stream).poll_flush(cx);
        }
        io::Error::other(match flood {
            Flood::Resets => "the client resets too many streams",
            Flood::ControlFrames => "the client sends too many frames that carry nothing",
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Calm<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(cx, buffer);
        let new = buffer.filled().get(before..).unwrap_or_default();
        if !new.is_empty() {
            if let Err(flood) = this.account.received(new, this.activity.heard()) {
                return Poll::Ready(Err(this.end(cx, flood)));
            }
            this.activity.note_head(this.account.head());
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Calm<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let result = Pin::new(&mut this.stream).poll_write(cx, data);
        if let Poll::Ready(Ok(written)) = result {
            this.account.sent(&data[..written]);
            this.activity.taken();
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let result = Pin::new(&mut this.stream).poll_write_vectored(cx, data);
        if let Poll::Ready(Ok(written)) = result {
            let mut rest = written;
            for slice in data {
                let part = rest.min(slice.len());
                this.account.sent(&slice[..part]);
                rest -= part;
            }
            this.activity.taken();
        }
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
