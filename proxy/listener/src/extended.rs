//! Extended CONNECT (RFC 8441): another protocol, as WebSocket, on one stream of an HTTP/2 connection.
//!
//! It is answered as the request to switch protocols that it stands for in HTTP/1.1, so that nothing behind the
//! listener has to know both.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use h2::ext::Protocol;
use http::header::{HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY};
use http::{Method, StatusCode, request, response};
use starve_http::hygiene;
use starve_http1::{OnUpgrade, Rewound};
use tokio::sync::oneshot;

/// Turns an extended CONNECT into a request to switch protocols; where the stream goes when it is agreed to.
pub(crate) fn as_upgrade(head: &mut request::Parts) -> Option<oneshot::Sender<Rewound>> {
    let protocol = head.extensions.remove::<Protocol>()?;
    let name = HeaderValue::from_str(protocol.as_str()).ok()?;
    head.method = Method::GET;
    if name.as_bytes().eq_ignore_ascii_case(b"websocket") {
        // HTTP/2 does without (RFC 8441 §5); a server of HTTP/1.1 wants one.
        head.headers.insert(SEC_WEBSOCKET_KEY, key(fastrand::u128(..).to_be_bytes()));
    }
    hygiene::set_upgrade(&mut head.headers, name);
    let (sender, slot) = OnUpgrade::later();
    head.extensions.insert(slot);
    Some(sender)
}

/// The agreement to switch, in the words of HTTP/2.
pub(crate) fn agree(head: &mut response::Parts) {
    head.status = StatusCode::OK;
    // The other half of the key that HTTP/2 does without.
    head.headers.remove(SEC_WEBSOCKET_ACCEPT);
}

/// Sixteen bytes in base 64 (RFC 6455 §4.1).
fn key(bytes: [u8; 16]) -> HeaderValue {
    HeaderValue::try_from(BASE64_STANDARD.encode(bytes)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_sixteen_bytes_in_base_64() {
        // The example of RFC 6455 §1.3.
        assert_eq!(key(*b"the sample nonce"), "dGhlIHNhbXBsZSBub25jZQ==");
    }

    #[test]
    fn an_extended_connect_becomes_a_request_to_switch() {
        let mut request = http::Request::connect("http://shop.example/chat").body(()).unwrap();
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        let (mut head, ()) = request.into_parts();
        assert!(as_upgrade(&mut head).is_some());
        assert_eq!((&head.method, head.uri.path()), (&Method::GET, "/chat"));
        assert_eq!(head.headers["upgrade"], "websocket");
        assert!(head.headers.contains_key(SEC_WEBSOCKET_KEY));
        let (mut plain, ()) = http::Request::connect("shop.example:443").body(()).unwrap().into_parts();
        assert!(as_upgrade(&mut plain).is_none());
    }
}
