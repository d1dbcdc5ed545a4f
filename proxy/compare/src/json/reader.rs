//! Bytes to [`Value`] (RFC 8259), or to an array of the documents of JSON lines.
//!
//! Invariant: depth and number of values are bounded before they are built, so no input exhausts stack or memory.

use std::borrow::Cow;

use super::{Member, Unreadable, Value};
use crate::limits::{JSON_DEPTH, JSON_NODES};

pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Several documents, each on lines of its own, become one array; `lines` says that there may be several, so
/// that even a single one does.
pub(crate) fn parse(bytes: &[u8], lines: bool) -> Result<Value<'_>, Unreadable> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut reader = Reader { bytes, at: 0, nodes: 0, depth: 0 };
    reader.skip_white_space();
    let first = reader.value()?;
    let mut documents = vec![];
    let mut end = reader.at;
    reader.skip_white_space();
    if reader.at == bytes.len() && !lines {
        return Ok(first);
    }
    documents.push(first);
    while reader.at < bytes.len() {
        if !bytes[end..reader.at].contains(&b'\n') {
            return Err(Unreadable::NotJson);
        }
        documents.push(reader.value()?);
        end = reader.at;
        reader.skip_white_space();
    }
    Ok(Value::Array(documents))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: u32,
    depth: usize,
}

type Read<T> = Result<T, Unreadable>;

impl<'a> Reader<'a> {
    fn value(&mut self) -> Read<Value<'a>> {
        self.nodes += 1;
        if self.nodes > JSON_NODES {
            return Err(Unreadable::TooLarge);
        }
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true", Value::Bool(true)),
            Some(b'f') => self.word(b"false", Value::Bool(false)),
            Some(b'n') => self.word(b"null", Value::Null),
            _ => Err(Unreadable::NotJson),
        }
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Read<Value<'a>>) -> Read<Value<'a>> {
        self.depth += 1;
        if self.depth > JSON_DEPTH {
            return Err(Unreadable::TooLarge);
        }
        self.at += 1;
        self.skip_white_space();
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Read<Value<'a>> {
        let mut members = Vec::new();
        if self.skip(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            let key = self.string()?;
            self.skip_white_space();
            self.require(b':')?;
            self.skip_white_space();
            members.push(Member { key, value: self.value()? });
            self.skip_white_space();
            if self.skip(b'}') {
                return Ok(Value::Object(members));
            }
            self.require(b',')?;
            self.skip_white_space();
        }
    }

    fn array(&mut self) -> Read<Value<'a>> {
        let mut elements = Vec::new();
        if self.skip(b']') {
            return Ok(Value::Array(elements));
        }
        loop {
            elements.push(self.value()?);
            self.skip_white_space();
            if self.skip(b']') {
                return Ok(Value::Array(elements));
            }
            self.require(b',')?;
            self.skip_white_space();
        }
    }

    fn number(&mut self) -> Read<Value<'a>> {
        let start = self.at;
        self.skip(b'-');
        if !self.skip(b'0') {
            self.digits()?;
        }
        if self.skip(b'.') {
            self.digits()?;
        }
        if self.skip(b'e') || self.skip(b'E') {
            let _ = self.skip(b'+') || self.skip(b'-');
            self.digits()?;
        }
        Ok(Value::Number(&self.bytes[start..self.at]))
    }

    /// One or more.
    fn digits(&mut self) -> Read<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Unreadable::NotJson) }
    }

    fn word(&mut self, word: &[u8], value: Value<'a>) -> Read<Value<'a>> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(Unreadable::NotJson);
        }
        self.at += word.len();
        Ok(value)
    }

    fn string(&mut self) -> Read<Cow<'a, [u8]>> {
        self.require(b'"')?;
        let plain = self.plain_characters();
        if self.skip(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = plain.to_vec();
        while !self.skip(b'"') {
            self.require(b'\\')?;
            self.escape(&mut text)?;
            text.extend_from_slice(self.plain_characters());
        }
        Ok(Cow::Owned(text))
    }

    /// Up to the end of the string, an escape, or a control character, which no string may hold.
    fn plain_characters(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        let length =
            rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Read<()> {
        let escaped = self.peek().ok_or(Unreadable::NotJson)?;
        self.at += 1;
        text.push(match escaped {
            b'"' | b'\\' | b'/' => escaped,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let unit = self.code_unit()?;
                let code_point = self.with_low_surrogate(unit)?;
                push_wtf8(text, code_point);
                return Ok(());
            }
            _ => return Err(Unreadable::NotJson),
        });
        Ok(())
    }

    fn code_unit(&mut self) -> Read<u32> {
        let digits = self.bytes.get(self.at..self.at + 4).ok_or(Unreadable::NotJson)?;
        self.at += 4;
        digits.iter().try_fold(0, |unit, digit| {
            char::from(*digit).to_digit(16).map(|digit| unit * 16 + digit).ok_or(Unreadable::NotJson)
        })
    }

    /// The code point that two escaped surrogates stand for, or `unit` where it is none or stands alone.
    fn with_low_surrogate(&mut self, unit: u32) -> Read<u32> {
        if !(0xD800..0xDC00).contains(&unit) || !self.bytes[self.at..].starts_with(b"\\u") {
            return Ok(unit);
        }
        let before = self.at;
        self.at += 2;
        match self.code_unit()? {
            low @ 0xDC00..=0xDFFF => Ok(0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00)),
            _ => {
                self.at = before;
                Ok(unit)
            }
        }
    }

    fn skip_white_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn require(&mut self, byte: u8) -> Read<()> {
        if self.skip(byte) { Ok(()) } else { Err(Unreadable::NotJson) }
    }
}

