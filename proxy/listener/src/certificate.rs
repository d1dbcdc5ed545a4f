//! The files of TLS: certificates, keys, authorities; each error says which file, and what to do about it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use starve_config::CertificatePlan;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Certificates that end within this time are warned about.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(
        "cannot read certificates from {path}: {reason}; it must be PEM, the server's own certificate first"
    )]
    Certificate { path: PathBuf, reason: String },
    #[error("cannot read a private key from {path}: {reason}")]
    Key { path: PathBuf, reason: String },
    #[error(
        "the key {key} does not belong to the certificate {certificate}; \
         name the one that the certificate was requested with"
    )]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("cannot take {path} as `client-ca`: {reason}")]
    Authority { path: PathBuf, reason: String },
    #[error("TLS cannot be set up: {0}")]
    Setup(#[source] rustls::Error),
}

/// A certificate with its chain and key.
pub(crate) fn load_pair(
    plan: &CertificatePlan,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let CertificatePlan { certificate, key } = plan;
    let chain = read_all(certificate)
        .map_err(|reason| TlsError::Certificate { path: certificate.clone(), reason })?;
    let bad_key = |reason: String| TlsError::Key { path: key.clone(), reason };
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| bad_key(key_reason(key, &error)))?;
    let signer =
        provider.key_provider.load_private_key(secret).map_err(|error| bad_key(error.to_string()))?;
    let pair = CertifiedKey::new(chain, signer);
    match pair.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(Arc::new(pair))
        }
        Err(_) => Err(TlsError::Mismatch { certificate: certificate.clone(), key: key.clone() }),
    }
}

/// The authorities that client certificates are checked against.
pub(crate) fn load_authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    read_all(path).map_err(|reason| TlsError::Authority { path: path.to_owned(), reason })
}

pub(crate) fn roots(path: &Path, authorities: &[CertificateDer<'static>]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots
            .add(authority.clone())
            .map_err(|error| TlsError::Authority { path: path.to_owned(), reason: error.to_string() })?;
    }
    Ok(roots)
}

fn read_all(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| error.to_string())?;
    if all.is_empty() { Err("there is none in it".to_owned()) } else { Ok(all) }
}

fn key_reason(path: &Path, error: &rustls::pki_types::pem::Error) -> String {
    let is_encrypted = || std::fs::read_to_string(path).is_ok_and(|text| text.contains("ENCRYPTED"));
    match error {
        rustls::pki_types::pem::Error::NoItemsFound if is_encrypted() => {
            "it is locked with a passphrase; `openssl pkey -in FILE -out FILE` writes it without".to_owned()
        }
        rustls::pki_types::pem::Error::NoItemsFound => {
            "there is none in it; it must be PEM, in PKCS#8, PKCS#1 or SEC1".to_owned()
        }
        error => error.to_string(),
    }
}

/// What is allowed but probably not meant: a certificate that is not valid now, or not for long. A file that
/// cannot be read is somebody else's error.
pub(crate) fn warning(path: &Path, now: SystemTime) -> Option<String> {
    let leaf = CertificateDer::pem_file_iter(path).ok()?.next()?.ok()?;
    let (_, parsed) = X509Certificate::from_der(&leaf).ok()?;
    let (begin, end) = (parsed.validity().not_before, parsed.validity().not_after);
    let now_s = i64::try_from(now.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?;
    let soon_s = i64::try_from(SOON.as_secs()).unwrap_or(i64::MAX);
    let path = path.display();
    if end.timestamp() < now_s {
        Some(format!("the certificate {path} has expired ({end}): clients will refuse it; renew it"))
    } else if begin.timestamp() > now_s {
        Some(format!("the certificate {path} is not valid before {begin}: clients will refuse it until then"))
    } else if end.timestamp() < now_s.saturating_add(soon_s) {
        Some(format!("the certificate {path} expires soon ({end}); renew it"))
    } else {
        None
    }
}
