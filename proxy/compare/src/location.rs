//! Where a redirect leads.
//!
//! The same place may be written absolute or relative, and on any of the names that mean this service. Another
//! service is compared by its name.

use crate::answer::{Answer, Call};
use crate::difference::{Findings, Kind};
use crate::rules::Rules;
use crate::shown::{HashKey, Shown};
use crate::verdict::Layer;

const PATH: &str = "header:location";

pub(crate) fn compare(
    call: &Call<'_>,
    legacy: &Answer,
    function: &Answer,
    rules: &Rules,
    findings: &mut Findings,
) {
    if rules.ignores_header("location") {
        return;
    }
    let key = findings.key;
    let [legacy, function] =
        [legacy, function].map(|answer| answer.value("location").map(<[u8]>::trim_ascii));
    let (legacy, function) = match (legacy, function) {
        (Some(legacy), Some(function)) => (legacy, function),
        (None, None) => return,
        (Some(legacy), None) => {
            return missing(findings, Kind::Missing, [Shown::text(legacy, key), Shown::ABSENT]);
        }
        (None, Some(function)) => {
            return missing(findings, Kind::Extra, [Shown::ABSENT, Shown::text(function, key)]);
        }
    };
    if legacy == function {
        return;
    }
    let [legacy, function] =
        [legacy, function].map(|value| Target::of(&String::from_utf8_lossy(value), call));
    let mut differs = |part: &str, legacy: &str, function: &str| {
        if legacy != function {
            let shown = [legacy, function].map(|value| part_shown(value, key));
            findings.add(Layer::Redirect, &format!("{PATH}:{part}"), Kind::Value, shown, None);
        }
    };
    if !legacy.host.leads_to(&function.host) {
        differs("host", legacy.host.as_str(), function.host.as_str());
    }
    differs("path", &legacy.path, &function.path);
    differs("query", &legacy.query, &function.query);
    differs("fragment", &legacy.fragment, &function.fragment);
}

fn missing(findings: &mut Findings, kind: Kind, shown: [Shown; 2]) {
    findings.add(Layer::Redirect, PATH, kind, shown, None);
}

fn part_shown(value: &str, key: HashKey) -> Shown {
    match value {
        "" => Shown::ABSENT,
        OWN_HOST => Shown::word(OWN_HOST),
        value => Shown::text(value.as_bytes(), key),
    }
}

/// A resolved `Location` (RFC 3986, section 5.2).
#[derive(Debug, PartialEq, Eq)]
struct Target {
    host: Host,
    path: String,
    query: String,
    fragment: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Host {
    /// This service, by whatever name.
    Own,
    /// Scheme and authority in lower case. Which names are our own is not known, so it may be this service.
    Unknown(String),
    /// Scheme and authority of another service, in lower case.
    Foreign(String),
}

const OWN_HOST: &str = "this service";

impl Host {
    fn of(scheme: &str, authority: &str, own_hosts: &[&str]) -> Self {
        let name = without_default_port(authority).to_ascii_lowercase();
        if own_hosts.iter().any(|own| without_default_port(own).eq_ignore_ascii_case(&name)) {
            return Self::Own;
        }
        let origin = format!("{}//{name}", scheme.to_ascii_lowercase());
        if own_hosts.is_empty() { Self::Unknown(origin) } else { Self::Foreign(origin) }
    }

    fn leads_to(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Own, Self::Unknown(_)) | (Self::Unknown(_), Self::Own) => true,
            _ => self == other,
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Own => OWN_HOST,
            Self::Unknown(origin) | Self::Foreign(origin) => origin,
        }
    }
}

impl Target {
    fn of(location: &str, call: &Call<'_>) -> Self {
        let (rest, fragment) = location.split_once('#').unwrap_or((location, ""));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (scheme, hierarchy) = split_scheme(rest);
        let (host, path) = match hierarchy.strip_prefix("//") {
            Some(after) => {
                let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
                (Host::of(scheme, authority, call.own_hosts), path.to_owned())
            }
            // `mailto:` and the like: no authority, nothing to resolve.
            None if !scheme.is_empty() => (Host::Foreign(scheme.to_ascii_lowercase()), hierarchy.to_owned()),
            None => (Host::Own, resolve(hierarchy, call.path)),
        };
        Self { host, path: without_dots(&path), query: query.to_owned(), fragment: fragment.to_owned() }
    }
}

