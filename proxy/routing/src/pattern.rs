//! `METHOD[,METHOD] [//host]/path`: what a route answers to, understood once and for all.
//!
//! A [`Pattern`] is only made by parsing, so one that exists is valid: no two parameters share a name, a rest
//! parameter stands last, every literal is spelled as [`normalise_path`](crate::normalise_path) spells it.

mod params;
mod parse;
mod value;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

pub use params::Params;
pub use value::ParameterType;

/// The most segments a pattern may have. Longer request paths match through a rest parameter only; so the
/// work for one path has a bound that a client cannot move.
pub const SEGMENTS_MAX: usize = 64;

/// `METHOD[,METHOD] [//host]/path`, for example `GET /products/{id:int}` or `* //*.shop.example/{rest*}`.
///
/// | segment | matches | example |
/// |---|---|---|
/// | `products` | this text, compared as written (case counts) | `/products` |
/// | `{name}` | one segment that is not empty | `/products/{id}` |
/// | `{name:int}` | `int`, `uuid`, `slug`, `hex`, `date`: see [`ParameterType`] | `/products/{id:int}` |
/// | `v{n:int}`, `{name}.json` | literal text, a value that is not empty, literal text | `/v{n:int}/feed.{format}` |
/// | `{name*}` | the rest of the path, last segment only; may be empty and may hold slashes | `/reports/{rest*}` |
///
/// `/reports/{rest*}` matches `/reports/` and `/reports/a/b`, but not `/reports`: the slash in front of the
/// parameter belongs to the pattern. A trailing slash and a double slash are significant everywhere.
///
/// Values are parts of the normalised path, percent-escapes included: `{name}` sees `caf%C3%A9`.
///
/// The text it displays is canonical: parsing that text gives an equal pattern.
///
/// ```
/// let pattern: starve_routing::Pattern = "GET //Shop.Example/products/{id:int}".parse()?;
/// assert_eq!(pattern.to_string(), "GET //shop.example/products/{id:int}");
/// assert_eq!(pattern.path_template(), "/products/{id:int}");
/// # Ok::<(), starve_routing::PatternError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    methods: Methods,
    host: Option<HostPattern>,
    segments: Vec<Segment>,
    /// The canonical text of `segments`.
    template: String,
}

/// Which methods a pattern takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Methods {
    /// `*`.
    Any,
    /// In the order written, never empty, none twice.
    These(Vec<String>),
}

/// Which hosts a pattern takes. Lower-case, without port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    Exact(String),
    /// `*.example.com`, held without the `*.`: any number of labels, at least one, in front of the text.
    Wildcard(String),
}

/// What stands between two slashes of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Normalised; empty for a trailing or a double slash.
    Literal(String),
    Parameter(Parameter),
    /// `{name*}`, last only.
    Rest {
        name: String,
    },
}

/// `prefix{name:kind}suffix`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Parameter {
    pub prefix: String,
    pub name: String,
    /// `None` takes any text that is not empty.
    pub kind: Option<ParameterType>,
    pub suffix: String,
}

/// What is wrong with a pattern and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PatternError {
    /// Bytes of the pattern's text.
    pub span: Range<usize>,
    pub message: String,
    /// What was expected instead, for the diagnostic's help line.
    pub expected: String,
}

impl Pattern {
    pub fn methods(&self) -> &Methods {
        &self.methods
    }

    /// `None` takes every host, and a request that names none.
    pub fn host(&self) -> Option<&HostPattern> {
        self.host.as_ref()
    }

    /// Never empty: `/` is one empty literal.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The path part alone, without methods and host: `/products/{id:int}`.
    pub fn path_template(&self) -> &str {
        &self.template
    }

    /// Names of the parameters, from left to right.
    pub fn parameter_names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Segment::name)
    }

    /// Whether the path has no parameter, so that one path alone matches.
    pub fn is_literal(&self) -> bool {
        self.parameter_names().next().is_none()
    }

    /// Whether this normalised path matches, methods and host aside.
    pub fn matches_path(&self, path: &str) -> bool {
        let Some(mut rest) = path.strip_prefix('/') else { return false };
        for (index, segment) in self.segments.iter().enumerate() {
            if let Segment::Rest { .. } = segment {
                return true;
            }
            let (text, tail) = match rest.split_once('/') {
                Some((text, tail)) => (text, Some(tail)),
                None => (rest, None),
            };
            if !segment.matches(text) {
                return false;
            }
            match tail {
                Some(tail) => rest = tail,
                None => return index + 1 == self.segments.len(),
            }
        }
        false
    }

    /// The parameters' values in a normalised path that this pattern matches; for another path what they
    /// hold is unspecified, but it is always a part of that path.
    pub fn params<'a>(&'a self, path: &'a str) -> Params<'a> {
        Params::new(self, path)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = parse::pattern(text)?;
        let template = template(&parts.segments);
        Ok(Self { methods: parts.methods, host: parts.host, segments: parts.segments, template })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.methods)?;
        if let Some(host) = &self.host {
            write!(f, "//{host}")?;
        }
        f.write_str(&self.template)
    }
}

impl Methods {
    /// Whether the list names this method; [`Methods::Any`] names none.
    pub fn lists(&self, method: &str) -> bool {
        match self {
            Self::Any => false,
            Self::These(methods) => methods.iter().any(|listed| listed == method),
        }
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::These(methods) => f.write_str(&methods.join(",")),
        }
    }
}

impl HostPattern {
    /// Whether a host, lower-case and without port, is meant.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Wildcard(suffix) => host
                .strip_suffix(suffix.as_str())
                .and_then(|front| front.strip_suffix('.'))
                .is_some_and(|labels| !labels.is_empty()),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

impl Segment {
    /// The parameter's name; `None` for a literal.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Parameter(parameter) => Some(&parameter.name),
            Self::Rest { name } => Some(name),
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == text,
            Self::Parameter(parameter) => parameter.value(text).is_some(),
            Self::Rest { .. } => true,
        }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => f.write_str(text),
            Self::Parameter(Parameter { prefix, name, kind: None, suffix }) => {
                write!(f, "{prefix}{{{name}}}{suffix}")
            }
            Self::Parameter(Parameter { prefix, name, kind: Some(kind), suffix }) => {
                write!(f, "{prefix}{{{name}:{kind}}}{suffix}")
            }
            Self::Rest { name } => write!(f, "{{{name}*}}"),
        }
    }
}

impl Parameter {
    /// The value this segment's text holds, if it matches.
    pub fn value<'a>(&self, text: &'a str) -> Option<&'a str> {
        let value = text.strip_prefix(self.prefix.as_str())?.strip_suffix(self.suffix.as_str())?;
        let accepted = match self.kind {
            Some(kind) => kind.accepts(value),
            None => !value.is_empty(),
        };
        accepted.then_some(value)
    }
}

fn template(segments: &[Segment]) -> String {
    segments.iter().map(|segment| format!("/{segment}")).collect()
}
