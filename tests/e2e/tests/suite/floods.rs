//! HTTP/2 clients that cost more than they ask for: each is stopped, counted, and nobody else notices.

use std::time::{Duration, Instant};

use bytes::Bytes;
use e2e::raw_http2::{
    CONTINUATION, END_HEADERS, END_STREAM, GET, HEADERS, PING, RST_STREAM, RawFrame, RawHttp2, SETTINGS,
    WINDOW_UPDATE,
};
use e2e::{After, Http, Origin, Proxy, empty, eventually, feed, get};
use http::Request;
use http_body_util::BodyExt as _;

const ENHANCE_YOUR_CALM: u32 = 11;

fn before(origin: &Origin, limits: &str) -> Proxy {
    Proxy::start(&format!("legacy: {}\nlimits: {{ {limits} }}\n", origin.url()))
}

fn hits(proxy: &Proxy, limit: &str) -> f64 {
    proxy.metrics().get("starve_limit_hits_total", &[("limit", limit)]).unwrap()
}

/// Sends until the proxy has had enough; how it said so.
fn flood(proxy: &Proxy, frames: impl Iterator<Item = Vec<u8>>) -> Option<u32> {
    let mut client = RawHttp2::connect(proxy.address(), &[]);
    for frame in frames.take(1_000_000) {
        if client.send(&frame).is_err() {
            break;
        }
    }
    client.goodbye()
}

#[test]
fn a_rapid_reset_ends_the_connection() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin, "http2-resets: 50");
    let reason = flood(
        &proxy,
        (0..).map(|n| {
            let stream = 2 * n + 1;
            let open = RawHttp2::frame(HEADERS, END_STREAM | END_HEADERS, stream, GET);
            [open, RawHttp2::frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
        }),
    );
    assert_eq!(reason, Some(ENHANCE_YOUR_CALM));
    // The library's own bound on streams that were reset before they were looked at may be the first to bite.
    assert_eq!(hits(&proxy, "http2-resets") + hits(&proxy, "http2-flood"), 1.0);
    assert_eq!(proxy.get("/a").status, 200);
}

#[test]
fn floods_of_frames_that_carry_nothing_end_the_connection() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin, "http2-control-frames: 100");
    let pings = RawHttp2::frame(PING, 0, 0, &[0; 8]);
    let settings = RawHttp2::frame(SETTINGS, 0, 0, &[]);
    let unknown = RawHttp2::frame(0xfa, 0, 0, b"x");
    for (count, frame) in [(1.0, pings), (2.0, settings), (3.0, unknown)] {
        let reason = flood(&proxy, std::iter::repeat(frame));
        assert_eq!(reason, Some(ENHANCE_YOUR_CALM), "{count}");
        assert_eq!(hits(&proxy, "http2-control-frames"), count);
    }
    assert_eq!(proxy.get("/a").status, 200);
}

#[test]
fn a_head_that_comes_too_slowly_ends_the_connection() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin, "head-timeout: 300ms, idle-timeout: 60s");
    let whole = RawHttp2::frame(HEADERS, END_STREAM | END_HEADERS, 1, GET);
    let first = RawHttp2::frame(HEADERS, END_STREAM, 1, GET);
    // Inside a frame, and between two.
    for (count, begun) in [(1.0, &whole[..11]), (2.0, &first[..])] {
        let mut client = RawHttp2::connect(proxy.address(), &[]);
        client.send(begun).unwrap();
        client.goodbye();
        assert_eq!(hits(&proxy, "head-timeout"), count);
    }
    // One that always has a little more.
    let mut client = RawHttp2::connect(proxy.address(), &[]);
    client.send(&RawHttp2::frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0; 16_000])[..9]).unwrap();
    eventually("the end of one that always has a little more", || match client.send(&[0]) {
        Ok(()) => Err("it goes on".to_owned()),
        Err(_closed) => Ok(()),
    });
    assert_eq!(hits(&proxy, "head-timeout"), 3.0);
    // One after the other on a connection that is older than a head may be.
    let mut client = RawHttp2::connect(proxy.address(), &[]);
    let began = Instant::now();
    for n in 0.. {
        client.send(&RawHttp2::frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1, GET)).unwrap();
        while client.frame_or_end().expect("an answer").stream != 2 * n + 1 {}
        if began.elapsed() > Duration::from_millis(600) {
            break;
        }
    }
    assert_eq!(hits(&proxy, "head-timeout"), 3.0);
}

