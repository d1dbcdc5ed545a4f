//! Clients of every age and temper.

use e2e::{After, End, Origin, eventually};

use super::{before, before_with};

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::start(|exchange| {
        exchange.answer(200, &[], exchange.path().to_owned().as_bytes())?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let mut client = proxy.client();
    let requests: String = (0..20).map(|n| format!("GET /p/{n} HTTP/1.1\r\nhost: a\r\n\r\n")).collect();
    client.send(requests);
    for n in 0..20 {
        assert_eq!(client.answer("GET").text(), format!("/p/{n}"));
    }
}

#[test]
fn a_request_in_single_bytes_is_understood() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    let mut client = proxy.client();
    for byte in b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody" {
        client.send([*byte]);
    }
    assert_eq!(client.answer("POST").status, 200);
    assert_eq!(origin.seen()[0].body, b"body");
}

#[test]
fn a_client_of_http_1_0_gets_an_answer_that_it_can_read() {
    let origin = Origin::start(|exchange| {
        exchange.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n")?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let mut client = proxy.client();
    client.send("GET /a HTTP/1.0\r\n\r\n");
    let answer = client.answer("GET");
    assert_eq!((answer.status, answer.field("transfer-encoding")), (200, None), "{:?}", answer.head);
    assert_eq!((answer.text().as_str(), answer.end), ("body", End::Complete));
    assert_eq!(origin.seen()[0].head.line, "GET /a HTTP/1.1", "the proxy speaks its own version");
    assert_eq!(origin.seen()[0].head.field("via"), Some("1.0 starve"));
}

#[test]
fn a_client_of_http_1_0_may_keep_its_connection() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    let mut client = proxy.client();
    for _ in 0..2 {
        client.send("GET /a HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n");
        assert_eq!(client.answer("GET").status, 200);
    }
}

#[test]
fn connection_close_is_honoured() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    let mut client = proxy.client();
    assert_eq!(client.call("GET", "/a", &[("connection", "close")], b"").status, 200);
    client.wait_for_close().unwrap();
}

#[test]
fn an_absolute_target_names_the_host() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    let mut client = proxy.client();
    client.send("GET http://other.example/a?q=1 HTTP/1.1\r\nhost: shop.example\r\n\r\n");
    assert_eq!(client.answer("GET").status, 200);
    let head = &origin.seen()[0].head;
    assert_eq!((head.target(), head.all("host")), ("/a?q=1", vec!["other.example"]));
    assert_eq!(head.field("x-forwarded-host"), Some("other.example"));
}

#[test]
fn when_the_client_leaves_before_the_answer_the_upstream_sees_it() {
    let (left, leaving) = std::sync::mpsc::channel();
    let origin = Origin::start(move |exchange| {
        left.send(exchange.wait_for_close().is_ok()).unwrap();
        Ok(After::Close)
    });
    let proxy = before(&origin);
    let mut client = proxy.client();
    client.begin("GET", "/a", &[], b"");
    origin.wait_for(1);
    drop(client);
    assert!(leaving.recv_timeout(e2e::DEADLINE * 2).unwrap(), "the upstream connection is closed");
}

#[test]
fn when_the_client_leaves_inside_the_answer_the_upstream_sees_it() {
    let (left, leaving) = std::sync::mpsc::channel();
    let origin = Origin::start(move |exchange| {
        exchange.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")?;
        left.send(exchange.wait_for_close().is_ok()).unwrap();
        Ok(After::Close)
    });
    let proxy = before(&origin);
    let mut client = proxy.client();
    client.begin("GET", "/a", &[], b"");
    client.head("GET");
    assert_eq!(client.piece().unwrap(), b"first");
    drop(client);
    assert!(leaving.recv_timeout(e2e::DEADLINE * 2).unwrap(), "the upstream connection is closed");
}

#[test]
fn a_request_body_that_breaks_off_never_looks_complete_to_the_origin() {
    for framing in ["content-length: 100", "transfer-encoding: chunked"] {
        let (ended, ending) = std::sync::mpsc::channel();
        let origin = Origin::start(move |exchange| {
            ended.send(exchange.read_body().is_ok()).unwrap();
            Ok(After::Close)
        });
        let proxy = before(&origin);
        let mut client = proxy.client();
        client.send(format!("POST /a HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n5\r\nfirst\r\n"));
        eventually("the first bytes at the origin", || match origin.seen().first() {
            Some(seen) if !seen.body.is_empty() => Ok(()),
            other => Err(format!("{other:?}")),
        });
        drop(client);
        assert!(!ending.recv_timeout(e2e::DEADLINE * 2).unwrap(), "{framing}: cut off, not ended");
    }
}

