//! HTTP/2 frame by frame: interim answers, expectations, streams that become tunnels, and streams that share a
//! connection.

use std::future::poll_fn;
use std::io;
use std::sync::mpsc;
use std::task::Poll;

use bytes::Bytes;
use e2e::{After, DEADLINE, Origin, Proxy, eventually};
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response};

use super::before;

async fn connect(proxy: &Proxy) -> SendRequest<Bytes> {
    let stream = tokio::net::TcpStream::connect(proxy.address()).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender.ready().await.unwrap()
}

fn get(path: &str) -> http::request::Builder {
    Request::get(format!("http://shop.example{path}"))
}

/// The next interim answer.
async fn interim(answer: &mut ResponseFuture) -> Response<()> {
    let next = poll_fn(|cx| answer.poll_informational(cx));
    tokio::time::timeout(DEADLINE, next).await.unwrap().unwrap().unwrap()
}

async fn whole(mut body: RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut all = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

/// A server of HTTP/2 that runs `serve` for each request.
async fn server<F>(
    serve: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> F + Clone + Send + 'static,
) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("h2c://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serve = serve.clone();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, respond))) = connection.accept().await {
                    tokio::spawn(serve(request, respond));
                }
            });
        }
    });
    url
}

fn before_http2(url: &str) -> Proxy {
    tokio::task::block_in_place(|| Proxy::start(&format!("legacy: {url}\nroutes: [ {{ match: '* /a' }} ]\n")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interim_answers_arrive_before_the_final_one_is_there() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let origin = Origin::start(move |exchange| {
        exchange.write(b"HTTP/1.1 102 Processing\r\nconnection: x-hop\r\nx-hop: 1\r\n\r\n")?;
        exchange.write(b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n")?;
        gate.lock().unwrap().recv().map_err(io::Error::other)?;
        exchange.answer(200, &[], b"final")?;
        Ok(After::Keep)
    });
    let proxy = tokio::task::block_in_place(|| before(&origin));
    let mut sender = connect(&proxy).await;
    let (mut answer, _) = sender.send_request(get("/a").body(()).unwrap(), true).unwrap();
    let first = interim(&mut answer).await;
    assert_eq!((first.status().as_u16(), first.headers().get("x-hop")), (102, None));
    let second = interim(&mut answer).await;
    assert_eq!(
        (second.status().as_u16(), &second.headers()["link"]),
        (103, &"</a.css>; rel=preload".parse().unwrap())
    );
    go.send(()).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), whole(answer.into_body()).await.unwrap()),
        (200, b"final".to_vec())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interim_answers_of_a_server_of_http_2_reach_clients_of_both() {
    let url = server(|_, mut respond| async move {
        let hints = Response::builder().status(103).header("link", "</a.css>").body(()).unwrap();
        respond.send_informational(hints).unwrap();
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream.send_data(Bytes::from_static(b"final"), true).unwrap();
    })
    .await;
    let proxy = before_http2(&url);
    let mut sender = connect(&proxy).await;
    let (mut answer, _) = sender.send_request(get("/a").body(()).unwrap(), true).unwrap();
    assert_eq!(interim(&mut answer).await.status(), 103);
    assert_eq!(whole(answer.await.unwrap().into_body()).await.unwrap(), b"final");
    let answer = tokio::task::block_in_place(|| proxy.get("/a"));
    assert_eq!((answer.interim.as_slice(), answer.text().as_str()), (&[103][..], "final"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_http_2_that_switches_protocols_is_not_believed() {
    let url = server(|_, mut respond| async move {
        let switching = Response::builder().status(101).header("upgrade", "x").body(()).unwrap();
        respond.send_informational(switching).unwrap();
        // The proxy may have reset the stream by now.
        let _sent = respond.send_response(Response::new(()), true);
    })
    .await;
    let proxy = before_http2(&url);
    let (asked, plain) = tokio::task::block_in_place(|| {
        let asking = [("connection", "upgrade"), ("upgrade", "x"), ("x", "y")];
        (proxy.client().call("GET", "/a", &asking, b""), proxy.get("/a"))
    });
    assert_eq!((asked.status, asked.interim.len()), (502, 0));
    assert_eq!((plain.status, plain.interim.len()), (502, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_waits_for_a_word_gets_the_server_s() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let origin = Origin::start(move |exchange| {
        gate.lock().unwrap().recv().map_err(io::Error::other)?;
        exchange.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        exchange.read_body()?;
        exchange.answer(200, &[], b"x")?;
        Ok(After::Keep)
    });
    let proxy = tokio::task::block_in_place(|| before(&origin));
    let mut sender = connect(&proxy).await;
    let request = get("/a").method("POST").header("expect", "100-continue").body(()).unwrap();
    let (mut answer, mut stream) = sender.send_request(request, false).unwrap();
    tokio::task::block_in_place(|| origin.wait_for(1));
    let early = poll_fn(|cx| Poll::Ready(answer.poll_informational(cx).is_ready())).await;
    assert!(!early, "the word is the server's");
    go.send(()).unwrap();
    assert_eq!(interim(&mut answer).await.status(), 100);
    stream.send_data(Bytes::from_static(b"body"), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    assert_eq!(origin.seen()[0].body, b"body");
}

/// Asks for another protocol on a stream, once the proxy has said that one may.
async fn extended(proxy: &Proxy, path: &str) -> (ResponseFuture, SendStream<Bytes>) {
    let mut sender = connect(proxy).await;
    let may = async {
        while !sender.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, may).await.unwrap();
    let mut request = Request::connect(format!("http://shop.example{path}"));
    request = request.header("sec-websocket-version", "13").header("sec-websocket-protocol", "chat");
    let mut request = request.body(()).unwrap();
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    sender.send_request(request, false).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_over_http_2_passes_in_both_directions() {
    let origin = Origin::start(|exchange| {
        exchange.write(
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
              sec-websocket-accept: YWNjZXB0\r\nsec-websocket-protocol: chat\r\n\r\nhello",
        )?;
        loop {
            let bytes = exchange.read_raw()?;
            if bytes.is_empty() {
                return Ok(After::Close);
            }
            exchange.write(&bytes)?;
        }
    });
    let proxy = tokio::task::block_in_place(|| before(&origin));
    let (answer, mut stream) = extended(&proxy, "/a").await;
    let (head, mut body) = answer.await.unwrap().into_parts();
    assert_eq!(head.status, 200);
    assert_eq!(head.headers["sec-websocket-protocol"], "chat");
    for name in ["upgrade", "connection", "sec-websocket-accept", "content-length"] {
        assert!(!head.headers.contains_key(name), "{name}");
    }
    assert_eq!(body.data().await.unwrap().unwrap(), "hello");
    // More than a window of it, so that room is made both ways.
    let message: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
    let sent = Bytes::from(message.clone());
    stream.reserve_capacity(sent.len());
    stream.send_data(sent, false).unwrap();
    let mut back = Vec::new();
    while back.len() < message.len() {
        let piece = body.data().await.unwrap().unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        back.extend_from_slice(&piece);
    }
    assert!(back == message, "every byte, in order");
    let asked = &origin.seen()[0].head;
    assert_eq!((asked.method(), asked.target()), ("GET", "/a"));
    assert_eq!(
        (asked.field("upgrade"), asked.field("sec-websocket-version")),
        (Some("websocket"), Some("13"))
    );
    assert_eq!(asked.field("sec-websocket-key").map(str::len), Some(24));
    let in_flight = |proxy: &Proxy| proxy.metrics().get("starve_in_flight_requests", &[]);
    tokio::task::block_in_place(|| assert_eq!(in_flight(&proxy), Some(1.0)));
    stream.send_data(Bytes::new(), true).unwrap();
    assert_eq!(whole(body).await.unwrap(), b"", "the end of one side is the end of the other");
    tokio::task::block_in_place(|| {
        eventually("the call to be over and counted", || {
            match (in_flight(&proxy), proxy.metrics().calls_of("* /a", "legacy")) {
                (Some(0.0), 1.0) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_over_http_2_that_breaks_off_is_reset_at_the_other_end() {
    let (left, leaving) = mpsc::channel();
    let origin = Origin::start(move |exchange| {
        exchange.write(
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        )?;
        if exchange.path() == "/a" {
            left.send(exchange.wait_for_close().is_ok()).unwrap();
        }
        Ok(After::Reset)
    });
    let proxy = tokio::task::block_in_place(|| before(&origin));
    let (answer, mut stream) = extended(&proxy, "/a").await;
    assert_eq!(answer.await.unwrap().status(), 200);
    stream.send_reset(Reason::CANCEL);
    assert!(
        tokio::task::block_in_place(|| leaving.recv_timeout(DEADLINE * 2)).unwrap(),
        "the client has left"
    );
    let (answer, _stream) = extended(&proxy, "/b").await;
    let mut body = answer.await.unwrap().into_body();
    assert!(body.data().await.is_none_or(|piece| piece.is_err()), "the server has left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_answers_to_an_extended_connect_are_no_success() {
    let origin = Origin::start(|exchange| {
        let status = exchange.path()[1..].parse().unwrap();
        exchange.answer(status, &[], b"no")?;
        Ok(After::Keep)
    });
    let proxy = tokio::task::block_in_place(|| before(&origin));
    for (path, status) in [("/200", 502), ("/403", 403), ("/426", 426)] {
        let (answer, _stream) = extended(&proxy, path).await;
        assert_eq!(answer.await.unwrap().status(), status, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_connect_is_refused_and_the_connection_goes_on() {
    let origin = Origin::named("legacy");
    let proxy = tokio::task::block_in_place(|| before(&origin));
    let mut sender = connect(&proxy).await;
    for length in ["0", "5"] {
        let request = Request::connect("shop.example:443").header("content-length", length).body(()).unwrap();
        let (answer, mut stream) = sender.send_request(request, false).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 501);
        let _over = stream.send_data(Bytes::from_static(b"12345"), true);
    }
    let (answer, _) = sender.send_request(get("/a").body(()).unwrap(), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_gets_no_content_whoever_answers() {
    let proxy = tokio::task::block_in_place(|| {
        Proxy::start(
            "legacy: http://127.0.0.1:1\nroutes: [ { match: 'GET,HEAD /a', respond: { body: content } } ]\n",
        )
    });
    let mut sender = connect(&proxy).await;
    let (answer, _) = sender.send_request(get("/a").method("HEAD").body(()).unwrap(), true).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(whole(answer.into_body()).await.unwrap(), b"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_do_not_read_hold_up_no_others_on_a_shared_connection() {
    let url = server(|request, mut respond| async move {
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        let length = if request.uri().path() == "/large" { 8 << 20 } else { 10 };
        let mut rest = Bytes::from(vec![b'x'; length]);
        while !rest.is_empty() {
            stream.reserve_capacity(rest.len());
            let Some(Ok(room)) = poll_fn(|cx| stream.poll_capacity(cx)).await else { return };
            let part = rest.split_to(room.min(rest.len()));
            let _gone = stream.send_data(part, rest.is_empty());
        }
    })
    .await;
    let proxy = tokio::task::block_in_place(|| {
        e2e::Site::exactly(&format!("listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\nlegacy: {url}\n"))
            .run()
    });
    let mut silent = Vec::new();
    for _ in 0..20 {
        let mut sender = connect(&proxy).await;
        let (answer, _) = sender.send_request(get("/large").body(()).unwrap(), true).unwrap();
        silent.push((sender, answer.await.unwrap()));
    }
    let mut sender = connect(&proxy).await;
    for _ in 0..5 {
        let (answer, _) = sender.send_request(get("/small").body(()).unwrap(), true).unwrap();
        let answer = tokio::time::timeout(DEADLINE, answer).await.expect("an answer in time").unwrap();
        assert_eq!(whole(answer.into_body()).await.unwrap().len(), 10);
    }
    tokio::task::block_in_place(|| {
        let connections = proxy.metrics().sum("starve_upstream_connections", &[]);
        assert_eq!(connections, 1.0, "they do share it");
    });
}

/// As servers of gRPC end a call early: the answer whole, and no more of the request wanted (RFC 9113 §8.1).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_early_end_without_an_error_is_a_whole_answer() {
    let url = server(|request, mut respond| async move {
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("9"));
        if request.uri().path() == "/a/only" {
            let head = Response::builder().header("grpc-status", "9").body(()).unwrap();
            respond.send_response(head, true).unwrap();
        } else {
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data(Bytes::from_static(b"part"), false).unwrap();
            stream.send_trailers(trailers).unwrap();
        }
        // Unread, the rest of the request is refused with NO_ERROR.
    })
    .await;
    let proxy = before_http2(&url);
    let mut sender = connect(&proxy).await;
    for (path, content) in [("/a/only", &b""[..]), ("/a/both", b"part")] {
        for _ in 0..20 {
            let request = get(path).method("POST").body(()).unwrap();
            let (answer, mut stream) = sender.send_request(request, false).unwrap();
            let _may_be_over = stream.send_data(Bytes::from_static(b"the first of many"), false);
            let (head, mut body) = answer.await.unwrap().into_parts();
            let mut all = Vec::new();
            while let Some(piece) = body.data().await {
                all.extend_from_slice(&piece.unwrap());
            }
            assert_eq!(all, content, "{path}");
            let status = match head.headers.get("grpc-status") {
                Some(status) => status.clone(),
                None => body.trailers().await.unwrap().unwrap()["grpc-status"].clone(),
            };
            assert_eq!(status, "9", "{path}");
        }
    }
}
