//! Several servers of which some are ill, full or gone, and servers that speak HTTP/2.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use e2e::{After, Http, Origin, Proxy, eventually, feed};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};

/// Answers with its name; while it is ill its `/up` says 503, and while it is broken it closes instead.
fn server(name: &'static str) -> (Origin, Arc<AtomicBool>, Arc<AtomicBool>) {
    let (ill, broken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (is_ill, is_broken) = (ill.clone(), broken.clone());
    let origin = Origin::start(move |exchange| {
        exchange.read_body()?;
        if is_broken.load(SeqCst) {
            return Ok(After::Close);
        }
        let status = if exchange.path() == "/up" && is_ill.load(SeqCst) { 503 } else { 200 };
        exchange.answer(status, &[("server", name)], b"x")?;
        Ok(After::Keep)
    });
    (origin, ill, broken)
}

#[track_caller]
fn wait_for_health(proxy: &Proxy, origin: &Origin, healthy: f64) {
    let labels = [("upstream", "legacy"), ("server", &*origin.url())];
    eventually(&format!("starve_upstream_healthy {healthy} of {}", origin.url()), || {
        match proxy.metrics().get("starve_upstream_healthy", &labels) {
            Some(now) if now == healthy => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

/// Who answered each of some calls.
#[track_caller]
fn answered(proxy: &Proxy, calls: usize) -> Vec<String> {
    let mut client = proxy.client();
    let one = |_| {
        let answer = client.get("/a");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.server().to_owned()
    };
    (0..calls).map(one).collect()
}

#[test]
fn a_server_whose_checks_fail_gets_no_call_until_they_pass() {
    let ((one, ill, _), (two, ..)) = (server("one"), server("two"));
    let proxy = Proxy::start(&format!(
        "legacy: {{ servers: ['{}', '{}'], health: {{ path: /up, interval: 30ms, host: up.example }} }}\n",
        one.url(),
        two.url()
    ));
    wait_for_health(&proxy, &one, 1.0);
    assert!(answered(&proxy, 20).contains(&"one".to_owned()));
    ill.store(true, SeqCst);
    wait_for_health(&proxy, &one, 0.0);
    assert!(answered(&proxy, 50).iter().all(|server| server == "two"));
    ill.store(false, SeqCst);
    wait_for_health(&proxy, &one, 1.0);
    assert!(answered(&proxy, 20).contains(&"one".to_owned()));
    let log = proxy.log();
    assert_eq!(
        (log.matches("server is out").count(), log.matches("server is back").count()),
        (1, 1),
        "{log}"
    );
    let checks: Vec<_> = one.seen().into_iter().filter(|seen| seen.head.target() == "/up").collect();
    assert!(checks.iter().all(|seen| seen.head.field("host") == Some("up.example")), "{checks:?}");
}

#[test]
fn when_all_checks_fail_all_servers_are_tried() {
    let ((one, ill_one, _), (two, ill_two, _)) = (server("one"), server("two"));
    ill_one.store(true, SeqCst);
    ill_two.store(true, SeqCst);
    let proxy =
        Proxy::start(&format!("legacy: {{ servers: ['{}', '{}'], health: /up }}\n", one.url(), two.url()));
    wait_for_health(&proxy, &one, 0.0);
    wait_for_health(&proxy, &two, 0.0);
    let answers = answered(&proxy, 20);
    assert!(answers.contains(&"one".to_owned()) && answers.contains(&"two".to_owned()), "{answers:?}");
}

#[test]
fn a_server_on_which_calls_fail_is_left_out_and_comes_back() {
    let ((one, _, broken), (two, ..)) = (server("one"), server("two"));
    broken.store(true, SeqCst);
    let proxy = Proxy::start(&format!(
        "legacy: {{ servers: ['{}', '{}'], balance: round-robin, eject: {{ failures: 3, time: 200ms }} }}\n",
        one.url(),
        two.url()
    ));
    let call = || proxy.client().call("POST", "/a", &[], b"order").status;
    let failed = (0..6).filter(|_| call() == 502).count();
    assert_eq!(failed, 3, "the others went to the good server");
    assert_eq!(proxy.metrics().sum("starve_upstream_ejections_total", &[("server", &one.url())]), 1.0);
    // It accepts connections, and is put to the test again and again.
    eventually("a second ejection", || {
        let _status = call();
        match proxy.metrics().sum("starve_upstream_ejections_total", &[("server", &one.url())]) {
            count if count >= 2.0 => Ok(()),
            count => Err(format!("{count}")),
        }
    });
    broken.store(false, SeqCst);
    wait_for_health(&proxy, &one, 1.0);
    assert!(answered(&proxy, 20).contains(&"one".to_owned()));
}

#[test]
fn a_user_stays_with_a_server_and_moves_only_when_it_is_gone() {
    let servers = [Origin::named("a"), Origin::named("b"), Origin::named("c")];
    let urls: Vec<_> = servers.iter().map(|server| format!("'{}'", server.url())).collect();
    let proxy = Proxy::start(&format!(
        "legacy: {{ servers: [{}], balance: sticky, sticky: header:x-user }}\n",
        urls.join(", ")
    ));
    let server_of = |user: usize| {
        let answer = proxy.client().call("GET", "/a", &[("x-user", &format!("user {user}"))], b"");
        assert_eq!(answer.status, 200);
        answer.server().to_owned()
    };
    let before: Vec<_> = (0..60).map(server_of).collect();
    assert_eq!(before, (0..60).map(server_of).collect::<Vec<_>>());
    let [a, b, c] = servers;
    drop(b);
    let after: Vec<_> = (0..60).map(server_of).collect();
    for (before, after) in before.iter().zip(&after) {
        assert!(if before == "b" { after != "b" } else { before == after }, "{before} {after}");
    }
    assert!(["a", "b", "c"].iter().all(|name| before.iter().any(|server| server == name)), "{before:?}");
    drop((a, c));
}

#[test]
fn a_full_server_lets_some_wait_and_refuses_the_rest() {
    let held = Arc::new(AtomicBool::new(true));
    let is_held = held.clone();
    let origin = Origin::start(move |exchange| {
        while is_held.load(SeqCst) {
            std::thread::yield_now();
        }
        exchange.answer(200, &[], b"x")?;
        Ok(After::Keep)
    });
    let proxy = Proxy::start(&format!(
        "legacy: {{ servers: ['{}'], limits: {{ in-flight: 1, queue: 1, wait: 20s }} }}\n",
        origin.url()
    ));
    let (mut first, mut second, mut third) = (proxy.client(), proxy.client(), proxy.client());
    first.begin("GET", "/a", &[], b"");
    origin.wait_for(1);
    second.begin("GET", "/a", &[], b"");
    let labels = [("upstream", "legacy")];
    eventually("one that waits", || match proxy.metrics().get("starve_upstream_waiting_requests", &labels) {
        Some(1.0) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let refused = third.get("/a");
    assert_eq!((refused.status, refused.field("retry-after")), (503, Some("1")));
    assert_eq!(origin.count(), 1);
    held.store(false, SeqCst);
    assert_eq!((first.answer("GET").status, second.answer("GET").status), (200, 200));
    let hits = [("upstream", "legacy"), ("limit", "queue")];
    assert_eq!(proxy.metrics().get("starve_upstream_limit_hits_total", &hits), Some(1.0));
}

#[test]
fn a_server_has_no_more_connections_than_it_may() {
    let origin = Origin::named("legacy");
    let proxy =
        Proxy::start(&format!("legacy: {{ servers: ['{}'], limits: {{ connections: 1 }} }}\n", origin.url()));
    // Two workers, which would keep an idle connection each.
    for _ in 0..40 {
        assert_eq!(proxy.get("/a").status, 200);
    }
    assert_eq!(proxy.metrics().sum("starve_upstream_connections", &[("state", "idle")]), 1.0);
}

#[test]
fn a_name_with_several_addresses_is_tried_until_one_answers() {
    let origin = Origin::named("legacy");
    // `localhost` is 127.0.0.1 and, on most machines, ::1 as well, where nobody listens.
    let url = format!("http://localhost:{}", origin.address().port());
    let proxy = Proxy::start(&format!("legacy: {url}\n"));
    for _ in 0..10 {
        assert_eq!(proxy.get("/a").server(), "legacy");
    }
    let localhost: Vec<_> = ("localhost", 1).to_socket_addrs().unwrap().collect();
    if let Ok(listener) = TcpListener::bind("[::1]:0")
        && localhost.iter().any(SocketAddr::is_ipv6)
    {
        let port = listener.local_addr().unwrap().port();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            std::io::Read::read(&mut stream, &mut [0; 4096]).unwrap();
            std::io::Write::write_all(&mut stream, b"HTTP/1.1 204 Six\r\n\r\n").unwrap();
        });
        let proxy = Proxy::start(&format!("legacy: http://localhost:{port}\n"));
        assert_eq!(proxy.get("/a").status, 204);
        serving.join().unwrap();
    }
}

/// Speaks HTTP/2 without TLS and sends each request's body and trailers back as they come.
async fn h2c_echo() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = service_fn(|request: Request<hyper::body::Incoming>| async {
                let te = request.headers().get("te").cloned();
                let mut answer = Response::new(request.into_body());
                let told = http::HeaderName::from_static("x-te");
                answer.headers_mut().extend(te.map(|te| (told, te)));
                answer.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
                Ok::<_, Infallible>(answer)
            });
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), answer));
        }
    });
    format!("h2c://{address}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_messages_goes_both_ways_over_http_2_with_its_trailers() {
    let proxy = Proxy::start(&format!("legacy: {}\n", h2c_echo().await));
    let mut http = Http::two(proxy.address()).await;
    for _ in 0..3 {
        let (messages, body) = feed();
        let request = Request::post("http://shop.example/shop.Orders/Place")
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .body(body)
            .unwrap();
        let mut answer = http.send(request).await.unwrap();
        assert_eq!(answer.headers()["x-te"], "trailers");
        for message in ["one", "two", "three"] {
            messages.data(message).await;
            // Each comes back before the next is sent.
            let frame = answer.body_mut().frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), message);
        }
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        messages.trailers(trailers).await;
        drop(messages);
        let frame = answer.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(frame.into_trailers().unwrap()["grpc-status"], "0");
        assert!(answer.body_mut().frame().await.is_none());
    }
    assert_eq!(proxy.metrics().sum("starve_upstream_connections", &[("upstream", "legacy")]), 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_http_1_reach_servers_of_http_2() {
    let proxy = Proxy::start(&format!("legacy: {}\n", h2c_echo().await));
    let mut http = Http::one(proxy.address()).await;
    let request = Request::post("http://shop.example/a").body(e2e::body_of("an order")).unwrap();
    let answer = http.call(request).await.unwrap();
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, &b"an order"[..]));
}

#[test]
fn a_server_is_told_the_client_s_address_and_each_call_has_its_own_connection() {
    use std::io::{BufRead as _, BufReader, Write as _};

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let serve = |_| {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                stream.read_line(&mut head).unwrap();
            }
            assert!(head.starts_with("GET /a HTTP/1.1\r\n"), "{head}");
            stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            line
        };
        (0..3).map(serve).collect::<Vec<_>>()
    });
    let proxy = Proxy::start(&format!("legacy: {{ servers: ['{url}'], proxy-protocol: v1 }}\n"));
    let mut client = proxy.client();
    assert_eq!((client.get("/a").status, client.get("/a").status), (200, 200));
    assert_eq!(proxy.get("/a").status, 200);
    let lines = serving.join().unwrap();
    assert!(lines.iter().all(|line| line.starts_with("PROXY TCP4 127.0.0.1 0.0.0.0 ")), "{lines:?}");
    assert!(lines[0] == lines[1] && lines[1] != lines[2], "{lines:?}");
}
