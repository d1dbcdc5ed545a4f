//! One request on a connection, up to the head of its answer.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, StatusCode, Uri, response};
use http_body::Body as _;
use starve_config::ServerPlan;
use starve_http::stream::{Broken, Outgoing, Progress, said_length};
use starve_http::{Body, Error, ErrorKind, Request};
use starve_http1::{LazyTimer, interim};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::Lease;
use super::switch::Switch;
use crate::send::kind_of_body;
use crate::server::Server;

/// Interim answers to one request; a server that sends more is broken.
const INTERIM_MAX: usize = 64;

pub(super) enum Failed {
    /// Not one byte was sent.
    Unsent,
    /// The server says that it has not looked at it.
    Refused(Error),
    Broken(Error),
}

/// An answer whose content is still to come.
pub(super) struct Answered {
    pub(super) head: response::Parts,
    pub(super) content: RecvStream,
    pub(super) upload: Option<Upload>,
    pub(super) lease: Lease,
    /// The request was one to switch protocols, and the way to the server is still open.
    pub(super) switch: Option<(Switch, SendStream<Bytes>)>,
}

/// A request that is still being sent while its answer comes: by a task of its own, so that neither direction waits for
/// the other. Dropped when the answer has ended, it goes on as long as the server makes room.
pub(super) struct Upload {
    task: AbortHandle,
    /// Tells the task by its end that the answer has ended.
    _answering: oneshot::Sender<()>,
}

impl Upload {
    /// `patience`: how long a server that has answered may make no room for the rest.
    fn go_on(mut content: Outgoing<Body>, patience: Duration) -> Self {
        let (answering, mut answered) = oneshot::channel();
        let mut has_answered = false;
        let mut timer = LazyTimer::new(Instant::now());
        // Ends with the request or the stream, or is ended with the answer.
        let task = tokio::spawn(async move {
            let is_whole = poll_fn(|cx| match content.poll(cx) {
                Ok(Progress::Done) | Err(Broken::Left) => Poll::Ready(true),
                Err(Broken::Content(_)) => Poll::Ready(false),
                Ok(progress) => {
                    let is_first = !has_answered && Pin::new(&mut answered).poll(cx).is_ready();
                    has_answered |= is_first;
                    if content.has_moved() || is_first {
                        timer.set(Instant::now() + patience);
                    }
                    let is_stalled = has_answered && progress == Progress::WaitsForRoom;
                    if is_stalled { timer.poll(cx).map(|()| false) } else { Poll::Pending }
                }
            });
            if !is_whole.await {
                content.reset(Reason::CANCEL);
            }
        });
        Self { task: task.abort_handle(), _answering: answering }
    }

    /// Nobody waits for the answer any more.
    pub(super) fn cancel(&self) {
        self.task.abort();
    }
}

pub(super) async fn exchange(server: &Server, lease: Lease, request: Request) -> Result<Answered, Failed> {
    let (mut parts, body) = request.into_parts();
    let switch = Switch::of(&mut parts);
    let (head, body) = write(server, Request::from_parts(parts, body))?;
    let mut sender = lease.0.sender.clone();
    if poll_fn(|cx| sender.poll_ready(cx)).await.is_err() {
        lease.0.state.is_retired.store(true, Relaxed);
        return Err(Failed::Unsent);
    }
    let (is_empty, length) = (body.is_end_stream(), said_length(head.headers()));
    let (answer, stream) = match sender.send_request(head, is_empty && switch.is_none()) {
        Ok(begun) => begun,
        Err(error) => {
            // It closes, or has used up its numbers; in no case is it of further use.
            lease.0.state.is_retired.store(true, Relaxed);
            if error.is_io() || error.is_go_away() || error.is_reset() {
                return Err(Failed::Unsent);
            }
            let context = format!("the request cannot be written in HTTP/2 for {}", server.authority);
            return Err(Failed::Broken(Error::new(ErrorKind::BadRequest, context).with_source(error)));
        }
    };
    let Some(switch) = switch else {
        let content = (!is_empty).then(|| Outgoing::new(stream, body, length));
        return wait(server, lease, answer, content).await;
    };
    let answered = wait(server, lease, answer, None).await?;
    Ok(Answered { switch: Some((switch, stream)), ..answered })
}

