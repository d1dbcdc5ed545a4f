//! What stands between two slashes: a literal, `{name:type}` with literal text around it, `{rest*}`.

use super::Piece;
use crate::path::{Class, class, hides_dots, is_unreserved, push_escape, unescape};
use crate::pattern::{Parameter, ParameterType, PatternError, Segment};

/// The segment, and where its parameter's name stands.
pub(super) fn segment(piece: Piece<'_>) -> Result<(Segment, Option<Piece<'_>>), PatternError> {
    let text = piece.text;
    match (text.find('{'), text.find('}')) {
        (None, None) => Ok((Segment::Literal(whole_literal(piece)?), None)),
        (Some(open), Some(close)) if open < close => parameter(piece, open, close),
        (_, Some(close)) => Err(piece
            .character(close)
            .error("`}` without a `{` before it", "`{name}`, or `%7D` where a brace is meant")),
        (Some(open), None) => Err(piece
            .from(open)
            .error("the parameter is not closed in its segment", format!("`{}}}`", piece.from(open).text))),
    }
}

fn parameter(
    piece: Piece<'_>,
    open: usize,
    close: usize,
) -> Result<(Segment, Option<Piece<'_>>), PatternError> {
    let (before, inner, after) = (piece.to(open), piece.slice(open + 1..close), piece.from(close + 1));
    let braced = piece.slice(open..close + 1);
    if inner.text.contains('{') {
        return Err(braced.error("a `{` inside a parameter", "`{name}` or `{name:type}`"));
    }
    if after.text.contains('{') {
        return Err(after.error(
            "a second parameter in one segment",
            "one parameter a segment, literal text around it: `v{n:int}`, `{name}.json`",
        ));
    }
    if let Some(at) = after.text.find('}') {
        return Err(after.character(at).error("`}` without a `{` before it", "one `}` for each `{`"));
    }
    let (name, kind, rest) = declaration(inner, braced)?;
    if rest {
        if !(before.text.is_empty() && after.text.is_empty()) {
            let expected = format!("`/{}` as a segment of its own", braced.text);
            return Err(piece.error("text beside a rest parameter", expected));
        }
        return Ok((Segment::Rest { name: name.text.to_owned() }, Some(name)));
    }
    let (prefix, suffix) = (literal(before)?, literal(after)?);
    Ok((Segment::Parameter(Parameter { prefix, name: name.text.to_owned(), kind, suffix }), Some(name)))
}

/// `name`, `name:type`, `name*`, without the braces.
fn declaration<'a>(
    inner: Piece<'a>,
    braced: Piece<'a>,
) -> Result<(Piece<'a>, Option<ParameterType>, bool), PatternError> {
    if let Some(name) = inner.text.strip_prefix('*') {
        let name = if name.is_empty() { "rest" } else { name.trim_start_matches('*') };
        return Err(
            braced.error("`*` stands before the name", format!("`{{{name}*}}` for the rest of the path"))
        );
    }
    let (name, kind) = match inner.text.find(':') {
        Some(at) => (inner.to(at), Some(inner.from(at + 1))),
        None => (inner, None),
    };
    let (name, rest) = match name.text.strip_suffix('*') {
        Some(front) => (name.to(front.len()), true),
        None => (name, false),
    };
    check_name(name, braced)?;
    if let Some(kind) = kind.filter(|kind| rest || kind.text.ends_with('*')) {
        return Err(kind.error(
            "a rest parameter takes no type",
            format!(
                "`{{{name}*}}` for the rest of the path, or `{{{name}:int}}` for one segment",
                name = name.text
            ),
        ));
    }
    Ok((name, kind.map(parameter_type).transpose()?, rest))
}

fn check_name(name: Piece<'_>, braced: Piece<'_>) -> Result<(), PatternError> {
    if name.text.is_empty() {
        return Err(braced.error("the parameter has no name", "`{name}`, `{name:int}` or `{name*}`"));
    }
    if name.text.ends_with('?') {
        return Err(
            name.error("a parameter cannot be optional", "two routes, one with and one without the segment")
        );
    }
    let stray = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if let Some(at) = name.text.find(stray) {
        let stray = name.character(at);
        return Err(stray.error(
            format!("`{}` cannot stand in a parameter's name", stray.shown()),
            "letters, digits, `_` and `-`, beginning with a letter or `_`",
        ));
    }
    if name.text.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return Err(name.error("a parameter's name begins with a letter or `_`", format!("`_{}`", name.text)));
    }
    Ok(())
}

