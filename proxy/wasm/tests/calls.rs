//! What a call gives, and what becomes of one that goes wrong.
#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that goes wrong")]

mod common;

use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use common::{MEBIBYTE, broken, call, error, get, guest, guest_on, guest_with, guests, settings, text};
use http_body::Frame;
use http_body_util::BodyExt as _;
use starve_http::{Body, BodyError, Error, ErrorKind, Response, Target as _};
use starve_wasm::{BrokenOff, Host, WasmFunction};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_guest_sees_the_request_as_it_came() {
    let request = http::Request::post("/about?q=%20x")
        .header("host", "shop.example:8080")
        .header("x-forwarded-proto", "https")
        .header("x-twice", "1")
        .header("x-twice", "2")
        .body(Body::from("text"))
        .unwrap();
    let response = guest().call(request).await.unwrap();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let lines: Vec<_> = std::str::from_utf8(&bytes).unwrap().lines().collect();
    assert_eq!(lines[0], "Method::Post https shop.example:8080 /about?q=%20x");
    for line in ["x-twice: 1", "x-twice: 2", "x-forwarded-proto: https"] {
        assert!(lines.contains(&line), "{line} is missing in {lines:?}");
    }
}

#[tokio::test]
async fn a_request_without_a_host_is_served() {
    let request = http::Request::get("/hello").version(http::Version::HTTP_10).body(Body::empty()).unwrap();
    assert_eq!(guest().call(request).await.unwrap().status(), 200);
}

#[tokio::test]
async fn nothing_of_a_call_is_left_for_the_next() {
    let guest = guest();
    for _ in 0..3 {
        assert_eq!(text(&guest, "/count").await, (200, "1".to_owned()));
    }
}

#[tokio::test]
async fn the_world_of_a_guest_is_empty() {
    assert_eq!(text(&guest(), "/sandbox").await.1, "folders 0, variables 0");
}

#[tokio::test]
async fn bodies_stream_both_ways_at_once() {
    struct Pieces(mpsc::Receiver<Result<Bytes, BodyError>>);
    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = BodyError;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
        }
    }

    let (sender, receiver) = mpsc::channel(1);
    let request =
        http::Request::post("/echo").header("host", "a").body(Body::wrap(Pieces(receiver))).unwrap();
    let mut body = guest().call(request).await.unwrap().into_body();
    for piece in ["one", "two"] {
        sender.send(Ok(Bytes::from_static(piece.as_bytes()))).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), piece);
    }
    drop(sender);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_large_body_arrives_whole() {
    let sent: Vec<u8> = (0..3_000_000_u32).map(|number| number as u8).collect();
    let request = http::Request::post("/echo").header("host", "a").body(Body::from(sent.clone())).unwrap();
    let body = guest().call(request).await.unwrap().into_body();
    assert_eq!(body.collect().await.unwrap().to_bytes(), sent);
}

#[tokio::test]
async fn headers_and_trailers_come_through() {
    let guest = guest();
    let response = call(&guest, "/headers").await.unwrap();
    assert_eq!(response.headers().len(), 200);
    assert_eq!(response.headers()["x-header-199"], "value");

    let body = call(&guest, "/trailers").await.unwrap().into_body();
    assert_eq!(body.collect().await.unwrap().trailers().unwrap()["x-checksum"], "abc");
}

#[tokio::test]
async fn a_guest_cannot_set_fields_of_the_connection() {
    assert_eq!(text(&guest(), "/forbidden").await.1, "refused");
}

#[tokio::test]
async fn a_guest_that_breaks_off_fails_its_call_and_no_other() {
    let guest = guest();
    for (path, cause) in [
        ("/trap", "unreachable"),
        ("/panic", "unreachable"),
        ("/silent", "without an answer"),
        ("/error", "answered with an error"),
        ("/resources", "function tried broke off"),
    ] {
        let error = error(&guest, path).await;
        assert_eq!(error.kind(), ErrorKind::FunctionFailed, "{path}");
        assert!(error.chain().contains(cause), "{path}: {}", error.chain());
        assert!(!error.chain().contains('\n'), "{path}: {}", error.chain());
        assert_eq!(text(&guest, "/hello").await.1, "hello");
    }
}

#[tokio::test]
async fn more_memory_than_allowed_ends_a_guest() {
    let error = error(&guest_with(|guest| guest.memory_bytes = 8 * MEBIBYTE), "/allocate").await;
    assert_eq!(error.kind(), ErrorKind::FunctionFailed);
    assert!(error.chain().contains("more than 8388608 bytes of memory"), "{}", error.chain());
}

#[tokio::test]
async fn a_guest_without_an_answer_ends_with_its_time() {
    let guest = guest_with(|guest| guest.timeout = SHORT);
    for path in ["/spin", "/never"] {
        assert_eq!(error(&guest, path).await.kind(), ErrorKind::FunctionTimeout, "{path}");
    }
}

