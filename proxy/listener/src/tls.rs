use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use starve_config::TlsPlan;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read certificates from {path}: {reason}")]
    Certificate { path: PathBuf, reason: String },
    #[error("cannot read a private key from {path}: {reason}")]
    Key { path: PathBuf, reason: String },
    #[error("the key {key} does not belong to the certificate {certificate}")]
    Mismatch { certificate: PathBuf, key: PathBuf },
}

/// The TLS of one listener. Its certificates can be replaced while connections go on.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    certificates: Arc<Certificates>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// # Errors
    /// A file that is missing, is not PEM, or a key that does not fit its certificate.
    pub fn load(plan: &TlsPlan) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let loaded = load_all(plan, &provider)?;
        let certificates = Arc::new(Certificates(ArcSwap::from_pointee(loaded)));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap_or_else(|error| unreachable!("the provider's own versions are supported: {error}"))
            .with_no_client_auth()
            .with_cert_resolver(certificates.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificates })
    }

    /// Reads the certificates anew. On an error those before stay.
    ///
    /// # Errors
    /// As [`Tls::load`].
    pub fn reload(&self, plan: &TlsPlan) -> Result<(), TlsError> {
        let loaded = load_all(plan, &Arc::new(aws_lc_rs::default_provider()))?;
        self.certificates.0.store(Arc::new(loaded));
        Ok(())
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }
}

fn load_all(plan: &TlsPlan, provider: &Arc<CryptoProvider>) -> Result<Vec<Arc<CertifiedKey>>, TlsError> {
    let load = |pair: &starve_config::CertificatePlan| load_one(&pair.certificate, &pair.key, provider);
    plan.certificates.iter().map(load).collect()
}

fn load_one(
    certificate: &Path,
    key: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let unreadable = |reason: String| TlsError::Certificate { path: certificate.to_owned(), reason };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(error.to_string()))?;
    if chain.is_empty() {
        return Err(unreadable("there is none in it".to_owned()));
    }
    let bad_key = |reason: String| TlsError::Key { path: key.to_owned(), reason };
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| bad_key(error.to_string()))?;
    let signer =
        provider.key_provider.load_private_key(secret).map_err(|error| bad_key(error.to_string()))?;
    let pair = CertifiedKey::new(chain, signer);
    match pair.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(Arc::new(pair))
        }
        Err(_) => Err(TlsError::Mismatch { certificate: certificate.to_owned(), key: key.to_owned() }),
    }
}

/// Chooses by server name (RFC 6066 §3); the first certificate serves clients that name none, or one
/// that no certificate has.
#[derive(Debug)]
struct Certificates(ArcSwap<Vec<Arc<CertifiedKey>>>);

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let certificates = self.0.load();
        let wanted = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let fits = |pair: &&Arc<CertifiedKey>| wanted.as_ref().is_some_and(|name| is_for(pair, name));
        certificates.iter().find(fits).or_else(|| certificates.first()).cloned()
    }
}

fn is_for(pair: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = pair.end_entity_cert().and_then(rustls::server::ParsedCertificate::try_from);
    parsed.is_ok_and(|leaf| rustls::client::verify_server_name(&leaf, name).is_ok())
}
