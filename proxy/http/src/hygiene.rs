//! What a head must be before it is routed, and what is taken out and put in before it goes on.
//!
//! Ambiguity is refused, never guessed (RFC 9112 §3.2, §6.3, RFC 9113 §8.2, §8.3).

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE,
    TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::uri::Authority;
use http::{Method, Version, request, response};

use crate::present::{self, Present};
use crate::{Error, ErrorKind};

/// Marks the copies that the proxy itself sends; from a client it would make a call look like one.
pub const SHADOW_MARK: HeaderName = HeaderName::from_static("x-starve-shadow");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

/// Checks a request's head and brings it into one shape: `Host` holds the effective authority, whatever
/// the target's form was. The request target itself is left to the path normaliser.
///
/// # Errors
/// [`ErrorKind::BadRequest`] for a missing, repeated, conflicting or malformed host, and for framing that
/// could be read in two ways; [`ErrorKind::MethodUnsupported`] for CONNECT;
/// [`ErrorKind::ExpectationFailed`] for an unknown expectation (RFC 9110 §10.1.1).
pub fn check_request(head: &mut request::Parts) -> Result<(), Error> {
    if head.method == Method::CONNECT {
        return Err(Error::new(ErrorKind::MethodUnsupported, "CONNECT asks for a forward proxy"));
    }
    let present = Present::of(&head.headers);
    if present.has(present::CONTENT_LENGTH | present::TRANSFER_ENCODING) {
        check_framing(head)?;
    }
    if present.has(present::EXPECT) {
        check_expectation(&head.headers)?;
    }
    settle_host(head)
}

fn refused(reason: &'static str) -> Error {
    Error::new(ErrorKind::BadRequest, reason)
}

fn check_framing(head: &request::Parts) -> Result<(), Error> {
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    if codings.next().is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
        || codings.next().is_some()
    {
        return Err(refused("a Transfer-Encoding other than chunked"));
    }
    let mut lengths = head.headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return Ok(()) };
    if lengths.next().is_some() {
        return Err(refused("more than one Content-Length"));
    }
    if head.headers.contains_key(TRANSFER_ENCODING) {
        return Err(refused("both Content-Length and Transfer-Encoding"));
    }
    if first.is_empty() || !first.as_bytes().iter().all(u8::is_ascii_digit) {
        return Err(refused("Content-Length is not a number"));
    }
    Ok(())
}

fn check_expectation(headers: &HeaderMap) -> Result<(), Error> {
    match headers.get(EXPECT) {
        Some(value) if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
            Err(Error::new(ErrorKind::ExpectationFailed, "an expectation other than 100-continue"))
        }
        _ => Ok(()),
    }
}

fn settle_host(head: &mut request::Parts) -> Result<(), Error> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let field = hosts.next();
    if hosts.next().is_some() {
        return Err(refused("more than one Host"));
    }
    match (head.uri.authority(), field) {
        (Some(authority), field) => {
            if !is_host(authority.as_str().as_bytes()) {
                return Err(refused("malformed authority in the request target"));
            }
            // HTTP/2: both must say the same (RFC 9113 §8.3.1). HTTP/1.1: the target wins (RFC 9112 §3.2.2).
            let conflicts =
                |field: &HeaderValue| !field.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes());
            if head.version == Version::HTTP_2 && field.is_some_and(conflicts) {
                return Err(refused("Host differs from :authority"));
            }
            let value = HeaderValue::from_str(authority.as_str())
                .map_err(|error| refused("malformed authority").with_source(error))?;
            head.headers.insert(HOST, value);
            Ok(())
        }
        (None, Some(field)) if is_host(field.as_bytes()) => Ok(()),
        (None, Some(_)) => Err(refused("malformed Host")),
        (None, None) if head.version == Version::HTTP_10 => Ok(()),
        (None, None) => Err(refused("no Host")),
    }
}