#[tokio::test]
async fn a_guest_that_computes_leaves_its_thread_to_others() {
    let runtime = guests(1);
    let mut settings = settings();
    settings.runtime = runtime.handle().clone();
    let guest = guest_on(&Host::new(settings).unwrap(), |_| ());
    let endless = tokio::spawn(guest.call(get("/spin")));
    assert_eq!(text(&guest, "/hello").await.1, "hello");
    assert!(!endless.is_finished());
    endless.abort();
    runtime.shutdown_background();
}

#[tokio::test]
async fn an_answer_that_breaks_off_never_looks_whole() {
    let guest = guest();
    let response = call(&guest, "/cut").await.unwrap();
    assert_eq!(response.status(), 200);
    let (sent, error) = broken(response.into_body()).await;
    assert_eq!(sent, b"half of ");
    assert_eq!(error.downcast::<BrokenOff>().unwrap().kind(), ErrorKind::FunctionFailed);

    let (_, error) = broken(call(&guest, "/short").await.unwrap().into_body()).await;
    assert!(error.to_string().contains("broke off its answer"), "{error}");
}

#[tokio::test]
async fn an_answer_s_body_ends_with_the_call_s_time() {
    let guest = guest_with(|guest| guest.timeout = SHORT);
    let (sent, error) = broken(call(&guest, "/drip").await.unwrap().into_body()).await;
    assert!(sent.starts_with(b"drip drip "), "{:?}", String::from_utf8_lossy(&sent));
    assert_eq!(error.downcast::<BrokenOff>().unwrap().kind(), ErrorKind::FunctionTimeout);
}

#[tokio::test]
async fn an_answer_whose_runtime_ends_does_not_look_whole() {
    let runtime = guests(1);
    let mut settings = settings();
    settings.runtime = runtime.handle().clone();
    let guest = guest_on(&Host::new(settings).unwrap(), |_| ());
    let response = call(&guest, "/drip").await.unwrap();
    runtime.shutdown_background();
    let (_, error) = broken(response.into_body()).await;
    assert!(error.to_string().contains("its runtime ended"), "{error}");
}

#[tokio::test]
async fn an_answer_is_whole_before_its_guest_is_through() {
    assert_eq!(text(&guest_with(|guest| guest.timeout = SHORT), "/linger").await, (200, "done".to_owned()));
}

/// A host for one call, and as many calls held in their bodies as it takes.
async fn full_host() -> (WasmFunction, Vec<Response>, Error) {
    let mut settings = settings();
    settings.instances = NonZeroU32::MIN;
    let host = Host::new(settings).unwrap();
    assert_eq!(host.capacity(), 1);
    let guest = guest_on(&host, |_| ());
    let mut held = Vec::new();
    loop {
        match call(&guest, "/drip").await {
            Ok(response) => held.push(response),
            Err(error) => return (guest, held, error),
        }
    }
}

#[tokio::test]
async fn a_full_host_hands_the_request_back() {
    let (_guest, held, mut error) = full_host().await;
    assert!((1..10).contains(&held.len()), "{} calls at once", held.len());
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert_eq!(error.take_unsent().unwrap().uri(), "/drip");
}

#[tokio::test]
async fn a_guest_ends_when_nobody_wants_its_answer_any_more() {
    let (guest, mut held, _) = full_host().await;
    let freed = async || while call(&guest, "/hello").await.is_err() {};
    // An unfinished body is dropped, with its first piece in hand.
    held[0].body_mut().frame().await.unwrap().unwrap();
    held.remove(0);
    timeout(Duration::from_secs(10), freed()).await.unwrap();

    // The one free place is taken by a call that is given up while it waits for the head.
    for path in ["/never", "/spin"] {
        let answered = async { while call(&guest, path).await.is_err() {} };
        assert!(timeout(SHORT, answered).await.is_err());
        timeout(Duration::from_secs(10), freed()).await.unwrap_or_else(|_| panic!("{path} still runs"));
    }
}

#[tokio::test]
async fn an_allowed_server_can_be_called_and_no_other() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 1024];
        let length = stream.read(&mut head).await.unwrap();
        stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 4\r\n\r\nmade").await.unwrap();
        String::from_utf8_lossy(&head[..length]).into_owned()
    });

    let guest = guest_with(|guest| guest.outbound = vec![address.clone()]);
    let url = format!("/outbound?http://{address}/things?x=1");
    assert_eq!(text(&guest, &url).await, (201, "made".to_owned()));
    let head = server.await.unwrap();
    assert!(head.starts_with("GET /things?x=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: {address}\r\n")), "{head}");

    let (status, denied) = text(&guest, "/outbound?http://127.0.0.1:1/").await;
    assert_eq!((status, denied.contains("HttpRequestDenied")), (502, true), "{denied}");
    let (_, refused) = text(&guest, &format!("/outbound?https://{address}/")).await;
    assert!(refused.contains("http:// only"), "{refused}");
}