#[test]
fn a_head_without_an_end_ends_the_connection() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin, "");
    let head = RawHttp2::frame(HEADERS, END_STREAM, 1, GET);
    // A literal field that is never indexed, of some length, again and again.
    let field = [&[0x10, 1, b'x', 100][..], &[b'y'; 100]].concat();
    let more = RawHttp2::frame(CONTINUATION, 0, 1, &field.repeat(100));
    let before = proxy.memory().0;
    let reason = flood(&proxy, std::iter::once(head).chain(std::iter::repeat(more)));
    assert_eq!(reason, Some(ENHANCE_YOUR_CALM));
    assert_eq!(hits(&proxy, "http2-flood"), 1.0);
    assert!(proxy.memory().1 < before + 64 * 1024 * 1024, "{:?}", proxy.memory());
}

/// Answers `/large` with more than a client has room for, anything else with a word.
fn large_or_small() -> Origin {
    Origin::start(|exchange| {
        let body = if exchange.path() == "/large" { vec![b'x'; 4 * 1024 * 1024] } else { b"small".to_vec() };
        exchange.answer(200, &[], &body)?;
        Ok(After::Close)
    })
}

/// `GET http://a/large` in HPACK.
const GET_LARGE: &[u8] = &[0x82, 0x86, 0x04, 6, b'/', b'l', b'a', b'r', b'g', b'e', 0x41, 1, b'a'];

/// Opens a stream whose answer it makes no room for.
fn stalled(proxy: &Proxy, settings: &[(u16, u32)]) -> RawHttp2 {
    let mut client = RawHttp2::connect(proxy.address(), settings);
    client.send(&RawHttp2::frame(HEADERS, END_STREAM | END_HEADERS, 1, GET_LARGE)).unwrap();
    client
}

#[test]
fn a_stream_that_makes_no_room_for_its_answer_is_let_go_and_its_connection_goes_on() {
    let origin = large_or_small();
    let proxy = before(&origin, "send-timeout: 300ms");
    let initial_window_size = 4;
    for (count, settings) in [(1.0, &[(initial_window_size, 0)][..]), (2.0, &[])] {
        let mut client = stalled(&proxy, settings);
        let is_end = |frame: &RawFrame| frame.kind == RST_STREAM && frame.stream == 1;
        while !is_end(&client.frame_or_end().expect("a reset, not the end of the connection")) {}
        assert_eq!(hits(&proxy, "send-timeout"), count);
        // What the first one left unread has used up the connection's window.
        client.send(&RawHttp2::frame(WINDOW_UPDATE, 0, 0, &1_000_u32.to_be_bytes())).unwrap();
        client.send(&RawHttp2::frame(HEADERS, END_STREAM | END_HEADERS, 3, GET)).unwrap();
        client.send(&RawHttp2::frame(WINDOW_UPDATE, 0, 3, &1_000_u32.to_be_bytes())).unwrap();
        let is_whole = |frame: &RawFrame| frame.stream == 3 && frame.flags & END_STREAM != 0;
        while !is_whole(&client.frame_or_end().expect("an answer on the same connection")) {}
    }
    assert_eq!(proxy.metrics().get("starve_in_flight_requests", &[]), Some(0.0));
}

