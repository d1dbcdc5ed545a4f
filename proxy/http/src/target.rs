use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;

use crate::{Error, Request, Response};

pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
pub type ResponseFuture = BoxFuture<Result<Response, Error>>;

/// Stands in the extensions of a request that is a copy: nobody waits for its answer, so it must not take
/// from a call the place that it needs.
#[derive(Clone, Copy, Debug)]
pub struct Copied;

/// Stands in the extensions of a request whose side wants to be told the two ends of the client's connection.
#[derive(Clone, Copy, Debug)]
pub struct ClientConnection {
    pub peer: SocketAddr,
    /// Unspecified where it is not known.
    pub local: SocketAddr,
}

impl From<SocketAddr> for ClientConnection {
    fn from(peer: SocketAddr) -> Self {
        let unspecified = match peer.ip().to_canonical() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Self { peer, local: SocketAddr::new(unspecified, 0) }
    }
}

/// Whatever answers a request: an upstream, or a function on any host.
///
/// The answer's body streams; dropping the future or the body cancels the call. A target keeps its own
/// limits on time, concurrency and memory and reports a failure as an [`Error`], never as an answer that
/// it made up.
pub trait Target: fmt::Debug + Send + Sync {
    fn call(&self, request: Request) -> ResponseFuture;

    /// The same for a caller that looks at nothing of the answer but its status and, of a redirect, its fields: those of
    /// every other answer may come as [`Verbatim`](crate::Verbatim).
    fn call_verbatim(&self, request: Request) -> ResponseFuture {
        self.call(request)
    }
}