/// `uri-host [ ":" port ]` without user information, or empty, which is right where the target has no
/// authority (RFC 9110 §7.2).
fn is_host(field: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let end = match field.iter().position(|byte| !plain(byte)) {
        None => field.len(),
        Some(at) if at > 0 && field[at] == b':' => at,
        // A bracketed IPv6 address or a name with rarer characters: worth a full parse.
        _ => match Authority::try_from(field) {
            Ok(authority) if !field.contains(&b'@') && !authority.host().is_empty() => authority.host().len(),
            _ => return false,
        },
    };
    match &field[end..] {
        [] => true,
        [b':', port @ ..] => port.len() <= 5 && port.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// Takes out what concerns one connection only (RFC 9110 §7.6.1): the fields that `Connection` names, and
/// those that older senders forget to name. Body framing stays with the HTTP library.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    strip(headers, Present::of(headers));
}

fn strip(headers: &mut HeaderMap, present: Present) {
    if present.has(present::CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii))
            .filter(|name| !name.eq_ignore_ascii_case(b"keep-alive") && !name.eq_ignore_ascii_case(b"close"))
            .filter_map(|name| HeaderName::from_bytes(name).ok())
            // A message must not shed its host or its framing through this door.
            .filter(|name| !matches!(*name, HOST | CONTENT_LENGTH | TRANSFER_ENCODING))
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    if present.has(present::TE) {
        let accepts_trailers = headers.remove(TE).is_some_and(|value| {
            value
                .as_bytes()
                .split(|byte| *byte == b',')
                .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
        });
        if accepts_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
    }
    for (bit, name) in HOP_BY_HOP {
        if present.has(bit) {
            headers.remove(name);
        }
    }
}

const HOP_BY_HOP: [(u32, HeaderName); 4] = [
    (present::KEEP_ALIVE, KEEP_ALIVE),
    (present::PROXY_CONNECTION, PROXY_CONNECTION),
    (present::UPGRADE, UPGRADE),
    (present::TRANSFER_ENCODING, TRANSFER_ENCODING),
];

/// What a client says about forwarding, and about certificates that somebody else has seen (RFC 9440 §4).
const CLAIMS: [(u32, HeaderName); 6] = [
    (present::FORWARDED, FORWARDED),
    (present::X_FORWARDED_FOR, X_FORWARDED_FOR),
    (present::X_FORWARDED_PROTO, X_FORWARDED_PROTO),
    (present::X_FORWARDED_HOST, X_FORWARDED_HOST),
    (present::CLIENT_CERT, CLIENT_CERT),
    (present::CLIENT_CERT_CHAIN, CLIENT_CERT_CHAIN),
];

/// The protocol that a message asks or agrees to switch to (RFC 9110 §7.8): `Upgrade`, named by `Connection`.
pub fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let names =
        headers.get_all(CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let is_named = { names }.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"upgrade"));
    headers.get(UPGRADE).filter(|_| is_named).cloned()
}

/// Says it again to the next hop, after the fields of the last one were taken out.
pub fn set_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Where a request came from, as the server behind is told.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    pub client: IpAddr,
    pub tls: bool,
    /// The sender is a proxy of our own, whose word on forwarding counts.
    pub trusted: bool,
}

/// Prepares a checked request's fields for the way on: hop-by-hop out, `X-Forwarded-*` and `Via` in.
/// What a trusted proxy says about forwarding is kept and added to; what anybody else claims is replaced.
pub fn prepare_request(headers: &mut HeaderMap, version: Version, origin: Origin) {
    let mut present = Present::of(headers);
    strip(headers, present);
    if present.has(present::CONNECTION) {
        // What it named is gone.
        present = Present::of(headers);
    }
    if present.has(present::COOKIE) {
        join_cookies(headers);
    }
    if present.has(present::SHADOW_MARK) {
        headers.remove(SHADOW_MARK);
    }
    let is_told = |bit: u32| origin.trusted && present.has(bit);
    for (bit, name) in CLAIMS {
        if !origin.trusted && present.has(bit) {
            headers.remove(name);
        }
    }
    if !origin.trusted && present.has(present::UNDERSCORED) {
        CLAIMS.iter().for_each(|(_, name)| remove_spellings(headers, name));
    }
    if is_told(present::X_FORWARDED_FOR) {
        add_hop(headers, origin.client);
    } else {
        headers.insert(X_FORWARDED_FOR, address_value(origin.client));
    }
    if !is_told(present::X_FORWARDED_PROTO) {
        let scheme = HeaderValue::from_static(if origin.tls { "https" } else { "http" });
        headers.insert(X_FORWARDED_PROTO, scheme);
    }
    if !is_told(present::X_FORWARDED_HOST)
        && let Some(host) = headers.get(HOST).cloned()
    {
        headers.insert(X_FORWARDED_HOST, host);
    }
    headers.append(VIA, via(version));
}

