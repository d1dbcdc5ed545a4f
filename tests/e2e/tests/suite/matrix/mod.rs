//! Every way in with every way out, for every kind of body and every way to fail.
//!
//! One table ([`cases`]), one origin and one client that play it, in HTTP/1.1 and HTTP/2, with and without TLS and over
//! a unix socket. What must come of a case is the same however it came in and went out.

mod cases;
mod client;
mod content;
mod http1;
mod http2;
mod line;
mod origin;

use std::sync::Arc;
use std::time::Duration;

use e2e::{DEADLINE, Proxy, Site, eventually};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use self::cases::{Act, Arrives, At, CASES, Case, How, Sees, Upload};
use self::client::{Client, Outcome};
use self::origin::{Arrived, Records};

/// How clients come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum In {
    Http1,
    Http1Tls,
    /// With prior knowledge.
    Http2,
    /// By ALPN.
    Http2Tls,
}

impl In {
    fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Http2Tls)
    }

    fn is_tls(self) -> bool {
        matches!(self, Self::Http1Tls | Self::Http2Tls)
    }
}

/// How the proxy goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Out {
    Http1,
    Http1Tls,
    Http2,
    Http2Tls,
    Unix,
}

impl Out {
    fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Http2Tls)
    }
}

/// Waits for a state of this process.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("never came: {what}"));
}

/// The value of something that grows, once it has begun and then stopped.
async fn steady(value: impl Fn() -> usize) -> usize {
    let (mut last, mut same) = (0, 0);
    while same < 20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let now = value();
        same = if now > 0 && now == last { same + 1 } else { 0 };
        last = now;
    }
    last
}

struct Keys {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    certificate: String,
    key: String,
}

fn keys(http2_in: bool, http2_out: bool) -> Keys {
    let made = rcgen::generate_simple_self_signed(["shop.example".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let alpn = |http2| vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    let mut server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::clone(made.cert.der())], key)
        .unwrap();
    server.alpn_protocols = alpn(http2_out);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let mut client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = alpn(http2_in);
    Keys {
        acceptor: Arc::new(server).into(),
        connector: Arc::new(client).into(),
        certificate: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
    }
}

fn proxy(url: &str, out: Out, keys: &Keys) -> Proxy {
    let tls = match out {
        Out::Http1Tls => "tls: { ca: c.pem, server-name: shop.example }, ",
        Out::Http2Tls => "tls: { ca: c.pem, server-name: shop.example }, protocol: http2, ",
        _ => "",
    };
    let site = Site::exactly(&format!(
        "listen:\n  - 127.0.0.1:0\n  - address: 127.0.0.1:0\n    tls: {{ certificates: [{{ certificate: c.pem, \
         key: k.pem }}] }}\nadmin: 127.0.0.1:0\nworkers: 1\nlegacy: {{ {tls}servers: ['{url}'] }}\n\
         upstreams:\n  hasty: {{ {tls}servers: ['{url}'], timeout: {{ first-byte: 400ms, idle: 400ms }} }}\n\
         routes:\n  - match: '* /a/{{case}}'\n  - match: '* /hasty/{{case}}'\n    legacy: hasty\n"
    ));
    site.write("c.pem", &keys.certificate);
    site.write("k.pem", &keys.key);
    site.run()
}

/// Plays the whole table, one case after the other over as few connections as go, and adds up what was counted.
async fn play(way_in: In, out: Out) {
    let keys = keys(way_in.is_http2(), out.is_http2());
    let records = Records::default();
    let folder = Site::exactly("");
    let url = origin::start(out, folder.folder(), keys.acceptor.clone(), records.clone());
    let proxy = tokio::task::block_in_place(|| proxy(&url, out, &keys));
    let address = if way_in.is_tls() { proxy.tls_address() } else { proxy.address() };
    let mut client = Client::connect(way_in, address, keys.connector.clone()).await;
    let mut played = Vec::new();
    let mut wrong = Vec::new();
    for (number, case) in CASES.iter().enumerate().filter(|(_, case)| case.is_for(way_in, out)) {
        if !client.is_usable().await {
            client = Client::connect(way_in, address, keys.connector.clone()).await;
        }
        let target = format!("/{}/{number}", if case.is_silent() { "hasty" } else { "a" });
        let playing = client.play(&target, number, case, &records);
        let outcome = match tokio::time::timeout(DEADLINE, playing).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => {
                wrong.push(format!("{}: no end of it; {:?}", case.name, records.of(number)));
                break;
            }
        };
        if let Err(why) = judge(way_in, case, number, &outcome, &records).await {
            wrong.push(format!("{}: {why}; {outcome:?}", case.name));
        }
        played.push(case);
    }
    assert!(wrong.is_empty(), "{way_in:?} in, {out:?} out:\n{}", wrong.join("\n"));
    tokio::task::block_in_place(|| is_counted(&proxy, &played));
}

