//! Gathers endpoints: one place where paths become patterns, doubles are dropped and notes are kept.

use std::collections::HashSet;

use starve_routing::{Methods, Pattern, Segment};

use super::path::Path;
use super::{ENDPOINTS_MAX, Endpoint, Format, Listing, NOTES_MAX, Note, Options, Unreadable};

/// Where in the text an endpoint stands, for notes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) line: usize,
    pub(super) text: &'a str,
}

#[derive(Debug)]
pub(super) struct Collector {
    listing: Listing,
    /// Method, host and shape of each endpoint that is taken.
    taken: HashSet<String>,
    prefix: Option<String>,
    too_many: bool,
}

impl Collector {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            listing: Listing::default(),
            taken: HashSet::new(),
            prefix: options.prefix.clone(),
            too_many: false,
        }
    }

    /// What the user wants in front of every path.
    pub(super) fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref()
    }

    /// Adds an endpoint. Of several paths the first gives the pattern and the others are the same endpoint.
    pub(super) fn add(&mut self, place: Place<'_>, methods: &[&str], host: Option<&str>, paths: &[Path]) {
        let methods = method_list(methods);
        let mut patterns = Vec::new();
        for path in paths {
            if let Some(message) = path.widened() {
                self.note(place, message, false);
            }
            match self.pattern(&methods, host, path) {
                Ok(pattern) => patterns.push(pattern),
                Err(message) => self.note(place, message, true),
            }
        }
        let mut patterns = patterns.into_iter();
        let Some(pattern) = patterns.next() else { return };
        if takes_everything(&pattern) {
            let message =
                "takes every path; left out, so that what is called below it is discovered one by one";
            return self.note(place, message, true);
        }
        self.take(place.line, pattern, patterns.collect());
    }

    pub(super) fn note(&mut self, place: Place<'_>, message: impl Into<String>, left_out: bool) {
        if self.listing.notes.len() >= NOTES_MAX {
            self.listing.more_notes += 1;
            return;
        }
        let place_text: String = place.text.chars().filter(|c| !c.is_control()).take(120).collect();
        let note = Note { line: place.line, place: place_text, message: message.into(), left_out };
        if self.listing.notes.last() != Some(&note) {
            self.listing.notes.push(note);
        }
    }

    /// A row that is the framework's own and no endpoint of the application.
    pub(super) fn own_row(&mut self) {
        self.listing.own_rows += 1;
    }

    pub(super) fn finish(self, format: Format) -> Result<Listing, Unreadable> {
        if self.too_many {
            let message = format!("more than {ENDPOINTS_MAX} endpoints");
            let help = "import it in parts, each with a name of its own (`--source`)".to_owned();
            return Err(Unreadable { line: 0, message, help });
        }
        let nothing = self.listing.endpoints.is_empty() && self.listing.own_rows == 0;
        if nothing && let Some(note) = self.listing.notes.first() {
            return Err(format.unreadable(
                note.line,
                format!("no endpoint could be taken; the first: `{}` {}", note.place, note.message),
            ));
        }
        if self.listing.endpoints.is_empty() {
            return Err(format.unreadable(0, "there is no endpoint in it"));
        }
        Ok(self.listing)
    }

    fn pattern(&self, methods: &str, host: Option<&str>, path: &Path) -> Result<Pattern, String> {
        let path = path.text(self.prefix.as_deref().unwrap_or(""));
        // Without a host in front, two slashes would begin one.
        if path.starts_with("//") {
            return Err("begins with two slashes, which no pattern spells".to_owned());
        }
        let host = host.map(|host| format!("//{host}")).unwrap_or_default();
        let parsed: Result<Pattern, _> = format!("{methods} {host}{path}").parse();
        parsed
            .map_err(|error| format!("cannot be written as a pattern: {error}; expected {}", error.expected))
    }

    fn take(&mut self, line: usize, pattern: Pattern, also: Vec<Pattern>) {
        // A method of a shape that another endpoint has already would never be counted here.
        let fresh: Vec<String> = match pattern.methods() {
            Methods::Any => vec!["*".to_owned()],
            Methods::These(methods) => methods.clone(),
        };
        let all = fresh.len();
        let fresh: Vec<_> =
            fresh.into_iter().filter(|method| self.taken.insert(shape(method, &pattern))).collect();
        if fresh.is_empty() {
            return;
        }
        if self.listing.endpoints.len() >= ENDPOINTS_MAX {
            self.too_many = true;
            return;
        }
        let narrowed = |pattern: &Pattern| with_methods(&fresh, pattern);
        let pattern = if fresh.len() == all { Some(pattern) } else { narrowed(&pattern) };
        let Some(pattern) = pattern else { return };
        let mut spellings = Vec::new();
        for other in also {
            let methods: Vec<_> =
                fresh.iter().filter(|method| self.taken.insert(shape(method, &other))).cloned().collect();
            spellings.extend(with_methods(&methods, &other));
        }
        self.listing.endpoints.push(Endpoint { pattern, also: spellings, line });
    }
}

/// `HEAD` beside `GET` says nothing: whoever takes the one takes the other.
fn method_list(methods: &[&str]) -> String {
    let mut list: Vec<String> = Vec::new();
    for method in methods.iter().map(|method| method.trim().to_ascii_uppercase()) {
        if matches!(method.as_str(), "" | "ANY" | "ALL" | "*") {
            return "*".to_owned();
        }
        if !list.contains(&method) {
            list.push(method);
        }
    }
    if list.iter().any(|method| method == "GET") {
        list.retain(|method| method != "HEAD");
    }
    if list.is_empty() { "*".to_owned() } else { list.join(",") }
}

fn with_methods(methods: &[String], pattern: &Pattern) -> Option<Pattern> {
    if methods.is_empty() {
        return None;
    }
    let host = pattern.host().map(|host| format!("//{host}")).unwrap_or_default();
    format!("{} {host}{}", methods.join(","), pattern.path_template()).parse().ok()
}

fn takes_everything(pattern: &Pattern) -> bool {
    matches!(pattern.segments(), [Segment::Rest { .. }])
}

/// Method, host and path without the names of parameters: equal for endpoints that take the same calls.
pub(super) fn shape(method: &str, pattern: &Pattern) -> String {
    use std::fmt::Write as _;
    let mut text = format!("{method} ");
    if let Some(host) = pattern.host() {
        // A String takes all that is written to it.
        let _written = write!(text, "//{host}");
    }
    for segment in pattern.segments() {
        text.push('/');
        match segment {
            Segment::Literal(literal) => text.push_str(literal),
            Segment::Parameter(parameter) => {
                let kind = parameter.kind.map_or("", starve_routing::ParameterType::name);
                let _written = write!(text, "{}{{{kind}}}{}", parameter.prefix, parameter.suffix);
            }
            Segment::Rest { .. } => text.push_str("{*}"),
        }
    }
    text
}
