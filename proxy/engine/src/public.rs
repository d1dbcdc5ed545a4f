//! The way back of addresses: what a side says of itself in `Location` and `Set-Cookie`, in the words of the
//! public interface.
//!
//! Only what is certainly the side's own is changed: a path that the route's rewrite could have made, a host
//! under which the proxy called the side.

use http::header::{HeaderValue, LOCATION, SET_COOKIE};
use http::response;
use starve_routing::{Pattern, Rewrite};

pub(crate) struct Public<'a> {
    pub(crate) rewrite: Option<&'a Rewrite>,
    pub(crate) pattern: &'a Pattern,
    /// The client's `Host`.
    pub(crate) host: Option<&'a str>,
    /// Hosts, with their ports, under which the side was called instead.
    pub(crate) own_hosts: &'a [String],
}

impl Public<'_> {
    pub(crate) fn turn_back(&self, head: &mut response::Parts) {
        if self.own_hosts.is_empty() && !self.rewrite.is_some_and(Rewrite::is_invertible) {
            return;
        }
        let location = head.headers.get(LOCATION).and_then(|value| self.location(value.to_str().ok()?));
        if let Some(location) = location.and_then(|text| HeaderValue::try_from(text).ok()) {
            head.headers.insert(LOCATION, location);
        }
        if head.headers.contains_key(SET_COOKIE) {
            let cookies: Vec<HeaderValue> = head
                .headers
                .get_all(SET_COOKIE)
                .iter()
                .map(|cookie| {
                    let public = cookie.to_str().ok().and_then(|text| self.cookie(text));
                    public.and_then(|text| HeaderValue::try_from(text).ok()).unwrap_or_else(|| cookie.clone())
                })
                .collect();
            head.headers.remove(SET_COOKIE);
            for cookie in cookies {
                head.headers.append(SET_COOKIE, cookie);
            }
        }
    }

    /// The public address of one, unless it is one already.
    fn location(&self, location: &str) -> Option<String> {
        let (front, path) = split_authority(location)?;
        let authority = front.rsplit('/').next().unwrap_or_default();
        let same = |host: &str| host.eq_ignore_ascii_case(authority);
        let is_own = self.own_hosts.iter().any(|host| same(host));
        if !front.is_empty() && !is_own && !self.host.is_some_and(same) {
            return None;
        }
        let end = path.find(['?', '#']).unwrap_or(path.len());
        let (path, rest) = path.split_at(end);
        let public = self.path(path);
        if public.is_none() && !is_own {
            return None;
        }
        // Without its host it is the client's host that is meant, whatever the client calls it.
        let front = if is_own { "" } else { front };
        let path = public.unwrap_or_else(|| if path.is_empty() { "/".to_owned() } else { path.to_owned() });
        // Two slashes would begin a host.
        (!path.starts_with("//")).then(|| format!("{front}{path}{rest}"))
    }

    fn path(&self, path: &str) -> Option<String> {
        self.rewrite?.public_path(path, self.pattern)
    }

    /// `Path` of the rewritten side becomes the public one; `Domain` of a host that the client never sees goes,
    /// so that the cookie is the public host's (RFC 6265 §5.2).
    fn cookie(&self, cookie: &str) -> Option<String> {
        let mut changed = false;
        let mut parts = Vec::new();
        for (index, part) in cookie.split(';').enumerate() {
            let (name, value) = part.split_once('=').map_or((part, ""), |(name, value)| (name, value.trim()));
            let is = |attribute: &str| index > 0 && name.trim().eq_ignore_ascii_case(attribute);
            if is("path")
                && let Some(path) = self.cookie_path(value)
            {
                parts.push(format!(" Path={path}"));
                changed = true;
            } else if is("domain") && self.is_own_domain(value) {
                changed = true;
            } else {
                parts.push(part.to_owned());
            }
        }
        changed.then(|| parts.join(";"))
    }

    /// A cookie's path is often the folder that the rest of a rewrite stands in, without its slash.
    fn cookie_path(&self, path: &str) -> Option<String> {
        self.path(path).or_else(|| {
            let public = self.path(&format!("{path}/"))?;
            let folder = public.strip_suffix('/').unwrap_or(&public);
            Some(if folder.is_empty() { "/".to_owned() } else { folder.to_owned() })
        })
    }

    fn is_own_domain(&self, domain: &str) -> bool {
        let domain = domain.strip_prefix('.').unwrap_or(domain);
        let name = |host: &str| host.rsplit_once(':').map_or(host.len(), |(name, _)| name.len());
        self.own_hosts.iter().any(|host| host[..name(host)].eq_ignore_ascii_case(domain))
    }
}

