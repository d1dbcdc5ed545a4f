//! Content codings undone (RFC 9110, section 8.4.1), without falling for a bomb.
//!
//! Invariant: never more than [`DECODED_BYTES`] come out of one coding, nor more than [`DECODED_RATIO`] times
//! what went in.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use crate::answer::Answer;
use crate::limits::{CONTENT_CODINGS, DECODED_BYTES, DECODED_RATIO, RATIO_FREE_BYTES};

/// Why a body could not be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packed {
    /// It unpacks to more than the limits allow.
    TooLarge,
    /// It is not what its coding says.
    Damaged,
    /// A coding that is not known here.
    Unknown,
}

/// The complete body of an answer, unpacked.
pub(crate) fn decode(answer: &Answer) -> Result<Cow<'_, [u8]>, Packed> {
    let mut bytes = Cow::Borrowed(answer.body.bytes.as_slice());
    let codings = answer.values("content-encoding").flat_map(|list| list.split(|byte| *byte == b','));
    let codings: Vec<String> = codings
        .map(|coding| String::from_utf8_lossy(coding).trim().to_ascii_lowercase())
        .filter(|coding| !coding.is_empty() && coding != "identity")
        .collect();
    if codings.len() > CONTENT_CODINGS {
        return Err(Packed::Unknown);
    }
    // The last one named was applied last.
    for coding in codings.iter().rev() {
        // Nothing is nothing in every coding; servers do label empty bodies.
        if !bytes.is_empty() {
            bytes = undo(coding, &bytes)?.into();
        }
    }
    Ok(bytes)
}

fn undo(coding: &str, packed: &[u8]) -> Result<Vec<u8>, Packed> {
    match coding {
        "gzip" | "x-gzip" => drain(MultiGzDecoder::new(packed), packed.len()),
        // Deflate means zlib; many servers send it without zlib's wrapping, and every browser takes that.
        "deflate" => match drain(ZlibDecoder::new(packed), packed.len()) {
            Err(Packed::Damaged) => drain(DeflateDecoder::new(packed), packed.len()),
            other => other,
        },
        "br" => drain(brotli::Decompressor::new(packed, 4096), packed.len()),
        _ => Err(Packed::Unknown),
    }
}

fn drain(decoder: impl Read, packed: usize) -> Result<Vec<u8>, Packed> {
    let allowed = DECODED_BYTES.min(RATIO_FREE_BYTES.max(packed.saturating_mul(DECODED_RATIO)));
    let mut bytes = Vec::new();
    decoder.take(allowed as u64 + 1).read_to_end(&mut bytes).map_err(|_| Packed::Damaged)?;
    if bytes.len() > allowed { Err(Packed::TooLarge) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;
    use crate::Body;

    fn packed(coding: &str, bytes: &[u8]) -> Answer {
        let mut out = Vec::new();
        match coding {
            "gzip" => {
                let mut encoder = GzEncoder::new(&mut out, Compression::best());
                encoder.write_all(bytes).unwrap();
            }
            "deflate" => {
                let mut encoder = ZlibEncoder::new(&mut out, Compression::best());
                encoder.write_all(bytes).unwrap();
            }
            "raw deflate" => {
                let mut encoder = DeflateEncoder::new(&mut out, Compression::best());
                encoder.write_all(bytes).unwrap();
            }
            "br" => {
                let mut encoder = brotli::CompressorWriter::new(&mut out, 4096, 5, 22);
                encoder.write_all(bytes).unwrap();
            }
            _ => out = bytes.to_vec(),
        }
        let coding = coding.trim_start_matches("raw ");
        Answer {
            status: 200,
            headers: vec![("content-encoding".to_owned(), coding.as_bytes().to_vec())],
            body: Body::of(out),
        }
    }

    #[test]
    fn every_coding_is_undone() {
        let text = b"the same text, the same text, the same text";
        for coding in ["gzip", "deflate", "raw deflate", "br", "identity"] {
            assert_eq!(decode(&packed(coding, text)).unwrap(), &text[..], "{coding}");
        }
    }

    #[test]
    fn codings_laid_upon_one_another_are_undone_from_the_last() {
        let inner = packed("br", b"text").body.bytes;
        let mut answer = packed("gzip", &inner);
        answer.headers = vec![("content-encoding".to_owned(), b"br, X-Gzip".to_vec())];
        assert_eq!(decode(&answer).unwrap(), &b"text"[..]);
    }

    #[test]
    fn bombs_are_refused() {
        let zeros = vec![0; 4 * RATIO_FREE_BYTES];
        for coding in ["gzip", "deflate", "raw deflate", "br"] {
            assert_eq!(decode(&packed(coding, &zeros)), Err(Packed::TooLarge), "{coding}");
            assert!(decode(&packed(coding, &zeros[..RATIO_FREE_BYTES])).is_ok(), "{coding}");
        }
    }

    #[test]
    fn what_is_barely_packed_is_bounded_too() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
        encoder.write_all(&vec![0; DECODED_BYTES + 1]).unwrap();
        let mut answer = packed("gzip", b"");
        answer.body = Body::of(encoder.finish().unwrap());
        assert_eq!(decode(&answer), Err(Packed::TooLarge));
    }

    #[test]
    fn damage_and_unknown_codings_are_told_apart() {
        let mut answer = packed("gzip", b"some text");
        answer.body.bytes.truncate(12);
        assert_eq!(decode(&answer), Err(Packed::Damaged));
        assert_eq!(decode(&packed("zstd", b"x")), Err(Packed::Unknown));
        assert!(decode(&packed("zstd", b"")).is_ok());
    }
}
