//! The content of a message, out of the bytes of its connection (RFC 9112 §6, §7).

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;
use memchr::memchr;

use crate::scan::{self, EndScan, Lines};

/// A chunk's line with its extensions, which nobody uses and which could go on for ever.
const CHUNK_LINE_BYTES_MAX: usize = 4 * 1024;
/// All chunk extensions of one message.
const EXTENSION_BYTES_MAX: usize = 16 * 1024;
const TRAILER_BYTES_MAX: usize = 64 * 1024;
/// Below this a copy costs less than sharing the buffer.
const COPIED_MAX: usize = 1_024;

/// Why content cannot be understood or is not whole. Whatever was handed on so far is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    #[error("the connection ended inside the message")]
    Truncated,
    #[error("a chunk without a size")]
    ChunkSize,
    #[error("a chunk that does not end where its size says")]
    ChunkEnd,
    #[error("chunk extensions beyond {EXTENSION_BYTES_MAX} bytes")]
    Extensions,
    #[error("malformed or too many trailers")]
    Trailers,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Data(Bytes),
    Trailers(HeaderMap),
}

/// What is left of a message's content, and how it is framed.
#[derive(Debug)]
pub(crate) struct Decoder(State);

#[derive(Debug)]
enum State {
    Done,
    Length(u64),
    UntilClose,
    ChunkSize(Extensions),
    ChunkData(u64, Extensions),
    ChunkEnd(Extensions),
    Trailers(EndScan),
}

/// Bytes of chunk extensions that may still come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extensions(usize);

impl PartialEq for Decoder {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (State::Done, State::Done)
            | (State::UntilClose, State::UntilClose)
            | (State::ChunkSize(_), State::ChunkSize(_)) => true,
            (State::Length(one), State::Length(other)) => one == other,
            _ => false,
        }
    }
}

impl Decoder {
    pub(crate) fn empty() -> Self {
        Self(State::Done)
    }

    pub(crate) fn length(bytes: u64) -> Self {
        Self(if bytes == 0 { State::Done } else { State::Length(bytes) })
    }

    pub(crate) fn chunked() -> Self {
        Self(State::ChunkSize(Extensions(EXTENSION_BYTES_MAX)))
    }

    pub(crate) fn until_close() -> Self {
        Self(State::UntilClose)
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.0, State::Done)
    }

    /// The bytes that are still to come, where the framing says it.
    pub(crate) fn rest(&self) -> Option<u64> {
        match self.0 {
            State::Done => Some(0),
            State::Length(rest) => Some(rest),
            _ => None,
        }
    }

    /// The next piece, if there is one in `data`; `None` asks for more bytes, unless the message is done.
    pub(crate) fn next(&mut self, data: &mut BytesMut) -> Result<Option<Item>, BodyFault> {
        loop {
            match &mut self.0 {
                State::Done => return Ok(None),
                _ if data.is_empty() => return Ok(None),
                State::UntilClose => return Ok(Some(Item::Data(data.split().freeze()))),
                State::Length(rest) => {
                    let piece = piece(data, rest);
                    if *rest == 0 {
                        self.0 = State::Done;
                    }
                    return Ok(Some(Item::Data(piece)));
                }
                State::ChunkData(rest, extensions) => {
                    let extensions = *extensions;
                    let piece = piece(data, rest);
                    if *rest == 0 {
                        self.0 = State::ChunkEnd(extensions);
                    }
                    return Ok(Some(Item::Data(piece)));
                }
                State::ChunkEnd(extensions) => match &data[..] {
                    [b'\r', b'\n', ..] => {
                        let extensions = *extensions;
                        data.advance(2);
                        self.0 = State::ChunkSize(extensions);
                    }
                    [b'\r'] => return Ok(None),
                    _ => return Err(BodyFault::ChunkEnd),
                },
                State::ChunkSize(extensions) => {
                    let Some((size, length)) = chunk_line(data, extensions)? else { return Ok(None) };
                    let extensions = *extensions;
                    data.advance(length);
                    self.0 = match size {
                        0 => State::Trailers(EndScan::default()),
                        size => State::ChunkData(size, extensions),
                    };
                }
                State::Trailers(scan) => {
                    let Some(trailers) = trailers(data, scan)? else { return Ok(None) };
                    self.0 = State::Done;
                    return Ok((!trailers.is_empty()).then_some(Item::Trailers(trailers)));
                }
            }
        }
    }

    /// The connection has ended: right only for a message that ends with it.
    pub(crate) fn end(&mut self) -> Result<(), BodyFault> {
        match self.0 {
            State::Done | State::UntilClose => {
                self.0 = State::Done;
                Ok(())
            }
            _ => Err(BodyFault::Truncated),
        }
    }
}

fn piece(data: &mut BytesMut, rest: &mut u64) -> Bytes {
    let length = usize::try_from(*rest).map_or(data.len(), |rest| rest.min(data.len()));
    *rest -= length as u64;
    if length <= COPIED_MAX {
        let piece = Bytes::copy_from_slice(&data[..length]);
        data.advance(length);
        piece
    } else if length == data.len() {
        data.split().freeze()
    } else {
        data.split_to(length).freeze()
    }
}