#[test]
fn a_stream_that_stalls_holds_up_no_other_one() {
    let origin = large_or_small();
    let proxy = before(&origin, "");
    let mut client = stalled(&proxy, &[]);
    client.send(&RawHttp2::frame(WINDOW_UPDATE, 0, 0, &1_000_000_u32.to_be_bytes())).unwrap();
    client.send(&RawHttp2::frame(HEADERS, END_STREAM | END_HEADERS, 3, GET)).unwrap();
    let is_whole = |frame: &RawFrame| frame.stream == 3 && frame.flags & END_STREAM != 0;
    while !is_whole(&client.frame_or_end().expect("an answer")) {}
    assert_eq!(hits(&proxy, "send-timeout"), 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_answer_is_no_stalled_client() {
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let origin = Origin::start(move |exchange| {
        if exchange.path() != "/a" {
            exchange.answer(200, &[], &vec![b'x'; 4 * 1024 * 1024])?;
            return Ok(After::Close);
        }
        exchange.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst")?;
        let _told = gate.lock().unwrap().recv();
        exchange.write(b"-last")?;
        Ok(After::Close)
    });
    let proxy = before(&origin, "send-timeout: 50ms");
    let mut http = Http::two(proxy.address()).await;
    let mut body = http.send(get("/a").body(empty()).unwrap()).await.unwrap().into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, Bytes::from_static(b"first"));
    // One that begins to stall now tells when the time is over.
    tokio::task::block_in_place(|| {
        let _client = stalled(&proxy, &[]);
        eventually("the stalled one to be let go", || match hits(&proxy, "send-timeout") {
            1.0 => Ok(()),
            other => Err(other.to_string()),
        });
    });
    go.send(()).unwrap();
    let last = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(last, Bytes::from_static(b"-last"));
    assert_eq!(hits(&proxy, "send-timeout"), 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_come_is_answered_408() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin, "body-timeout: 200ms");
    let mut http = Http::two(proxy.address()).await;
    let (feed, body) = feed();
    let request = Request::post("http://shop.example/a").body(body).unwrap();
    let answer = http.call(request).await.unwrap();
    assert_eq!(answer.status, 408);
    drop(feed);
    assert_eq!(http.get("/a").await.unwrap().status, 200, "the connection goes on");
    assert_eq!(hits(&proxy, "body-timeout"), 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_trickles_is_answered_408() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin, "body-timeout: 500ms, min-body-rate: 1MiB");
    let mut http = Http::two(proxy.address()).await;
    let (feed, body) = feed();
    // Each byte when the one before has come all the way: never silent, and never fast.
    let trickle = tokio::task::spawn_blocking(move || {
        for sent in 1.. {
            if !tokio::runtime::Handle::current().block_on(feed.try_data(&b"x"[..])) {
                return sent;
            }
            eventually("the byte at the origin, or the end", || match origin.seen().first() {
                Some(seen) if seen.body.len() < sent && !feed.is_over() => Err(format!("{seen:?}")),
                Some(_) => Ok(()),
                None => Err("no request".to_owned()),
            });
        }
        0
    });
    let request = Request::post("http://shop.example/a").body(body).unwrap();
    let answer = http.call(request).await.unwrap();
    assert_eq!(answer.status, 408);
    assert!(trickle.await.unwrap() > 2, "it was never silent");
    assert_eq!(hits(&proxy, "body-timeout"), 1.0);
}

#[test]
fn a_client_is_asked_whether_it_is_there_and_told_how_much_it_may_ask() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin, "http2-ping-interval: 100ms, http2-ping-timeout: 100ms, http2-streams: 7");
    let mut client = RawHttp2::connect(proxy.address(), &[]);
    let mut seen = Vec::new();
    while let Some(frame) = client.frame_or_end() {
        seen.push(frame);
    }
    let max_concurrent_streams = [0, 3, 0, 0, 0, 7];
    let settings = seen.iter().find(|frame| frame.kind == SETTINGS && frame.flags == 0).unwrap();
    assert!(settings.payload.chunks(6).any(|setting| setting == max_concurrent_streams), "{settings:?}");
    assert!(seen.iter().any(|frame| frame.kind == PING), "{seen:?}");
}
