//! The client side of TLS. Verification is always on.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use starve_config::{Protocol, UpstreamTlsPlan};

/// Why the files of an upstream's `tls` cannot be used.
#[derive(Debug)]
pub struct TlsFileError {
    file: String,
    problem: String,
}

impl std::fmt::Display for TlsFileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.file, self.problem)
    }
}

impl std::error::Error for TlsFileError {}

/// What is offered to the server in the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    Http1,
    /// What the upstream's `protocol` says.
    Configured,
}

/// The TLS settings of one upstream; its files can be read again.
#[derive(Debug)]
pub(crate) struct ClientTls {
    plan: UpstreamTlsPlan,
    protocol: Protocol,
    current: ArcSwap<Configs>,
}

/// Settings made of the files as they are now.
#[derive(Debug)]
pub(crate) struct Configs {
    http1: Arc<ClientConfig>,
    configured: Arc<ClientConfig>,
}

impl ClientTls {
    /// Reads the files.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub(crate) fn load(plan: &UpstreamTlsPlan, protocol: Protocol) -> Result<Self, TlsFileError> {
        let current = ArcSwap::from_pointee(configs(plan, protocol)?);
        Ok(Self { plan: plan.clone(), protocol, current })
    }

    /// The system's roots and no certificate of its own: there is no file that could be wrong.
    pub(crate) fn system(protocol: Protocol) -> Self {
        let config = builder().with_root_certificates(system_roots()).with_no_client_auth();
        let plan = UpstreamTlsPlan::default();
        Self { plan, protocol, current: ArcSwap::from_pointee(offers(&config, protocol)) }
    }

    /// Reads the files again.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub(crate) fn read(&self) -> Result<Configs, TlsFileError> {
        configs(&self.plan, self.protocol)
    }

    /// Uses what was read for all new connections.
    pub(crate) fn renew(&self, configs: Configs) {
        self.current.store(Arc::new(configs));
    }

    /// The name that is asked for and verified, where it is not the server's host.
    pub(crate) fn server_name(&self) -> Option<&String> {
        self.plan.server_name.as_ref()
    }

    pub(crate) fn config(&self, offer: Offer) -> Arc<ClientConfig> {
        let current = self.current.load();
        match offer {
            Offer::Http1 => current.http1.clone(),
            Offer::Configured => current.configured.clone(),
        }
    }
}

fn configs(plan: &UpstreamTlsPlan, protocol: Protocol) -> Result<Configs, TlsFileError> {
    let roots = match &plan.ca {
        Some(file) => own_roots(file)?,
        None => system_roots(),
    };
    let builder = builder().with_root_certificates(roots);
    let config = match &plan.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let text = read(key)?;
            let parsed = PrivateKeyDer::from_pem_slice(&text).map_err(|error| wrong(key, error))?;
            builder.with_client_auth_cert(chain, parsed).map_err(|error| wrong(key, error))?
        }
    };
    Ok(offers(&config, protocol))
}

fn offers(config: &ClientConfig, protocol: Protocol) -> Configs {
    let with = |protocols: &[&[u8]]| {
        let mut config = config.clone();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    };
    let configured = match protocol {
        Protocol::Http1 => with(&[b"http/1.1"]),
        Protocol::Http2 => with(&[b"h2"]),
        Protocol::Auto => with(&[b"h2", b"http/1.1"]),
    };
    Configs { http1: with(&[b"http/1.1"]), configured }
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap_or_else(|error| unreachable!("the provider's own versions are supported: {error}"))
}

fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    ROOTS
        .get_or_init(|| {
            let mut roots = RootCertStore::empty();
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "a system root certificate could not be read");
            }
            let (_taken, refused) = roots.add_parsable_certificates(found.certs);
            if refused > 0 {
                tracing::warn!(refused, "system root certificates could not be parsed");
            }
            Arc::new(roots)
        })
        .clone()
}

fn own_roots(file: &Path) -> Result<Arc<RootCertStore>, TlsFileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| wrong(file, error))?;
    }
    Ok(Arc::new(roots))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let text = read(file)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(certificates) if certificates.is_empty() => Err(wrong(file, "it holds no certificate in PEM")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(wrong(file, error)),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsFileError> {
    fs::read(file).map_err(|error: io::Error| wrong(file, error))
}

fn wrong(file: &Path, problem: impl std::fmt::Display) -> TlsFileError {
    TlsFileError { file: file.display().to_string(), problem: problem.to_string() }
}
