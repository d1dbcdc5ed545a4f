//! The table's rules a second time, without a tree: ask every route, take the smallest.
//!
//! Beside it a small vocabulary in which routes collide all the time. Used by the property tests here and by
//! the fuzz targets in `tests/fuzz`.

use std::cmp::Reverse;

use starve_routing::{
    Entry, HostPattern, Methods, ParameterType, Pattern, PlainRequest, Predicates, Segment, ValueMatch,
};

/// The place of the entry that takes the request.
pub(crate) fn find<T>(entries: &[Entry<T>], request: &PlainRequest) -> Option<usize> {
    let candidates = entries.iter().enumerate().filter_map(|(index, entry)| {
        let pattern = &entry.pattern;
        let host = host_rank(pattern.host(), request.host.as_deref())?;
        let path = path_rank(pattern.segments(), &request.path)?;
        let method = method_rank(pattern.methods(), &request.method)?;
        let when = &entry.when;
        let counts = (Reverse(when.headers.len()), Reverse(when.query.len()));
        when.hold(request).then_some(((host, path, method, counts, index), index))
    });
    candidates.min().map(|(_, index)| index)
}

fn host_rank(pattern: Option<&HostPattern>, host: Option<&str>) -> Option<Reverse<usize>> {
    let host = host.map(|host| host.split(':').next().unwrap_or_default().to_lowercase());
    match (pattern, host) {
        (None, _) => Some(Reverse(0)),
        (Some(HostPattern::Exact(name)), Some(host)) => (*name == host).then_some(Reverse(usize::MAX)),
        (Some(HostPattern::Wildcard(suffix)), Some(host)) => {
            let front = host.strip_suffix(&format!(".{suffix}"))?;
            (!front.is_empty()).then_some(Reverse(suffix.len()))
        }
        (Some(_), None) => None,
    }
}

fn path_rank(segments: &[Segment], path: &str) -> Option<Vec<[usize; 4]>> {
    let texts: Vec<&str> = path.split('/').skip(1).collect();
    let rest = matches!(segments.last(), Some(Segment::Rest { .. }));
    let fits = if rest { texts.len() >= segments.len() } else { texts.len() == segments.len() };
    if !fits {
        return None;
    }
    segments.iter().zip(texts).map(|(segment, text)| segment_rank(segment, text)).collect()
}

fn segment_rank(segment: &Segment, text: &str) -> Option<[usize; 4]> {
    match segment {
        Segment::Literal(literal) => (literal == text).then_some([0; 4]),
        Segment::Rest { .. } => Some([9; 4]),
        Segment::Parameter(own) => {
            let (front, back) = (own.prefix.len(), own.suffix.len());
            let shape =
                text.starts_with(&own.prefix) && text.ends_with(&own.suffix) && text.len() > front + back;
            let value = shape.then(|| &text[front..text.len() - back])?;
            let kind =
                own.kind.map_or(9, |kind| ParameterType::ALL.iter().position(|one| *one == kind).unwrap());
            let accepted = own.kind.is_none_or(|kind| kind.accepts(value));
            let group = if front + back > 0 { 1 } else { 2 };
            accepted.then_some([group, usize::MAX - front - back, usize::MAX - front, kind])
        }
    }
}

fn method_rank(methods: &Methods, method: &str) -> Option<u8> {
    match methods {
        Methods::Any => Some(2),
        Methods::These(listed) if listed.iter().any(|one| one == method) => Some(0),
        Methods::These(listed) => (method == "HEAD" && listed.iter().any(|one| one == "GET")).then_some(1),
    }
}

