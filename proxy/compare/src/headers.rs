//! The header layer: which headers count, and what about them.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::answer::Answer;
use crate::cookies;
use crate::difference::{Findings, Kind};
use crate::rules::Rules;
use crate::shown::{Shown, is_sensitive};
use crate::time;
use crate::verdict::Layer;

pub(crate) fn compare(legacy: &Answer, function: &Answer, rules: &Rules, findings: &mut Findings) {
    let names: BTreeSet<&str> =
        legacy.headers.iter().chain(&function.headers).map(|(name, _)| name.as_str()).collect();
    let same_coding = legacy.values("content-encoding").eq(function.values("content-encoding"));
    for name in names {
        let policy = Policy::of(name);
        if policy == Policy::Never || rules.ignores_header(name) {
            continue;
        }
        if policy == Policy::Cookies {
            cookies::compare(legacy, function, findings);
            continue;
        }
        let [legacy, function] =
            [legacy, function].map(|answer| normalised(answer, name, policy, same_coding));
        compare_one(name, policy, legacy.as_deref(), function.as_deref(), findings);
    }
}

fn compare_one(
    name: &str,
    policy: Policy,
    legacy: Option<&[u8]>,
    function: Option<&[u8]>,
    findings: &mut Findings,
) {
    let kind = match (legacy, function) {
        (Some(_), None) => Kind::Missing,
        (None, Some(_)) => Kind::Extra,
        (Some(legacy), Some(function)) if legacy != function => {
            if time::are_close(legacy, function) {
                findings.tolerated.times += 1;
                return;
            }
            Kind::Value
        }
        _ => return,
    };
    let shown = [legacy, function].map(|value| match value {
        None => Shown::ABSENT,
        Some(_) if policy == Policy::Presence => Shown::PRESENT,
        Some(value) => shown(name, value, findings),
    });
    findings.add(Layer::Headers, &format!("header:{name}"), kind, shown, None);
}

/// What about a header is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    /// Says nothing about what was answered, only about how it travelled; or compared elsewhere.
    Never,
    /// Made anew by every implementation, but caches need it to be there.
    Presence,
    /// A list whose order means nothing. Case does not count either.
    Set,
    MediaType,
    Cookies,
    Exact,
}

impl Policy {
    fn of(name: &str) -> Self {
        match name {
            "date" | "server" | "via" | "age" | "x-powered-by" | "x-request-id" | "traceparent"
            | "tracestate" | "x-runtime" | "server-timing" | "alt-svc" | "content-length"
            | "content-encoding" => Self::Never,
            // Hop by hop (RFC 9110, section 7.6.1).
            "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "transfer-encoding"
            | "upgrade" => Self::Never,
            // Has a layer of its own.
            "location" => Self::Never,
            name if name.starts_with("x-cache") => Self::Never,
            "etag" | "last-modified" => Self::Presence,
            "vary"
            | "allow"
            | "cache-control"
            | "access-control-allow-methods"
            | "access-control-allow-headers"
            | "access-control-expose-headers"
            | "accept-ranges"
            | "content-language" => Self::Set,
            "content-type" => Self::MediaType,
            "set-cookie" => Self::Cookies,
            _ => Self::Exact,
        }
    }
}

fn normalised<'a>(
    answer: &'a Answer,
    name: &str,
    policy: Policy,
    same_coding: bool,
) -> Option<Cow<'a, [u8]>> {
    let mut values =
        answer.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.trim_ascii());
    let first = values.next()?;
    let value = match policy {
        Policy::MediaType => MediaType::parse(first).normalised().into_bytes().into(),
        Policy::Presence => Cow::Borrowed(&b"present"[..]),
        _ => match values.next() {
            None => Cow::Borrowed(first),
            // Lines of one name are one list (RFC 9110, section 5.2).
            Some(second) => {
                [first, second].into_iter().chain(values).collect::<Vec<_>>().join(&b", "[..]).into()
            }
        },
    };
    if policy != Policy::Set {
        return Some(value);
    }
    let mut members = set(&value);
    if name == "vary" && !same_coding {
        // Only one side compresses. Naming the coding in Vary is then part of how, not of what.
        members.remove(&b"accept-encoding"[..]);
    }
    let members: Vec<Vec<u8>> = members.into_iter().collect();
    (!members.is_empty()).then(|| members.join(&b", "[..]).into())
}

