//! The name of the first operation of a GraphQL document (October 2021, §2), without parsing the rest of it.

/// Empty for an operation without a name; `None` where none can be found in this much of the document.
pub(super) fn first_operation(document: &[u8]) -> Option<&[u8]> {
    let mut rest = document.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(document);
    loop {
        rest = ignored(rest);
        if rest.first()? == &b'{' {
            return Some(b"");
        }
        let (word, tail) = name(rest)?;
        match word {
            b"query" | b"mutation" | b"subscription" => {
                let tail = ignored(tail);
                // The text may be cut off within a name.
                return match name(tail) {
                    Some((name, behind)) if !behind.is_empty() => Some(name),
                    Some(_) => None,
                    None => tail.first().map(|_| &b""[..]),
                };
            }
            b"fragment" => rest = behind_braces(tail)?,
            _ => return None,
        }
    }
}

/// Without what means nothing: space, commas, comments.
fn ignored(mut text: &[u8]) -> &[u8] {
    loop {
        match text.first() {
            Some(b' ' | b'\t' | b'\n' | b'\r' | b',') => text = &text[1..],
            Some(b'#') => {
                let end = memchr::memchr2(b'\n', b'\r', text).unwrap_or(text.len());
                text = &text[end..];
            }
            _ => return text,
        }
    }
}

fn name(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let length = text.iter().position(|byte| !is_part(byte)).unwrap_or(text.len());
    let (name, rest) = text.split_at(length);
    name.first().filter(|byte| !byte.is_ascii_digit()).map(|_| (name, rest))
}

/// What follows the selection of a fragment.
fn behind_braces(mut text: &[u8]) -> Option<&[u8]> {
    let mut depth = 0_usize;
    loop {
        text = ignored(text);
        let (byte, rest) = text.split_first()?;
        text = rest;
        match byte {
            b'{' => depth += 1,
            b'}' if depth <= 1 => return Some(text),
            b'}' => depth -= 1,
            b'"' => text = behind_string(text)?,
            _ => {}
        }
    }
}

/// What follows a string whose first quote was read.
fn behind_string(text: &[u8]) -> Option<&[u8]> {
    if let Some(block) = text.strip_prefix(b"\"\"") {
        let end = memchr::memmem::find(block, b"\"\"\"")?;
        return block.get(end + 3..);
    }
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'"' => return text.get(at + 1..),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_operation_is_found_behind_comments_and_fragments() {
        for (document, name) in [
            ("{ a }", Some("")),
            ("query{a}", Some("")),
            ("query ($id: ID!) { a }", Some("")),
            ("query GetUser($id: ID!) { user(id: $id) { name } }", Some("GetUser")),
            ("\u{feff} # mutation No\n,mutation Save{a}", Some("Save")),
            ("fragment F on T { a(b: \"}{\") { c } } query Q { ...F }", Some("Q")),
            ("fragment F on T { a(b: \"\"\" } \" \"\"\") # }\n } subscription S{ x }", Some("S")),
            ("type T { a: Int }", None),
            ("query Cut", None),
            ("query ", None),
            ("", None),
        ] {
            let found = first_operation(document.as_bytes()).map(|name| std::str::from_utf8(name).unwrap());
            assert_eq!(found, name, "{document}");
        }
    }
}
