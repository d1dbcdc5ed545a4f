//! Who a client has shown to be by its certificate, as a field for the server behind (RFC 9440).

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::Request;
use http::header::{HeaderName, HeaderValue};
use starve_http::Body;
use starve_http1::Answer;
use tokio_rustls::server::TlsStream;

use crate::activity::InFlight;
use crate::connection::{Handler, Peer};

/// Stands in the extensions of each request of a client whose certificate was verified and is to be passed on.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    pub name: HeaderName,
    /// The certificate as a byte sequence of structured fields (RFC 8941 §3.3.5).
    pub value: HeaderValue,
}

impl ClientCertificate {
    /// `None`: it has shown none.
    pub(crate) fn of<S>(stream: &TlsStream<S>, name: &HeaderName) -> Option<Arc<Self>> {
        let leaf = stream.get_ref().1.peer_certificates()?.first()?;
        let value = HeaderValue::try_from(format!(":{}:", BASE64_STANDARD.encode(leaf))).ok()?;
        Some(Arc::new(Self { name: name.clone(), value }))
    }
}

/// Tells each request of a connection who its client is.
#[derive(Clone)]
pub(crate) struct Identified<H> {
    pub(crate) handler: H,
    pub(crate) certificate: Option<Arc<ClientCertificate>>,
}

impl<H: Handler> Handler for Identified<H> {
    type Body = H::Body;

    fn handle(&self, mut request: Request<Body>, peer: Peer, in_flight: InFlight) -> Answer<Self::Body> {
        if let Some(certificate) = &self.certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        self.handler.handle(request, peer, in_flight)
    }
}