fn set(list: &[u8]) -> BTreeSet<Vec<u8>> {
    let members = list.split(|byte| *byte == b',').map(|member| member.trim_ascii().to_ascii_lowercase());
    members.filter(|member| !member.is_empty()).collect()
}

/// A header's value as a person may see it: the protocol's own words and plain numbers, hashed otherwise.
fn shown(name: &str, value: &[u8], findings: &Findings) -> Shown {
    let speaks_protocol = matches!(
        name,
        "content-type"
            | "vary"
            | "allow"
            | "cache-control"
            | "content-language"
            | "accept-ranges"
            | "x-frame-options"
            | "x-content-type-options"
            | "referrer-policy"
            | "access-control-allow-methods"
            | "access-control-allow-headers"
            | "access-control-expose-headers"
            | "access-control-allow-credentials"
            | "access-control-max-age"
            | "strict-transport-security"
            | "retry-after"
            | "expires"
            | "content-range"
    );
    match std::str::from_utf8(value) {
        Ok(text) if speaks_protocol && text.len() <= 120 && !names_a_file(name, text) => {
            Shown::word(text.to_owned())
        }
        Ok(text) if (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Shown::number(value, is_sensitive(name.as_bytes()), findings.key)
        }
        _ => Shown::text(value, findings.key),
    }
}

/// Whether a content type has parameters that the application chose: `name=` with the name of a file.
fn names_a_file(header: &str, normalised: &str) -> bool {
    header == "content-type"
        && normalised.split("; ").skip(1).any(|parameter| !parameter.starts_with("charset="))
}

/// A `Content-Type`, taken apart as far as the comparison needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MediaType {
    /// `text/html`, in lower case.
    pub(crate) essence: String,
    charset: Option<String>,
    /// Other parameters, `name=value`, without `boundary`, which is made anew for every answer.
    parameters: BTreeSet<String>,
}

impl MediaType {
    pub(crate) fn parse(value: &[u8]) -> Self {
        let text = String::from_utf8_lossy(value);
        let mut parts = text.split(';');
        let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let mut media_type = Self { essence, ..Self::default() };
        for parameter in parts {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = value.trim().trim_matches('"');
            match &*name.trim().to_ascii_lowercase() {
                "" | "boundary" => {}
                "charset" => media_type.charset = Some(charset(value)),
                name => _ = media_type.parameters.insert(format!("{name}={value}")),
            }
        }
        media_type
    }

    pub(crate) fn of(answer: &Answer) -> Self {
        answer.value("content-type").map(Self::parse).unwrap_or_default()
    }

    fn normalised(self) -> String {
        // JSON is UTF-8 whatever is said of it (RFC 8259, section 8.1).
        let redundant = self.is_json() && self.charset.as_deref() == Some("utf-8");
        let charset = self.charset.filter(|_| !redundant).map(|charset| format!("charset={charset}"));
        let parameters = charset.into_iter().chain(self.parameters);
        parameters.fold(self.essence, |text, parameter| format!("{text}; {parameter}"))
    }

    pub(crate) fn is_json(&self) -> bool {
        self.essence.ends_with("+json") || matches!(&*self.essence, "application/json" | "text/json")
    }

    pub(crate) fn is_json_lines(&self) -> bool {
        matches!(
            &*self.essence,
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines"
        )
    }

    /// Bodies that do not end, or that hold marks made anew for every answer.
    pub(crate) fn is_stream(&self) -> bool {
        self.essence.starts_with("application/grpc")
            || self.essence.starts_with("multipart/")
            || self.essence == "text/event-stream"
    }
}

