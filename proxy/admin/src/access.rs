//! Who may ask: the token, the name that was asked for, and whether another web page is behind it.
//!
//! Invariant: a page on the web that makes its visitor's browser talk to the admin address learns nothing and
//! changes nothing. It cannot read (no CORS headers, and a name that it points here by DNS is refused), and it
//! cannot write (a JSON body from another origin needs a permission that is never given).

use std::hint::black_box;
use std::net::IpAddr;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::{self, HeaderMap};
use http::request::Parts;
use http::uri::Authority;
use http::{Method, StatusCode};

use crate::reply::{self, Reply};
use crate::server::Settings;

/// Lets a request through, or says why not.
pub(crate) fn check(head: &Parts, settings: &Settings) -> Result<(), Box<Reply>> {
    match &settings.token {
        Some(token) => check_token(&head.headers, token)?,
        None => check_host(head, &settings.hosts)?,
    }
    match head.method {
        Method::GET | Method::HEAD => Ok(()),
        _ => check_write(head),
    }
}

/// Without a token, the name must be one that nobody can point elsewhere: of the loopback, an address, or one that
/// was configured. (With one, a foreign name carries no token.)
fn check_host(head: &Parts, hosts: &[String]) -> Result<(), Box<Reply>> {
    let Some(authority) = authority(head) else {
        return Err(refused(StatusCode::BAD_REQUEST, "the request names no host, or more than one"));
    };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    let is_ours = name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok()
        || hosts.iter().any(|host| host.eq_ignore_ascii_case(name));
    match is_ours {
        true => Ok(()),
        false => Err(refused(
            StatusCode::FORBIDDEN,
            "this name is not served without a token: use localhost or the address",
        )),
    }
}

fn authority(head: &Parts) -> Option<Authority> {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(Authority::try_from(host.as_bytes()).ok()?),
        (None, _) => None,
        (Some(_), Some(_)) => return None,
    };
    head.uri.authority().cloned().or(host)
}

fn check_token(headers: &HeaderMap, token: &str) -> Result<(), Box<Reply>> {
    let given = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
    match given.and_then(credentials) {
        Some(given) if is_same(&given, token.as_bytes()) => Ok(()),
        given => {
            let detail = if given.is_some() { "the token is wrong" } else { "a token is needed" };
            let reply = reply::problem(StatusCode::UNAUTHORIZED, detail);
            // Basic lets a browser ask for it: any user, the token as password.
            Err(Box::new(reply::with_header(
                reply,
                header::WWW_AUTHENTICATE,
                "Bearer realm=\"starve\", Basic realm=\"starve: the token is the password\", charset=\"UTF-8\"",
            )))
        }
    }
}

/// The token of `Bearer` (RFC 6750 §2.1), or the password of `Basic` (RFC 7617).
fn credentials(value: &[u8]) -> Option<Vec<u8>> {
    let split = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = (&value[..split], value[split..].trim_ascii());
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(rest.to_vec());
    }
    if scheme.eq_ignore_ascii_case(b"basic") {
        let pair = BASE64.decode(rest).ok()?;
        let colon = pair.iter().position(|byte| *byte == b':')?;
        return Some(pair[colon + 1..].to_vec());
    }
    None
}

/// Takes the same time wherever the two differ; only the length of what was given shows.
fn is_same(given: &[u8], token: &[u8]) -> bool {
    let mut difference = u8::from(given.len() != token.len());
    for (index, byte) in given.iter().enumerate() {
        difference |= byte ^ token.get(index % token.len().max(1)).copied().unwrap_or(0);
        difference = black_box(difference);
    }
    difference == 0 && !token.is_empty()
}

/// A change must be JSON, which no form of another page can send, and come from our own pages or from no page.
fn check_write(head: &Parts) -> Result<(), Box<Reply>> {
    let content_type = text(&head.headers, header::CONTENT_TYPE).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "changes are asked for with `Content-Type: application/json`",
        ));
    }
    let foreign = || refused(StatusCode::FORBIDDEN, "changes are not taken from another web page");
    if text(&head.headers, "sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Err(foreign());
    }
    match head.headers.get(header::ORIGIN) {
        None => Ok(()),
        Some(origin) if is_own_origin(origin.to_str().ok(), head) => Ok(()),
        Some(_) => Err(foreign()),
    }
}

fn is_own_origin(origin: Option<&str>, head: &Parts) -> bool {
    let origin =
        origin.and_then(|origin| origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")));
    match (origin, authority(head)) {
        (Some(origin), Some(host)) => origin.eq_ignore_ascii_case(host.as_str()),
        _ => false,
    }
}

fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn refused(status: StatusCode, detail: &str) -> Box<Reply> {
    Box::new(reply::problem(status, detail))
}

/// RFC 4648 §4, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_from_both_schemes() {
        assert_eq!(credentials(b"Bearer  secret"), Some(b"secret".to_vec()));
        assert_eq!(credentials(b"basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), Some(b"open sesame".to_vec()));
        assert_eq!(credentials(b"Basic !!!"), None);
        assert_eq!(credentials(b"secret"), None);
    }

    #[test]
    fn only_the_very_token_is_the_token() {
        for (given, same) in
            [("secret", true), ("secre", false), ("secrets", false), ("", false), ("secretsecret", false)]
        {
            assert_eq!(is_same(given.as_bytes(), b"secret"), same, "{given}");
        }
        assert!(!is_same(b"", b""));
    }
}