/// `https:` with its colon, or nothing, and the rest.
fn split_scheme(reference: &str) -> (&str, &str) {
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    match reference.find(|c| !is_scheme(c)) {
        Some(end) if end > 0 && reference[end..].starts_with(':') => reference.split_at(end + 1),
        _ => ("", reference),
    }
}

fn without_default_port(authority: &str) -> &str {
    authority.strip_suffix(":443").or_else(|| authority.strip_suffix(":80")).unwrap_or(authority)
}

fn resolve(reference: &str, base: &str) -> String {
    let folder = &base[..base.rfind('/').map_or(0, |slash| slash + 1)];
    match reference {
        "" => base.to_owned(),
        absolute if absolute.starts_with('/') => absolute.to_owned(),
        relative => format!("{folder}{relative}"),
    }
}

/// Without `.` and `..` segments (RFC 3986, section 5.2.4); an empty path is `/`.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Call<'_> = Call {
        method: "POST",
        path: "/shop/orders",
        own_hosts: &["shop.example", "10.0.0.7:3000", "fn.internal"],
    };

    fn differing(call: &Call<'_>, legacy: &str, function: &str) -> Vec<String> {
        let answer = |location: &str| Answer {
            status: 302,
            headers: vec![("location".to_owned(), location.as_bytes().to_vec())],
            ..Answer::default()
        };
        let mut findings = Findings::new(HashKey(1));
        compare(call, &answer(legacy), &answer(function), &Rules::default(), &mut findings);
        findings
            .into_comparison(crate::Verdict::Equal)
            .differences
            .into_iter()
            .map(|found| found.path)
            .collect()
    }

    #[test]
    fn the_same_place_on_any_own_name_is_equal() {
        for (legacy, function) in [
            ("/orders/7", "https://shop.example/orders/7"),
            ("http://10.0.0.7:3000/orders/7?a=1", "https://FN.internal:443/orders/7?a=1"),
            ("//shop.example/orders/7", "/orders/7"),
            ("orders/7", "/shop/orders/7"),
            ("../a", "/a"),
            ("?page=2", "/shop/orders?page=2"),
            ("https://shop.example", "/"),
            ("https://pay.example/x", "https://PAY.example:443/x"),
        ] {
            assert_eq!(differing(&CALL, legacy, function), Vec::<String>::new(), "{legacy} {function}");
        }
    }

    #[test]
    fn the_part_that_differs_is_named() {
        for (legacy, function, part) in [
            ("/orders/7", "/orders/8", "path"),
            ("/orders?a=1", "/orders?a=2", "query"),
            ("/orders#a", "/orders#b", "fragment"),
            ("https://pay.example/x", "https://evil.example/x", "host"),
            ("https://pay.example/x", "/x", "host"),
            ("/x", "https://evil.example/x", "host"),
            ("https://pay.example/x", "http://pay.example/x", "host"),
        ] {
            assert_eq!(differing(&CALL, legacy, function), [format!("header:location:{part}")]);
        }
        assert_eq!(differing(&CALL, "mailto:a@b.example", "/x").len(), 2);
    }

    #[test]
    fn where_own_names_are_unknown_relative_and_absolute_are_equal_but_two_hosts_are_not() {
        let call = Call { own_hosts: &[], ..CALL };
        assert!(differing(&call, "/x", "https://shop.example/x").is_empty());
        assert_eq!(differing(&call, "https://a.example/x", "https://b.example/x"), ["header:location:host"]);
    }

    #[test]
    fn dot_segments_are_removed() {
        for (path, plain) in [
            ("/a/./b/../c", "/a/c"),
            ("/..", "/"),
            ("/a/..", "/"),
            ("", "/"),
            ("/a/", "/a/"),
            ("/a/.", "/a/"),
        ] {
            assert_eq!(without_dots(path), plain);
        }
    }
}