/// The size of a chunk and the length of its line. Hexadecimal digits, then the end of the line or an
/// extension (RFC 9112 §7.1.1); white space before an extension is "bad" but allowed.
fn chunk_line(data: &[u8], extensions: &mut Extensions) -> Result<Option<(u64, usize)>, BodyFault> {
    let Some(end) = memchr(b'\n', &data[..data.len().min(CHUNK_LINE_BYTES_MAX)]) else {
        let is_wrong = data.len() >= CHUNK_LINE_BYTES_MAX || !data[0].is_ascii_hexdigit();
        return if is_wrong { Err(BodyFault::ChunkSize) } else { Ok(None) };
    };
    let line = data[..end].strip_suffix(b"\r").ok_or(BodyFault::ChunkSize)?;
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (digits, extension) = line.split_at(digits);
    // Sixteen digits are 64 bits.
    if digits.is_empty() || digits.len() > 16 || memchr(b'\r', extension).is_some() {
        return Err(BodyFault::ChunkSize);
    }
    if !extension.is_empty() {
        if !extension.trim_ascii_start().starts_with(b";") {
            return Err(BodyFault::ChunkSize);
        }
        extensions.0 = extensions.0.checked_sub(extension.len()).ok_or(BodyFault::Extensions)?;
    }
    let size = std::str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok());
    Ok(Some((size.ok_or(BodyFault::ChunkSize)?, end + 1)))
}

fn trailers(data: &mut BytesMut, scan: &mut EndScan) -> Result<Option<HeaderMap>, BodyFault> {
    if data.starts_with(b"\r\n") {
        data.advance(2);
        return Ok(Some(HeaderMap::new()));
    }
    let end = match scan.find(data, Lines::Strict).map_err(|_| BodyFault::Trailers)? {
        Some(end) if end <= TRAILER_BYTES_MAX => end,
        None if data.len() <= TRAILER_BYTES_MAX => return Ok(None),
        _ => return Err(BodyFault::Trailers),
    };
    let section = data.split_to(end).freeze();
    scan::fields(&section, 0, Lines::Strict).map(Some).map_err(|_| BodyFault::Trailers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All content and trailers of a message whose bytes come in pieces, and what was left over.
    type Decoded = (Vec<u8>, Option<HeaderMap>, Vec<u8>);

    fn decode(mut decoder: Decoder, pieces: &[&[u8]]) -> Result<Decoded, BodyFault> {
        let (mut data, mut content, mut trailers) = (BytesMut::new(), Vec::new(), None);
        for piece in pieces {
            data.extend_from_slice(piece);
            while let Some(item) = decoder.next(&mut data)? {
                match item {
                    Item::Data(piece) => content.extend_from_slice(&piece),
                    Item::Trailers(fields) => trailers = Some(fields),
                }
            }
        }
        decoder.end()?;
        Ok((content, trailers, data.to_vec()))
    }

    const CHUNKS: &[u8] = b"5;a=b\r\nhello\r\n00006 ;c\r\n world\r\n0\r\nx-sum: 1\r\n\r\nGET /";

    proptest! {
        #[test]
        fn chunks_come_out_whole_however_they_are_cut(cuts in proptest::collection::vec(0..CHUNKS.len(), 0..12)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([CHUNKS.len()]) {
                pieces.push(&CHUNKS[from..cut]);
                from = cut;
            }
            let (content, trailers, rest) = decode(Decoder::chunked(), &pieces).unwrap();
            prop_assert_eq!(content, b"hello world");
            prop_assert_eq!(&trailers.unwrap()["x-sum"], "1");
            prop_assert_eq!(rest, b"GET /");
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>, cut in 1..20_usize) {
            let pieces: Vec<&[u8]> = bytes.chunks(cut).collect();
            let _outcome = decode(Decoder::chunked(), &pieces);
        }
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for (text, fault) in [
            ("zz\r\n", BodyFault::ChunkSize),
            ("0x5\r\nhello\r\n", BodyFault::ChunkSize),
            ("-5\r\n", BodyFault::ChunkSize),
            ("\r\n", BodyFault::ChunkSize),
            (" 5\r\nhello\r\n", BodyFault::ChunkSize),
            ("10000000000000005\r\n", BodyFault::ChunkSize),
            ("5\nhello\r\n", BodyFault::ChunkSize),
            ("5 x\r\nhello\r\n", BodyFault::ChunkSize),
            ("5;a\rb\r\nhello\r\n", BodyFault::ChunkSize),
            ("5\r\nhello!\r\n", BodyFault::ChunkEnd),
            ("5\r\nhello\n", BodyFault::ChunkEnd),
            ("0\r\nx : y\r\n\r\n", BodyFault::Trailers),
            ("5\r\nhel", BodyFault::Truncated),
            ("5\r\nhello\r\n0\r\n", BodyFault::Truncated),
        ] {
            assert_eq!(decode(Decoder::chunked(), &[text.as_bytes()]).err(), Some(fault), "{text:?}");
        }
        let endless = "1;".to_owned() + &"x".repeat(CHUNK_LINE_BYTES_MAX);
        assert_eq!(decode(Decoder::chunked(), &[endless.as_bytes()]).err(), Some(BodyFault::ChunkSize));
        let many = format!("1;{}\r\nx\r\n", "y".repeat(4_000)).repeat(5);
        assert_eq!(decode(Decoder::chunked(), &[many.as_bytes()]).err(), Some(BodyFault::Extensions));
    }

    #[test]
    fn a_length_takes_its_bytes_and_leaves_the_rest() {
        let (content, _, rest) = decode(Decoder::length(5), &[b"he", b"lloGET"]).unwrap();
        assert_eq!((content.as_slice(), rest.as_slice()), (&b"hello"[..], &b"GET"[..]));
        assert_eq!(decode(Decoder::length(5), &[b"hell"]).err(), Some(BodyFault::Truncated));
        assert_eq!(decode(Decoder::until_close(), &[b"hell"]).unwrap().0, b"hell");
    }
}
