//! The origin's end of a connection: over TCP, TLS or a unix socket, cut at any byte.

use std::io;
use std::net::TcpListener as StdListener;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_rustls::TlsAcceptor;

pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Where the proxy connects to.
pub(super) enum Door {
    Tcp(TcpListener),
    Tls(TcpListener, TlsAcceptor),
    Unix(UnixListener),
}

impl Door {
    pub(super) fn tcp(tls: Option<TlsAcceptor>) -> (Self, u16) {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        // Connections have it from here: they hold little, so that a reader who stops is soon noticed.
        let socket = socket2::SockRef::from(&listener);
        socket.set_recv_buffer_size(128 * 1024).unwrap();
        socket.set_send_buffer_size(128 * 1024).unwrap();
        let port = listener.local_addr().unwrap().port();
        let listener = TcpListener::from_std(listener).unwrap();
        (if let Some(tls) = tls { Self::Tls(listener, tls) } else { Self::Tcp(listener) }, port)
    }

    pub(super) fn unix(path: &Path) -> Self {
        Self::Unix(UnixListener::bind(path).unwrap())
    }

    /// The next connection; an error when it came to nothing.
    pub(super) async fn accept(&self) -> io::Result<Line> {
        match self {
            Self::Tcp(listener) => {
                let (stream, hand) = by_hand(listener.accept().await?.0)?;
                Ok(Line::new(stream, Some(hand)))
            }
            Self::Tls(listener, tls) => {
                let (stream, hand) = by_hand(listener.accept().await?.0)?;
                Ok(Line::new(tls.accept(stream).await?, Some(hand)))
            }
            Self::Unix(listener) => Ok(Line::new(listener.accept().await?.0, None)),
        }
    }
}

/// The connection, and a second hand on it by which it can be reset.
fn by_hand(stream: TcpStream) -> io::Result<(TcpStream, std::net::TcpStream)> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    let hand = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, hand))
}

pub(super) struct Line {
    stream: Box<dyn Duplex>,
    pub(super) hand: Hand,
}

/// Counts what is written, and can end it.
#[derive(Clone, Debug)]
pub(super) struct Hand {
    tcp: Option<Arc<std::net::TcpStream>>,
    written: Arc<AtomicU64>,
    limit: Arc<AtomicU64>,
}

impl Hand {
    /// From now on the end of the connection is a reset. A unix socket knows none: it just ends.
    pub(super) fn reset_at_end(&self) {
        if let Some(tcp) = &self.tcp {
            socket2::SockRef::from(&**tcp).set_linger(Some(Duration::ZERO)).unwrap();
        }
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(SeqCst)
    }

    /// Only so many bytes more get through.
    pub(super) fn allow(&self, bytes: u64) {
        self.limit.store(self.written() + bytes, SeqCst);
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.written() >= self.limit.load(SeqCst)
    }
}

impl Line {
    fn new(stream: impl Duplex + 'static, tcp: Option<std::net::TcpStream>) -> Self {
        let hand = Hand {
            tcp: tcp.map(Arc::new),
            written: Arc::default(),
            limit: Arc::new(AtomicU64::new(u64::MAX)),
        };
        Self { stream: Box::new(stream), hand }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let room = self.hand.limit.load(SeqCst) - self.hand.written();
        if room == 0 {
            // Silence; whoever set the limit ends the connection.
            return Poll::Pending;
        }
        let bytes = &bytes[..bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = outcome {
            self.hand.written.fetch_add(written as u64, SeqCst);
        }
        outcome
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
