//! One exchange with one server, and when it may be tried again.

use std::error::Error as _;
use std::sync::Arc;

use hyper::body::Incoming;
use starve_http::{Error, ErrorKind, Request, Response, duplicate};

use crate::answer::{Answer, InUse};
use crate::connect::{Sender, connect};
use crate::upstream::Server;

/// Sends a request to a server over an idle connection or a new one.
///
/// An idle connection may be closed by the server in the very moment of its use. A request of which
/// nothing was sent goes to the next connection, whatever its method; one that may have been read is
/// sent again, once and over a new connection, only if that cannot do harm (RFC 9110 §9.2.2).
pub(crate) async fn send(server: &Arc<Server>, mut request: Request) -> Result<Response, Error> {
    let in_use = InUse::new(server.clone());
    while let Some(sender) = server.pool.take() {
        let copy = request.method().is_idempotent().then(|| duplicate(&request)).flatten();
        match exchange(server, sender, request).await {
            Ok((head, body, sender)) => return Ok(finish(server, head, body, sender, in_use)),
            Err(Failed::Unsent(unsent)) => request = unsent,
            Err(Failed::Broken(error)) => match copy.filter(|_| error.kind() == ErrorKind::Incomplete) {
                Some(copy) => {
                    server.note_retry();
                    request = copy;
                    break;
                }
                None => return Err(error),
            },
        }
    }
    // Boxed: the room for name look-up and handshakes would be carried by every request.
    let sender = match Box::pin(connect(&server.plan, server.timeouts)).await {
        Ok(sender) => sender,
        Err(error) => return Err(error.with_unsent(request)),
    };
    match exchange(server, sender, request).await {
        Ok((head, body, sender)) => Ok(finish(server, head, body, sender, in_use)),
        Err(Failed::Unsent(unsent)) => Err(incomplete(server).with_unsent(unsent)),
        Err(Failed::Broken(error)) => Err(error),
    }
}

fn finish(
    server: &Server,
    head: http::response::Parts,
    body: Incoming,
    sender: Sender,
    in_use: InUse,
) -> Response {
    Response::from_parts(head, Answer::body(body, sender, in_use, server.timeouts.idle))
}

enum Failed {
    /// Not one byte was sent.
    Unsent(Request),
    Broken(Error),
}

async fn exchange(
    server: &Server,
    mut sender: Sender,
    request: Request,
) -> Result<(http::response::Parts, Incoming, Sender), Failed> {
    let answer = tokio::time::timeout(server.timeouts.first_byte, sender.try_send_request(request)).await;
    match answer {
        Ok(Ok(response)) => {
            let (head, body) = response.into_parts();
            Ok((head, body, sender))
        }
        Ok(Err(mut error)) => match error.take_message() {
            Some(request) => Err(Failed::Unsent(request)),
            None => Err(Failed::Broken(broken(server, error.into_error()))),
        },
        Err(_elapsed) => {
            let context = format!("no answer from {} in {:?}", server.authority, server.timeouts.first_byte);
            Err(Failed::Broken(Error::new(ErrorKind::ResponseTimeout, context)))
        }
    }
}

fn broken(server: &Server, error: hyper::Error) -> Error {
    // A body that fails on our side of the connection is the client's: hyper reports it as "user".
    let kind = if error.is_parse() {
        ErrorKind::Protocol
    } else if is_over_limit(&error) {
        ErrorKind::BodyTooLarge
    } else if error.is_user() || error.is_body_write_aborted() {
        ErrorKind::ClientGone
    } else {
        ErrorKind::Incomplete
    };
    Error::new(kind, format!("exchange with {}", server.authority)).with_source(error)
}

/// Whether the request's body turned out to be longer than the proxy lets through.
fn is_over_limit(error: &hyper::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn incomplete(server: &Server) -> Error {
    Error::new(ErrorKind::Incomplete, format!("connection to {} closed before the request", server.authority))
}
