//! One exchange with one server, and when it may be tried again.

use std::sync::Arc;
use std::time::Duration;

use starve_http::{ClientConnection, Error, ErrorKind, Request, Response};
use starve_http1::{Failed, Fields, TooSlow, Waits, exchange};

use crate::connect::connect;
use crate::limits::Place;
use crate::pool::InUse;
use crate::replay::Spare;
use crate::server::Server;

/// How long a server may think about `Expect: 100-continue`.
const GO_AHEAD: Duration = Duration::from_secs(1);

/// Sends a request to a server over an idle connection or a new one.
///
/// An idle connection may be closed by the server in the very moment of its use. A request of which
/// nothing was sent goes to the next connection, whatever its method; one that may have been read is
/// sent again, once and over a new connection, only if that cannot do harm (RFC 9110 §9.2.2): its method is
/// idempotent, what was sent of its body is still known, and not one byte of an answer had come. Such retries
/// are outside the budget: each of them uses up an idle connection, which an exchange before it has earned.
pub(crate) async fn send(
    server: &Arc<Server>,
    request: &mut Request,
    place: &Place,
    form: Fields,
) -> Result<Response, Error> {
    let waits = Waits {
        first_byte: server.timeouts.first_byte,
        silence: server.timeouts.idle,
        go_ahead: if server.ignores_expectations() { Duration::ZERO } else { GO_AHEAD },
    };
    let may_repeat = request.method().is_idempotent();
    while let Some(connection) = server.pool.take() {
        let spare = may_repeat.then(|| Spare::of(request));
        match exchange(connection, request, waits, form, InUse::new(server, place)).await {
            Ok(response) => return Ok(response),
            Err(failed @ Failed::Unsent(_)) => {
                if spare.is_some_and(|spare| !spare.restore(request)) {
                    return Err(error(server, failed));
                }
            }
            Err(failed @ Failed::Closed(_)) => {
                if !spare.is_some_and(|spare| spare.restore(request)) {
                    return Err(error(server, failed));
                }
                server.note_retry();
                break;
            }
            Err(failed) => return Err(error(server, failed)),
        }
    }
    // Counted from now on, so that servers to which many connect are not taken for idle.
    let in_use = InUse::new(server, place);
    let client = request.extensions().get::<ClientConnection>().copied();
    // Boxed: the room for name look-up and handshakes would be carried by every request.
    let connection = match Box::pin(connect(server, client)).await {
        Ok(connection) => connection,
        Err(error) => return Err(error.with_unsent(std::mem::take(request))),
    };
    match exchange(connection, request, waits, form, in_use).await {
        Ok(response) => Ok(response),
        Err(failed @ Failed::Unsent(_)) => Err(error(server, failed).with_unsent(std::mem::take(request))),
        Err(failed) => Err(error(server, failed)),
    }
}

fn error(server: &Server, failed: Failed) -> Error {
    let kind = match &failed {
        Failed::Unsent(_) | Failed::Closed(_) | Failed::Cut(_) => ErrorKind::Incomplete,
        Failed::Fault(_) => ErrorKind::Protocol,
        Failed::Timeout => {
            let context = format!("no answer from {} in {:?}", server.authority, server.timeouts.first_byte);
            return Error::new(ErrorKind::ResponseTimeout, context);
        }
        Failed::Body(error) => kind_of_body(error.as_ref()),
    };
    Error::new(kind, format!("exchange with {}", server.authority)).with_source(failed)
}

/// A request's body that breaks off is the client's fault, or longer than the proxy lets through.
pub(crate) fn kind_of_body(error: &(dyn std::error::Error + 'static)) -> ErrorKind {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return ErrorKind::BodyTooLarge;
        }
        if error.is::<TooSlow>() {
            return ErrorKind::RequestTimeout;
        }
        cause = error.source();
    }
    ErrorKind::ClientGone
}
