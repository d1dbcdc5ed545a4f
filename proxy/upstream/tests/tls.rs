//! TLS towards servers, with real handshakes: who is trusted, by which name, and what is shown.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use http::{Request, Response, Version};
use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use starve_config::{Protocol, ServerPlan, UpstreamPlan, UpstreamTlsPlan};
use starve_http::{Body, Error, ErrorKind, Target as _};
use starve_upstream::Upstream;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

type Pair = CertifiedKey<KeyPair>;

/// A self-signed certificate for a name, and its files.
fn certificate(folder: &Path, file: &str, name: &str) -> Pair {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    fs::write(folder.join(format!("{file}.crt")), made.cert.pem()).unwrap();
    fs::write(folder.join(format!("{file}.key")), made.signing_key.serialize_pem()).unwrap();
    made
}

/// Answers everything; tells nobody who it is. `client`: whose certificate must be shown.
async fn server(own: &Pair, client: Option<&Pair>, protocols: &[&[u8]]) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let mut roots = RootCertStore::empty();
            roots.add(client.cert.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let mut config = builder.with_single_cert(vec![own.cert.der().clone()], key.into()).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let answer = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Body::from("yes"))) });
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ended = builder.serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    address
}

fn upstream(address: SocketAddr, tls: UpstreamTlsPlan, protocol: Protocol) -> Upstream {
    let server = ServerPlan::Https { host: "127.0.0.1".to_owned(), port: address.port() };
    let plan = UpstreamPlan { tls, protocol, ..UpstreamPlan::new("legacy", vec![server]) };
    Upstream::load(Arc::new(plan), 1).unwrap()
}

fn trusting(folder: &Path, file: &str) -> UpstreamTlsPlan {
    UpstreamTlsPlan {
        ca: Some(folder.join(file)),
        server_name: Some("shop.internal".to_owned()),
        ..UpstreamTlsPlan::default()
    }
}

async fn call(upstream: &Upstream) -> Result<Version, Error> {
    let request = Request::builder().uri("/").header("host", "shop.example").body(Body::empty()).unwrap();
    let response = upstream.call(request).await?;
    let version = response.version();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "yes");
    Ok(version)
}

#[tokio::test]
async fn a_server_is_trusted_by_its_ca_and_name_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let own = certificate(folder, "shop", "shop.internal");
    certificate(folder, "other", "shop.internal");
    let address = server(&own, None, &[]).await;
    let with = |tls| upstream(address, tls, Protocol::Http1);
    assert_eq!(call(&with(trusting(folder, "shop.crt"))).await.unwrap(), Version::HTTP_11);
    let elsewhere =
        UpstreamTlsPlan { server_name: Some("shop.example".to_owned()), ..trusting(folder, "shop.crt") };
    for wrong in [
        UpstreamTlsPlan::default(),
        trusting(folder, "other.crt"),
        elsewhere,
        // The host is an address that the certificate does not bear.
        UpstreamTlsPlan { server_name: None, ..trusting(folder, "shop.crt") },
    ] {
        let error = call(&with(wrong.clone())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{wrong:?}");
        assert!(error.chain().contains("certificate"), "{}", error.chain());
    }
}

#[tokio::test]
async fn a_server_that_wants_to_know_the_proxy_is_shown_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (own, me) = (certificate(folder, "shop", "shop.internal"), certificate(folder, "me", "proxy"));
    let address = server(&own, Some(&me), &[]).await;
    let anonymous = upstream(address, trusting(folder, "shop.crt"), Protocol::Http1);
    assert!(call(&anonymous).await.is_err());
    let client = Some((folder.join("me.crt"), folder.join("me.key")));
    let known = UpstreamTlsPlan { client, ..trusting(folder, "shop.crt") };
    call(&upstream(address, known, Protocol::Http1)).await.unwrap();
}

#[tokio::test]
async fn the_protocol_is_the_one_that_both_speak() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let own = certificate(folder, "shop", "shop.internal");
    let (http1, http2): (&[u8], &[u8]) = (b"http/1.1", b"h2");
    for (offered, protocol, spoken) in [
        (&[http2, http1][..], Protocol::Http1, Some(Version::HTTP_11)),
        (&[http2, http1], Protocol::Auto, Some(Version::HTTP_2)),
        (&[http1], Protocol::Auto, Some(Version::HTTP_11)),
        (&[], Protocol::Auto, Some(Version::HTTP_11)),
        (&[http2], Protocol::Http2, Some(Version::HTTP_2)),
        (&[http1], Protocol::Http2, None),
    ] {
        let address = server(&own, None, offered).await;
        let upstream = upstream(address, trusting(folder, "shop.crt"), protocol);
        for _ in 0..3 {
            assert_eq!(call(&upstream).await.ok(), spoken, "{protocol:?}");
        }
    }
}

#[tokio::test]
async fn files_are_read_again_and_bad_ones_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let own = certificate(folder, "shop", "shop.internal");
    let address = server(&own, None, &[]).await;
    certificate(folder, "ca", "shop.internal");
    let upstream = upstream(address, trusting(folder, "ca.crt"), Protocol::Http1);
    assert!(call(&upstream).await.is_err());
    fs::copy(folder.join("shop.crt"), folder.join("ca.crt")).unwrap();
    upstream.reload_tls().unwrap();
    call(&upstream).await.unwrap();
    fs::write(folder.join("ca.crt"), "no certificate").unwrap();
    let error = upstream.reload_tls().unwrap_err();
    assert!(error.to_string().contains("ca.crt"), "{error}");
    call(&upstream).await.unwrap();
}
