//! The TLS of a listener: versions, certificates by name, client certificates, tickets.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use starve_config::{ClientAuthPlan, TlsPlan, TlsVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificate::{self, TlsError};

/// The TLS of one listener, for all workers. What it was made of can be replaced while connections go on.
#[derive(Clone)]
pub struct Tls(Arc<ArcSwap<Current>>);

struct Current {
    config: Arc<ServerConfig>,
    /// What client certificates are checked against. A session is resumed without another look at the client's
    /// certificate, so tickets are void when this changes.
    authorities: Vec<CertificateDer<'static>>,
}

/// What a reload will put in place.
pub struct Prepared(Current);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").finish_non_exhaustive()
    }
}

impl Tls {
    /// # Errors
    /// A file that is missing or is not PEM, a key that does not fit its certificate, an authority that is none.
    pub fn load(plan: &TlsPlan) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(build(plan, None)?))))
    }

    /// Reads the files anew. Nothing changes until [`Tls::put`].
    ///
    /// # Errors
    /// As [`Tls::load`].
    pub fn prepare(&self, plan: &TlsPlan) -> Result<Prepared, TlsError> {
        build(plan, Some(&self.0.load())).map(Prepared)
    }

    /// New handshakes use this; connections that stand go on with what they have.
    pub fn put(&self, Prepared(next): Prepared) {
        self.0.store(Arc::new(next));
    }

    /// What is allowed but probably not meant, such as a certificate that has expired. One line each.
    pub fn warnings(plan: &TlsPlan, now: SystemTime) -> Vec<String> {
        plan.certificates.iter().filter_map(|pair| certificate::warning(&pair.certificate, now)).collect()
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = self.0.load().config.clone();
        TlsAcceptor::from(config).accept(stream).await
    }
}

fn build(plan: &TlsPlan, before: Option<&Current>) -> Result<Current, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let load = |pair| certificate::load_pair(pair, &provider);
    let certificates = plan.certificates.iter().map(load).collect::<Result<_, _>>()?;
    let authorities = match &plan.client_auth {
        Some(client) => certificate::load_authorities(&client.ca)?,
        None => Vec::new(),
    };
    let versions: &[_] = match plan.min_version {
        TlsVersion::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let verifier = match &plan.client_auth {
        Some(client) => verifier(client, &authorities, &provider)?,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(TlsError::Setup)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(Certificates(certificates)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = ticketer(before, &authorities)?;
    Ok(Current { config: Arc::new(config), authorities })
}

fn verifier(
    plan: &ClientAuthPlan,
    authorities: &[CertificateDer<'static>],
    provider: &Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let roots = Arc::new(certificate::roots(&plan.ca, authorities)?);
    let builder = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
    let builder = if plan.required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| TlsError::Authority { path: plan.ca.clone(), reason: error.to_string() })
}

/// Tickets let clients resume sessions with any worker (RFC 8446 §2.2, RFC 5077). Their keys rotate on their own
/// every six hours and are shared by whatever replaces this configuration, so that a reload costs nobody a full
/// handshake.
fn ticketer(
    before: Option<&Current>,
    authorities: &[CertificateDer<'static>],
) -> Result<Arc<dyn ProducesTickets>, TlsError> {
    match before.filter(|before| before.authorities == authorities) {
        Some(before) => Ok(before.config.ticketer.clone()),
        None => Ticketer::new().map_err(TlsError::Setup),
    }
}

/// Chooses by server name (RFC 6066 §3); the first certificate serves clients that name none, or one
/// that no certificate has.
#[derive(Debug)]
struct Certificates(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Nothing to choose from, nothing to look at.
        if let [only] = &self.0[..] {
            return Some(only.clone());
        }
        let wanted = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let fits = |pair: &&Arc<CertifiedKey>| wanted.as_ref().is_some_and(|name| is_for(pair, name));
        self.0.iter().find(fits).or_else(|| self.0.first()).cloned()
    }
}

fn is_for(pair: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = pair.end_entity_cert().and_then(rustls::server::ParsedCertificate::try_from);
    parsed.is_ok_and(|leaf| rustls::client::verify_server_name(&leaf, name).is_ok())
}
