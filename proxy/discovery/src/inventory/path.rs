//! A path as frameworks know it, and how it is spelled as a pattern.
//!
//! Patterns take one parameter a segment, and a rest parameter in the last one only. Where a framework can say
//! more, the pattern is the narrowest one that still takes all that the framework takes.

use starve_routing::ParameterType;

/// Spellings that optional parts may multiply to.
const VARIANTS_MAX: usize = 16;

/// A piece of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Value {
        name: String,
        kind: Option<ParameterType>,
    },
    /// May hold slashes.
    Rest(String),
}

impl Piece {
    pub(super) fn value(name: &str) -> Self {
        Self::Value { name: name.to_owned(), kind: None }
    }
}

/// Segment by segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    segments: Vec<Vec<Piece>>,
}

impl Path {
    pub(super) fn new(segments: Vec<Vec<Piece>>) -> Self {
        Self { segments }
    }

    /// From the text of a path and what turns one segment of it into pieces.
    pub(super) fn split(text: &str, segment: impl Fn(&str) -> Vec<Piece>) -> Self {
        Self { segments: text.strip_prefix('/').unwrap_or(text).split('/').map(segment).collect() }
    }

    /// What a pattern takes beyond this path, if it has to be wider.
    pub(super) fn widened(&self) -> Option<&'static str> {
        let last = self.segments.len().saturating_sub(1);
        for (place, segment) in self.segments.iter().enumerate() {
            let rest = segment.iter().any(|piece| matches!(piece, Piece::Rest(_)));
            if rest && (place != last || segment.len() > 1) {
                return Some("has a parameter with slashes that is not last; taken with all that follows");
            }
        }
        None
    }

    /// As the path of a pattern.
    pub(super) fn text(&self, prefix: &str) -> String {
        let mut text = prefix.trim_end_matches('/').to_owned();
        let mut names = Vec::new();
        for segment in &self.segments {
            text.push('/');
            if let Some(Piece::Rest(name)) = segment.iter().find(|piece| matches!(piece, Piece::Rest(_))) {
                text.push_str(&format!("{{{}*}}", unique(name, &mut names)));
                return text;
            }
            push_segment(&mut text, segment, &mut names);
        }
        if text.is_empty() { "/".to_owned() } else { text }
    }
}

fn push_segment(text: &mut String, segment: &[Piece], names: &mut Vec<String>) {
    let is_value = |piece: &Piece| matches!(piece, Piece::Value { .. });
    let (first, last) = (segment.iter().position(is_value), segment.iter().rposition(is_value));
    let (Some(first), Some(last)) = (first, last) else {
        return segment.iter().for_each(|piece| push_literal(text, piece));
    };
    segment[..first].iter().for_each(|piece| push_literal(text, piece));
    // Several values and the text between them are one value, named after all of them.
    let mut joined: Vec<&str> = Vec::new();
    let mut kind_of_one = None;
    for piece in &segment[first..=last] {
        if let Piece::Value { name, kind } = piece {
            joined.push(name);
            kind_of_one = *kind;
        }
    }
    let kind = kind_of_one.filter(|_| joined.len() == 1);
    let name = unique(&joined.join("_"), names);
    match kind {
        Some(kind) => text.push_str(&format!("{{{name}:{kind}}}")),
        None => text.push_str(&format!("{{{name}}}")),
    }
    segment[last + 1..].iter().for_each(|piece| push_literal(text, piece));
}

