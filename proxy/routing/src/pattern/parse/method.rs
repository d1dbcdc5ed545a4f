//! `GET`, `GET,HEAD`, `*`.

use super::Piece;
use crate::pattern::{Methods, PatternError};

/// The methods nearly every route is about; what is one slip away from them is taken for that slip.
const COMMON: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

pub(super) fn methods(list: Piece<'_>) -> Result<Methods, PatternError> {
    if list.text == "*" {
        return Ok(Methods::Any);
    }
    let mut methods: Vec<String> = Vec::new();
    for piece in list.split(',') {
        let method = method(piece, list)?;
        if methods.iter().any(|other| other == method) {
            return Err(piece.error(format!("`{method}` stands twice"), "each method once"));
        }
        methods.push(method.to_owned());
    }
    Ok(Methods::These(methods))
}

fn method<'a>(piece: Piece<'a>, list: Piece<'_>) -> Result<&'a str, PatternError> {
    let method = piece.text;
    if COMMON.contains(&method) {
        return Ok(method);
    }
    let wrong = |message: String, expected: &str| Err(piece.error(message, expected));
    if method.is_empty() {
        return Err(
            list.error("an empty entry in the list of methods", "`GET,HEAD`, without a comma too many")
        );
    }
    if method == "*" {
        return wrong(
            "`*` stands beside other methods".to_owned(),
            "`*` alone for any method, or the list alone",
        );
    }
    if method.starts_with('/') {
        return wrong("the method is missing".to_owned(), "`GET /path`, or `* /path` for any method");
    }
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !method.bytes().all(token) {
        return wrong(format!("`{method}` is not a method"), "a name such as `GET`, or `*` for any method");
    }
    if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
        let upper = method.to_ascii_uppercase();
        return wrong(format!("method `{method}` is not in upper case"), &format!("`{upper}`"));
    }
    if let Some(near) = COMMON.iter().find(|common| strsim::osa_distance(common, method) == 1) {
        return wrong(format!("unknown method `{method}`"), &format!("`{near}`"));
    }
    Ok(method)
}
