//! HTTP/1.1 as bytes: just enough to read what a correct peer sends, and to notice where it is cut off.

use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpStream;

/// The head of a request or an answer, with names and values as they stood on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The request line or the status line.
    pub line: String,
    pub fields: Vec<(String, String)>,
}

impl Head {
    pub fn method(&self) -> &str {
        self.line.split(' ').next().unwrap_or_default()
    }

    pub fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    /// The value of the first field of that name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The values of all fields of that name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let these = self.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        these.map(|(_, value)| value.as_str()).collect()
    }
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    /// By the end of the connection.
    Close,
}

/// A connection as a reader of messages.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) reader: BufReader<TcpStream>,
}

/// A body being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    framing: Framing,
    /// Of the length, or of the chunk.
    rest: u64,
    pub(crate) ended: bool,
    pub(crate) trailers: Vec<(String, String)>,
}

impl Reading {
    pub(crate) fn new(framing: Framing) -> Self {
        let rest = if let Framing::Length(length) = framing { length } else { 0 };
        Self { framing, rest, ended: framing == Framing::Length(0), trailers: Vec::new() }
    }
}

fn cut_off(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("the connection ended {what}"))
}

fn broken(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { reader: BufReader::with_capacity(64 * 1024, stream) }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.reader.get_ref()
    }

    /// The next head; `None` where the connection ended instead of one.
    pub(crate) fn head(&mut self) -> io::Result<Option<Head>> {
        let Some(line) = self.line()? else { return Ok(None) };
        let fields = self.fields()?;
        Ok(Some(Head { line, fields }))
    }

    fn fields(&mut self) -> io::Result<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?.ok_or_else(|| cut_off("inside a head"))?;
            if line.is_empty() {
                return Ok(fields);
            }
            let (name, value) = line.split_once(':').ok_or_else(|| broken(format!("no field: {line:?}")))?;
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.pop() != Some(b'\n') {
            return Err(cut_off("inside a line"));
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }

    /// The next bytes, whatever they are; empty at the end of the connection.
    pub(crate) fn raw(&mut self) -> io::Result<Vec<u8>> {
        let bytes = self.reader.fill_buf()?.to_vec();
        self.reader.consume(bytes.len());
        Ok(bytes)
    }

    /// The next piece of a body, as it comes; empty at its end.
    pub(crate) fn piece(&mut self, reading: &mut Reading) -> io::Result<Vec<u8>> {
        if reading.ended {
            return Ok(Vec::new());
        }
        if reading.framing == Framing::Chunked && reading.rest == 0 {
            self.chunk_head(reading)?;
            if reading.ended {
                return Ok(Vec::new());
            }
        }
        let room = match reading.framing {
            Framing::Close => 64 * 1024,
            _ => usize::try_from(reading.rest.min(64 * 1024)).unwrap_or_default(),
        };
        let mut piece = vec![0; room];
        let length = self.reader.read(&mut piece)?;
        piece.truncate(length);
        match (reading.framing, length) {
            (Framing::Close, 0) => reading.ended = true,
            (_, 0) => return Err(cut_off("inside a body")),
            (Framing::Close, _) => {}
            (framing, _) => {
                reading.rest -= length as u64;
                if reading.rest == 0 && framing == Framing::Chunked && self.line()?.as_deref() != Some("") {
                    return Err(broken("a chunk without an end".to_owned()));
                }
                reading.ended = reading.rest == 0 && framing != Framing::Chunked;
            }
        }
        Ok(piece)
    }

    fn chunk_head(&mut self, reading: &mut Reading) -> io::Result<()> {
        let line = self.line()?.ok_or_else(|| cut_off("between chunks"))?;
        let size = line.split(';').next().unwrap_or_default().trim();
        reading.rest = u64::from_str_radix(size, 16).map_err(|_| broken(format!("no chunk: {line:?}")))?;
        if reading.rest == 0 {
            reading.trailers = self.fields()?;
            reading.ended = true;
        }
        Ok(())
    }
}

/// The framing of a request's body (RFC 9112 section 6.3).
pub(crate) fn request_framing(head: &Head) -> Framing {
    if head.field("transfer-encoding").is_some() {
        return Framing::Chunked;
    }
    Framing::Length(head.field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0))
}

/// The framing of an answer's body.
pub(crate) fn answer_framing(method: &str, status: u16, head: &Head) -> Framing {
    if method == "HEAD" || matches!(status, 100..=199 | 204 | 304) {
        return Framing::Length(0);
    }
    match (head.field("transfer-encoding"), head.field("content-length")) {
        (Some(_), _) => Framing::Chunked,
        (None, Some(length)) => length.parse().map_or(Framing::Close, Framing::Length),
        (None, None) => Framing::Close,
    }
}
