//! A path in which values are placeholders.

use std::fmt;

use starve_routing::{Pattern, Segment};

use crate::kind::Kind;
use crate::path::split_ending;
use crate::trie::{DEPTH_MAX, Told};

/// The methods that are told apart; everything else is `other`, since a client can make up any number of them.
const METHODS: [&str; 15] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "QUERY",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "REPORT",
];

/// `GET /products/{int}`: a method, and a path in which every segment that looks like a value is a placeholder.
///
/// Placeholders: `{int}`, `{decimal}`, `{uuid}`, `{hex}` (16 digits or more), `{date}`, `{ulid}`, `{email}`, `{ip}`,
/// `{version}`, `{locale}`, `{id}` (a prefix or word and a number or random text), `{token}`, `{path}` (holds `%2F`),
/// `{long}` (over 128 bytes). A last `.json`, `.xml`, `.csv` or `.pdf` stays: `{int}.json`. Everything behind the
/// 16th segment is `{rest}`. So a template has at most about 2 KiB, whatever the path.
///
/// Values are recognised by their form and at first sight. Words that only turn out to be values by how many there
/// are (`/users/jo`, `/users/kim`) stay apart.
///
/// ```
/// # use starve_discovery::Template;
/// let template = Template::of("GET", "/shops/7/invoices/2026-11-20.pdf");
/// assert_eq!(template.to_string(), "GET /shops/{int}/invoices/{date}.pdf");
/// let pattern = template.suggested_pattern().map(|pattern| pattern.to_string());
/// assert_eq!(pattern.as_deref(), Some("GET /shops/{shopId:int}/invoices/{invoiceId:date}.pdf"));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Template {
    /// `METHOD /path`.
    text: Box<str>,
}

impl Template {
    /// The template of a call. `path` is normalised; an unknown method is `other`.
    pub fn of(method: &str, path: &str) -> Self {
        let mut text = String::with_capacity(path.len() + 16);
        write_template(&mut text, method, path);
        Self::from_text(&text)
    }

    /// A template as it was stored: the path is taken as it is.
    pub fn stored(method: &str, path: &str) -> Self {
        Self { text: format!("{method} {path}").into() }
    }

    pub fn method(&self) -> &str {
        self.text.split_once(' ').map_or("", |(method, _)| method)
    }

    pub fn path(&self) -> &str {
        self.text.split_once(' ').map_or(&self.text, |(_, path)| path)
    }

    /// What `match:` of a route for this endpoint would be. Parameters are called after the segment in front of
    /// them and are typed where a pattern has the type. `None` for the few paths that no pattern spells, such as
    /// one that begins with two slashes.
    pub fn suggested_pattern(&self) -> Option<Pattern> {
        let mut names = Vec::new();
        let mut before = "";
        let segments = self.path().split('/').skip(1).map(|segment| {
            let suggested = suggested_segment(segment, before, &mut names);
            before = segment;
            format!("/{suggested}")
        });
        let path: String = segments.collect();
        let method = if self.method() == OTHER { "*" } else { self.method() };
        // Without a host in front, two slashes would begin one.
        if path.starts_with("//") { None } else { format!("{method} {path}").parse().ok() }
    }

    pub(crate) fn from_text(text: &str) -> Self {
        Self { text: text.into() }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({})", self.text)
    }
}

const OTHER: &str = "other";

/// The number of a method; all that a client makes up have one.
pub(crate) fn method_number(method: &str) -> u8 {
    let place = METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len());
    u8::try_from(place).unwrap_or(u8::MAX)
}

pub(crate) fn method_name(number: u8) -> &'static str {
    METHODS.get(usize::from(number)).copied().unwrap_or(OTHER)
}

/// The steps of a pattern that a person gave.
pub(crate) fn told(pattern: &Pattern) -> Vec<Told> {
    let mut steps = Vec::new();
    for segment in pattern.segments() {
        match segment {
            Segment::Literal(text) => {
                let (stem, ending) = split_ending(text);
                steps.push(Told::Word(stem.to_owned()));
                if !ending.is_empty() {
                    steps.push(Told::Ending(ending.to_owned()));
                }
            }
            Segment::Parameter(parameter) => {
                steps.push(Told::Value { words: parameter.kind.is_none() });
                if !parameter.suffix.is_empty() {
                    steps.push(Told::Ending(parameter.suffix.clone()));
                }
            }
            Segment::Rest { .. } => steps.push(Told::Rest),
        }
    }
    steps
}

