//! TLS with real handshakes: the certificate is chosen by name, clients are checked, and all of it is replaced
//! under a listener that goes on.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

mod common;

use std::fs;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use starve_config::TlsVersion;
use starve_listener::{Handshakes, Tls};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use common::{Authority, Client, Running, certificate, patient, plan};

#[tokio::test]
async fn the_certificate_is_chosen_by_name_and_can_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let shop = certificate(folder.path(), "shop", "shop.localhost");
    let blog = certificate(folder.path(), "blog", "blog.localhost");
    let plan = plan(folder.path(), &["shop", "blog"]);
    let running = Running::start(&plan, patient());
    let client = Client::new(&[&shop, &blog]);

    for (name, expected) in [("shop.localhost", &shop), ("blog.localhost", &blog)] {
        let shaken = client.handshake(running.address, name).await.unwrap();
        assert_eq!(shaken.certificate, *expected, "{name}");
        assert_eq!(shaken.protocol, b"h2");
    }
    // A name that nobody has gets the first, which the client then refuses.
    assert!(client.handshake(running.address, "other.localhost").await.is_err());

    let newer = certificate(folder.path(), "shop", "shop.localhost");
    running.tls.put(running.tls.prepare(&plan).unwrap());
    let client = Client::new(&[&newer]);
    assert_eq!(client.handshake(running.address, "shop.localhost").await.unwrap().certificate, newer);

    // A key that does not fit is refused, and what was there goes on.
    fs::copy(folder.path().join("blog.key"), folder.path().join("shop.key")).unwrap();
    let error = running.tls.prepare(&plan).unwrap_err().to_string();
    assert!(error.contains("shop.key does not belong to the certificate"), "{error}");
    assert_eq!(client.handshake(running.address, "shop.localhost").await.unwrap().certificate, newer);
}

#[tokio::test]
async fn a_minimum_version_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let shop = certificate(folder.path(), "shop", "shop.localhost");
    let plan_2 = plan(folder.path(), &["shop"]);
    let plan_3 = starve_config::TlsPlan { min_version: TlsVersion::V1_3, ..plan_2.clone() };
    let running = Running::start(&plan_2, patient());
    let old = Client::with(&[&shop], &[b"http/1.1"], &[&TLS12], None);
    old.handshake(running.address, "shop.localhost").await.unwrap();
    running.tls.put(running.tls.prepare(&plan_3).unwrap());
    let refused = old.handshake(running.address, "shop.localhost").await.err().unwrap().to_string();
    assert!(refused.contains("ProtocolVersion"), "{refused}");
    Client::new(&[&shop]).handshake(running.address, "shop.localhost").await.unwrap();
    assert_eq!(running.handshakes.failed.load(Relaxed), 1);
}

#[tokio::test]
async fn sessions_are_resumed_also_after_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let shop = certificate(folder.path(), "shop", "shop.localhost");
    let plan = plan(folder.path(), &["shop"]);
    let running = Running::start(&plan, patient());
    for version in [&TLS12, &TLS13] {
        let client = Client::with(&[&shop], &[b"http/1.1"], &[version], None);
        let first = client.handshake(running.address, "shop.localhost").await.unwrap();
        assert_eq!(first.kind, HandshakeKind::Full, "{version:?}");
        running.tls.put(running.tls.prepare(&plan).unwrap());
        let second = client.handshake(running.address, "shop.localhost").await.unwrap();
        assert_eq!(second.kind, HandshakeKind::Resumed, "{version:?}");
    }
}

#[tokio::test]
async fn clients_are_checked_against_the_authority_of_the_moment() {
    let folder = tempfile::tempdir().unwrap();
    let shop = certificate(folder.path(), "shop", "shop.localhost");
    let authority = Authority::new(folder.path(), "clients.crt");
    let mut plan = plan(folder.path(), &["shop"]);
    plan.client_auth = authority.plan(true);
    let running = Running::start(&plan, patient());
    let with = |identity| Client::with(&[&shop], &[b"http/1.1"], rustls::DEFAULT_VERSIONS, identity);
    let stranger = || Authority::new(folder.path(), "strangers.crt").client();
    let (known, unknown, nobody) = (with(Some(authority.client())), with(Some(stranger())), with(None));

    known.handshake(running.address, "shop.localhost").await.unwrap();
    assert!(unknown.handshake(running.address, "shop.localhost").await.is_err());
    assert!(nobody.handshake(running.address, "shop.localhost").await.is_err());

    plan.client_auth = authority.plan(false);
    running.tls.put(running.tls.prepare(&plan).unwrap());
    nobody.handshake(running.address, "shop.localhost").await.unwrap();
    let refused = unknown.handshake(running.address, "shop.localhost").await;
    assert!(refused.is_err(), "a certificate that does not hold is refused although none is needed");

    // Another authority: those of the one before are strangers now, whatever tickets they hold.
    let next = Authority::new(folder.path(), "clients.crt");
    plan.client_auth = next.plan(true);
    running.tls.put(running.tls.prepare(&plan).unwrap());
    assert!(known.handshake(running.address, "shop.localhost").await.is_err());
    with(Some(next.client())).handshake(running.address, "shop.localhost").await.unwrap();
}