fn charset(name: &str) -> String {
    match name.to_ascii_lowercase() {
        name if name == "utf8" => "utf-8".to_owned(),
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HashKey, Verdict};

    fn answer(headers: &[(&str, &str)]) -> Answer {
        let headers =
            headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        Answer { status: 200, headers, ..Answer::default() }
    }

    fn differing(legacy: &[(&str, &str)], function: &[(&str, &str)]) -> Vec<String> {
        let mut findings = Findings::new(HashKey(1));
        let rules = Rules { ignore_headers: vec!["x-build".to_owned()], ..Rules::default() };
        compare(&answer(legacy), &answer(function), &rules, &mut findings);
        findings.into_comparison(Verdict::Equal).differences.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_says_how_an_answer_travelled_is_not_compared() {
        let legacy = [
            ("date", "a"),
            ("server", "Puma"),
            ("content-length", "1"),
            ("x-cache-hits", "1"),
            ("x-build", "1"),
        ];
        assert_eq!(differing(&legacy, &[("via", "1.1 x"), ("alt-svc", "h3")]), Vec::<String>::new());
    }

    #[test]
    fn lists_without_order_are_compared_as_sets() {
        let legacy =
            [("vary", "Accept, Origin"), ("allow", "GET, HEAD"), ("cache-control", "private, max-age=0")];
        let function = [
            ("vary", "origin"),
            ("vary", "accept"),
            ("allow", "HEAD,GET"),
            ("cache-control", "max-age=0,private"),
        ];
        assert_eq!(differing(&legacy, &function), Vec::<String>::new());
        assert_eq!(
            differing(&[("allow", "GET, PUT")], &[("allow", "GET")]),
            ["header:allow: value: legacy get, put, function get"]
        );
    }

    #[test]
    fn vary_on_the_coding_counts_only_where_both_compress_alike() {
        let plain: &[(&str, &str)] = &[];
        assert!(differing(&[("content-encoding", "gzip"), ("vary", "Accept-Encoding")], plain).is_empty());
        assert_eq!(differing(&[("vary", "Accept-Encoding")], plain).len(), 1);
    }

    #[test]
    fn content_types_are_compared_by_meaning() {
        for (legacy, function) in [
            ("text/html; charset=UTF-8", "Text/HTML;charset=\"utf8\""),
            ("application/json; charset=utf-8", "application/json"),
            ("multipart/mixed; boundary=a", "multipart/mixed; boundary=b"),
        ] {
            assert_eq!(
                differing(&[("content-type", legacy)], &[("content-type", function)]),
                Vec::<String>::new()
            );
        }
        assert_eq!(
            differing(&[("content-type", "text/html; charset=utf-8")], &[("content-type", "text/html")]),
            ["header:content-type: value: legacy text/html; charset=utf-8, function text/html"]
        );
    }

    #[test]
    fn the_name_of_a_file_in_a_content_type_is_not_shown() {
        let of = |name: &str| format!("application/pdf; name=\"{name}.pdf\"");
        let found = differing(&[("content-type", &of("smith"))], &[("content-type", &of("jones"))]);
        assert!(found.len() == 1 && !found[0].contains("smith") && !found[0].contains("jones"), "{found:?}");
    }

    #[test]
    fn validators_must_be_there_but_need_not_be_equal() {
        assert!(differing(&[("etag", "\"a\"")], &[("etag", "W/\"b\"")]).is_empty());
        assert_eq!(
            differing(&[("etag", "\"a\"")], &[]),
            ["header:etag: missing: legacy present, function absent"]
        );
    }

    #[test]
    fn other_headers_are_compared_exactly_and_shown_as_hashes() {
        let found = differing(&[("x-api-version", "seven")], &[("x-api-version", "eight")]);
        assert_eq!(found.len(), 1);
        assert!(!found[0].contains("seven") && !found[0].contains("eight"), "{found:?}");
        assert_eq!(
            differing(&[("x-total-count", "12")], &[("x-total-count", "13")]),
            ["header:x-total-count: value: legacy 12, function 13"]
        );
        assert!(!differing(&[("x-otp", "1234")], &[("x-otp", "4321")])[0].contains("1234"));
    }

    #[test]
    fn dates_within_the_tolerance_are_equal() {
        let at = |second| format!("Sun, 06 Nov 1994 08:49:{second} GMT");
        assert!(differing(&[("expires", &at(10))], &[("expires", &at(12))]).is_empty());
        assert_eq!(differing(&[("expires", &at(10))], &[("expires", &at(20))]).len(), 1);
    }
}
