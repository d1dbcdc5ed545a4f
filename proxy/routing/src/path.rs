//! The one path normaliser.
//!
//! A request's path goes through [`normalise_path`] once; the result is matched, counted and forwarded. It must
//! never give two results for paths that a legacy application takes for the same one by the rules of RFC 3986,
//! and must never pass on a path that means another resource there than here: both would let a caller go
//! round a route.

use std::borrow::Cow;

/// Why a path is refused. Positions are bytes of the path as sent; those of dot segments are counted after
/// escapes have been brought to their one spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Neither `/…` nor anything else this proxy routes.
    #[error("path does not begin with a slash")]
    Relative,
    #[error("path climbs above the root at byte {at}")]
    AboveRoot { at: usize },
    /// `%` without two hexadecimal digits.
    #[error("path holds an incomplete percent-escape at byte {at}")]
    Escape { at: usize },
    /// `%00`.
    #[error("path holds an escaped NUL at byte {at}")]
    Nul { at: usize },
    /// Control bytes, space, backslash, `#`, `?` and everything outside ASCII.
    #[error("path holds byte 0x{byte:02X} at byte {at}, which has to be percent-escaped")]
    Byte { at: usize, byte: u8 },
    /// A dot segment that some applications see and this proxy would not: `..;a`, `a%2F..`.
    #[error("path hides a dot segment at byte {at}")]
    HiddenDots { at: usize },
}

/// The one spelling of a path.
///
/// | rule | why |
/// |---|---|
/// | escapes of unreserved characters are decoded: `%74` becomes `t` (RFC 3986 section 6.2.2.2) | else `/%61dmin` passes by the route `/admin` and legacy decodes it |
/// | the digits of other escapes become upper-case (section 6.2.2.1) | else `%2f` and `%2F` are two paths |
/// | `%2F` stays an escape | decoded it would be a different path; routes see one segment, legacy gets what was sent |
/// | `.` and `..` segments are resolved, `%2e` spelled ones too (section 5.2.4) | else `/public/../admin` is routed by its first segment and served by its last |
/// | a path that climbs above the root is refused | no honest client sends one; legacy applications disagree on its meaning |
/// | `..;a` and a `..` between escaped slashes or backslashes are refused | Java servers drop `;a` first, others decode `%2F` or `%5C` first: both then climb |
/// | `//`, letter case and a trailing slash are kept and count | many applications tell them apart; a proxy that merges them changes the answer |
/// | characters RFC 3986 does not allow but clients send (`"`, `<`, `>`, `^`, `` ` ``, `{`, `\|`, `}`) are escaped | else `/a\|b` and `/a%7Cb` are two paths |
/// | incomplete escapes, `%00`, control bytes, space, backslash, `#`, `?`, non-ASCII bytes are refused | parsers disagree on each of them |
/// | reserved characters and their escapes (`:` and `%3A`) stay two spellings | RFC 3986 section 2.2: they may differ |
///
/// Idempotent. A path that is in its one spelling already, as nearly all are, is borrowed after a single
/// scan, without allocation.
///
/// ```
/// # use starve_routing::normalise_path;
/// assert_eq!(normalise_path("/%70roducts/./42/a%2fb")?, "/products/42/a%2Fb");
/// assert!(normalise_path("/a/%2e%2e/../b").is_err());
/// # Ok::<(), starve_routing::PathError>(())
/// ```
pub fn normalise_path(path: &str) -> Result<Cow<'_, str>, PathError> {
    if !path.starts_with('/') {
        return Err(PathError::Relative);
    }
    if is_plain(path.as_bytes()) {
        return Ok(Cow::Borrowed(path));
    }
    let normal = resolve(&respell(path)?)?;
    // Escapes that stay as they are bring a path here that has nothing to change.
    Ok(if normal == path { Cow::Borrowed(path) } else { Cow::Owned(normal) })
}

/// The byte that two hexadecimal digits stand for.
pub(crate) fn unescape(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// What a byte of a path is, by RFC 3986 section 3.3.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Stands for itself: unreserved, `sub-delims`, `:`, `@`, `/`.
    Plain,
    Dot,
    Percent,
    /// Not allowed, but sent by clients: has to be escaped.
    Stray,
    Refused,
}