async fn judge(
    way_in: In,
    case: &Case,
    number: usize,
    outcome: &Outcome,
    records: &Records,
) -> Result<(), String> {
    match (case.sees, outcome) {
        (Sees::Whole(status, length, trailers), Outcome::Answer { head, .. }) => {
            let seen =
                (head.status.as_u16(), outcome_length(outcome), outcome_trailers(outcome), is_whole(outcome));
            same(&seen, &(status, length, trailers, true))?;
            fields_pass(case, head, &records.of(number).fields)?;
        }
        (Sees::Error(status), Outcome::Answer { head, is_whole: true, .. }) => {
            same(&head.status.as_u16(), &status)?
        }
        (Sees::Cut, Outcome::Answer { head, is_whole: false, .. }) => same(&head.status.as_u16(), &200)?,
        // A stream's reset may overtake the head that was on its way.
        (Sees::Cut, Outcome::None(_)) if way_in.is_http2() => {}
        (Sees::Nothing, Outcome::Left) => {}
        (expected, _) => return Err(format!("not {expected:?}")),
    }
    let is_there = || records.of(number).arrived.is_some() || case.arrives == Arrives::Any;
    until(case.name, is_there).await;
    match (case.arrives, records.of(number).arrived) {
        (Arrives::Any, _) | (Arrives::Broken, Some(Arrived::Broken)) => {}
        (Arrives::Whole(length), Some(arrived)) => {
            let trailers = matches!(case.ask.upload, Upload::Streamed(_));
            same(&arrived, &Arrived::Whole { length, trailers })?;
        }
        (expected, arrived) => return Err(format!("the request arrived as {arrived:?}, not {expected:?}")),
    }
    // In the middle of a frame there is no way to see it.
    let sees_leave = !matches!(case.act, Act::Break(At::InsideHead | At::InsideChunk, _));
    if matches!(case.act, Act::Endless | Act::Break(_, How::Silence)) && sees_leave {
        until(&format!("the proxy to leave: {}", case.name), || records.of(number).left).await;
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(seen: &T, expected: &T) -> Result<(), String> {
    if seen == expected { Ok(()) } else { Err(format!("{seen:?}, not {expected:?}")) }
}

fn outcome_length(outcome: &Outcome) -> usize {
    if let Outcome::Answer { length, .. } = outcome { *length } else { 0 }
}

fn outcome_trailers(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Answer { trailers: true, .. })
}

fn is_whole(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Answer { is_whole: true, .. })
}

/// What the heads say of ranges, validators and lengths goes through both ways.
fn fields_pass(case: &Case, head: &http::response::Parts, seen: &http::HeaderMap) -> Result<(), String> {
    let text = |fields: &http::HeaderMap, name| {
        fields.get(name).map_or_else(|| "-".to_owned(), |value| format!("{value:?}"))
    };
    same(&text(&head.headers, "etag"), &"\"\\\"1\\\"\"".to_owned())?;
    same(&text(&head.headers, "content-range"), &"\"bytes 0-999/9000\"".to_owned())?;
    same(&text(seen, "range"), &"\"bytes=0-999\"".to_owned())?;
    let said = match case.act {
        Act::Answer(_, cases::Content::Length(length)) => format!("\"{length}\""),
        Act::Answer(..) => "-".to_owned(),
        _ => return Ok(()),
    };
    same(&text(&head.headers, "content-length"), &said)
}

/// Every case is one call, with the class of its outcome, and none is left in flight.
#[track_caller]
fn is_counted(proxy: &Proxy, played: &[&Case]) {
    eventually("no call in flight", || match proxy.metrics().sum("starve_in_flight_requests", &[]) {
        0.0 => Ok(()),
        other => Err(other.to_string()),
    });
    let metrics = proxy.metrics();
    for code in ["2xx", "3xx", "4xx", "5xx", "none"] {
        let counted = metrics.sum("starve_requests_total", &[("code", code)]);
        let certain = played.iter().filter(|case| case.code == code).count() as f64;
        let open = played.iter().filter(|case| case.code.is_empty()).count() as f64;
        assert!((certain..=certain + open).contains(&counted), "{code}: {counted}, not {certain}");
    }
    assert_eq!(metrics.sum("starve_requests_total", &[]), played.len() as f64);
}

macro_rules! pairs {
    ($($name:ident: $way_in:ident, $out:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            play(In::$way_in, Out::$out).await;
        }
    )*};
}

pairs! {
    http1_to_http1: Http1, Http1;
    http1_to_http1_tls: Http1, Http1Tls;
    http1_to_http2: Http1, Http2;
    http1_to_http2_tls: Http1, Http2Tls;
    http1_to_unix: Http1, Unix;
    http1_tls_to_http1: Http1Tls, Http1;
    http1_tls_to_http1_tls: Http1Tls, Http1Tls;
    http1_tls_to_http2: Http1Tls, Http2;
    http1_tls_to_http2_tls: Http1Tls, Http2Tls;
    http1_tls_to_unix: Http1Tls, Unix;
    http2_to_http1: Http2, Http1;
    http2_to_http1_tls: Http2, Http1Tls;
    http2_to_http2: Http2, Http2;
    http2_to_http2_tls: Http2, Http2Tls;
    http2_to_unix: Http2, Unix;
    http2_tls_to_http1: Http2Tls, Http1;
    http2_tls_to_http1_tls: Http2Tls, Http1Tls;
    http2_tls_to_http2: Http2Tls, Http2;
    http2_tls_to_http2_tls: Http2Tls, Http2Tls;
    http2_tls_to_unix: Http2Tls, Unix;
}
