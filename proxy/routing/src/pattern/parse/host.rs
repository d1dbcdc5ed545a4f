//! `shop.example`, `*.shop.example`, `[::1]`.

use super::Piece;
use crate::pattern::{HostPattern, PatternError};

/// RFC 1035 section 2.3.4.
const LABEL_BYTES_MAX: usize = 63;
const NAME_BYTES_MAX: usize = 253;

pub(super) fn host(piece: Piece<'_>) -> Result<HostPattern, PatternError> {
    if piece.text.is_empty() {
        return Err(piece.error("the host is empty", "`//shop.example/path`, or `/path` for any host"));
    }
    if piece.text.starts_with('[') {
        return address(piece);
    }
    refuse_other_parts(piece)?;
    match piece.text.strip_prefix("*.") {
        Some(_) => Ok(HostPattern::Wildcard(name(piece.from(2))?)),
        None => Ok(HostPattern::Exact(name(piece)?)),
    }
}

/// What else can stand in an authority, or is borrowed from another pattern language.
fn refuse_other_parts(piece: Piece<'_>) -> Result<(), PatternError> {
    let text = piece.text;
    if let Some(at) = text.find('@') {
        return Err(piece.to(at + 1).error("a host takes no user", format!("`//{}`", &text[at + 1..])));
    }
    if text.contains(['{', '}']) {
        return Err(
            piece.error("a host takes no parameters", "a name, or `*.shop.example` for all names below it")
        );
    }
    if let Some(at) = text.find(':') {
        return Err(piece
            .from(at)
            .error("a host takes no port: it is ignored", format!("`//{}`", &text[..at])));
    }
    if text.trim_start_matches("*.").contains('*') || text.starts_with("*.*") {
        return Err(piece.error(
            "`*` is not the whole first label of the host",
            "`*.shop.example` for all names below `shop.example`",
        ));
    }
    Ok(())
}

fn name(piece: Piece<'_>) -> Result<String, PatternError> {
    if piece.text.ends_with('.') {
        return Err(
            piece.error("the host ends with a dot", format!("`{}`", piece.text.trim_end_matches('.')))
        );
    }
    if piece.text.len() > NAME_BYTES_MAX {
        return Err(piece.error("the host is too long", format!("at most {NAME_BYTES_MAX} bytes")));
    }
    for label in piece.split('.') {
        if label.text.is_empty() {
            return Err(piece.error("the host has an empty label", "names joined by single dots"));
        }
        if label.text.len() > LABEL_BYTES_MAX {
            return Err(
                label.error("a label of the host is too long", format!("at most {LABEL_BYTES_MAX} bytes"))
            );
        }
        let stray = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if let Some(at) = label.text.find(stray) {
            let expected = "letters, digits, `-` and `.`; other alphabets in their `xn--` form";
            let stray = label.character(at);
            return Err(stray.error(format!("`{}` cannot stand in a host", stray.shown()), expected));
        }
    }
    Ok(piece.text.to_ascii_lowercase())
}

fn address(piece: Piece<'_>) -> Result<HostPattern, PatternError> {
    let inner = piece.text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match inner.map(str::parse::<std::net::Ipv6Addr>) {
        Some(Ok(_)) => Ok(HostPattern::Exact(piece.text.to_ascii_lowercase())),
        _ => Err(piece.error("not an IPv6 address in brackets", "`//[::1]/path`, without port")),
    }
}