/// Literal text with what cannot stand in a path escaped.
fn push_literal(text: &mut String, piece: &Piece) {
    let Piece::Text(literal) = piece else { return };
    let bytes = literal.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let is_escape = *byte == b'%'
            && bytes.get(at + 1).is_some_and(u8::is_ascii_hexdigit)
            && bytes.get(at + 2).is_some_and(u8::is_ascii_hexdigit);
        let plain = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(byte);
        if plain || is_escape {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// A name that a pattern takes and that the path does not have yet.
fn unique(wanted: &str, names: &mut Vec<String>) -> String {
    let mut name: String = wanted
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' })
        .take(64)
        .collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        name.insert(0, '_');
    }
    let stem = name.clone();
    let mut number = 1;
    while names.contains(&name) {
        number += 1;
        name = format!("{stem}{number}");
    }
    names.push(name.clone());
    name
}

/// All spellings of a text with optional parts in round brackets, `/posts(/page/:page)(.:format)`: with none of
/// them first. `None` when the brackets do not pair or there are too many of them.
pub(super) fn spellings(text: &str) -> Option<Vec<String>> {
    let Some(open) = text.find('(') else {
        return (!text.contains(')')).then(|| vec![text.to_owned()]);
    };
    let mut depth = 0_usize;
    let mut close = None;
    for (at, c) in text.char_indices().skip_while(|(at, _)| *at < open) {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            close = Some(at);
            break;
        }
    }
    let close = close?;
    let (before, inner, after) = (&text[..open], &text[open + 1..close], &text[close + 1..]);
    if before.contains(')') {
        return None;
    }
    let mut all = Vec::new();
    let mut insides = vec![String::new()];
    insides.extend(spellings(inner)?);
    for inside in &insides {
        for rest in spellings(after)? {
            all.push(format!("{before}{inside}{rest}"));
            if all.len() > VARIANTS_MAX {
                return None;
            }
        }
    }
    Some(all)
}

/// `{name}` segments with an optional mark, `/users/{id?}`: the path without it first. Frameworks allow optional
/// parameters at the end only.
pub(super) fn without_optional(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("?}") {
        let start = rest[..at].rfind("/{").unwrap_or(0);
        let shorter = format!("{}{}", &text[..text.len() - rest.len()], &rest[..start]).replace("?}", "}");
        all.push(if shorter.is_empty() { "/".to_owned() } else { shorter });
        rest = &rest[at + 2..];
        if all.len() > VARIANTS_MAX {
            break;
        }
    }
    all.push(text.replace("?}", "}"));
    all.dedup();
    all
}

/// What a regular expression for one value says of its type.
pub(super) fn kind_of_expression(expression: &str) -> Option<ParameterType> {
    let stem = expression.trim_end_matches(['+', '*']);
    let stem = match stem.find('{') {
        Some(at) if stem.ends_with('}') => &stem[..at],
        _ => stem,
    };
    matches!(stem, r"\d" | "[0-9]" | r"[\d]").then_some(ParameterType::Int)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optional_parts_give_every_spelling_the_shortest_first() {
        assert_eq!(spellings("/a").as_deref(), Some(&["/a".to_owned()][..]));
        assert_eq!(
            spellings("/a(/b(/c))(.:d)").unwrap_or_default(),
            ["/a", "/a.:d", "/a/b", "/a/b.:d", "/a/b/c", "/a/b/c.:d"]
        );
        assert_eq!(spellings("/a(b"), None);
        assert_eq!(spellings("/a)b("), None);
        assert_eq!(spellings(&"(a)".repeat(9)), None);
        assert_eq!(without_optional("/users/{id?}"), ["/users", "/users/{id}"]);
        assert_eq!(without_optional("/a/{b?}/{c?}"), ["/a", "/a/{b}", "/a/{b}/{c}"]);
        assert_eq!(without_optional("/{x?}"), ["/", "/{x}"]);
        assert_eq!(without_optional("/a/{b}"), ["/a/{b}"]);
    }

    #[test]
    fn what_a_pattern_cannot_say_is_widened() {
        let value = |name: &str| Piece::value(name);
        let text = |text: &str| Piece::Text(text.to_owned());
        let two = Path::new(vec![vec![text("c")], vec![value("base"), text("..."), value("head")]]);
        assert_eq!(two.text(""), "/c/{base_head}");
        assert_eq!(two.widened(), None);
        let globbed = Path::new(vec![vec![Piece::Rest("p".to_owned())], vec![text("edit")]]);
        assert_eq!(globbed.text("/x"), "/x/{p*}");
        assert!(globbed.widened().is_some());
        let twice = Path::new(vec![vec![value("id")], vec![value("id")], vec![value("7 x")]]);
        assert_eq!(twice.text(""), "/{id}/{id2}/{_7_x}");
        assert_eq!(Path::new(vec![vec![text("a b")], vec![text("c%20d")]]).text(""), "/a%20b/c%20d");
    }
}
