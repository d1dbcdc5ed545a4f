//! Another protocol, as WebSocket, on one stream of a connection: extended CONNECT (RFC 8441).
//!
//! Behind this the request is one to switch protocols as HTTP/1.1 has it, and so is the answer.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::{Bytes, BytesMut};
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE,
};
use http::{Method, StatusCode, request, response};
use http_body::Body as _;
use sha1::{Digest as _, Sha1};
use starve_http::stream::Joined;
use starve_http::{Request, hygiene};
use starve_http1::{OnUpgrade, Rewound};

use super::Lease;
use crate::pool::InUse;

/// What a server proves with that it has read the key (RFC 6455 §1.3).
const PROOF: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A switch that a server is asked for.
pub(super) struct Switch {
    protocol: HeaderValue,
    /// The client wants proof that it was read; HTTP/2 does without (RFC 8441 §5).
    key: Option<HeaderValue>,
}

impl Switch {
    /// Whether a request asks for one that HTTP/2 can say: it has no room for a method, content or a choice.
    pub(super) fn can_be_asked_for(request: &Request) -> bool {
        *request.method() == Method::GET && request.body().is_end_stream() && protocol(request).is_some()
    }

    /// Turns the request into one by extended CONNECT, if it is to switch.
    pub(super) fn of(head: &mut request::Parts) -> Option<Self> {
        let protocol = head.headers.remove(UPGRADE)?;
        head.headers.remove(CONNECTION);
        let key = head.headers.remove(SEC_WEBSOCKET_KEY);
        head.method = Method::CONNECT;
        head.extensions.insert(Protocol::from(protocol.to_str().unwrap_or_default()));
        Some(Self { protocol, key })
    }

    /// The agreement of a server, in the words of HTTP/1.1. The stream goes to whoever takes the switch, and is counted on
    /// its connection until it ends.
    pub(super) fn agreed(
        self,
        mut head: response::Parts,
        outgoing: SendStream<Bytes>,
        incoming: RecvStream,
        held: (Lease, InUse),
    ) -> response::Parts {
        head.status = StatusCode::SWITCHING_PROTOCOLS;
        head.headers.remove(CONTENT_LENGTH);
        hygiene::set_upgrade(&mut head.headers, self.protocol);
        if let Some(key) = self.key {
            head.headers.insert(SEC_WEBSOCKET_ACCEPT, proof(&key));
        }
        let stream = Joined::new(outgoing, incoming, held);
        head.extensions.insert(OnUpgrade::now(Rewound::new(stream, BytesMut::new())));
        head
    }
}

/// The one protocol that a request asks for.
fn protocol(request: &Request) -> Option<&str> {
    let asked = request.headers().get(UPGRADE)?.to_str().ok()?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-./_".contains(&byte);
    (!asked.is_empty() && asked.bytes().all(is_token)).then_some(asked)
}

fn proof(key: &HeaderValue) -> HeaderValue {
    let hash = Sha1::new().chain_update(key.as_bytes()).chain_update(PROOF).finalize();
    HeaderValue::try_from(BASE64_STANDARD.encode(hash)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use starve_http::Body;

    use super::*;

    fn asks(protocol: &str) -> Request {
        let request = http::Request::builder().header(UPGRADE, protocol).header(CONNECTION, "upgrade");
        request.header(SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==").body(Body::empty()).unwrap()
    }

    #[test]
    fn the_proof_is_that_of_the_standard() {
        // The example of RFC 6455 §1.3.
        let proof = proof(&HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        assert_eq!(proof, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn one_protocol_by_get_can_be_asked_for_and_nothing_else() {
        assert!(Switch::can_be_asked_for(&asks("websocket")));
        assert!(!Switch::can_be_asked_for(&asks("websocket, other")));
        assert!(!Switch::can_be_asked_for(&asks("")));
        let mut post = asks("websocket");
        *post.method_mut() = Method::POST;
        assert!(!Switch::can_be_asked_for(&post));
        *post.method_mut() = Method::GET;
        *post.body_mut() = Body::from("content");
        assert!(!Switch::can_be_asked_for(&post));
    }

    #[test]
    fn a_request_to_switch_becomes_an_extended_connect() {
        let (mut head, _) = asks("websocket").into_parts();
        assert!(Switch::of(&mut head).is_some());
        assert_eq!(head.method, Method::CONNECT);
        assert_eq!(head.extensions.get::<Protocol>().map(Protocol::as_str), Some("websocket"));
        assert!(head.headers.is_empty());
        let (mut plain, _) = Request::new(Body::empty()).into_parts();
        assert!(Switch::of(&mut plain).is_none());
    }
}