pub(crate) const METHODS: [&str; 7] = ["GET", "POST", "HEAD", "*", "GET,POST", "POST,PUT", "HEAD,GET"];
pub(crate) const HOSTS: [&str; 6] = ["", "//h.x", "//*.x", "//*.h.x", "//*.g.h.x", "//a.h.x"];
/// `@` becomes a name of its own in each place.
pub(crate) const SEGMENTS: [&str; 22] = [
    "a",
    "b",
    "aa",
    "1",
    "",
    "ab1",
    "{@}",
    "{@:int}",
    "{@:hex}",
    "{@:slug}",
    "{@:date}",
    "{@:uuid}",
    "a{@}",
    "aa{@}",
    "{@}b",
    "{@}ab",
    "a{@}b",
    "a{@:int}",
    "a{@:hex}b",
    "{@:int}b",
    "{@*}",
    "{@}1",
];
pub(crate) type Pairs = &'static [(&'static str, &'static str)];
/// Headers and query; `*` is any value.
pub(crate) const WHENS: [(Pairs, Pairs); 10] = [
    (&[], &[]),
    (&[("x", "*")], &[]),
    (&[("x", "1")], &[]),
    (&[("y", "1")], &[]),
    (&[("x", "1"), ("y", "*")], &[]),
    (&[("y", "1"), ("x", "*")], &[]),
    (&[], &[("q", "1")]),
    (&[], &[("q", "*")]),
    (&[("x", "*")], &[("q", "1")]),
    (&[], &[("q", "*"), ("r", "1")]),
];

pub(crate) const REQUEST_METHODS: [&str; 5] = ["GET", "POST", "HEAD", "PUT", "DELETE"];
pub(crate) const REQUEST_HOSTS: [Option<&str>; 7] =
    [None, Some("h.x"), Some("H.X:80"), Some("a.h.x"), Some("b.g.h.x"), Some("x"), Some("c.x")];
pub(crate) const REQUEST_SEGMENTS: [&str; 15] = [
    "a",
    "b",
    "aa",
    "1",
    "",
    "ab",
    "aab",
    "a1b",
    "ab1",
    "12",
    "ff",
    "2024-02-29",
    "0b5af3e2-1d2c-4b6a-9f00-aabbccddeeff",
    "A_B",
    "aaab",
];
pub(crate) const REQUEST_QUERIES: [Option<&str>; 4] =
    [None, Some("q=1"), Some("q=2&r=1"), Some("r=1&q=2&q=1")];
pub(crate) const REQUEST_HEADERS: [Pairs; 5] =
    [&[], &[("x", "1")], &[("x", "2")], &[("x", "1"), ("y", "1")], &[("x", "2"), ("y", "1, 2")]];

/// Every number picks from a list, whatever its size.
pub(crate) fn entry(method: usize, host: usize, segments: &[usize], when: usize) -> Entry<()> {
    let mut texts: Vec<String> = Vec::new();
    for (place, segment) in segments.iter().enumerate() {
        let text = pick(&SEGMENTS, *segment);
        texts.push(text.replace('@', &format!("p{place}")));
        if text.ends_with("*}") {
            break;
        }
    }
    // Without a host in front, two slashes would begin one.
    let host = pick(&HOSTS, host);
    while host.is_empty() && texts.len() > 1 && texts[0].is_empty() {
        texts.remove(0);
    }
    let path = texts.join("/");
    let pattern: Pattern = format!("{} {host}/{path}", pick(&METHODS, method)).parse().unwrap();
    Entry { pattern, when: predicates(pick(&WHENS, when)), value: () }
}

pub(crate) fn request(
    method: usize,
    host: usize,
    segments: &[usize],
    query: usize,
    headers: usize,
) -> PlainRequest {
    let texts: Vec<&str> = segments.iter().map(|segment| pick(&REQUEST_SEGMENTS, *segment)).collect();
    let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    PlainRequest {
        method: pick(&REQUEST_METHODS, method).to_owned(),
        host: pick(&REQUEST_HOSTS, host).map(str::to_owned),
        path: format!("/{}", texts.join("/")),
        query: pick(&REQUEST_QUERIES, query).map(str::to_owned),
        headers: pick(&REQUEST_HEADERS, headers).iter().map(owned).collect(),
    }
}

fn pick<T: Copy>(list: &[T], number: usize) -> T {
    list[number % list.len()]
}

fn predicates((headers, query): (Pairs, Pairs)) -> Predicates {
    let owned = |(name, value): &(&str, &str)| {
        let value = if *value == "*" { ValueMatch::Any } else { ValueMatch::Exact(value.to_string()) };
        (name.to_string(), value)
    };
    Predicates { headers: headers.iter().map(owned).collect(), query: query.iter().map(owned).collect() }
}
