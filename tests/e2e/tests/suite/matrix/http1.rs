//! The origin in HTTP/1.1, byte by byte.

use std::io;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use super::cases::{Act, At, Content, How};
use super::content::{self, Check};
use super::line::Line;
use super::origin::{Arrived, Records, case_of};

type Wire = BufReader<Line>;

struct Asked {
    method: String,
    target: String,
    fields: HeaderMap,
}

/// What becomes of the connection.
enum After {
    Keep,
    Close,
    /// With the end of TLS, or of the sending half, before it.
    Goodbye,
}

pub(super) async fn serve(line: Line, records: Records) {
    let mut wire = BufReader::new(line);
    // An error is the end of the connection, whoever made it.
    while let Ok(asked) = head(&mut wire).await {
        match answer(&mut wire, &asked, &records).await {
            Ok(After::Keep) => {}
            Ok(After::Goodbye) => {
                let _told = wire.shutdown().await;
                let _rest = tokio::io::copy(&mut wire, &mut tokio::io::sink()).await;
                return;
            }
            Ok(After::Close) | Err(_) => return,
        }
    }
}

async fn line(wire: &mut Wire) -> io::Result<String> {
    let mut line = String::new();
    wire.read_line(&mut line).await?;
    let whole = line.strip_suffix("\r\n").map(str::to_owned);
    whole.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "inside a line"))
}

async fn fields(wire: &mut Wire) -> io::Result<HeaderMap> {
    let mut fields = HeaderMap::new();
    loop {
        let text = line(wire).await?;
        let Some((name, value)) = text.split_once(": ") else { return Ok(fields) };
        fields.append(name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap());
    }
}

async fn head(wire: &mut Wire) -> io::Result<Asked> {
    let first = line(wire).await?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    Ok(Asked { method, target, fields: fields(wire).await? })
}

async fn exact(wire: &mut Wire, mut length: usize, check: &mut Check) -> io::Result<()> {
    while length > 0 {
        let piece = wire.fill_buf().await?;
        if piece.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "inside a body"));
        }
        let taken = piece.len().min(length);
        check.take(&piece[..taken]);
        wire.consume(taken);
        length -= taken;
    }
    Ok(())
}

async fn body(wire: &mut Wire, asked: &Asked) -> io::Result<Arrived> {
    let mut check = Check::default();
    if !asked.fields.contains_key("transfer-encoding") {
        let length = asked.fields.get("content-length").and_then(|length| length.to_str().ok());
        exact(wire, length.map_or(0, |length| length.parse().unwrap()), &mut check).await?;
        return Ok(Arrived::Whole { length: check.length, trailers: false });
    }
    loop {
        let size = usize::from_str_radix(&line(wire).await?, 16).map_err(io::Error::other)?;
        if size == 0 {
            let trailers = fields(wire).await?.contains_key("x-sum");
            return Ok(Arrived::Whole { length: check.length, trailers });
        }
        exact(wire, size, &mut check).await?;
        assert_eq!(line(wire).await?, "");
    }
}

/// Reads the request's body and notes what came of it.
async fn take(wire: &mut Wire, asked: &Asked, number: usize, records: &Records) -> io::Result<()> {
    let outcome = body(wire, asked).await;
    records.note(number, |record| record.arrived = Some(*outcome.as_ref().unwrap_or(&Arrived::Broken)));
    outcome.map(drop)
}

async fn answer(wire: &mut Wire, asked: &Asked, records: &Records) -> io::Result<After> {
    let (number, case) = case_of(&asked.target);
    records.note(number, |record| record.fields = asked.fields.clone());
    match case.act {
        Act::AnswerEarly(status) => {
            send(wire, asked, status, Content::Length(1_000), number, records).await?;
            return Ok(After::Goodbye);
        }
        Act::Hesitate => records.released(number).await,
        _ => {}
    }
    take(wire, asked, number, records).await?;
    match case.act {
        Act::Answer(status, content) => {
            send(wire, asked, status, content, number, records).await?;
            Ok(if matches!(content, Content::UntilClose(_)) { After::Goodbye } else { After::Keep })
        }
        Act::Break(at, how) => {
            begin(wire, at).await?;
            end(wire, how, number, records).await
        }
        Act::Endless => {
            begin(wire, At::BetweenChunks).await?;
            end(wire, How::Silence, number, records).await
        }
        Act::AnswerEarly(_) | Act::Hesitate => {
            send(wire, asked, 200, Content::Length(0), number, records).await?;
            Ok(After::Keep)
        }
    }
}

async fn send(
    wire: &mut Wire,
    asked: &Asked,
    status: u16,
    content: Content,
    number: usize,
    records: &Records,
) -> io::Result<()> {
    let is_head = asked.method == "HEAD";
    let framing = match content {
        Content::Nothing if is_head => "transfer-encoding: chunked\r\n".to_owned(),
        Content::Nothing => String::new(),
        Content::Length(length) => format!("content-length: {length}\r\n"),
        Content::Streamed(_) => "trailer: x-sum\r\ntransfer-encoding: chunked\r\n".to_owned(),
        Content::UntilClose(_) => "connection: close\r\n".to_owned(),
    };
    let head = format!(
        "HTTP/1.1 {status} Scripted\r\netag: \"1\"\r\ncontent-range: bytes 0-999/9000\r\n{framing}\r\n"
    );
    wire.write_all(head.as_bytes()).await?;
    let (length, is_chunked) = match content {
        _ if is_head => (0, false),
        Content::Nothing => (0, false),
        Content::Length(length) | Content::UntilClose(length) => (length, false),
        Content::Streamed(length) => (length, true),
    };
    let mut sent = 0;
    while sent < length {
        let piece = content::at(sent, (length - sent).min(if length > 100_000 { 1 << 16 } else { 300 }));
        if is_chunked {
            wire.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
        }
        wire.write_all(piece).await?;
        if is_chunked {
            wire.write_all(b"\r\n").await?;
        }
        sent += piece.len();
        records.note(number, |record| record.sent = sent);
    }
    if is_chunked && !is_head {
        wire.write_all(format!("0\r\nx-sum: {length}\r\n\r\n").as_bytes()).await?;
    }
    wire.flush().await
}

/// The part of an answer that comes.
async fn begin(wire: &mut Wire, at: At) -> io::Result<()> {
    let part = |offset, length| content::at(offset, length);
    match at {
        At::BeforeHead => {}
        At::InsideHead => wire.write_all(b"HTTP/1.1 200 OK\r\nconte").await?,
        At::InsideLength => {
            wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await?;
            wire.write_all(part(0, 500)).await?;
        }
        At::UntilClose => {
            wire.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await?;
            wire.write_all(part(0, 500)).await?;
        }
        At::InsideChunk | At::BetweenChunks => {
            wire.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n64\r\n").await?;
            wire.write_all(part(0, 100)).await?;
            wire.write_all(b"\r\n").await?;
            if at == At::InsideChunk {
                wire.write_all(b"64\r\n").await?;
                wire.write_all(part(100, 50)).await?;
            }
        }
    }
    wire.flush().await
}

async fn end(wire: &mut Wire, how: How, number: usize, records: &Records) -> io::Result<After> {
    match how {
        How::Close => {}
        How::Reset => wire.get_ref().hand.reset_at_end(),
        How::Silence => {
            // To the end, whichever it is.
            while let Ok(1..) = wire.read(&mut [0; 1_024]).await {}
            records.note(number, |record| record.left = true);
        }
        How::Stream(_) => unreachable!("HTTP/1.1 has no streams"),
    }
    Ok(After::Close)
}
