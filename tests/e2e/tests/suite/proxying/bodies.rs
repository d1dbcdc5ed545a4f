//! Bodies stream in both directions, whole or not at all, in bounded memory.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use e2e::{After, End, Exchange, Http, Origin, body_of, empty, eventually, feed, get};
use http_body_util::BodyExt as _;

use super::before;

const LARGE: u64 = 64 * 1024 * 1024;
/// What the proxy's memory may grow by while a large body passes: buffers of both sides, no body.
const GROWTH_MAX: u64 = 16 * 1024 * 1024;

/// A piece of a large body at an offset: bytes that differ everywhere, so that nothing can be lost or doubled.
fn pattern(offset: u64, length: usize) -> Vec<u8> {
    (offset..offset + length as u64).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}

/// Follows a large body and compares it with the pattern.
#[derive(Default)]
struct Check(u64);

impl Check {
    fn take(&mut self, piece: &[u8]) {
        assert!(
            piece == pattern(self.0, piece.len()),
            "another byte within {} after {}",
            piece.len(),
            self.0
        );
        self.0 += piece.len() as u64;
    }
}

/// An origin that sends the first half of a body, waits for the word, and sends the second.
fn in_two_steps(head: &'static str, first: &'static str, second: &'static str) -> (Origin, mpsc::Sender<()>) {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let origin = Origin::start(move |exchange| {
        exchange.write(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{first}").as_bytes())?;
        let _told = gate.lock().unwrap().recv();
        exchange.write(second.as_bytes())?;
        Ok(After::Keep)
    });
    (origin, go)
}

