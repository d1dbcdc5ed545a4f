//! `timeout` of a route: how long either side may take to the head of its answer.

use std::sync::Arc;
use std::time::Duration;

use starve_http::{Error, ErrorKind, Request, ResponseFuture, Target};
use starve_migration::Side;

#[derive(Debug)]
pub(crate) struct Timed {
    inner: Arc<dyn Target>,
    timeout: Duration,
    kind: ErrorKind,
}

impl Timed {
    /// The side itself where the route sets no time.
    pub(crate) fn around(inner: Arc<dyn Target>, timeout: Option<Duration>, side: Side) -> Arc<dyn Target> {
        let Some(timeout) = timeout else { return inner };
        let kind = match side {
            Side::Legacy => ErrorKind::ResponseTimeout,
            Side::Function => ErrorKind::FunctionTimeout,
        };
        Arc::new(Self { inner, timeout, kind })
    }

    fn within_time(&self, call: ResponseFuture) -> ResponseFuture {
        let (timeout, kind) = (self.timeout, self.kind);
        Box::pin(async move {
            let late = || Error::new(kind, format!("no answer in {timeout:?}, the route's timeout"));
            tokio::time::timeout(timeout, call).await.unwrap_or_else(|_elapsed| Err(late()))
        })
    }
}

impl Target for Timed {
    fn call(&self, request: Request) -> ResponseFuture {
        self.within_time(self.inner.call(request))
    }

    fn call_verbatim(&self, request: Request) -> ResponseFuture {
        self.within_time(self.inner.call_verbatim(request))
    }
}
