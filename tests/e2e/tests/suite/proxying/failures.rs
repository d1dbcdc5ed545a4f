//! An origin that is down, silent, broken or hasty.

use std::io;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use e2e::{After, Answer, Client, End, Exchange, Http, Origin, Proxy};

use super::before;

#[track_caller]
fn assert_gateway_error(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.text());
    let proxy_status = answer.field("proxy-status").unwrap_or_default();
    assert!(proxy_status.starts_with("starve; error="), "{proxy_status}");
    assert_eq!(answer.field("content-type"), Some("application/problem+json"));
    assert_eq!(answer.json()["status"], status);
}

fn free_address() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn an_origin_that_is_down_is_a_quick_502() {
    let proxy =
        Proxy::start(&format!("legacy: http://{}\nroutes: [ {{ match: GET /a }} ]\n", free_address()));
    let began = Instant::now();
    let mut client = proxy.client();
    for _ in 0..3 {
        assert_gateway_error(&client.get("/a"), 502);
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(proxy.metrics().calls("GET /a", "legacy", "GET", "5xx"), Some(3.0));
    assert!(proxy.log().contains("GET /a"), "the log names the route");
}

#[test]
fn an_origin_that_comes_back_is_used_at_once() {
    let address = free_address();
    let proxy = Proxy::start(&format!("legacy: http://{address}\n"));
    assert_eq!(proxy.get("/a").status, 502);
    let origin = TcpListener::bind(address).unwrap();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = origin.accept().unwrap();
        io::Read::read(&mut stream, &mut [0; 4096]).unwrap();
        io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    });
    assert_eq!(proxy.get("/a").status, 200);
    serving.join().unwrap();
}

#[test]
fn one_server_of_several_that_is_down_fails_no_call() {
    let origin = Origin::named("legacy");
    let proxy =
        Proxy::start(&format!("legacy: {{ servers: ['http://{}', '{}'] }}\n", free_address(), origin.url()));
    let mut client = proxy.client();
    for n in 0..20 {
        let (method, body) = if n % 2 == 0 { ("GET", &b""[..]) } else { ("POST", &b"once"[..]) };
        assert_eq!(client.call(method, "/a", &[], body).status, 200);
    }
    assert_eq!(origin.count(), 20);
}

#[test]
fn an_origin_that_is_silent_is_504_in_time() {
    let origin = Origin::start(|exchange| {
        exchange.wait_for_close()?;
        Ok(After::Close)
    });
    let legacy = format!("legacy: {{ servers: ['{}'], timeout: {{ first-byte: 300ms }} }}\n", origin.url());
    let proxy = Proxy::start(&legacy);
    let began = Instant::now();
    assert_gateway_error(&proxy.get("/a"), 504);
    assert_gateway_error(&proxy.client().call("POST", "/a", &[], b"x"), 504);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(origin.count(), 2, "nothing is tried again");
}

#[test]
fn an_answer_that_is_not_http_is_502() {
    for garbage in [
        "\0\u{1}\u{2} this is not HTTP\r\n\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    ] {
        let origin = Origin::start(move |exchange| {
            exchange.read_body()?;
            exchange.write(garbage.as_bytes())?;
            Ok(After::Close)
        });
        let proxy = before(&origin);
        assert_gateway_error(&proxy.get("/a"), 502);
    }
}

#[test]
fn an_origin_that_closes_without_a_word_is_502() {
    let origin = Origin::start(|_| Ok(After::Close));
    let proxy = before(&origin);
    assert_gateway_error(&proxy.get("/a"), 502);
    assert_gateway_error(&proxy.client().call("POST", "/a", &[], b"x"), 502);
    assert_eq!(origin.count(), 2, "on a new connection nothing is tried again");
}

/// What an origin may send of an answer before it is gone.
const CUT_OFF: [(&str, &str); 4] = [
    ("content-length: 1000", "the first bytes"),
    ("transfer-encoding: chunked", "5\r\nfirst\r\n"),
    ("transfer-encoding: chunked", "5\r\nfi"),
    ("transfer-encoding: chunked", "5\r\nfirst\r\n0\r\n"),
];

fn cut_off(head: &'static str, body: &'static str, after: After) -> Origin {
    Origin::start(move |exchange| {
        exchange.write(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}").as_bytes())?;
        Ok(after)
    })
}

