//! The answer's body on its way from the guest, and the guest's life with it.

use std::fmt::Display;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use starve_http::{BodyError, Error, ErrorKind};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::task::JoinHandle;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use crate::call::End;

/// Ends the guest when it is dropped, unless it was let go.
pub(crate) struct GuestTask(Option<JoinHandle<()>>);

impl GuestTask {
    pub(crate) fn new(task: JoinHandle<()>) -> Self {
        Self(Some(task))
    }

    /// The guest may go on, up to its deadline.
    fn let_go(&mut self) {
        self.0 = None;
    }
}

impl Drop for GuestTask {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// The error of a [`Target`](starve_http::Target)'s body whose guest broke off or ran over its time.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct BrokenOff {
    kind: ErrorKind,
    message: String,
}

impl BrokenOff {
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl From<Error> for BrokenOff {
    fn from(error: Error) -> Self {
        Self { kind: error.kind(), message: error.chain() }
    }
}

/// A guest that breaks off closes its body as if that were complete. So at a body's end the guest is asked how it
/// ended: one that failed makes the body fail, never look whole.
pub(crate) struct GuestBody {
    function: Arc<str>,
    /// `None` after the end.
    body: Option<HyperOutgoingBody>,
    /// Bytes that the answer's `Content-Length` still promises. Whoever reads the body by its length stops
    /// there and never asks for the end.
    promised: Option<u64>,
    end: oneshot::Receiver<End>,
    task: GuestTask,
}

impl GuestBody {
    /// `promised`: the answer's `Content-Length`; 0 for one that has no body whatever it says.
    pub(crate) fn new(
        function: Arc<str>,
        body: HyperOutgoingBody,
        promised: Option<u64>,
        end: oneshot::Receiver<End>,
        task: GuestTask,
    ) -> Self {
        Self { function, body: Some(body), promised, end, task }
    }

    /// Counts what passes; the guest may live on when all that it promised is there.
    fn passed(&mut self, frame: &Frame<Bytes>) {
        let (Some(promised), Some(data)) = (&mut self.promised, frame.data_ref()) else { return };
        *promised = promised.saturating_sub(data.len() as u64);
        if *promised == 0 {
            self.task.let_go();
        }
    }

    fn failed(&mut self, cause: wasmtime_wasi_http::Error) -> BrokenOff {
        // How the guest ended says more than what that did to the body.
        self.guest_s_failure().unwrap_or_else(|| self.broken_off(&cause))
    }

    /// Nothing for a guest that ended well, or that has finished its body and still runs.
    fn guest_s_failure(&mut self) -> Option<BrokenOff> {
        match self.end.try_recv() {
            Ok(Err(error)) => Some(error.into()),
            Ok(Ok(())) | Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Closed) => Some(self.broken_off(&"its runtime ended")),
        }
    }

    fn broken_off(&self, cause: &dyn Display) -> BrokenOff {
        let message = format!("function {} broke off its answer: {cause}", self.function);
        BrokenOff { kind: ErrorKind::FunctionFailed, message }
    }
}

impl Body for GuestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = match ready!(Pin::new(body).poll_frame(cx)) {
            Some(Ok(frame)) => {
                self.passed(&frame);
                return Poll::Ready(Some(Ok(frame)));
            }
            Some(Err(cause)) => Some(Err(self.failed(cause).into())),
            None => {
                let failure = self.guest_s_failure();
                if failure.is_none() {
                    self.task.let_go();
                }
                failure.map(|failure| Err(failure.into()))
            }
        };
        self.body = None;
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.promised == Some(0) || self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
