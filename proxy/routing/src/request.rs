//! What the table needs to know of a request.

use crate::normalise_path;
use crate::path::PathError;

/// A request as the table sees it. Can be implemented on an HTTP library's request without allocating.
pub trait Request {
    /// As sent; methods are case-sensitive (RFC 9110 section 9.1).
    fn method(&self) -> &str;

    /// `Host` or `:authority`, as sent: any case, a port is ignored. `None` matches routes without host only.
    fn host(&self) -> Option<&str>;

    /// What [`normalise_path`] gave, and nothing else.
    fn path(&self) -> &str;

    /// Without the question mark, as sent.
    fn query(&self) -> Option<&str>;

    /// Shows `visit` every value of a field, in order, until it says `true`; returns whether it did. `name`
    /// is lower-case.
    fn header_values(&self, name: &str, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool;
}

/// A request that is only looked at, never sent: for `explain`, for tests of a route file.
///
/// ```
/// let request = starve_routing::PlainRequest::new("GET", "/search?q=shirt").with_header("accept", "text/html");
/// assert_eq!(starve_routing::Request::query(&request), Some("q=shirt"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlainRequest {
    pub method: String,
    pub host: Option<String>,
    /// Normalised.
    pub path: String,
    pub query: Option<String>,
    pub headers: Vec<(String, String)>,
}

impl PlainRequest {
    /// From a path and query. A path that cannot be normalised is taken as it stands; it matches nothing a
    /// proxy would let through. Use [`PlainRequest::parse`] to hear of it.
    pub fn new(method: &str, target: &str) -> Self {
        Self::parse(method, target).unwrap_or_else(|_| {
            let (path, query) = split_query(target);
            Self::of(method, path.to_owned(), query)
        })
    }

    /// From a path and query, or from an absolute `http` or `https` address.
    pub fn parse(method: &str, target: &str) -> Result<Self, PathError> {
        let (host, target) = match target.strip_prefix("http://").or_else(|| target.strip_prefix("https://"))
        {
            None => (None, target),
            Some(rest) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                (Some(rest[..end].to_owned()), &rest[end..])
            }
        };
        // Only an address has a fragment, and it is never sent.
        let target = if host.is_some() { target.split('#').next().unwrap_or_default() } else { target };
        let (path, query) = split_query(target);
        let path = if path.is_empty() && host.is_some() { "/" } else { path };
        Ok(Self { host, ..Self::of(method, normalise_path(path)?.into_owned(), query) })
    }

    pub fn with_host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn of(method: &str, path: String, query: Option<&str>) -> Self {
        Self {
            method: method.to_owned(),
            host: None,
            path,
            query: query.map(str::to_owned),
            headers: Vec::new(),
        }
    }
}

impl Request for PlainRequest {
    fn method(&self) -> &str {
        &self.method
    }

    fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    fn header_values(&self, name: &str, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.headers.iter().any(|(own, value)| own.eq_ignore_ascii_case(name) && visit(value.as_bytes()))
    }
}

/// The name in a `Host`, as written: without the port and without the dot that ends a fully qualified name.
pub(crate) fn without_port(host: &str) -> &str {
    // The colons of an IPv6 address stand in brackets.
    let name_end = host.rfind(']').unwrap_or(0);
    let end = host[name_end..].find(':').map_or(host.len(), |colon| name_end + colon);
    host[..end].strip_suffix('.').unwrap_or(&host[..end])
}

fn split_query(target: &str) -> (&str, Option<&str>) {
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_split_into_host_path_and_query() {
        let request = PlainRequest::parse("GET", "https://shop.example:8443/a/%62?x=1#top").unwrap();
        assert_eq!(request.host.as_deref(), Some("shop.example:8443"));
        assert_eq!(request.path, "/a/b");
        assert_eq!(request.query.as_deref(), Some("x=1"));
        assert_eq!(PlainRequest::parse("GET", "http://shop.example").unwrap().path, "/");
        assert_eq!(PlainRequest::parse("GET", "http://shop.example?x").unwrap().query.as_deref(), Some("x"));
    }

    #[test]
    fn a_port_and_a_last_dot_are_no_part_of_the_name() {
        for (host, name) in [
            ("shop.example", "shop.example"),
            ("shop.example:8080", "shop.example"),
            ("shop.example.:8080", "shop.example"),
            ("shop.example:", "shop.example"),
            ("[::1]:8080", "[::1]"),
            ("[::1]", "[::1]"),
            ("", ""),
            (":80", ""),
        ] {
            assert_eq!(without_port(host), name);
        }
    }

    #[test]
    fn a_bad_path_is_reported() {
        assert!(PlainRequest::parse("GET", "/a/../..").is_err());
        assert!(PlainRequest::parse("GET", "products").is_err());
    }
}
