//! HTTP/1.1 down to the byte: interim answers, expectations, what is closed and what is kept.

use std::io;
use std::sync::mpsc;
use std::time::Duration;

use e2e::{After, End, Origin};

use super::{before, before_with};

#[test]
fn interim_answers_of_the_origin_reach_the_client_in_order() {
    let origin = Origin::start(|exchange| {
        exchange.write(b"HTTP/1.1 102 Processing\r\n\r\n")?;
        exchange.write(b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n")?;
        exchange.answer(200, &[], b"final")?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let answer = proxy.get("/a");
    assert_eq!((answer.interim.as_slice(), answer.text().as_str()), (&[102, 103][..], "final"));
}

#[test]
fn an_interim_answer_arrives_before_the_final_one_is_there() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let origin = Origin::start(move |exchange| {
        exchange.write(b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n")?;
        gate.lock().unwrap().recv().map_err(io::Error::other)?;
        exchange.answer(200, &[], b"x")?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let mut client = proxy.client();
    client.begin("GET", "/a", &[], b"");
    assert_eq!(client.interim(), 103);
    go.send(()).unwrap();
    assert_eq!(client.answer("GET").status, 200);
}

#[test]
fn a_client_of_http_1_0_gets_no_interim_answers() {
    let origin = Origin::start(|exchange| {
        exchange.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")?;
        exchange.answer(200, &[], b"x")?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let mut client = proxy.client();
    client.send("GET /a HTTP/1.0\r\nhost: a\r\n\r\n");
    let text = String::from_utf8(client.drain(e2e::DEADLINE)).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
}

#[test]
fn a_server_that_refuses_before_the_body_spares_the_client_from_sending_it() {
    let origin = Origin::start(|exchange| {
        assert_eq!(exchange.head.field("expect"), Some("100-continue"), "the expectation goes all the way");
        exchange.answer(401, &[], b"who are you?")?;
        Ok(After::Close)
    });
    let proxy = before(&origin);
    let mut client = proxy.client();
    client.send("POST /a HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1000000\r\n\r\n");
    let answer = client.answer("POST");
    assert_eq!((answer.status, answer.interim.as_slice()), (401, &[][..]));
    client.wait_for_close().unwrap();
}

#[test]
fn a_word_to_go_on_is_that_of_the_server() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let origin = Origin::start(move |exchange| {
        gate.lock().unwrap().recv().map_err(io::Error::other)?;
        exchange.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        exchange.read_body()?;
        exchange.answer(200, &[], b"x")?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let mut client = proxy.client();
    client.send("POST /a HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
    origin.wait_for(1);
    go.send(()).unwrap();
    assert_eq!(client.interim(), 100);
    client.send("body");
    assert_eq!(client.answer("POST").status, 200);
    assert_eq!(origin.seen()[0].body, b"body");
}

#[test]
fn the_body_follows_at_once_when_the_server_says_so() {
    let origin = Origin::start(|exchange| {
        exchange.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        exchange.read_body()?;
        exchange.answer(200, &[], b"x")?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let mut client = proxy.client();
    let began = std::time::Instant::now();
    for _ in 0..5 {
        client.send("PUT /a HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
        assert_eq!(client.interim(), 100);
        client.send("body");
        assert_eq!(client.answer("PUT").status, 200);
    }
    // A server that says nothing is waited for a second each.
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[test]
fn a_server_that_knows_no_expectations_is_waited_for_once() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    let call = || {
        let mut client = proxy.client();
        client.send("PUT /a HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
        let began = std::time::Instant::now();
        assert_eq!(client.interim(), 100);
        client.send("body");
        assert_eq!(client.answer("PUT").status, 200);
        began.elapsed()
    };
    let first = call();
    assert!(first >= Duration::from_millis(900), "{first:?}");
    let second = call();
    assert!(second < first, "{second:?} after {first:?}");
}

#[test]
fn an_unusual_reason_passes_as_it_is() {
    let origin = Origin::start(|exchange| {
        exchange.write(b"HTTP/1.1 299 Mostly Fine\r\ncontent-length: 0\r\n\r\n")?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let answer = proxy.get("/a");
    assert_eq!(answer.head.line, "HTTP/1.1 299 Mostly Fine");
}

#[test]
fn an_answer_without_a_date_gets_one() {
    let origin = Origin::start(|exchange| {
        exchange.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    assert!(proxy.get("/a").field("date").is_some_and(|date| date.ends_with(" GMT")));
}

#[test]
fn an_old_server_s_line_ends_and_folded_fields_are_understood() {
    let origin = Origin::start(|exchange| {
        exchange.write(b"HTTP/1.1 200 OK\nx-long: one\n  two\ncontent-length : 2\n\nok")?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let answer = proxy.get("/a");
    assert_eq!((answer.status, answer.field("x-long"), answer.text().as_str()), (200, Some("one two"), "ok"));
}

#[test]
fn an_answer_whose_length_can_be_read_in_two_ways_is_502() {
    for fields in ["content-length: 2\r\ncontent-length: 3", "transfer-encoding: gzip", "content-length: x"] {
        let origin = Origin::start(move |exchange| {
            exchange.write(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nabc").as_bytes())?;
            Ok(After::Close)
        });
        let proxy = before(&origin);
        assert_eq!(proxy.get("/a").status, 502, "{fields}");
    }
}

#[test]
fn a_slow_head_is_told_408() {
    let origin = Origin::named("legacy");
    let proxy = before_with(&origin, "limits: { head-timeout: 200ms }\n");
    let mut client = proxy.client();
    client.send("GET /a HTTP/1.1\r\nhost:");
    let answer = client.answer("GET");
    assert_eq!((answer.status, answer.field("connection")), (408, Some("close")));
    client.wait_for_close().unwrap();
}

#[test]
fn a_version_that_is_not_spoken_is_told_505() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    let mut client = proxy.client();
    client.send("GET /a HTTP/3.0\r\nhost: a\r\n\r\n");
    assert_eq!(client.answer("GET").status, 505);
    client.wait_for_close().unwrap();
    assert_eq!(proxy.metrics().get("starve_refused_requests_total", &[("reason", "bad_version")]), Some(1.0));
}

#[test]
fn an_answer_that_breaks_off_is_a_reset_where_its_end_is_that_of_the_connection() {
    let origin = Origin::start(|exchange| {
        exchange.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")?;
        Ok(After::Close)
    });
    let proxy = before(&origin);
    let mut client = proxy.client();
    client.send("GET /a HTTP/1.0\r\nhost: a\r\n\r\n");
    let answer = client.answer("GET");
    assert_eq!((answer.field("transfer-encoding"), answer.end), (None, End::CutOff));
}

#[test]
fn requests_behind_one_that_closes_are_not_answered_and_do_not_destroy_its_answer() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    let mut client = proxy.client();
    let more = "GET /b HTTP/1.1\r\nhost: a\r\n\r\n".repeat(100);
    client.send(format!("GET /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n{more}"));
    assert_eq!(client.answer("GET").status, 200);
    client.wait_for_close().unwrap();
    assert_eq!(origin.count(), 1);
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let origin = Origin::start(|exchange| {
        exchange.answer(413, &[], b"too much")?;
        Ok(After::Close)
    });
    let proxy = before(&origin);
    let mut client = proxy.client();
    client.send("POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 400000\r\n\r\n");
    let piece = vec![b'x'; 20_000];
    // The proxy may close while this goes on; the answer must come through all the same.
    for _ in 0..20 {
        if client.try_send(&piece).is_err() {
            break;
        }
    }
    let answer = client.answer("POST");
    assert_eq!((answer.status, answer.text().as_str()), (413, "too much"));
}
