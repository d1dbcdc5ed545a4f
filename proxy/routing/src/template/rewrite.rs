//! The target that a side gets instead of the client's, and the way back.

use std::fmt;
use std::ops::Range;

use super::{Context, Part, Place, Scope, Template, TemplateError, Variable};
use crate::path::{Class, PathError, class};
use crate::{Params, Pattern, Segment, normalise_path};

/// `/v2/orders/{id}`, or `/v2/orders/{id}?full=1`: a path, and a query that takes the place of the client's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rewrite {
    path: Template,
    /// `None` keeps the client's.
    query: Option<Template>,
    /// Matches rewritten paths and gives the parameters back: there when each of them stands in the path once
    /// and can be told from its surroundings.
    inverse: Option<Pattern>,
}

impl Rewrite {
    /// # Errors
    /// The first thing that is wrong with the text.
    pub fn parse(text: &str, pattern: Option<&Pattern>) -> Result<Self, TemplateError> {
        let scope = Scope { pattern, response: false };
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        if !path.starts_with('/') {
            let expected =
                "a path such as `/v2/orders/{id}`; another server is named by `legacy:` or a function";
            return Err(error(0..path.len(), "the rewritten target does not begin with a slash", expected));
        }
        let template = Template::parse(path, scope)?;
        check_path(&template, path.len())?;
        let start = path.len() + 1;
        let query = query
            .map(|query| Template::parse(query, scope).map_err(|error| shifted(error, start)))
            .transpose()?;
        if let Some(query) = &query {
            check_query(query, start..text.len())?;
        }
        let inverse = pattern.and_then(|pattern| inverse(&template, pattern));
        Ok(Self { path: template, query, inverse })
    }

    /// Path and query for one request.
    ///
    /// # Errors
    /// With the values of this request the path is none that the proxy would let through: a value was a dot
    /// segment, for example.
    pub fn target(&self, context: Context<'_>) -> Result<String, PathError> {
        // All that rendering puts into a path and a query is ASCII.
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap_or_default();
        let mut target = text(self.path.render(Place::Path, context));
        match normalise_path(&target)? {
            std::borrow::Cow::Borrowed(_) => {}
            std::borrow::Cow::Owned(_) => return Err(PathError::HiddenDots { at: 0 }),
        }
        let query = match &self.query {
            Some(query) => Some(text(query.render(Place::Query, context))),
            None => context.request.query().map(str::to_owned),
        };
        if let Some(query) = query {
            target.push('?');
            target.push_str(&query);
        }
        Ok(target)
    }

    /// The public path of a rewritten one: the other way round. `None` where this path is no rewritten one, or
    /// the rewrite cannot be turned round.
    pub fn public_path(&self, path: &str, pattern: &Pattern) -> Option<String> {
        let inverse = self.inverse.as_ref()?;
        let normal = normalise_path(path).ok()?;
        inverse.matches_path(&normal).then(|| fill(pattern, inverse.params(&normal)))
    }

    /// Whether redirects and cookie paths can be turned back.
    pub fn is_invertible(&self) -> bool {
        self.inverse.is_some()
    }
}

impl fmt::Display for Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        self.query.as_ref().map_or(Ok(()), |query| write!(f, "?{query}"))
    }
}

/// The pattern's path with these values.
fn fill(pattern: &Pattern, params: Params<'_>) -> String {
    let mut path = String::new();
    for segment in pattern.segments() {
        path.push('/');
        match segment {
            Segment::Literal(text) => path.push_str(text),
            Segment::Parameter(parameter) => {
                path.push_str(&parameter.prefix);
                path.push_str(params.value(&parameter.name).unwrap_or_default());
                path.push_str(&parameter.suffix);
            }
            Segment::Rest { name } => path.push_str(params.value(name).unwrap_or_default()),
        }
    }
    path
}

/// The rewritten path as a pattern, if it holds each parameter once and nothing else that varies.
fn inverse(path: &Template, pattern: &Pattern) -> Option<Pattern> {
    let mut text = "* ".to_owned();
    let mut seen = Vec::new();
    for part in &path.parts {
        match part {
            Part::Text(literal) => text.push_str(literal),
            Part::Variable(Variable::Parameter(name)) if !seen.contains(name) => {
                text.push_str(&declaration(name, pattern)?);
                seen.push(name.clone());
            }
            Part::Variable(_) => return None,
        }
    }
    let all = pattern.parameter_names().count() == seen.len();
    text.parse().ok().filter(|_| all)
}

fn declaration(name: &str, pattern: &Pattern) -> Option<String> {
    pattern.segments().iter().find_map(|segment| match segment {
        Segment::Rest { name: own } if own == name => Some(format!("{{{name}*}}")),
        Segment::Parameter(parameter) if parameter.name == name => Some(match parameter.kind {
            Some(kind) => format!("{{{name}:{kind}}}"),
            None => format!("{{{name}}}"),
        }),
        _ => None,
    })
}

/// The literal parts must be in the one spelling; values are looked at for each request.
fn check_path(path: &Template, end: usize) -> Result<(), TemplateError> {
    let sample: String = path
        .parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Variable(_) => "x",
        })
        .collect();
    match normalise_path(&sample) {
        Ok(normal) if normal == sample => Ok(()),
        Ok(_) => Err(error(
            0..end,
            "the rewritten path is not in its one spelling",
            "a path without dot segments, escapes in upper case and only where they are needed",
        )),
        Err(wrong) => {
            Err(error(0..end, format!("the rewritten {wrong}"), "a path such as `/v2/orders/{id}`"))
        }
    }
}

fn check_query(query: &Template, span: Range<usize>) -> Result<(), TemplateError> {
    let allowed =
        |byte: u8| matches!(class(byte), Class::Plain | Class::Dot | Class::Percent) || byte == b'?';
    let literals = query.parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text),
        Part::Variable(_) => None,
    });
    for text in literals {
        if let Some(stray) = text.chars().find(|c| !u8::try_from(*c).is_ok_and(allowed)) {
            let message = format!("`{}` cannot stand in a query", stray.escape_debug());
            return Err(error(span, message, "percent-escapes: `%20` for a space"));
        }
    }
    Ok(())
}

fn shifted(error: TemplateError, by: usize) -> TemplateError {
    TemplateError { span: error.span.start + by..error.span.end + by, ..error }
}

fn error(span: Range<usize>, message: impl Into<String>, expected: impl Into<String>) -> TemplateError {
    TemplateError { span, message: message.into(), expected: expected.into(), unknown: None }
}
