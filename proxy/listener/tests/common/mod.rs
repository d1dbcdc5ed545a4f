//! A listener with TLS, and clients with real handshakes.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use starve_config::{CertificatePlan, ClientAuthPlan, TlsPlan, TlsVersion};
use starve_http::Body;
use starve_listener::{
    Answer, Counters, Drain, DrainSwitch, Endpoint, Handler, Handshakes, Http1Limits, Http2Settings,
    InFlight, Peer, Settings, Tls, TrustedSources, accept, bind,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

/// Answers everything with nothing.
#[derive(Clone)]
pub(crate) struct Nothing;

impl Handler for Nothing {
    type Body = Body;

    fn handle(&self, _: Request<Body>, _: Peer, _: InFlight) -> Answer<Body> {
        Box::pin(async { Ok(Response::new(Body::empty())) })
    }
}

pub(crate) fn settings(handshakes: Arc<Handshakes>) -> Settings {
    let long = Duration::from_secs(10);
    Settings {
        http1: Http1Limits {
            head_bytes: 64 * 1024,
            head_timeout: long,
            idle_timeout: long,
            body_timeout: long,
            body_rate_min: None,
            head_rate_min: None,
            send_timeout: long,
        },
        http2: Http2Settings {
            streams: 10,
            resets: 100,
            control_frames: 100,
            ping_interval: long,
            ping_timeout: long,
        },
        places: Arc::new(Semaphore::new(10)),
        addresses: None,
        handshakes,
        trusted: TrustedSources::new(|_| false),
        counters: Arc::new(Counters::default()),
    }
}

/// A listener that lives as long as this.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Tls,
    pub(crate) handshakes: Arc<Handshakes>,
    _drain: DrainSwitch,
}

impl Running {
    pub(crate) fn start(plan: &TlsPlan, handshakes: Arc<Handshakes>) -> Self {
        let tls = Tls::load(plan).unwrap();
        let listener = bind(([127, 0, 0, 1], 0).into(), 1).unwrap().remove(0);
        let listener = TcpListener::from_std(listener).unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint = Endpoint { tls: Some(tls.clone()), proxy_protocol: false, certificate_field: None };
        let (sender, drain) = Drain::new();
        let settings = Arc::new(settings(handshakes.clone()));
        // Ends with the runtime of the test.
        tokio::spawn(accept(listener, endpoint, Nothing, settings, drain));
        Self { address, tls, handshakes, _drain: sender }
    }
}

pub(crate) fn patient() -> Arc<Handshakes> {
    Handshakes::new(10, Duration::from_secs(10))
}

/// Writes a self-signed certificate for a name and gives what a client has to trust.
pub(crate) fn certificate(folder: &Path, file: &str, name: &str) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    fs::write(folder.join(format!("{file}.crt")), made.cert.pem()).unwrap();
    fs::write(folder.join(format!("{file}.key")), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

pub(crate) fn plan(folder: &Path, files: &[&str]) -> TlsPlan {
    let pair = |file: &&str| CertificatePlan {
        certificate: folder.join(format!("{file}.crt")),
        key: folder.join(format!("{file}.key")),
    };
    let certificates = files.iter().map(pair).collect();
    TlsPlan { certificates, min_version: TlsVersion::default(), client_auth: None }
}

/// An authority that signs clients' certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    pub(crate) fn new(folder: &Path, file: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let file = folder.join(file);
        fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), file }
    }

    pub(crate) fn plan(&self, required: bool) -> Option<ClientAuthPlan> {
        Some(ClientAuthPlan { ca: self.file.clone(), required, pass_as: None })
    }

    pub(crate) fn client(&self) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["client".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap())
    }
}

pub(crate) type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// A client that remembers its sessions.
pub(crate) struct Client(Arc<ClientConfig>);

/// What a handshake came to.
pub(crate) struct Shaken {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) protocol: Vec<u8>,
    pub(crate) kind: HandshakeKind,
}

impl Client {
    pub(crate) fn new(trusted: &[&CertificateDer<'static>]) -> Self {
        Self::with(trusted, &[b"h2", b"http/1.1"], rustls::DEFAULT_VERSIONS, None)
    }

    pub(crate) fn with(
        trusted: &[&CertificateDer<'static>],
        protocols: &[&[u8]],
        versions: &[&'static rustls::SupportedProtocolVersion],
        identity: Option<Identity>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        for one in trusted {
            roots.add((*one).clone()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let config = config.with_root_certificates(roots);
        let mut config = match identity {
            Some((certificate, key)) => config.with_client_auth_cert(vec![certificate], key).unwrap(),
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Self(Arc::new(config))
    }

    /// The certificate and protocol that a client gets that asks for this name. Over HTTP/1.1 a request follows,
    /// so that the server has judged the client and sent its tickets.
    pub(crate) async fn handshake(&self, address: SocketAddr, name: &'static str) -> io::Result<Shaken> {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from(name).unwrap();
        let mut stream = TlsConnector::from(self.0.clone()).connect(name, stream).await?;
        if stream.get_ref().1.alpn_protocol() == Some(b"http/1.1") {
            stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            assert!(answer.starts_with(b"HTTP/1.1 200 "));
        }
        let (_, session) = stream.get_ref();
        Ok(Shaken {
            certificate: session.peer_certificates().unwrap()[0].clone().into_owned(),
            protocol: session.alpn_protocol().unwrap().to_vec(),
            kind: session.handshake_kind().unwrap(),
        })
    }
}
