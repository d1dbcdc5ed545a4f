//! Switches to another protocol with a server of HTTP/2: extended CONNECT (RFC 8441).

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use e2e::{Proxy, eventually};
use h2::ext::Protocol;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Method, Request, Response};

/// A request with this key has this for an answer: the example of RFC 6455 §1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const PROOF: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const ASKING: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-key", KEY),
    ("sec-websocket-protocol", "chat"),
];

/// What a server has seen: the method, the protocol, the path, the fields.
type Seen = Arc<Mutex<Vec<(Method, Option<String>, String, HeaderMap)>>>;

/// A server of HTTP/2 and nothing else. It agrees to a switch on `/a` and sends back what comes.
async fn server(extended: bool) -> (String, Seen) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("h2c://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let all = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut builder = h2::server::Builder::new();
            if extended {
                builder.enable_connect_protocol();
            }
            let seen = seen.clone();
            tokio::spawn(async move {
                // What is not HTTP/2 ends here.
                let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
                while let Some(Ok((request, respond))) = connection.accept().await {
                    let protocol = request.extensions().get::<Protocol>();
                    let protocol = protocol.map(|protocol| protocol.as_str().to_owned());
                    let (head, path) = (request.headers().clone(), request.uri().path().to_owned());
                    seen.lock().unwrap().push((request.method().clone(), protocol, path, head));
                    tokio::spawn(serve(request, respond));
                }
            });
        }
    });
    (url, all)
}

async fn serve(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let path = request.uri().path().to_owned();
    if path != "/a" {
        let status = if path == "/denied" { 403 } else { 200 };
        let mut stream =
            respond.send_response(Response::builder().status(status).body(()).unwrap(), false).unwrap();
        stream.send_data(Bytes::from_static(b"words"), true).unwrap();
        return;
    }
    let agreed = Response::builder().header("sec-websocket-protocol", "chat").body(()).unwrap();
    let mut stream = respond.send_response(agreed, false).unwrap();
    stream.send_data(Bytes::from_static(b"hello"), false).unwrap();
    let mut body = request.into_body();
    while let Some(Ok(piece)) = body.data().await {
        if piece.starts_with(b"break off") {
            return stream.send_reset(Reason::INTERNAL_ERROR);
        }
        body.flow_control().release_capacity(piece.len()).unwrap();
        send(&mut stream, piece).await;
    }
    stream.send_data(Bytes::new(), true).unwrap();
}

async fn send(stream: &mut SendStream<Bytes>, mut piece: Bytes) {
    while !piece.is_empty() {
        stream.reserve_capacity(piece.len());
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap().unwrap();
        stream.send_data(piece.split_to(room.min(piece.len())), false).unwrap();
    }
}

fn before(url: &str) -> Proxy {
    Proxy::start(&format!("legacy: {url}\nroutes: [ {{ match: '* /a' }} ]\n"))
}

/// Runs the servers beside a test that waits.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn in_flight(proxy: &Proxy, expected: f64) {
    eventually("the calls in flight", || match proxy.metrics().get("starve_in_flight_requests", &[]) {
        Some(count) if (count - expected).abs() < 0.5 => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn a_websocket_passes_to_a_server_of_http_2() {
    let runtime = runtime();
    let (url, seen) = runtime.block_on(server(true));
    let proxy = before(&url);
    // Twice: over a connection that is opened for it, and over one that is there.
    for _ in 0..2 {
        let mut client = proxy.client();
        client.begin("GET", "/a", &ASKING, b"");
        let answer = client.head("GET");
        assert_eq!((answer.status, answer.field("upgrade")), (101, Some("websocket")));
        assert_eq!(answer.field("sec-websocket-accept"), Some(PROOF));
        assert_eq!(answer.field("sec-websocket-protocol"), Some("chat"));
        assert_eq!(client.raw().unwrap(), b"hello");
        // More than a window of it.
        let message: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
        client.send(&message);
        let mut back = Vec::new();
        while back.len() < message.len() {
            back.extend_from_slice(&client.raw().unwrap());
        }
        assert!(back == message, "every byte, in order");
        in_flight(&proxy, 1.0);
        client.finish();
        assert_eq!(client.raw().unwrap(), b"", "the end of one side is the end of the other");
        in_flight(&proxy, 0.0);
    }
    assert_eq!(proxy.metrics().calls_of("* /a", "legacy"), 2.0);
    let seen = seen.lock().unwrap();
    let (method, protocol, path, fields) = &seen[0];
    assert_eq!((method, protocol.as_deref(), path.as_str()), (&Method::CONNECT, Some("websocket"), "/a"));
    for name in ["connection", "upgrade", "sec-websocket-key"] {
        assert!(!fields.contains_key(name), "{name} has no place in HTTP/2");
    }
    assert_eq!(fields["sec-websocket-protocol"], "chat");
}

#[test]
fn what_breaks_off_at_the_server_breaks_off_at_the_client() {
    let runtime = runtime();
    let (url, _) = runtime.block_on(server(true));
    let proxy = before(&url);
    let mut client = proxy.client();
    client.begin("GET", "/a", &ASKING, b"");
    assert_eq!(client.head("GET").status, 101);
    assert_eq!(client.raw().unwrap(), b"hello");
    client.send(b"break off");
    client.wait_for_close().unwrap();
    in_flight(&proxy, 0.0);
}

#[test]
fn a_refusal_is_the_answer_and_the_connection_goes_on() {
    let runtime = runtime();
    let (url, _) = runtime.block_on(server(true));
    let proxy = before(&url);
    let mut client = proxy.client();
    let answer = client.call("GET", "/denied", &ASKING, b"");
    assert_eq!((answer.status, answer.body.as_slice()), (403, &b"words"[..]));
    assert_eq!(client.get("/b").status, 200);
    in_flight(&proxy, 0.0);
}

#[test]
fn a_server_that_offers_no_switch_is_asked_in_http_1() {
    let runtime = runtime();
    let (url, seen) = runtime.block_on(server(false));
    let proxy = before(&url);
    let mut client = proxy.client();
    // This one speaks HTTP/2 and nothing else: there is no answer.
    assert_eq!(client.call("GET", "/a", &ASKING, b"").status, 502);
    assert_eq!(seen.lock().unwrap().len(), 0, "nothing was asked that it does not understand");
    assert_eq!(proxy.get("/b").status, 200, "other calls go on");
}
