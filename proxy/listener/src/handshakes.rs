//! TLS handshakes: so many at once, each within its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::HeaderName;
use starve_http1::Duplex;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::identity::ClientCertificate;
use crate::tls::Tls;

/// The turns of all workers together, and what came of them.
#[derive(Debug)]
pub struct Handshakes {
    turns: Semaphore,
    /// For a whole handshake, waiting for its turn included.
    timeout: Duration,
    pub completed: AtomicU64,
    /// Ended by either side: no common version, no certificate, not TLS at all.
    pub failed: AtomicU64,
    /// Not done in time.
    pub timed_out: AtomicU64,
    /// The turn did not come in time.
    pub shed: AtomicU64,
    /// Had to wait for their turn.
    pub waited: AtomicU64,
}

impl Handshakes {
    /// `max` is how many there may be at once.
    pub fn new(max: usize, timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            turns: Semaphore::new(max.min(Semaphore::MAX_PERMITS)),
            timeout,
            completed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
            shed: AtomicU64::new(0),
            waited: AtomicU64::new(0),
        })
    }

    /// `None` when there is nothing to go on with; it is counted why.
    ///
    /// The stream is boxed: its state would be carried from one future to the next.
    /// With the client's certificate, where it has shown one and there is a `field` to pass it on in.
    pub(crate) async fn shake(
        &self,
        tls: &Tls,
        field: Option<&HeaderName>,
        stream: TcpStream,
    ) -> Option<(Box<dyn Duplex>, Option<Arc<ClientCertificate>>)> {
        let deadline = Instant::now() + self.timeout;
        // A client that says nothing takes nobody's turn.
        match timeout_at(deadline, stream.peek(&mut [0; 1])).await {
            Ok(Ok(1..)) => {}
            Ok(_gone) => return counted(&self.failed),
            Err(_elapsed) => return counted(&self.timed_out),
        }
        let _turn = match self.turns.try_acquire() {
            Ok(turn) => turn,
            Err(_) => {
                self.waited.fetch_add(1, Relaxed);
                match timeout_at(deadline, self.turns.acquire()).await {
                    Ok(Ok(turn)) => turn,
                    _ => return counted(&self.shed),
                }
            }
        };
        match timeout_at(deadline, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                self.completed.fetch_add(1, Relaxed);
                let certificate = field.and_then(|name| ClientCertificate::of(&stream, name));
                Some((Box::new(stream), certificate))
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "TLS handshake failed");
                counted(&self.failed)
            }
            Err(_elapsed) => counted(&self.timed_out),
        }
    }
}

fn counted<T>(counter: &AtomicU64) -> Option<T> {
    counter.fetch_add(1, Relaxed);
    None
}
