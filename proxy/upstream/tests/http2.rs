//! HTTP/2 towards servers that share, refuse, and say goodbye.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Connection, SendResponse};
use http::{Method, Request, Response, Version};
use http_body_util::BodyExt as _;
use starve_config::{ServerPlan, UpstreamPlan};
use starve_http::{Body, Error, ErrorKind, Target as _};
use starve_upstream::Upstream;
use tokio::net::{TcpListener, TcpStream};

fn upstream(address: SocketAddr) -> Upstream {
    let server = ServerPlan::H2c { host: address.ip().to_string(), port: address.port() };
    Upstream::new(Arc::new(UpstreamPlan::new("legacy", vec![server])), 1)
}

/// A server that hands each connection, with its number from 0, to `serve`.
async fn server<F>(serve: impl Fn(Connection<TcpStream, Bytes>, usize) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let connection = h2::server::handshake(stream).await.unwrap();
            tokio::spawn(serve(connection, number));
        }
    });
    address
}

type Call = (Request<h2::RecvStream>, SendResponse<Bytes>);

/// Answers with the request's own body.
async fn echo((request, mut respond): Call) {
    assert_eq!(request.uri().authority().map(|authority| authority.as_str()), Some("shop.example"));
    assert!(!request.headers().contains_key("host"));
    let mut body = request.into_body();
    let mut whole = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        whole.extend_from_slice(&piece);
    }
    let mut stream = respond.send_response(Response::new(()), false).unwrap();
    stream.send_data(whole.into(), true).unwrap();
}

async fn call(upstream: &Upstream, method: Method, body: &'static str) -> Result<String, Error> {
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = method;
    *request.uri_mut() = "/a?b=c".parse().unwrap();
    request.headers_mut().insert("host", "shop.example".parse().unwrap());
    let response = upstream.call(request).await?;
    assert_eq!(response.version(), Version::HTTP_2);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

fn retries(upstream: &Upstream, reason: &str) -> u64 {
    upstream.snapshot().retries.iter().find(|(known, _)| *known == reason).unwrap().1
}

#[tokio::test]
async fn many_requests_share_a_connection() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    let address = server(move |mut connection, _| {
        counted.fetch_add(1, SeqCst);
        async move {
            while let Some(Ok(call)) = connection.accept().await {
                tokio::spawn(echo(call));
            }
        }
    })
    .await;
    let upstream = upstream(address);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let upstream = upstream.clone();
        all.spawn(async move { call(&upstream, Method::POST, "once").await });
    }
    while let Some(answer) = all.join_next().await {
        assert_eq!(answer.unwrap().unwrap(), "once");
    }
    assert_eq!(connections.load(SeqCst), 1);
    assert_eq!((upstream.snapshot().idle, upstream.snapshot().in_use), (1, 0));
}

#[tokio::test]
async fn a_request_that_was_refused_unseen_is_sent_again_whatever_its_method() {
    let address = server(|mut connection, _| async move {
        let mut is_first = true;
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            if std::mem::take(&mut is_first) {
                respond.send_reset(h2::Reason::REFUSED_STREAM);
            } else {
                tokio::spawn(echo((request, respond)));
            }
        }
    })
    .await;
    let upstream = upstream(address);
    assert_eq!(call(&upstream, Method::POST, "an order").await.unwrap(), "an order");
    assert_eq!(retries(&upstream, "refused_stream"), 1);
}

#[tokio::test]
async fn a_request_that_was_reset_otherwise_is_not_sent_again() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let address = server(move |mut connection, _| {
        let counted = counted.clone();
        async move {
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                counted.fetch_add(1, SeqCst);
                respond.send_reset(h2::Reason::INTERNAL_ERROR);
            }
        }
    })
    .await;
    let error = call(&upstream(address), Method::GET, "").await.unwrap_err();
    assert_eq!((error.kind(), count.load(SeqCst)), (ErrorKind::Incomplete, 1));
}

