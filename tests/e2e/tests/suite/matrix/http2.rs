//! The origin in HTTP/2, stream by stream, on connections that can be cut at any byte.

use std::future::poll_fn;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::task::AbortHandle;

use super::cases::{Act, At, Content, How};
use super::content::{self, Check};
use super::line::{Hand, Line};
use super::origin::{Arrived, Records, case_of};
use super::until;

/// The connection that a stream belongs to.
#[derive(Clone)]
struct Whole {
    hand: Hand,
    driver: AbortHandle,
}

pub(super) async fn serve(line: Line, records: Records) {
    let hand = line.hand.clone();
    let (sender, driver) = tokio::sync::oneshot::channel::<AbortHandle>();
    let serving = tokio::spawn(async move {
        let driver = driver.await.unwrap();
        let Ok(mut connection) = h2::server::handshake(line).await else { return };
        while let Some(Ok((request, respond))) = connection.accept().await {
            let whole = Whole { hand: hand.clone(), driver: driver.clone() };
            tokio::spawn(answer(request, respond, whole, records.clone()));
        }
    });
    sender.send(serving.abort_handle()).unwrap();
}

async fn body(stream: &mut RecvStream) -> Result<Arrived, h2::Error> {
    let mut check = Check::default();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        stream.flow_control().release_capacity(piece.len())?;
        check.take(&piece);
    }
    let trailers = stream.trailers().await?.is_some_and(|trailers| trailers.contains_key("x-sum"));
    Ok(Arrived::Whole { length: check.length, trailers })
}

async fn answer(request: Request<RecvStream>, respond: SendResponse<Bytes>, whole: Whole, records: Records) {
    let (head, mut stream) = request.into_parts();
    let (number, case) = case_of(head.uri.path());
    records.note(number, |record| record.fields = head.headers.clone());
    let is_head = head.method == "HEAD";
    // A stream that ends with an error is the proxy's doing, and is told by what it does.
    match case.act {
        Act::AnswerEarly(status) => {
            let mut respond = respond;
            let _sent = send(&mut respond, is_head, status, Content::Length(1_000), number, &records).await;
            // What is dropped unread is told with NO_ERROR behind the answer (RFC 9113 §8.1).
            return;
        }
        Act::Hesitate => records.released(number).await,
        _ => {}
    }
    let arrived = body(&mut stream).await;
    records.note(number, |record| record.arrived = Some(*arrived.as_ref().unwrap_or(&Arrived::Broken)));
    if arrived.is_err() {
        return;
    }
    let mut respond = respond;
    let _outcome = match case.act {
        Act::Answer(status, content) => send(&mut respond, is_head, status, content, number, &records).await,
        Act::Break(at, how) => break_off(respond, whole, at, how, number, &records).await,
        Act::Endless => break_off(respond, whole, At::BetweenChunks, How::Silence, number, &records).await,
        Act::AnswerEarly(_) | Act::Hesitate => {
            send(&mut respond, is_head, 200, Content::Length(0), number, &records).await
        }
    };
}

fn head(status: u16, length: Option<usize>) -> Response<()> {
    let mut head = Response::builder().status(status).header("etag", "\"1\"");
    head = head.header("content-range", "bytes 0-999/9000");
    if let Some(length) = length {
        head = head.header("content-length", length);
    }
    head.body(()).unwrap()
}

/// Sends as much as there is room for, until all of it has gone.
async fn push(stream: &mut SendStream<Bytes>, mut piece: Bytes) -> Result<(), h2::Error> {
    while !piece.is_empty() {
        stream.reserve_capacity(piece.len());
        let room = poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap_or(Ok(0))?;
        stream.send_data(piece.split_to(room.min(piece.len())), false)?;
    }
    Ok(())
}

async fn send(
    respond: &mut SendResponse<Bytes>,
    is_head: bool,
    status: u16,
    content: Content,
    number: usize,
    records: &Records,
) -> Result<(), h2::Error> {
    let (length, said, has_trailers) = match content {
        Content::Nothing => (0, None, false),
        Content::Length(length) => (length, Some(length), false),
        Content::Streamed(length) => (length, None, true),
        Content::UntilClose(_) => unreachable!("a matter of HTTP/1"),
    };
    let length = if is_head { 0 } else { length };
    let mut stream = respond.send_response(head(status, said), length == 0 && !has_trailers)?;
    let mut sent = 0;
    while sent < length {
        let piece = content::at(sent, (length - sent).min(if length > 100_000 { 1 << 16 } else { 300 }));
        push(&mut stream, Bytes::from_static(piece)).await?;
        sent += piece.len();
        records.note(number, |record| record.sent = sent);
    }
    if has_trailers {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from(length));
        stream.send_trailers(trailers)?;
    } else if length > 0 {
        stream.send_data(Bytes::new(), true)?;
    }
    Ok(())
}

/// Sends the part of an answer that comes, and ends it as it is to end.
async fn break_off(
    mut respond: SendResponse<Bytes>,
    whole: Whole,
    at: At,
    how: How,
    number: usize,
    records: &Records,
) -> Result<(), h2::Error> {
    let hand = &whole.hand;
    let data = |offset, length| Bytes::from_static(content::at(offset, length));
    let mut stream = None;
    match at {
        At::BeforeHead => {}
        At::InsideHead => {
            hand.allow(5);
            stream = Some(respond.send_response(head(200, None), false)?);
            until("five bytes of a head", || hand.is_used_up()).await;
        }
        At::InsideLength | At::BetweenChunks | At::InsideChunk => {
            let (said, part) = if at == At::InsideLength { (Some(1_000), 500) } else { (None, 100) };
            let before = hand.written();
            let mut begun = respond.send_response(head(200, said), false)?;
            push(&mut begun, data(0, part)).await?;
            until("the first part", || hand.written() >= before + part as u64 + 18).await;
            if at == At::InsideChunk {
                hand.allow(9 + 50);
                push(&mut begun, data(100, 100)).await?;
                until("half a frame", || hand.is_used_up()).await;
            }
            stream = Some(begun);
        }
        At::UntilClose => unreachable!("a matter of HTTP/1"),
    }
    match how {
        How::Close => whole.driver.abort(),
        How::Reset => {
            hand.reset_at_end();
            whole.driver.abort();
        }
        How::Silence => {
            let _reason = match &mut stream {
                Some(stream) => poll_fn(|cx| stream.poll_reset(cx)).await,
                None => poll_fn(|cx| respond.poll_reset(cx)).await,
            };
            records.note(number, |record| record.left = true);
        }
        How::Stream(reason) => match &mut stream {
            Some(stream) => stream.send_reset(reason),
            None => respond.send_reset(reason),
        },
    }
    Ok(())
}