#[test]
fn the_first_byte_of_an_answer_arrives_before_the_last_is_sent() {
    for (head, first, second) in [
        ("content-length: 10", "first", "-last"),
        ("transfer-encoding: chunked", "5\r\nfirst\r\n", "5\r\n-last\r\n0\r\n\r\n"),
    ] {
        let (origin, go) = in_two_steps(head, first, second);
        let proxy = before(&origin);
        let mut client = proxy.client();
        client.begin("GET", "/a", &[], b"");
        assert_eq!(client.head("GET").status, 200);
        assert_eq!(client.piece().unwrap(), b"first", "{head}");
        go.send(()).unwrap();
        assert_eq!(client.piece().unwrap(), b"-last", "{head}");
        assert_eq!(client.piece().unwrap(), b"", "{head}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_byte_of_an_answer_arrives_over_http_2_before_the_last_is_sent() {
    let (origin, go) = in_two_steps("content-length: 10", "first", "-last");
    let proxy = before(&origin);
    let mut http = Http::two(proxy.address()).await;
    let mut body = http.send(get("/a").body(empty()).unwrap()).await.unwrap().into_body();
    assert_eq!(&body.frame().await.unwrap().unwrap().into_data().unwrap()[..], b"first");
    go.send(()).unwrap();
    assert_eq!(&body.frame().await.unwrap().unwrap().into_data().unwrap()[..], b"-last");
}

fn wait_for_body(origin: &Origin, body: &[u8]) {
    eventually("the origin to have the body so far", || match origin.seen().first() {
        Some(seen) if seen.body == body => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn the_first_byte_of_a_request_arrives_before_the_last_is_sent() {
    for (framing, first, second) in [
        ("content-length: 10", "first", "-last"),
        ("transfer-encoding: chunked", "5\r\nfirst\r\n", "5\r\n-last\r\n0\r\n\r\n"),
    ] {
        let origin = Origin::named("legacy");
        let proxy = before(&origin);
        let mut client = proxy.client();
        client.send(format!("POST /a HTTP/1.1\r\nhost: shop.example\r\n{framing}\r\n\r\n{first}"));
        wait_for_body(&origin, b"first");
        client.send(second);
        assert_eq!(client.answer("POST").status, 200, "{framing}");
        wait_for_body(&origin, b"first-last");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_byte_of_a_request_over_http_2_arrives_before_the_last_is_sent() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    let mut http = Http::two(proxy.address()).await;
    let (input, body) = feed();
    let request = get("/a").method("POST").body(body).unwrap();
    let calling = tokio::spawn(async move { http.call(request).await });
    input.data("first").await;
    let origin = tokio::task::spawn_blocking(move || {
        wait_for_body(&origin, b"first");
        origin
    });
    let origin = origin.await.unwrap();
    input.data("-last").await;
    drop(input);
    assert_eq!(calling.await.unwrap().unwrap().status, 200);
    assert_eq!(origin.seen()[0].body, b"first-last");
}

#[test]
fn both_directions_flow_at_the_same_time() {
    let origin = Origin::start(|exchange| {
        exchange.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        loop {
            let piece = exchange.read_piece()?;
            exchange.write(format!("{:x}\r\n", piece.len()).as_bytes())?;
            exchange.write(&piece)?;
            exchange.write(b"\r\n")?;
            if piece.is_empty() {
                return Ok(After::Keep);
            }
        }
    });
    let proxy = before(&origin);
    let mut client = proxy.client();
    client.send("POST /a HTTP/1.1\r\nhost: shop.example\r\ntransfer-encoding: chunked\r\n\r\n");
    assert_eq!(client.head("POST").status, 200);
    for word in ["ping", "pong", "peng"] {
        client.send(format!("4\r\n{word}\r\n"));
        assert_eq!(client.piece().unwrap(), word.as_bytes());
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.piece().unwrap(), b"");
}

/// Sends the large body.
fn send_large(exchange: &mut Exchange<'_>) -> io::Result<After> {
    exchange.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n").as_bytes())?;
    let mut sent = 0;
    while sent < LARGE {
        let piece = pattern(sent, 1 << 16);
        exchange.write(&piece)?;
        sent += piece.len() as u64;
    }
    Ok(After::Keep)
}

/// Takes the large body and says how much it was.
fn take_large(exchange: &mut Exchange<'_>) -> io::Result<After> {
    let mut check = Check::default();
    loop {
        let piece = exchange.skim_piece()?;
        if piece.is_empty() {
            break;
        }
        check.take(&piece);
    }
    exchange.answer(200, &[], check.0.to_string().as_bytes())?;
    Ok(After::Keep)
}

/// Either, by the method.
fn large() -> Origin {
    Origin::start(|exchange| match exchange.head.method() {
        "GET" => send_large(exchange),
        _ => take_large(exchange),
    })
}

#[track_caller]
fn assert_bounded(proxy: &e2e::Proxy, before: u64) {
    let (_, most) = proxy.memory();
    let growth = most.saturating_sub(before);
    assert!(growth < GROWTH_MAX, "the proxy's memory grew by {} MiB", growth >> 20);
}

#[test]
fn a_large_answer_passes_whole_in_bounded_memory() {
    let origin = large();
    let proxy = before(&origin);
    let (memory, _) = proxy.memory();
    let mut client = proxy.client();
    client.begin("GET", "/a", &[], b"");
    assert_eq!(client.head("GET").status, 200);
    let mut check = Check::default();
    loop {
        let piece = client.piece().unwrap();
        if piece.is_empty() {
            break;
        }
        check.take(&piece);
    }
    assert_eq!(check.0, LARGE);
    assert_bounded(&proxy, memory);
}

#[test]
fn a_large_request_passes_whole_in_bounded_memory() {
    let origin = large();
    let proxy = before(&origin);
    let (memory, _) = proxy.memory();
    let mut client = proxy.client();
    client.send("POST /a HTTP/1.1\r\nhost: shop.example\r\ntransfer-encoding: chunked\r\n\r\n");
    let mut sent = 0;
    while sent < LARGE {
        let piece = pattern(sent, 1 << 16);
        client.send(format!("{:x}\r\n", piece.len()));
        client.send(&piece);
        client.send("\r\n");
        sent += piece.len() as u64;
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.answer("POST").text(), LARGE.to_string());
    assert_bounded(&proxy, memory);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_over_http_2_pass_whole_in_bounded_memory() {
    let origin = large();
    let proxy = before(&origin);
    let (memory, _) = proxy.memory();
    let mut http = Http::two(proxy.address()).await;
    let mut answer = http.send(get("/a").body(empty()).unwrap()).await.unwrap().into_body();
    let mut check = Check::default();
    while let Some(frame) = answer.frame().await {
        check.take(&frame.unwrap().into_data().unwrap());
    }
    assert_eq!(check.0, LARGE);
    let (input, body) = feed();
    let calling = tokio::spawn(async move { http.call(get("/a").method("POST").body(body).unwrap()).await });
    for at in (0..LARGE).step_by(1 << 16) {
        input.data(pattern(at, 1 << 16)).await;
    }
    drop(input);
    assert_eq!(calling.await.unwrap().unwrap().body, LARGE.to_string());
    assert_bounded(&proxy, memory);
}

#[test]
fn a_client_that_does_not_read_holds_the_origin_back() {
    let sent = Arc::new(AtomicU64::new(0));
    let (stalled, stall) = mpsc::channel();
    let counting = sent.clone();
    let origin = Origin::start(move |exchange| {
        exchange.limit_writes(Duration::from_millis(500))?;
        exchange.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 1 << 16], b"\r\n"].concat();
        loop {
            match exchange.write(&chunk) {
                Ok(()) => drop(counting.fetch_add(1 << 16, SeqCst)),
                Err(error) if e2e::stalled(&error) => break,
                Err(error) => return Err(error),
            }
            assert!(counting.load(SeqCst) < 8 * LARGE, "nothing holds the origin back");
        }
        stalled.send(()).unwrap();
        Ok(After::Close)
    });
    let proxy = before(&origin);
    let (memory, _) = proxy.memory();
    let mut client = proxy.client();
    client.begin("GET", "/a", &[], b"");
    assert_eq!(client.head("GET").status, 200);
    stall.recv_timeout(e2e::DEADLINE).expect("the origin to be held back");
    assert_bounded(&proxy, memory);
}

#[test]
fn answers_without_content_keep_the_connection_in_step() {
    let origin = Origin::start(|exchange| {
        let status = exchange.path()[1..].parse().unwrap_or(200);
        exchange.answer(status, &[("etag", "\"1\"")], b"content")?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let mut client = proxy.client();
    for _ in 0..3 {
        let head = client.call("HEAD", "/200", &[], b"");
        assert_eq!((head.status, head.field("content-length"), head.body.len()), (200, Some("7"), 0));
        let nothing = client.get("/204");
        assert_eq!((nothing.status, nothing.field("content-length"), nothing.body.len()), (204, None, 0));
        let same = client.get("/304");
        assert_eq!((same.status, same.field("etag"), same.body.len()), (304, Some("\"1\""), 0));
        assert_eq!(client.get("/200").text(), "content");
    }
    assert_eq!(origin.connections(), 1, "the upstream connection is kept as well");
}

#[test]
fn an_empty_body_and_a_zero_length_stay_what_they_are() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    let mut client = proxy.client();
    client.call("POST", "/a", &[("content-length", "0")], b"");
    client.get("/a");
    let seen = origin.seen();
    assert_eq!(seen[0].head.field("content-length"), Some("0"));
    assert_eq!((seen[1].head.field("content-length"), seen[1].head.field("transfer-encoding")), (None, None));
}

#[test]
fn a_get_may_have_a_body() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    assert_eq!(proxy.client().call("GET", "/a", &[], b"a query").status, 200);
    assert_eq!(origin.seen()[0].body, b"a query");
}

#[test]
fn a_length_stays_a_length_and_chunks_stay_chunks() {
    let origin = Origin::start(|exchange| {
        let length = exchange.head.field("content-length").is_some();
        exchange.read_body()?;
        if length {
            exchange.answer(200, &[], b"a length")?;
        } else {
            exchange
                .write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nchunks\r\n0\r\n\r\n")?;
        }
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let mut client = proxy.client();
    let answer = client.call("POST", "/a", &[], b"x");
    assert_eq!((answer.field("content-length"), answer.field("transfer-encoding")), (Some("8"), None));
    client.send("POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n");
    let answer = client.answer("POST");
    assert_eq!((answer.field("content-length"), answer.field("transfer-encoding")), (None, Some("chunked")));
    assert_eq!(answer.text(), "chunks");
}

#[test]
fn an_answer_that_ends_with_its_connection_arrives_whole() {
    let origin = Origin::start(|exchange| {
        exchange.write(b"HTTP/1.0 200 OK\r\n\r\nuntil I close")?;
        Ok(After::Close)
    });
    let proxy = before(&origin);
    let mut client = proxy.client();
    for _ in 0..2 {
        let answer = client.get("/a");
        assert_eq!((answer.text().as_str(), answer.end), ("until I close", End::Complete));
        assert!(answer.head.line.starts_with("HTTP/1.1 200"), "{}", answer.head.line);
    }
}

#[test]
fn compressed_bodies_pass_byte_for_byte() {
    // Not even valid gzip: a proxy that looks inside would notice.
    let packed: Vec<u8> = (0..=255).cycle().take(2000).collect();
    let sent = packed.clone();
    let origin = Origin::start(move |exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[("content-encoding", "gzip"), ("vary", "accept-encoding")], &sent)?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let fields = [("accept-encoding", "gzip, br;q=0.5"), ("content-encoding", "gzip")];
    let answer = proxy.client().call("POST", "/a", &fields, &packed);
    assert_eq!(answer.field("content-encoding"), Some("gzip"));
    assert_eq!(answer.body, packed);
    let seen = &origin.seen()[0];
    assert_eq!(seen.head.field("accept-encoding"), Some("gzip, br;q=0.5"));
    assert_eq!(seen.body, packed);
    proxy.get("/a");
    assert_eq!(
        origin.seen()[1].head.field("accept-encoding"),
        None,
        "nothing is asked for that the client did not"
    );
}

const WITH_TRAILERS: &[u8] = b"HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n\
                               4\r\nbody\r\n0\r\nx-sum: 42\r\n\r\n";

#[test]
fn trailers_of_an_answer_reach_a_client_that_takes_them() {
    let origin = Origin::start(|exchange| {
        exchange.write(WITH_TRAILERS)?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let mut client = proxy.client();
    let answer = client.call("GET", "/a", &[("te", "trailers")], b"");
    assert_eq!(answer.text(), "body");
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "42".to_owned())]);
    assert_eq!(client.get("/a").text(), "body", "one that does not say so gets the body");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trailers_of_an_answer_reach_a_client_of_http_2() {
    let origin = Origin::start(|exchange| {
        exchange.write(WITH_TRAILERS)?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let answer = Http::two(proxy.address()).await.get("/a").await.unwrap();
    assert_eq!(&answer.body[..], b"body");
    assert_eq!(answer.trailers.expect("trailers")["x-sum"], "42");
}

#[test]
fn trailers_of_a_request_reach_the_origin() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    let mut client = proxy.client();
    client.send(
        "POST /a HTTP/1.1\r\nhost: a\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n\
         4\r\nbody\r\n0\r\nx-sum: 42\r\n\r\n",
    );
    assert_eq!(client.answer("POST").status, 200);
    assert_eq!(origin.seen()[0].body, b"body");
    assert_eq!(origin.seen()[0].trailers, [("x-sum".to_owned(), "42".to_owned())]);
}

#[test]
fn a_body_over_the_limit_is_413_and_not_forwarded_whole() {
    let origin = Origin::named("legacy");
    let proxy = super::before_with(&origin, "limits: { body-bytes: 1KiB }\n");
    let answer = proxy.client().call("POST", "/a", &[], &[b'x'; 1025]);
    assert_eq!(answer.status, 413);
    assert_eq!(origin.count(), 0, "a length that is too large is seen at once");
    assert_eq!(proxy.client().call("POST", "/a", &[], &[b'x'; 1024]).status, 200);
    let mut client = proxy.client();
    client.send("POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    client.send(format!("800\r\n{}\r\n0\r\n\r\n", "x".repeat(0x800)));
    assert_eq!(client.answer("POST").status, 413);
    assert!(origin.seen().iter().all(|seen| seen.body.len() <= 1024));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_of_one_http_2_connection_do_not_wait_for_one_another() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let origin = Origin::start(move |exchange| {
        if exchange.path() == "/slow" {
            let _told = gate.lock().unwrap().recv();
        }
        exchange.read_body()?;
        exchange.answer(200, &[], exchange.path().to_owned().as_bytes())?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let Http::Two(sender) = Http::two(proxy.address()).await else { unreachable!("asked for HTTP/2") };
    let mut slow = Http::Two(sender.clone());
    let slow = tokio::spawn(async move { slow.get("/slow").await });
    let mut fast = tokio::task::JoinSet::new();
    for n in 0..40 {
        let mut http = Http::Two(sender.clone());
        fast.spawn(async move {
            let request = get(&format!("/fast/{n}")).method("POST").body(body_of(vec![b'x'; 10_000]));
            (n, http.call(request.unwrap()).await)
        });
    }
    while let Some(ended) = fast.join_next().await {
        let (n, answer) = ended.unwrap();
        assert_eq!(answer.unwrap().body, format!("/fast/{n}"));
    }
    assert!(!slow.is_finished());
    go.send(()).unwrap();
    assert_eq!(&slow.await.unwrap().unwrap().body[..], b"/slow");
}
