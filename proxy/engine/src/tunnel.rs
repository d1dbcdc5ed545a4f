//! Protocol switches (RFC 9110 §7.8), as WebSocket's: when the side agrees with 101, the two connections are
//! joined and bytes go both ways until both ends have closed.

use http::header::HeaderValue;
use http::{StatusCode, Version, request};
use starve_http::{Error, ErrorKind, Response, hygiene};
use starve_http1::{OnUpgrade, Rewound, UpgradeSlot};

use crate::pipeline::ClientBody;
use crate::refusal::Refusal;

/// A client's request to switch, and its end of the connection should the side agree.
#[derive(Debug)]
pub(crate) struct Switch {
    pub(crate) protocol: HeaderValue,
    client: OnUpgrade,
    /// By extended CONNECT, whose success is a tunnel and nothing else (RFC 8441 §4).
    is_extended: bool,
}

impl Switch {
    /// By `Upgrade` in HTTP/1.1, by extended CONNECT in HTTP/2, which the listener has brought into the same form.
    /// HTTP/1.0 has neither. HTTP/2 by upgrade is obsolete (RFC 9113 §3.1), and a way past everything that is done here
    /// with requests: over HTTP/1.1 the call goes on without the wish to switch.
    ///
    /// # Errors
    /// The same by extended CONNECT, which is nothing else without its switch.
    pub(crate) fn asked_for(head: &mut request::Parts) -> Result<Option<Self>, Refusal> {
        if head.version == Version::HTTP_10 {
            return Ok(None);
        }
        let Some(slot) = head.extensions.remove::<UpgradeSlot>() else { return Ok(None) };
        let is_extended = head.version == Version::HTTP_2;
        let protocol = hygiene::upgrade(&head.headers).filter(|asked| !names(asked, b"h2c"));
        match (protocol, slot.take()) {
            (Some(protocol), Some(client)) => Ok(Some(Self { protocol, client, is_extended })),
            _ if is_extended => Err(Refusal::new("bad_request", ErrorKind::BadRequest)),
            _ => {
                head.headers.remove("http2-settings");
                Ok(None)
            }
        }
    }
}

/// Whether a list of protocols has one of this name (RFC 9110 §7.8).
fn names(list: &HeaderValue, protocol: &[u8]) -> bool {
    list.as_bytes().split(|byte| *byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(protocol))
}

/// The two ends that are to be joined when the client has got its 101.
#[derive(Debug)]
pub(crate) struct Tunnel {
    protocol: HeaderValue,
    client: OnUpgrade,
    server: OnUpgrade,
}

/// Takes the server's end out of a 101; every other answer passes.
///
/// # Errors
/// The side switches protocols though nobody asked for it, or answers a request that would succeed only by a switch
/// as if that had been something else.
pub(crate) fn split(
    mut response: Response,
    switch: Option<Switch>,
) -> Result<(Response, Option<Tunnel>), Error> {
    let wrong = |context| Error::new(ErrorKind::Protocol, context);
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let is_success = response.status().is_success();
        if is_success && switch.is_some_and(|switch| switch.is_extended) {
            return Err(wrong("an answer where another protocol was asked for"));
        }
        return Ok((response, None));
    }
    let Switch { client, protocol: asked, .. } =
        switch.ok_or_else(|| wrong("101 without a request to switch"))?;
    let protocol = hygiene::upgrade(response.headers()).ok_or_else(|| wrong("101 without Upgrade"))?;
    if !names(&asked, protocol.as_bytes()) {
        return Err(wrong("101 to a protocol that was not asked for"));
    }
    let server = response.extensions_mut().remove::<UpgradeSlot>().and_then(|slot| slot.take());
    let server = server.ok_or_else(|| wrong("101 on a connection that cannot switch"))?;
    Ok((response, Some(Tunnel { protocol, client, server })))
}

impl Tunnel {
    /// Sends the 101 on its way and joins the ends behind it. The tunnel counts as a request in flight.
    pub(crate) fn open(self, mut response: http::Response<ClientBody>) -> http::Response<ClientBody> {
        let Self { protocol, client, server } = self;
        hygiene::set_upgrade(response.headers_mut(), protocol);
        let held = response.body_mut().observer_mut().and_then(|exchange| exchange.leave_http());
        // Ends when both sides have closed or either breaks off, at the latest with the worker.
        tokio::spawn(async move {
            if let (Some(client), Some(server)) = (client.upgraded().await, server.upgraded().await) {
                join(client, server).await;
            }
            drop(held);
        });
        response
    }
}

async fn join(mut client: Rewound, mut server: Rewound) {
    // A tunnel that breaks off is broken at both ends; there is nobody to tell.
    let _bytes = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}