/// Sends the content and waits for the head of the answer, whichever comes first.
async fn wait(
    server: &Server,
    lease: Lease,
    mut answer: ResponseFuture,
    mut content: Option<Outgoing<Body>>,
) -> Result<Answered, Failed> {
    let limit = server.timeouts.first_byte;
    let mut timer = LazyTimer::new(Instant::now() + limit);
    let mut interims = 0;
    let outcome = poll_fn(|cx| {
        if let Some(sending) = &mut content {
            match sending.poll(cx) {
                Ok(Progress::Done) => content = None,
                Ok(_) => {}
                // Why shows in the answer.
                Err(Broken::Left) => content = None,
                Err(Broken::Content(error)) => {
                    sending.reset(Reason::CANCEL);
                    let kind = kind_of_body(error.as_ref());
                    let context = format!("exchange with {}", server.authority);
                    return Poll::Ready(Err(Failed::Broken(Error::new(kind, context).with_source(error))));
                }
            }
            if content.as_mut().is_none_or(Outgoing::has_moved) {
                timer.set(Instant::now() + limit);
            }
        }
        while let Poll::Ready(Some(Ok(head))) = answer.poll_informational(cx) {
            interims += 1;
            // HTTP/2 has no 101 (RFC 9113 §8.6); passed on it would switch the client's connection.
            if interims > INTERIM_MAX || head.status() == StatusCode::SWITCHING_PROTOCOLS {
                let context = format!("interim answers from {} that there cannot be", server.authority);
                return Poll::Ready(Err(Failed::Broken(Error::new(ErrorKind::Protocol, context))));
            }
            // The client was told to go on when its content was first asked for.
            if head.status() != StatusCode::CONTINUE {
                interim::pass(&head.into_parts().0);
            }
        }
        match Pin::new(&mut answer).poll(cx) {
            Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(failed(server, error))),
            Poll::Pending => timer.poll(cx).map(|()| {
                // Should the whole connection be dead, the next request finds another one.
                lease.0.state.is_retired.store(true, Relaxed);
                let context = format!("no answer from {} in {limit:?}", server.authority);
                Err(Failed::Broken(Error::new(ErrorKind::ResponseTimeout, context)))
            }),
        }
    });
    let (head, incoming) = outcome.await?.into_parts();
    lease.0.state.heard.fetch_add(1, Relaxed);
    let upload = content.map(|content| Upload::go_on(content, server.timeouts.idle));
    Ok(Answered { head, content: incoming, upload, lease, switch: None })
}

/// The request as HTTP/2 wants it (RFC 9113 §8.3.1): the target with scheme and authority, no `Host`.
fn write(server: &Server, request: Request) -> Result<(http::Request<()>, Body), Failed> {
    let (mut head, body) = request.into_parts();
    let host = head.headers.remove(HOST);
    let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    head.uri = absolute(server, &head.uri, authority).map_err(Failed::Broken)?;
    head.version = http::Version::HTTP_2;
    let says_length =
        !body.is_end_stream() || matches!(head.method, Method::POST | Method::PUT | Method::PATCH);
    if let Some(length) = body.size_hint().exact().filter(|_| says_length)
        && !head.headers.contains_key(CONTENT_LENGTH)
    {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok((http::Request::from_parts(head, ()), body))
}

fn absolute(server: &Server, own: &Uri, authority: Option<Authority>) -> Result<Uri, Error> {
    let mut parts = http::uri::Parts::default();
    let is_tls = matches!(server.dialer.server, ServerPlan::Https { .. });
    parts.scheme = Some(if is_tls { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = authority.or_else(|| Authority::try_from(&*server.authority).ok());
    parts.path_and_query = own.path_and_query().cloned().or(Some(PathAndQuery::from_static("/")));
    Uri::from_parts(parts).map_err(|error| {
        Error::new(ErrorKind::BadRequest, "the target cannot be written in HTTP/2").with_source(error)
    })
}

fn failed(server: &Server, error: h2::Error) -> Failed {
    let is_refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    if error.is_remote() && (is_refused || error.is_go_away()) {
        let context = format!("{} refused the request", server.authority);
        return Failed::Refused(Error::new(ErrorKind::Incomplete, context).with_source(error));
    }
    let kind = if error.is_library() { ErrorKind::Protocol } else { ErrorKind::Incomplete };
    Failed::Broken(Error::new(kind, format!("exchange with {}", server.authority)).with_source(error))
}