#[test]
fn an_answer_that_breaks_off_never_looks_complete() {
    for after in [After::Close, After::Reset] {
        for (head, body) in CUT_OFF {
            let origin = cut_off(head, body, after);
            let proxy = before(&origin);
            let mut client = proxy.client();
            client.begin("GET", "/a", &[], b"");
            // A reset may overtake the head; then it is a 502.
            let answer = client.answer("GET");
            let is_told = answer.end == End::CutOff || answer.status == 502;
            assert!(is_told, "{after:?} {head} {body:?}: {} {}", answer.status, answer.text());
            let class = if answer.status == 502 { "5xx" } else { "none" };
            assert_eq!(proxy.metrics().calls("* /a", "legacy", "GET", class), Some(1.0), "{head} {body:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_off_never_looks_complete_over_http_2() {
    for (head, body) in CUT_OFF {
        let origin = cut_off(head, body, After::Close);
        let proxy = before(&origin);
        let mut http = Http::two(proxy.address()).await;
        let outcome = http.get("/a").await;
        assert!(outcome.is_err(), "{head} {body:?}: {outcome:?}");
        let other = http.get("/a").await;
        assert!(other.is_err_and(|error| !error.is_closed()), "the connection and its other streams go on");
    }
}

#[test]
fn an_origin_that_falls_silent_inside_its_answer_is_cut_off() {
    let origin = Origin::start(|exchange| {
        exchange.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nfirst")?;
        exchange.wait_for_close()?;
        Ok(After::Close)
    });
    let proxy =
        Proxy::start(&format!("legacy: {{ servers: ['{}'], timeout: {{ idle: 300ms }} }}\n", origin.url()));
    let answer = proxy.get("/a");
    assert_eq!((answer.status, answer.end), (200, End::CutOff));
}

#[test]
fn an_origin_that_closes_idle_connections_at_any_moment_fails_no_read() {
    // Answers as if the connection were kept, and closes it.
    let origin = Origin::start(|exchange| {
        exchange.answer(200, &[], b"x")?;
        Ok(After::Close)
    });
    let proxy = before(&origin);
    let mut client = proxy.client();
    for n in 0..300 {
        assert_eq!(client.get("/a").status, 200, "call {n}");
    }
    assert_eq!(proxy.metrics().calls("* /a", "legacy", "GET", "2xx"), Some(300.0));
}

/// Answers the first request of each connection and closes at the second, which it has read.
fn closes_at_the_second(exchange: &mut Exchange<'_>, seen: &[AtomicUsize]) -> io::Result<After> {
    exchange.read_body()?;
    if seen[exchange.connection()].fetch_add(1, SeqCst) > 0 {
        return Ok(After::Close);
    }
    exchange.answer(200, &[], b"x")?;
    Ok(After::Keep)
}

fn stale() -> Origin {
    let seen: Vec<_> = (0..100).map(|_| AtomicUsize::new(0)).collect();
    Origin::start(move |exchange| closes_at_the_second(exchange, &seen))
}

#[test]
fn a_read_on_a_connection_that_has_gone_stale_is_sent_again() {
    let origin = stale();
    // One worker, so that all calls share its connections.
    let site = e2e::Site::exactly(&format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\nlegacy: {}\n",
        origin.url()
    ));
    let proxy = site.run();
    let mut client = proxy.client();
    for n in 0..20 {
        assert_eq!(client.get("/a").status, 200, "call {n}");
    }
    assert!(origin.count() > 20, "some of them went stale: {}", origin.count());
    assert!(proxy.metrics().sum("starve_retries_total", &[("upstream", "legacy")]) > 0.0);
}

#[test]
fn a_write_on_a_connection_that_has_gone_stale_is_not_repeated() {
    let origin = stale();
    let site = e2e::Site::exactly(&format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\nlegacy: {}\n",
        origin.url()
    ));
    let proxy = site.run();
    let mut client = proxy.client();
    let statuses: Vec<_> =
        (0..6).map(|n| client.call("POST", "/a", &[("x-number", &n.to_string())], b"order").status).collect();
    assert!(statuses.iter().all(|status| matches!(status, 200 | 502)), "{statuses:?}");
    assert!(statuses.contains(&502), "one of them met a stale connection: {statuses:?}");
    let mut numbers: Vec<_> =
        origin.seen().iter().map(|seen| seen.head.field("x-number").map(str::to_owned)).collect();
    numbers.sort();
    numbers.dedup();
    assert_eq!((numbers.len(), origin.count()), (6, 6), "each was sent exactly once");
}

#[test]
fn a_write_goes_over_a_new_connection_when_the_idle_one_was_closed_before() {
    let origin = Origin::start(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[("connection", "close")], b"x")?;
        Ok(After::Close)
    });
    let proxy = before(&origin);
    let mut client = proxy.client();
    for _ in 0..20 {
        assert_eq!(client.call("POST", "/a", &[], b"order").status, 200);
    }
    assert_eq!(origin.count(), 20);
}

#[test]
fn an_answer_before_the_end_of_the_request_reaches_the_client() {
    let origin = Origin::start(|exchange| {
        exchange.answer(403, &[("connection", "close")], b"not you")?;
        while !exchange.skim_piece()?.is_empty() {}
        Ok(After::Close)
    });
    let proxy = before(&origin);
    let mut client: Client = proxy.client();
    client.send("POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nthe first bytes");
    let answer = client.answer("POST");
    assert_eq!((answer.status, answer.text().as_str()), (403, "not you"));
}

#[test]
fn one_route_s_broken_upstream_harms_no_other() {
    let (good, silent) = (
        Origin::named("legacy"),
        Origin::start(|exchange| {
            exchange.wait_for_close()?;
            Ok(After::Close)
        }),
    );
    let proxy = Proxy::start(&format!(
        "legacy: {}\nupstreams: {{ reports: '{}' }}\nroutes: [ {{ match: GET /reports, legacy: reports }} ]\n",
        good.url(),
        silent.url()
    ));
    let mut waiting: Vec<_> = (0..20).map(|_| proxy.client()).collect();
    for client in &mut waiting {
        client.begin("GET", "/reports", &[], b"");
    }
    silent.wait_for(20);
    let began = Instant::now();
    assert_eq!(proxy.get("/a").status, 200);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(proxy.metrics().get("starve_in_flight_requests", &[]), Some(20.0));
}