#[test]
fn a_head_that_never_ends_is_cut_off() {
    let origin = Origin::named("legacy");
    let proxy = before_with(&origin, "limits: { head-timeout: 300ms }\n");
    let mut client = proxy.client();
    client.send("GET /a HTTP/1.1\r\nhost: a\r\nx-slow: ");
    let rest = client.drain(e2e::DEADLINE);
    let text = String::from_utf8_lossy(&rest);
    assert!(rest.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
    assert_eq!(origin.count(), 0);
    assert_eq!(proxy.metrics().get("starve_limit_hits_total", &[("limit", "head-timeout")]), Some(1.0));
}

#[test]
fn a_head_that_trickles_is_cut_off_long_before_its_time() {
    let origin = Origin::named("legacy");
    let proxy = before_with(&origin, "limits: { head-timeout: 5m, min-head-rate: 1KiB }\n");
    let mut slow = proxy.client();
    slow.send("GET /a HTTP/1.1\r\nhost: a\r\nx-slow: ");
    let answer = slow.answer("GET");
    assert_eq!((answer.status, origin.count()), (408, 0));
    assert_eq!(proxy.metrics().get("starve_limit_hits_total", &[("limit", "head-timeout")]), Some(1.0));
    assert_eq!(proxy.get("/a").status, 200);
}

#[test]
fn an_idle_connection_is_closed_in_time_and_a_busy_one_is_not() {
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let origin = Origin::start(move |exchange| {
        if exchange.path() == "/slow" {
            let _told = gate.lock().unwrap().recv();
        }
        exchange.answer(200, &[], b"x")?;
        Ok(After::Keep)
    });
    let proxy = before_with(&origin, "limits: { idle-timeout: 500ms, head-timeout: 500ms }\n");
    let mut busy = proxy.client();
    busy.begin("GET", "/slow", &[], b"");
    origin.wait_for(1);
    let mut idle = proxy.client();
    assert_eq!(idle.get("/a").status, 200);
    idle.wait_for_close().unwrap();
    go.send(()).unwrap();
    assert_eq!(busy.answer("GET").status, 200);
}

#[test]
fn above_the_limit_of_requests_in_flight_calls_are_503_with_retry_after() {
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let origin = Origin::start(move |exchange| {
        let _told = gate.lock().unwrap().recv();
        exchange.answer(200, &[], b"x")?;
        Ok(After::Keep)
    });
    // One worker: the limit is shared out over them.
    let proxy = e2e::Site::exactly(&format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\nlegacy: {}\nlimits: {{ in-flight: 1 }}\n",
        origin.url()
    ))
    .run();
    let mut first = proxy.client();
    first.begin("GET", "/a", &[], b"");
    origin.wait_for(1);
    let refused = proxy.get("/a");
    assert_eq!(refused.status, 503);
    assert!(refused.field("retry-after").is_some());
    assert_eq!(proxy.metrics().get("starve_limit_hits_total", &[("limit", "in-flight")]), Some(1.0));
    drop(go);
    assert_eq!(first.answer("GET").status, 200);
    eventually("room again", || match proxy.get("/a").status {
        200 => Ok(()),
        other => Err(other.to_string()),
    });
}

#[test]
fn more_connections_than_the_limit_wait_their_turn() {
    let origin = Origin::named("legacy");
    let proxy = before_with(&origin, "limits: { connections: 2 }\n");
    let (mut first, mut second) = (proxy.client(), proxy.client());
    assert_eq!((first.get("/a").status, second.get("/a").status), (200, 200));
    let mut third = proxy.client();
    third.begin("GET", "/a", &[], b"");
    eventually("the limit in the metrics", || {
        match proxy.metrics().get("starve_limit_hits_total", &[("limit", "connections")]) {
            Some(hits) if hits > 0.0 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert_eq!(proxy.metrics().get("starve_connections", &[]), Some(2.0));
    assert_eq!((first.get("/a").status, origin.count()), (200, 3), "the third one waits");
    drop(second);
    assert_eq!(third.answer("GET").status, 200);
}