pub(crate) const fn class(byte: u8) -> Class {
    match byte {
        b'.' => Class::Dot,
        b'%' => Class::Percent,
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => Class::Plain,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => Class::Plain,
        b':' | b'@' | b'/' => Class::Plain,
        b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' => Class::Stray,
        _ => Class::Refused,
    }
}

static CLASSES: [Class; 256] = {
    let mut classes = [Class::Refused; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = class(byte as u8);
        byte += 1;
    }
    classes
};

/// Whether the path is certainly in its one spelling. A dot at the start of a segment and an escape are left to
/// the long way: they are rare, and telling the good ones apart costs the rest.
fn is_plain(path: &[u8]) -> bool {
    let mut before = 0;
    path.iter().all(|byte| {
        let plain = match CLASSES[usize::from(*byte)] {
            Class::Plain => true,
            Class::Dot => before != b'/',
            Class::Percent | Class::Stray | Class::Refused => false,
        };
        before = *byte;
        plain
    })
}

/// The path with every character in its one spelling; dot segments are still in it, now all in plain dots.
fn respell(path: &str) -> Result<String, PathError> {
    let bytes = path.as_bytes();
    let mut normal = String::with_capacity(bytes.len() + 8);
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match class(byte) {
            Class::Plain | Class::Dot => normal.push(char::from(byte)),
            Class::Stray => push_escape(&mut normal, byte),
            Class::Refused => return Err(PathError::Byte { at, byte }),
            Class::Percent => {
                let Some((&high, &low)) = bytes.get(at + 1).zip(bytes.get(at + 2)) else {
                    return Err(PathError::Escape { at });
                };
                match unescape(high, low).ok_or(PathError::Escape { at })? {
                    0 => return Err(PathError::Nul { at }),
                    byte if is_unreserved(byte) => normal.push(char::from(byte)),
                    byte => push_escape(&mut normal, byte),
                }
                at += 2;
            }
        }
        at += 1;
    }
    Ok(normal)
}

/// RFC 3986 section 5.2.4 on a path whose dots are all plain.
fn resolve(path: &str) -> Result<String, PathError> {
    let mut normal = String::with_capacity(path.len());
    let mut at = 0;
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        at += 1;
        match segment {
            "." | ".." => {
                if segment == ".." {
                    let parent = normal.rfind('/').ok_or(PathError::AboveRoot { at })?;
                    normal.truncate(parent);
                }
                // A last dot segment names a folder: what is left keeps its slash.
                if segments.peek().is_none() {
                    normal.push('/');
                }
            }
            _ if hides_dots(segment) => return Err(PathError::HiddenDots { at }),
            _ => {
                normal.push('/');
                normal.push_str(segment);
            }
        }
        at += segment.len();
    }
    Ok(normal)
}

/// Whether an application that drops path parameters, or decodes slashes before it resolves dots, would find
/// a dot segment in this one. Escapes are upper-case here.
pub(crate) fn hides_dots(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    let mut start = 0;
    let mut parts = 0;
    while start <= bytes.len() {
        let end = (start..bytes.len()).find(|at| is_escaped_slash(&bytes[*at..])).unwrap_or(bytes.len());
        let part = &segment[start..end];
        let name = part.split(';').next().and_then(|name| name.split("%3B").next()).unwrap_or_default();
        let last = end == bytes.len();
        // Alone and without parameters it is no hidden one, but an ordinary dot segment.
        let ordinary = parts == 0 && last && name == part;
        if !ordinary && (name == ".." || (name == "." && name != part)) {
            return true;
        }
        parts += 1;
        start = end + 3;
    }
    false
}

fn is_escaped_slash(bytes: &[u8]) -> bool {
    bytes.starts_with(b"%2F") || bytes.starts_with(b"%5C")
}

pub(crate) const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