/// `https://host` and the rest; an empty front for a path. Other references stay as they are.
fn split_authority(location: &str) -> Option<(&str, &str)> {
    let scheme = ["http://", "https://", "//"]
        .iter()
        .find(|scheme| location.get(..scheme.len()).is_some_and(|front| front.eq_ignore_ascii_case(scheme)));
    match scheme {
        Some(scheme) => {
            let host = &location[scheme.len()..];
            let end = host.find(['/', '?', '#']).unwrap_or(host.len());
            Some(location.split_at(scheme.len() + end))
        }
        None => location.starts_with('/').then_some(("", location)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(location: &str, to: Option<&str>, own: &[&str]) -> Option<String> {
        with(to, own, |public| public.location(location))
    }

    fn with<T>(to: Option<&str>, own: &[&str], ask: impl FnOnce(&Public<'_>) -> T) -> T {
        let pattern: Pattern = "* /shop/{rest*}".parse().unwrap();
        let rewrite = to.map(|to| Rewrite::parse(to, Some(&pattern)).unwrap());
        let own_hosts: Vec<String> = own.iter().map(|host| (*host).to_owned()).collect();
        ask(&Public {
            rewrite: rewrite.as_ref(),
            pattern: &pattern,
            host: Some("shop.example"),
            own_hosts: &own_hosts,
        })
    }

    #[test]
    fn a_redirect_of_the_rewritten_side_leads_to_the_public_path() {
        let to = Some("/app/{rest*}");
        for (location, expected) in [
            ("/app/a/b?x=1#y", Some("/shop/a/b?x=1#y")),
            ("https://shop.example/app/a", Some("https://shop.example/shop/a")),
            ("//SHOP.example/app/a", Some("//SHOP.example/shop/a")),
            ("/login", None),
            ("/application", None),
            ("a/b", None),
            ("https://elsewhere.example/app/a", None),
            ("https://shop.example.evil.example/app/a", None),
            ("mailto:a@b", None),
            ("", None),
        ] {
            assert_eq!(public(location, to, &[]).as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn a_host_that_clients_never_see_is_left_out() {
        let own = ["10.0.0.7:3000"];
        for (location, to, expected) in [
            ("http://10.0.0.7:3000/login?next=/", None, Some("/login?next=/")),
            ("http://10.0.0.7:3000", None, Some("/")),
            ("http://10.0.0.7:3000//evil.example", None, None),
            ("http://10.0.0.7:3001/login", None, None),
            ("/login", None, None),
            ("http://10.0.0.7:3000/app/a", Some("/app/{rest*}"), Some("/shop/a")),
        ] {
            assert_eq!(public(location, to, &own).as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn a_cookie_keeps_all_but_its_path_and_an_inner_domain() {
        let own = ["10.0.0.7:3000", "app.internal"];
        for (cookie, expected) in [
            ("a=1; Path=/app; HttpOnly", Some("a=1; Path=/shop; HttpOnly")),
            ("a=1; path=/app/x", Some("a=1; Path=/shop/x")),
            ("a=1; Path=/", None),
            ("path=/app; Secure", None),
            ("a=1; Domain=app.internal; Secure", Some("a=1; Secure")),
            ("a=1; Domain=shop.example", None),
        ] {
            let is = with(Some("/app/{rest*}"), &own, |public| public.cookie(cookie));
            assert_eq!(is.as_deref(), expected, "{cookie}");
        }
    }
}