/// Takes out a field and what a server that follows CGI cannot tell from it: the same with underscores (RFC 3875
/// §4.1.18).
pub fn remove_spellings(headers: &mut HeaderMap, name: &HeaderName) {
    let is_alike = |other: &&HeaderName| {
        other.as_str().len() == name.as_str().len() && other.as_str().replace('_', "-") == name.as_str()
    };
    let alike: Vec<HeaderName> = headers.keys().filter(is_alike).cloned().collect();
    for name in alike {
        headers.remove(name);
    }
}

/// HTTP/2 may split `Cookie` for better compression; HTTP/1.1 allows one field (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(COOKIE).iter();
    if crumbs.next().is_none() || crumbs.next().is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

/// Prepares an answer's fields for the client.
pub fn prepare_response(head: &mut response::Parts) {
    strip_hop_by_hop(&mut head.headers);
    // A server may answer in HTTP/1.0; to the client this is our message (RFC 9112 §2.3).
    head.version = Version::HTTP_11;
}

/// One field with all hops: not every server joins several.
fn add_hop(headers: &mut HeaderMap, client: IpAddr) {
    let client = address_value(client);
    let mut hops: Vec<&[u8]> = headers.get_all(X_FORWARDED_FOR).iter().map(HeaderValue::as_bytes).collect();
    hops.push(client.as_bytes());
    if let Ok(joined) = HeaderValue::from_bytes(&hops.join(&b", "[..])) {
        headers.insert(X_FORWARDED_FOR, joined);
    }
}