pub(crate) fn push_escape(text: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    text.push('%');
    text.push(char::from(DIGITS[usize::from(byte >> 4)]));
    text.push(char::from(DIGITS[usize::from(byte & 15)]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(path: &str) -> String {
        normalise_path(path).unwrap_or_else(|error| panic!("{path}: {error}")).into_owned()
    }

    #[test]
    fn a_path_in_its_one_spelling_is_borrowed() {
        for path in
            ["/", "/a/b.json", "/a//b/", "/a%2Fb/caf%C3%A9", "/.well-known/x", "/a/...", "/a;v=1", "/@me:x!"]
        {
            assert!(matches!(normalise_path(path), Ok(Cow::Borrowed(text)) if text == path), "{path}");
        }
    }

    #[test]
    fn escapes_of_unreserved_characters_are_decoded_and_others_kept_in_upper_case() {
        assert_eq!(normal("/%61%64min%2d%7E"), "/admin-~");
        assert_eq!(normal("/a%2fb%3a%c3%a9"), "/a%2Fb%3A%C3%A9");
        assert_eq!(normal("/%2561"), "/%2561");
    }

    #[test]
    fn dot_segments_are_resolved_in_every_spelling() {
        assert_eq!(normal("/a/./b"), "/a/b");
        assert_eq!(normal("/a/../b"), "/b");
        assert_eq!(normal("/a/%2e%2E/b"), "/b");
        assert_eq!(normal("/a/.%2e/b/%2e"), "/b/");
        assert_eq!(normal("/a/.."), "/");
        assert_eq!(normal("/a/b/.."), "/a/");
        assert_eq!(normal("/."), "/");
        assert_eq!(normal("/a/b/c/./../../g"), "/a/g");
    }

    #[test]
    fn an_empty_segment_is_a_segment() {
        assert_eq!(normal("/a//../b"), "/a/b");
        assert_eq!(normal("//a/.."), "//");
        assert_eq!(normal("//.."), "/");
    }

    #[test]
    fn a_path_above_the_root_is_refused() {
        for path in ["/..", "/../a", "/a/../..", "/a/%2e%2e/%2e./b", "/./.."] {
            assert!(matches!(normalise_path(path), Err(PathError::AboveRoot { .. })), "{path}");
        }
        assert_eq!(normalise_path("/a/../.."), Err(PathError::AboveRoot { at: 6 }));
    }

    #[test]
    fn a_dot_segment_that_only_other_parsers_see_is_refused() {
        for path in [
            "/a/..;x/b",
            "/a/.;/b",
            "/a/..%2Fb",
            "/a/b%2f..%2fc",
            "/a/b%5c..",
            "/a/%2e%2e%2fb",
            "/a/..;x%2Fb",
            "/a/..%3bx",
        ] {
            assert!(matches!(normalise_path(path), Err(PathError::HiddenDots { .. })), "{path}");
        }
        for path in ["/a/..b", "/a/b%2F..c", "/a/b;..", "/a/...%2F", "/group%2F.config"] {
            assert_eq!(normal(path), path);
        }
    }

    #[test]
    fn case_double_slashes_and_a_trailing_slash_are_kept() {
        assert_eq!(normal("/A//b/"), "/A//b/");
    }

    #[test]
    fn characters_outside_the_grammar_get_one_spelling() {
        assert_eq!(normal("/a|b^{c}`\"<>"), "/a%7Cb%5E%7Bc%7D%60%22%3C%3E");
        assert_eq!(normal("/a%7cb"), normal("/a|b"));
    }

    #[test]
    fn what_parsers_disagree_on_is_refused() {
        for (path, error) in [
            ("", PathError::Relative),
            ("*", PathError::Relative),
            ("a/b", PathError::Relative),
            ("/a%", PathError::Escape { at: 2 }),
            ("/a%2", PathError::Escape { at: 2 }),
            ("/a%zz", PathError::Escape { at: 2 }),
            ("/%+1", PathError::Escape { at: 1 }),
            ("/a%00", PathError::Nul { at: 2 }),
            ("/a b", PathError::Byte { at: 2, byte: b' ' }),
            ("/a\\b", PathError::Byte { at: 2, byte: b'\\' }),
            ("/a\0", PathError::Byte { at: 2, byte: 0 }),
            ("/a\r\n", PathError::Byte { at: 2, byte: b'\r' }),
            ("/a\u{7f}", PathError::Byte { at: 2, byte: 0x7f }),
            ("/a?b", PathError::Byte { at: 2, byte: b'?' }),
            ("/a#b", PathError::Byte { at: 2, byte: b'#' }),
            ("/caf\u{e9}", PathError::Byte { at: 4, byte: 0xc3 }),
        ] {
            assert_eq!(normalise_path(path), Err(error), "{path:?}");
        }
    }
}