#[tokio::test]
async fn a_handshake_that_is_not_done_in_time_is_cut_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), "shop", "shop.localhost");
    let handshakes = Handshakes::new(10, Duration::from_millis(50));
    let running = Running::start(&plan(folder.path(), &["shop"]), handshakes.clone());
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap_or(0), 0);
    let mut slow = TcpStream::connect(running.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut slow, b"\x16\x03\x01\x02").await.unwrap();
    assert_eq!(slow.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert_eq!(handshakes.timed_out.load(Relaxed), 2);
}

#[tokio::test]
async fn so_many_handshakes_at_once_and_silent_clients_take_no_turn() {
    let folder = tempfile::tempdir().unwrap();
    let shop = certificate(folder.path(), "shop", "shop.localhost");
    let handshakes = Handshakes::new(1, Duration::from_secs(2));
    let running = Running::start(&plan(folder.path(), &["shop"]), handshakes.clone());
    let client = Client::new(&[&shop]);
    let _silent = TcpStream::connect(running.address).await.unwrap();
    client.handshake(running.address, "shop.localhost").await.unwrap();
    assert_eq!(handshakes.waited.load(Relaxed), 0);

    // One that has begun holds its turn to the end of its time; whoever came first after it is let in then.
    let mut slow = TcpStream::connect(running.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut slow, b"\x16\x03\x01\x02").await.unwrap();
    let mut waiting = TcpStream::connect(running.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut waiting, b"\x16\x03\x01\x02").await.unwrap();
    assert_eq!(waiting.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert!(handshakes.waited.load(Relaxed) >= 1);
    let ended = handshakes.timed_out.load(Relaxed) + handshakes.shed.load(Relaxed);
    assert!(ended >= 1, "{handshakes:?}");
    client.handshake(running.address, "shop.localhost").await.unwrap();
}

#[test]
fn files_that_cannot_be_taken_are_named_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let error = |files: &[&str]| Tls::load(&plan(folder.path(), files)).unwrap_err().to_string();
    assert!(error(&["nowhere"]).contains("nowhere.crt"), "{}", error(&["nowhere"]));
    fs::write(folder.path().join("empty.crt"), "").unwrap();
    fs::write(folder.path().join("empty.key"), "").unwrap();
    let empty = error(&["empty"]);
    assert!(empty.contains("empty.crt") && empty.contains("there is none in it"), "{empty}");

    certificate(folder.path(), "shop", "shop.localhost");
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    fs::write(folder.path().join("shop.key"), locked).unwrap();
    let locked = error(&["shop"]);
    assert!(locked.contains("shop.key") && locked.contains("openssl pkey"), "{locked}");

    certificate(folder.path(), "shop", "shop.localhost");
    let mut plan = plan(folder.path(), &["shop"]);
    plan.client_auth = Authority::new(folder.path(), "clients.crt").plan(true);
    fs::write(folder.path().join("clients.crt"), "nothing").unwrap();
    let authority = Tls::load(&plan).unwrap_err().to_string();
    assert!(authority.contains("clients.crt") && authority.contains("client-ca"), "{authority}");
}

#[test]
fn a_certificate_that_does_not_hold_is_warned_about() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["shop.localhost".to_owned()]).unwrap();
    (params.not_before, params.not_after) =
        (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
    fs::write(folder.path().join("shop.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
    let plan = plan(folder.path(), &["shop"]);
    let at = |day: u64| Tls::warnings(&plan, SystemTime::UNIX_EPOCH + Duration::from_secs(day * 86_400));
    let (begin, end) = (18_262, 18_628);
    for (day, expected) in
        [(begin - 1, "not valid before"), (end - 10, "expires soon"), (end + 1, "has expired")]
    {
        let warnings = at(day);
        assert!(warnings.len() == 1 && warnings[0].contains(expected), "{warnings:?}");
        assert!(warnings[0].contains("shop.crt"), "{warnings:?}");
    }
    assert_eq!(at(end - 100), Vec::<String>::new());
}