fn parameter_type(piece: Piece<'_>) -> Result<ParameterType, PatternError> {
    let own = ParameterType::ALL.into_iter().find(|kind| kind.name() == piece.text);
    own.ok_or_else(|| {
        let names = ParameterType::ALL.map(|kind| format!("`{kind}`")).join(", ");
        if piece.text.is_empty() {
            return piece
                .error("the parameter's type is empty", format!("{names}, or `{{name}}` without `:`"));
        }
        let message = format!("unknown parameter type `{}`", piece.shown());
        match nearest_type(piece.text) {
            Some(near) => piece.error(message, format!("`{near}`; there are {names}")),
            None => piece.error(message, format!("one of {names}, or `{{name}}` for any text")),
        }
    })
}

fn nearest_type(text: &str) -> Option<ParameterType> {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        // What other routers call them.
        "integer" | "number" | "num" | "digits" | "long" | "i32" | "i64" | "u32" | "u64" => {
            Some(ParameterType::Int)
        }
        "guid" => Some(ParameterType::Uuid),
        "datetime" | "day" => Some(ParameterType::Date),
        _ => ParameterType::ALL
            .into_iter()
            .map(|kind| (strsim::osa_distance(kind.name(), &lower), kind))
            .filter(|(distance, kind)| *distance * 2 <= kind.name().len())
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, kind)| kind),
    }
}

/// A literal that is a segment of its own: wildcards of other languages would be taken for text there and
/// match nothing for ever.
fn whole_literal(piece: Piece<'_>) -> Result<String, PatternError> {
    if matches!(piece.text, "*" | "**") {
        return Err(piece.error(
            format!("`{}` is no wildcard here", piece.text),
            "`{name}` for one segment, `{rest*}` for all that follows",
        ));
    }
    let in_angles = piece.text.strip_prefix('<').and_then(|text| text.strip_suffix('>'));
    refuse_declaration(piece, in_angles)?;
    let text = literal(piece)?;
    // The text in its one spelling counts: `:%69d` would else be accepted, and its canonical text would not.
    refuse_declaration(piece, text.strip_prefix(':'))?;
    if matches!(text.as_str(), "." | "..") || hides_dots(&text) {
        return Err(piece.error(
            "a dot segment never arrives: request paths are resolved first",
            "the path that it leads to",
        ));
    }
    Ok(text)
}

/// Parameters as other routers declare them.
fn refuse_declaration(piece: Piece<'_>, name: Option<&str>) -> Result<(), PatternError> {
    match name.filter(|name| is_name(name)) {
        None => Ok(()),
        Some(name) => Err(piece.error(
            format!("`{}` is no parameter here", piece.text),
            format!("`{{{name}}}`, or `{{{name}:int}}` for a number"),
        )),
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Literal text in the spelling that normalised request paths have.
fn literal(piece: Piece<'_>) -> Result<String, PatternError> {
    let bytes = piece.text.as_bytes();
    let mut normal = String::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match class(byte) {
            Class::Plain | Class::Dot => normal.push(char::from(byte)),
            Class::Percent => {
                escape(piece, at, &mut normal)?;
                at += 2;
            }
            Class::Stray | Class::Refused => return Err(unescaped(piece.character(at))),
        }
        at += 1;
    }
    Ok(normal)
}

fn escape(piece: Piece<'_>, at: usize, normal: &mut String) -> Result<(), PatternError> {
    let digits = piece.text.as_bytes().get(at + 1).zip(piece.text.as_bytes().get(at + 2));
    match digits.and_then(|(high, low)| unescape(*high, *low)) {
        Some(0) => {
            return Err(piece
                .slice(at..at + 3)
                .error("`%00` never arrives: such requests are refused", "a path without it"));
        }
        Some(byte) if is_unreserved(byte) => normal.push(char::from(byte)),
        Some(byte) => push_escape(normal, byte),
        None => {
            return Err(piece
                .character(at)
                .error("`%` without two hexadecimal digits", "`%25` where a percent sign is meant"));
        }
    }
    Ok(())
}

fn unescaped(character: Piece<'_>) -> PatternError {
    let mut escaped = String::new();
    character.text.bytes().for_each(|byte| push_escape(&mut escaped, byte));
    character.error(
        format!("`{}` cannot stand in a path", character.shown()),
        format!("`{escaped}`, its percent-escape"),
    )
}