#[tokio::test]
async fn a_server_that_says_goodbye_gets_the_rest_over_another_connection() {
    let address = server(|mut connection, _| async move {
        // Each connection answers one request and is then closed in order (RFC 9113 §6.8).
        if let Some(Ok(call)) = connection.accept().await {
            tokio::spawn(echo(call));
        }
        connection.graceful_shutdown();
        while let Some(Ok(call)) = connection.accept().await {
            tokio::spawn(echo(call));
        }
    })
    .await;
    let upstream = upstream(address);
    for _ in 0..20 {
        assert_eq!(call(&upstream, Method::POST, "once").await.unwrap(), "once");
    }
}

/// Frames by hand: SETTINGS, and after the first request a GOAWAY that says that nothing was looked at.
async fn says_goodbye_to_the_first(mut stream: TcpStream) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        stream.read_exact(&mut payload).await.unwrap();
        if head[3] == 1 {
            break;
        }
    }
    // GOAWAY, last stream 0, NO_ERROR.
    stream.write_all(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).await.unwrap();
    let _closed = stream.read_to_end(&mut Vec::new()).await;
}

#[tokio::test]
async fn a_request_beyond_the_last_one_of_a_goodbye_is_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (first, _) = listener.accept().await.unwrap();
        tokio::spawn(says_goodbye_to_the_first(first));
        let (second, _) = listener.accept().await.unwrap();
        let mut connection: Connection<TcpStream, Bytes> = h2::server::handshake(second).await.unwrap();
        while let Some(Ok(call)) = connection.accept().await {
            tokio::spawn(echo(call));
        }
    });
    let upstream = upstream(address);
    assert_eq!(call(&upstream, Method::POST, "an order").await.unwrap(), "an order");
    assert_eq!(retries(&upstream, "refused_stream"), 1);
}

/// More than a stream has room for at first.
fn large_upload() -> Request<Body> {
    let mut request = Request::new(Body::from(vec![b'x'; 1 << 20]));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = "/a".parse().unwrap();
    request.headers_mut().insert("host", "shop.example".parse().unwrap());
    request
}

#[tokio::test]
async fn an_upload_whose_answer_has_ended_is_given_up_when_the_server_makes_no_room() {
    let (told, mut ends) = tokio::sync::mpsc::channel(1);
    let address = server(move |mut connection, _| {
        let told = told.clone();
        async move {
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                respond.send_response(Response::new(()), true).unwrap();
                let told = told.clone();
                tokio::spawn(async move {
                    let mut body = request.into_body();
                    // What is read is not given back as room.
                    let end = loop {
                        match body.data().await {
                            Some(Ok(_)) => {}
                            other => break other.and_then(|error| error.unwrap_err().reason()),
                        }
                    };
                    told.send(end).await.unwrap();
                });
            }
        }
    })
    .await;
    let server = ServerPlan::H2c { host: address.ip().to_string(), port: address.port() };
    let mut plan = UpstreamPlan::new("legacy", vec![server]);
    plan.timeouts.idle = Duration::from_millis(50);
    let upstream = Upstream::new(Arc::new(plan), 1);
    let response = upstream.call(large_upload()).await.unwrap();
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
    let end = tokio::time::timeout(Duration::from_secs(10), ends.recv()).await.unwrap().unwrap();
    assert_eq!(end, Some(h2::Reason::CANCEL));
}

#[tokio::test]
async fn a_reset_in_the_middle_of_an_answer_is_no_end_whatever_its_reason_and_the_upload() {
    let address = server(|mut connection, _| async move {
        let mut unread = Vec::new();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data("half".into(), false).unwrap();
            // The request is not whole: it has no more room.
            unread.push(request);
            tokio::spawn(async move {
                stream.reserve_capacity(1);
                stream.send_reset(h2::Reason::NO_ERROR);
            });
        }
    })
    .await;
    let upstream = upstream(address);
    // Before or after its head has been read: in no case a whole answer.
    if let Ok(response) = upstream.call(large_upload()).await {
        assert!(response.into_body().collect().await.is_err());
    }
}

#[tokio::test]
async fn a_reset_behind_the_end_of_an_answer_takes_nothing_from_it() {
    let address = server(|mut connection, _| async move {
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data("whole".into(), true).unwrap();
            // With the request goes the wish for its rest (RFC 9113 §8.1): RST_STREAM with NO_ERROR.
            drop(request);
        }
    })
    .await;
    let upstream = upstream(address);
    for _ in 0..20 {
        let response = upstream.call(large_upload()).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "whole");
    }
}