/// UTF-8, and three bytes by the same pattern for a lone surrogate, which `char` cannot hold.
fn push_wtf8(text: &mut Vec<u8>, code_point: u32) {
    match char::from_u32(code_point) {
        Some(c) => text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        None => text.extend([12, 6, 0].map(|shift| match shift {
            12 => 0xE0 | (code_point >> 12) as u8,
            shift => 0x80 | (code_point >> shift & 0x3F) as u8,
        })),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(document: &str) -> Vec<u8> {
        match parse(document.as_bytes(), false) {
            Ok(Value::Text(text)) => text.into_owned(),
            other => panic!("{document}: {other:?}"),
        }
    }

    #[test]
    fn escapes_mean_what_they_stand_for() {
        assert_eq!(text(r#""\u0041\n\/\\\"\t""#), b"A\n/\\\"\t");
        assert_eq!(text(r#""\ud83d\ude00""#), "😀".as_bytes());
        assert_eq!(text(r#""\u00fc""#), "ü".as_bytes());
        assert_eq!(text(r#""\ud83d""#), b"\xED\xA0\xBD");
        assert_eq!(text(r#""\ud83d\u0041""#), b"\xED\xA0\xBDA");
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for document in [
            "",
            " ",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "NaN",
            "\"\t\"",
            "\"\\x\"",
            "tru",
            "[1] [2]",
            "1 2",
            "\"\\u12\"",
            "\"",
            "[1]]",
            "nulla",
        ] {
            assert_eq!(parse(document.as_bytes(), false), Err(Unreadable::NotJson), "{document}");
        }
    }

    #[test]
    fn a_byte_order_mark_and_white_space_are_skipped() {
        assert_eq!(parse(b"\xEF\xBB\xBF \r\n[ 1 , 2 ]\t\n", false), parse(b"[1,2]", false));
    }

    #[test]
    fn documents_on_lines_of_their_own_become_an_array() {
        assert_eq!(parse(b"{\"a\":1}\n\n{\"a\":2}\n", false), parse(b"[{\"a\":1},{\"a\":2}]", false));
        assert_eq!(parse(b"{\"a\":1}", true), parse(b"[{\"a\":1}]", false));
    }

    #[test]
    fn depth_and_number_of_values_are_bounded() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(JSON_DEPTH).as_bytes(), false).is_ok());
        assert_eq!(parse(nested(JSON_DEPTH + 1).as_bytes(), false), Err(Unreadable::TooLarge));
        assert_eq!(parse("[".repeat(1_000_000).as_bytes(), false), Err(Unreadable::TooLarge));
        let wide = |elements: usize| format!("[{}0]", "0,".repeat(elements - 1));
        assert!(parse(wide(JSON_NODES as usize - 1).as_bytes(), false).is_ok());
        assert_eq!(parse(wide(JSON_NODES as usize).as_bytes(), false), Err(Unreadable::TooLarge));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
            let _ = parse(&bytes, false);
        }

        #[test]
        fn it_accepts_what_another_reader_accepts(text in "[\\[\\]{}:,\"\\\\u0-9a-fA-F.+\\-eE tr\n]{0,12}") {
            // The other reader knows neither JSON lines nor lone surrogates.
            let several = text.trim().contains('\n');
            let surrogate = text.to_ascii_lowercase().contains("\\ud");
            if !several && !surrogate {
                let accepted = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
                prop_assert_eq!(parse(text.as_bytes(), false).is_ok(), accepted);
            }
        }
    }
}
