//! Where a server is: `http://HOST[:PORT]`, `https://HOST[:PORT]`, `h2c://HOST[:PORT]`, `unix:/PATH`, for functions with a path.
//!
//! It never looks a name up, and takes nothing that the proxy would silently ignore: user names, queries and
//! fragments are errors.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use crate::diagnostics::quote;
use crate::upstream::ServerPlan;
use crate::values::{Parsed, Wrong};

/// A server and the path written behind it; a bare `/` is no path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) server: ServerPlan,
    pub(crate) path: Option<String>,
}

const EXPECTED: &str = "http://HOST[:PORT], https://HOST[:PORT], h2c://HOST[:PORT] or unix:/PATH";

/// A server alone.
pub(crate) fn server(text: &str) -> Parsed<ServerPlan> {
    let Url { server, path } = url(text)?;
    match path {
        None => Ok(server),
        Some(path) => {
            let start = text.len() - path.len();
            Err(wrong("a server has no path: the client's is passed on".to_owned(), start..text.len()))
        }
    }
}

/// A server, perhaps with a path.
pub(crate) fn url(text: &str) -> Parsed<Url> {
    if let Some(path) = text.strip_prefix("unix:") {
        return match path {
            "" => Err(wrong("the socket has no path".to_owned(), 0..text.len())),
            _ => Ok(Url { server: ServerPlan::Unix { path: PathBuf::from(path) }, path: None }),
        };
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        let suggestion = (!text.is_empty()).then(|| format!("http://{text}"));
        return Err(Wrong { suggestion, ..wrong(format!("{} has no scheme", quote(text)), 0..text.len()) });
    };
    let begin = scheme.len() + 3;
    let authority_length = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(authority_length);
    let default_port = match scheme {
        "http" | "h2c" => 80,
        "https" => 443,
        _ => return Err(wrong(format!("{} is no scheme of a server", quote(scheme)), 0..scheme.len())),
    };
    let (host, port) = host_and_port(authority, begin, default_port)?;
    let path = path(tail, begin + authority_length)?;
    let server = match scheme {
        "https" => ServerPlan::Https { host, port },
        "h2c" => ServerPlan::H2c { host, port },
        _ => ServerPlan::Http { host, port },
    };
    Ok(Url { server, path })
}

/// `begin` is where the authority begins in the whole text.
fn host_and_port(authority: &str, begin: usize, default_port: u16) -> Parsed<(String, u16)> {
    if let Some(at) = authority.find('@') {
        return Err(wrong("a server's address holds no user name".to_owned(), begin..begin + at + 1));
    }
    let (host, port) = match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => (&authority[..colon], Some(colon + 1)),
        _ => (authority, None),
    };
    let port = match port.map(|start| (start, authority[start..].parse())) {
        None => default_port,
        Some((_, Ok(number))) if number != 0 => number,
        Some((start, _)) => {
            let span = begin + start..begin + authority.len();
            return Err(wrong(format!("{} is no port", quote(&authority[start..])), span));
        }
    };
    match self::host(host) {
        Some(host) => Ok((host, port)),
        None => Err(wrong(format!("{} is no host", quote(host)), begin..begin + host.len())),
    }
}

/// A name, an IPv4 address, or an IPv6 address in brackets (RFC 3986 §3.2.2), without the brackets and in
/// lower case.
pub(crate) fn host(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('[') {
        return inner.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(|address| address.to_string());
    }
    let part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let well_formed = !text.is_empty() && text.len() <= 253 && text.bytes().all(part);
    (well_formed && !text.starts_with(['.', '-'])).then(|| text.to_ascii_lowercase())
}

fn path(tail: &str, begin: usize) -> Parsed<Option<String>> {
    if let Some(at) = tail.find(['?', '#']) {
        let message = "the address holds a query or a fragment; the client's query is passed on";
        return Err(wrong(message.to_owned(), begin + at..begin + tail.len()));
    }
    let visible = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    if let Some(at) = tail.bytes().position(|byte| !visible(byte)) {
        let message = "the path holds a sign that must be percent-encoded";
        let at = tail.floor_char_boundary(at);
        return Err(wrong(message.to_owned(), begin + at..begin + tail.len()));
    }
    Ok((tail.len() > 1).then(|| tail.to_owned()))
}

fn wrong(message: String, bytes: std::ops::Range<usize>) -> Wrong {
    Wrong { bytes: Some(bytes), ..Wrong::new(message, EXPECTED) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn servers_are_read_with_the_default_port_of_their_scheme() {
        let http = |host: &str, port| Ok(ServerPlan::Http { host: host.to_owned(), port });
        assert_eq!(server("http://10.0.0.7:3000"), http("10.0.0.7", 3000));
        assert_eq!(server("http://Shop.Example/"), http("shop.example", 80));
        assert_eq!(server("http://[::1]:3000"), http("::1", 3000));
        assert_eq!(
            server("https://a.example"),
            Ok(ServerPlan::Https { host: "a.example".to_owned(), port: 443 })
        );
        assert_eq!(server("unix:/run/shop.sock"), Ok(ServerPlan::Unix { path: "/run/shop.sock".into() }));
    }

    #[test]
    fn a_function_keeps_its_path() {
        let path = |text| url(text).unwrap().path;
        assert_eq!(path("https://fn.example/api/recommend"), Some("/api/recommend".to_owned()));
        assert_eq!(path("https://fn.example"), None);
        assert_eq!(path("https://fn.example/"), None);
    }

    #[test]
    fn what_would_be_ignored_is_an_error_at_its_place() {
        for (text, wrong_part) in [
            ("http://user@a.example", "user@"),
            ("http://a.example/base", "/base"),
            ("http://a.example?code=1", "?code=1"),
            ("http://a.example:0", "0"),
            ("http://a.example:99999", "99999"),
            ("http://a b", "a b"),
            ("http://[::g]", "[::g]"),
            ("http://", ""),
            ("ftp://a.example", "ftp"),
            ("h2://a.example", "h2"),
        ] {
            let bytes = server(text).unwrap_err().bytes.unwrap();
            assert_eq!(&text[bytes], wrong_part, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_wrong_lies_inside_it(text in "(https?://)?[a-zü:/@\\[\\]?#0-9 .]{0,20}") {
            if let Err(Wrong { bytes: Some(bytes), .. }) = server(&text) {
                prop_assert!(text.get(bytes).is_some());
            }
            let _ = url(&text);
        }
    }
}
