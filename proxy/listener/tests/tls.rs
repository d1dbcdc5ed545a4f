//! TLS with real handshakes: the certificate is chosen by name, and replaced under a listener that goes on.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use starve_config::{CertificatePlan, TlsPlan};
use starve_http::Body;
use starve_listener::{
    Answer, Counters, Drain, Handler, Http1Limits, InFlight, Peer, Settings, Tls, accept, bind,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

/// Answers everything with nothing.
#[derive(Clone)]
struct Nothing;

impl Handler for Nothing {
    type Body = Body;

    fn handle(&self, _: Request<Body>, _: Peer, _: InFlight) -> Answer<Body> {
        Box::pin(async { Ok(Response::new(Body::empty())) })
    }
}

/// Writes a self-signed certificate for a name and gives what a client has to trust.
fn certificate(folder: &Path, file: &str, name: &str) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    fs::write(folder.join(format!("{file}.crt")), made.cert.pem()).unwrap();
    fs::write(folder.join(format!("{file}.key")), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

fn plan(folder: &Path, files: &[&str]) -> TlsPlan {
    let pair = |file: &&str| CertificatePlan {
        certificate: folder.join(format!("{file}.crt")),
        key: folder.join(format!("{file}.key")),
    };
    TlsPlan { certificates: files.iter().map(pair).collect() }
}

/// The certificate and protocol that a client gets that asks for this name.
async fn handshake(
    address: SocketAddr,
    name: &'static str,
    trusted: &[&CertificateDer<'static>],
) -> std::io::Result<(CertificateDer<'static>, Vec<u8>)> {
    let mut roots = RootCertStore::empty();
    for one in trusted {
        roots.add((*one).clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name).unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates().unwrap()[0].clone().into_owned();
    Ok((leaf, session.alpn_protocol().unwrap().to_vec()))
}

#[tokio::test]
async fn the_certificate_is_chosen_by_name_and_can_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let shop = certificate(folder.path(), "shop", "shop.localhost");
    let blog = certificate(folder.path(), "blog", "blog.localhost");
    let plan = plan(folder.path(), &["shop", "blog"]);
    let tls = Tls::load(&plan).unwrap();
    let listener = TcpListener::from_std(bind(([127, 0, 0, 1], 0).into(), 1).unwrap().remove(0)).unwrap();
    let address = listener.local_addr().unwrap();
    let settings = Settings {
        http1: Http1Limits {
            head_bytes: 64 * 1024,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            body_rate_min: None,
            send_timeout: Duration::from_secs(10),
        },
        streams_per_connection: 10,
        places: Arc::new(Semaphore::new(10)),
        counters: Arc::new(Counters::default()),
    };
    let (_sender, drain) = Drain::new();
    let serving = tokio::spawn(accept(listener, Some(tls.clone()), Nothing, Arc::new(settings), drain));

    for (name, expected) in [("shop.localhost", &shop), ("blog.localhost", &blog)] {
        let (leaf, protocol) = handshake(address, name, &[&shop, &blog]).await.unwrap();
        assert_eq!(leaf, *expected, "{name}");
        assert_eq!(protocol, b"h2");
    }
    // A name that nobody has gets the first, which the client then refuses.
    assert!(handshake(address, "other.localhost", &[&shop, &blog]).await.is_err());

    let newer = certificate(folder.path(), "shop", "shop.localhost");
    tls.reload(&plan).unwrap();
    assert_eq!(handshake(address, "shop.localhost", &[&newer]).await.unwrap().0, newer);

    // A key that does not fit is refused, and what was there goes on.
    fs::copy(folder.path().join("blog.key"), folder.path().join("shop.key")).unwrap();
    let error = tls.reload(&plan).unwrap_err().to_string();
    assert!(error.contains("does not belong"), "{error}");
    assert_eq!(handshake(address, "shop.localhost", &[&newer]).await.unwrap().0, newer);
    serving.abort();
}

#[test]
fn files_that_are_no_certificates_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Tls::load(&plan(folder.path(), &["nowhere"])).unwrap_err().to_string();
    assert!(missing.contains("nowhere.crt"), "{missing}");
    fs::write(folder.path().join("empty.crt"), "").unwrap();
    fs::write(folder.path().join("empty.key"), "").unwrap();
    let empty = Tls::load(&plan(folder.path(), &["empty"])).unwrap_err().to_string();
    assert!(empty.contains("empty.crt") && empty.contains("there is none in it"), "{empty}");
}