fn address_value(address: IpAddr) -> HeaderValue {
    // An IPv4 client on an IPv6 socket is shown as what it is.
    let text = match address.to_canonical() {
        IpAddr::V4(address) => HeaderValue::from_maybe_shared(Bytes::from(decimal(address.octets()))),
        IpAddr::V6(address) => HeaderValue::from_maybe_shared(Bytes::from(address.to_string())),
    };
    text.unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

/// Written for every request: the formatter of the standard library takes ten times as long.
fn decimal(octets: [u8; 4]) -> Vec<u8> {
    let mut text = Vec::with_capacity(15);
    for octet in octets {
        if !text.is_empty() {
            text.push(b'.');
        }
        if octet >= 100 {
            text.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            text.push(b'0' + octet / 10 % 10);
        }
        text.push(b'0' + octet % 10);
    }
    text
}

/// A gateway names itself and the version it received (RFC 9110 §7.6.3).
fn via(version: Version) -> HeaderValue {
    HeaderValue::from_static(match version {
        Version::HTTP_2 => "2 starve",
        Version::HTTP_10 => "1.0 starve",
        _ => "1.1 starve",
    })
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn checked(request: request::Builder) -> Result<request::Parts, Error> {
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        check_request(&mut head).map(|()| head)
    }

    fn names(headers: &HeaderMap) -> Vec<String> {
        let mut names: Vec<_> = headers.keys().map(ToString::to_string).collect();
        names.sort();
        names
    }

    #[test]
    fn the_target_s_authority_replaces_host() {
        let head = checked(Request::get("http://shop.example/x").header("host", "evil.example")).unwrap();
        assert_eq!(head.headers[HOST], "shop.example");
    }

    #[test]
    fn http_2_with_two_different_hosts_is_refused() {
        let request = Request::get("http://shop.example/x").version(Version::HTTP_2);
        assert!(checked(request.header("host", "evil.example")).is_err());
    }

    #[test]
    fn ambiguous_heads_are_refused() {
        let get = || Request::get("/x");
        for (why, request) in [
            ("no host", get()),
            ("two hosts", get().header("host", "a").header("host", "a")),
            ("a path in the host", get().header("host", "a/b")),
            ("user information", get().header("host", "user@a")),
            ("a bad port", get().header("host", "a:port")),
            (
                "two lengths",
                get().header("host", "a").header("content-length", "1").header("content-length", "1"),
            ),
            ("a signed length", get().header("host", "a").header("content-length", "+1")),
            (
                "length and chunks",
                get()
                    .header("host", "a")
                    .header("content-length", "1")
                    .header("transfer-encoding", "chunked"),
            ),
            ("an unknown coding", get().header("host", "a").header("transfer-encoding", "gzip, chunked")),
            ("an unknown expectation", get().header("host", "a").header("expect", "tea")),
            ("CONNECT", Request::builder().method("CONNECT").uri("a:443").header("host", "a")),
        ] {
            assert!(checked(request).is_err(), "{why} was taken");
        }
    }

    #[test]
    fn hosts_of_every_right_form_are_taken() {
        for host in ["shop.example", "shop.example:8080", "10.0.0.1", "[::1]:80", "a_b.internal", ""] {
            assert!(checked(Request::get("/").header("host", host)).is_ok(), "{host:?} was refused");
        }
        assert!(checked(Request::get("/").version(Version::HTTP_10)).is_ok());
    }

    #[test]
    fn fields_of_one_connection_do_not_travel() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Private, host"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "gzip, trailers"),
            ("upgrade", "h2c"),
            ("proxy-connection", "keep-alive"),
            ("host", "a"),
            ("accept", "*/*"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        strip_hop_by_hop(&mut headers);
        assert_eq!(names(&headers), ["accept", "host", "te"]);
        assert_eq!(headers[TE], "trailers");
    }

    #[test]
    fn the_crumbs_of_a_cookie_become_one_field() {
        let mut headers = HeaderMap::new();
        for crumb in ["session=1", "lang=de"] {
            headers.append(COOKIE, HeaderValue::from_static(crumb));
        }
        join_cookies(&mut headers);
        assert_eq!(headers.get_all(COOKIE).iter().collect::<Vec<_>>(), ["session=1; lang=de"]);
    }

    #[test]
    fn addresses_are_written_as_everybody_writes_them() {
        for address in
            ["0.0.0.0", "127.0.0.1", "192.0.2.7", "10.99.100.255", "255.255.255.255", "2001:db8::1"]
        {
            assert_eq!(address_value(address.parse().unwrap()), address);
        }
    }

    #[test]
    fn a_client_cannot_speak_for_itself_about_forwarding() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("shop.example"));
        headers.insert(X_FORWARDED_FOR, HeaderValue::from_static("1.2.3.4"));
        headers.insert(FORWARDED, HeaderValue::from_static("for=1.2.3.4"));
        headers.insert("x_forwarded-for", HeaderValue::from_static("1.2.3.4"));
        headers.insert("client_cert", HeaderValue::from_static(":AAA=:"));
        headers.insert("x_other", HeaderValue::from_static("stays"));
        let origin = Origin { client: "::ffff:192.0.2.7".parse().unwrap(), tls: true, trusted: false };
        prepare_request(&mut headers, Version::HTTP_11, origin);
        assert_eq!(headers[X_FORWARDED_FOR], "192.0.2.7");
        assert_eq!(headers[X_FORWARDED_PROTO], "https");
        assert_eq!(headers[X_FORWARDED_HOST], "shop.example");
        assert_eq!(headers[VIA], "1.1 starve");
        assert!(!headers.contains_key(FORWARDED));
        let underscored: Vec<_> = headers.keys().filter(|name| name.as_str().contains('_')).collect();
        assert_eq!(underscored, ["x_other"]);
    }

    #[test]
    fn the_word_of_a_trusted_proxy_is_kept_and_added_to() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("10.0.0.2"));
        headers.insert(X_FORWARDED_FOR, HeaderValue::from_static("203.0.113.9"));
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
        headers.insert(X_FORWARDED_HOST, HeaderValue::from_static("shop.example"));
        let origin = Origin { client: "10.0.0.1".parse().unwrap(), tls: false, trusted: true };
        prepare_request(&mut headers, Version::HTTP_11, origin);
        let hops: Vec<_> = headers.get_all(X_FORWARDED_FOR).iter().collect();
        assert_eq!(hops, ["203.0.113.9, 10.0.0.1"]);
        assert_eq!(headers[X_FORWARDED_PROTO], "https");
        assert_eq!(headers[X_FORWARDED_HOST], "shop.example");
    }
}
