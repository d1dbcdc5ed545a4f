//! A connection that leaves HTTP (RFC 9110 §7.8): what is left of it is bytes in both directions.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use crate::io::Duplex;

/// The end of a connection that leaves HTTP; at the client's side it is there when the 101 has been sent.
#[derive(Debug)]
pub struct OnUpgrade(oneshot::Receiver<Rewound>);

impl OnUpgrade {
    /// The connection, or `None` when it was not switched after all.
    pub async fn upgraded(self) -> Option<Rewound> {
        self.0.await.ok()
    }

    /// For a connection that is handed over later, if at all.
    pub fn later() -> (oneshot::Sender<Rewound>, UpgradeSlot) {
        let (sender, receiver) = oneshot::channel();
        (sender, UpgradeSlot(Arc::new(Mutex::new(Some(Self(receiver))))))
    }

    /// For a connection that has left HTTP.
    pub fn now(upgraded: Rewound) -> UpgradeSlot {
        let (sender, slot) = Self::later();
        // The receiver is in the slot.
        let _sent = sender.send(upgraded);
        slot
    }
}

/// Stands in the extensions of a request that asks to switch, and of the answer that agrees. Extensions must be cloneable; the end of a connection is not, so the first one to take it has it.
#[derive(Clone, Debug)]
pub struct UpgradeSlot(Arc<Mutex<Option<OnUpgrade>>>);

impl UpgradeSlot {
    /// The end of the connection, once.
    pub fn take(&self) -> Option<OnUpgrade> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A stream of which more was read than the last reader used.
pub struct Rewound {
    stream: Box<dyn Duplex>,
    read_ahead: BytesMut,
}

impl Rewound {
    pub fn new(stream: impl Duplex, read_ahead: BytesMut) -> Self {
        Self { stream: Box::new(stream), read_ahead }
    }
}

impl fmt::Debug for Rewound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rewound").field("read_ahead", &self.read_ahead.len()).finish_non_exhaustive()
    }
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read_ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let length = self.read_ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.read_ahead[..length]);
        self.read_ahead.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
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
        Pin::new(&mut self.stream).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