/// Writes the text of the template, so that a table can look it up without allocating.
pub(crate) fn write_template(text: &mut String, method: &str, path: &str) {
    text.clear();
    text.push_str(method_name(method_number(method)));
    text.push(' ');
    let path = path.strip_prefix('/').unwrap_or(path);
    let mut before = None;
    let mut segments = path.split('/').enumerate().peekable();
    while let Some((place, segment)) = segments.next() {
        if place == DEPTH_MAX {
            text.push_str("/{rest}");
            return;
        }
        text.push('/');
        let (stem, extension) = if segments.peek().is_none() { split_ending(segment) } else { (segment, "") };
        // Of a single path nobody can tell whether two letters are a country, or a picture one of many.
        match Kind::of(stem, before).filter(|kind| !matches!(kind, Kind::Code | Kind::File)) {
            Some(kind) => {
                text.push('{');
                text.push_str(kind.name());
                text.push('}');
                text.push_str(extension);
            }
            None => text.push_str(segment),
        }
        before = Some(segment);
    }
}

fn suggested_segment(segment: &str, before: &str, names: &mut Vec<String>) -> String {
    let placeholder = segment.strip_prefix('{').and_then(|rest| rest.split_once('}'));
    let Some((kind, extension)) = placeholder else { return segment.to_owned() };
    if kind == "rest" {
        return "{rest*}".to_owned();
    }
    let wanted = parameter_name(before);
    let mut name = wanted.clone();
    let mut number = 1;
    while names.contains(&name) {
        number += 1;
        name = format!("{wanted}{number}");
    }
    names.push(name.clone());
    match Kind::named(kind).and_then(Kind::parameter_type) {
        Some(kind) => format!("{{{name}:{kind}}}{extension}"),
        None => format!("{{{name}}}{extension}"),
    }
}

/// `order-items` gives `orderItemId`; what is no plain word gives `id`.
fn parameter_name(before: &str) -> String {
    let plain = before.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if !plain || !before.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return "id".to_owned();
    }
    let mut name = String::new();
    for word in singular(before).split(['-', '_']).filter(|word| !word.is_empty()) {
        let (first, rest) = word.split_at(1);
        let first = if name.is_empty() { first.to_ascii_lowercase() } else { first.to_ascii_uppercase() };
        name.push_str(&first);
        name.push_str(rest);
    }
    name.push_str("Id");
    name
}

fn singular(word: &str) -> String {
    let without = |ending: &str| word.strip_suffix(ending);
    if let Some(stem) = without("ies").filter(|stem| stem.len() > 1) {
        return format!("{stem}y");
    }
    if let Some(stem) = without("es").filter(|stem| stem.ends_with(['s', 'x']) || stem.ends_with("ch")) {
        return stem.to_owned();
    }
    match without("s") {
        Some(stem) if stem.len() > 1 && !stem.ends_with(['s', 'u', 'i']) => stem.to_owned(),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(path: &str) -> String {
        Template::of("GET", path).path().to_owned()
    }

    #[test]
    fn values_become_placeholders_and_words_stay() {
        assert_eq!(template("/api/v1/products/42/reviews"), "/api/v1/products/{int}/reviews");
        assert_eq!(template("/users/me/orders/2026-11-20/"), "/users/me/orders/{date}/");
        assert_eq!(template("/"), "/");
        assert_eq!(template("//a//7"), "//a//{int}");
    }

    #[test]
    fn an_extension_stays_apart() {
        assert_eq!(template("/calls/42.json"), "/calls/{int}.json");
        assert_eq!(template("/calls/42.html"), "/calls/42.html");
        assert_eq!(template("/calls.json"), "/calls.json");
        assert_eq!(template("/calls/42.json/x"), "/calls/42.json/x");
        assert_eq!(template("/calls/.json"), "/calls/.json");
    }

    #[test]
    fn a_template_is_short_whatever_the_path() {
        assert_eq!(template(&"/a".repeat(5_000)), format!("{}/{{rest}}", "/a".repeat(16)));
        let longest = format!("/{}", "b".repeat(128)).repeat(40);
        assert!(template(&longest).len() < 2_100);
    }

    #[test]
    fn a_made_up_method_is_other() {
        assert_eq!(Template::of("GETT", "/a").to_string(), "other /a");
        assert_eq!(Template::of("get", "/a").method(), "other");
        assert_eq!(Template::of("GETT", "/a").suggested_pattern(), "* /a".parse().ok());
    }

    #[test]
    fn a_suggested_pattern_names_and_types_its_parameters() {
        let suggest = |path: &str| Template::of("GET", path).suggested_pattern().unwrap().to_string();
        assert_eq!(
            suggest("/categories/7/order-items/8"),
            "GET /categories/{categoryId:int}/order-items/{orderItemId:int}"
        );
        assert_eq!(suggest("/boxes/7/9"), "GET /boxes/{boxId:int}/{id:int}");
        assert_eq!(suggest("/a/7/a/8/status/en-US"), "GET /a/{aId:int}/a/{aId2:int}/status/{statusId}");
        assert_eq!(suggest(&"/a".repeat(20)), format!("GET {}/{{rest*}}", "/a".repeat(16)));
    }

    #[test]
    fn what_no_pattern_spells_is_not_suggested() {
        for path in ["//a/7", "/files/*", "/rooms/:name"] {
            assert_eq!(Template::of("GET", path).suggested_pattern(), None, "{path}");
        }
    }
}
