//! Templates: text with variables out of a request and its answer, understood once and for all.
//!
//! A [`Template`] is only made by parsing against the pattern of its route, so every parameter it names exists.
//! What a variable holds is spelled for the place it goes to ([`Place`]): no value can end a header field, climb
//! out of a path or add a query parameter.

mod parse;
mod render;
mod rewrite;

use std::fmt;
use std::ops::Range;

use crate::{Pattern, Request};

pub use render::{escape_path, escape_query, is_query_name};
pub use rewrite::Rewrite;

/// Text with variables: `/v2/orders/{id}`, `{request.headers.x-tenant}`. `{{` and `}}` are braces.
///
/// | variable | value |
/// |---|---|
/// | `{name}` | a parameter of the route's pattern; `{name*}` is taken for the rest as well |
/// | `{request.method}`, `{request.host}`, `{request.path}` | of the client's request |
/// | `{request.headers.NAME}` | a field, several of one name joined by `, ` |
/// | `{request.query.NAME}` | the first query parameter of this name, decoded |
/// | `{response.status}`, `{response.headers.NAME}` | of the answer, where there is one |
///
/// What is not there is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Text(String),
    Variable(Variable),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Variable {
    Parameter(String),
    Method,
    Host,
    Path,
    RequestHeader(String),
    RequestQuery(String),
    Status,
    ResponseHeader(String),
}

/// What a template may speak of.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Whose parameters there are; `None` takes any name, for a route whose pattern is wrong in itself.
    pub pattern: Option<&'a Pattern>,
    /// Whether there is an answer to speak of.
    pub response: bool,
}

/// What is wrong with a template and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// Bytes of the template's text.
    pub span: Range<usize>,
    pub message: String,
    pub expected: String,
    /// A name that nobody knows, with those that there are.
    pub unknown: Option<(String, Vec<String>)>,
}

/// Where a rendered template goes to, which decides how values are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A part of a path: percent-escaped; parameters as they stand in the request's path.
    Path,
    /// A part of a query: percent-escaped; query values as they were sent.
    Query,
    /// A field that holds an address: as a path up to the first `?`, as a query behind it.
    Url,
    /// A header field: decoded; control characters are percent-escaped.
    Field,
    /// Text of no special form: decoded.
    Text,
    /// Text of HTML or XML: decoded, markup characters escaped.
    Markup,
    /// Inside a string of JSON: decoded and escaped.
    Json,
}

/// What a template is rendered with.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub request: &'a dyn Request,
    /// The pattern that the request's path matches.
    pub pattern: &'a Pattern,
    pub response: Option<&'a dyn Response>,
}

/// What templates can know of an answer.
pub trait Response {
    fn status(&self) -> u16;
    /// Shows `visit` every value of a field, in order. `name` is lower-case.
    fn header_values(&self, name: &str, visit: &mut dyn FnMut(&[u8]));
}

impl Template {
    /// # Errors
    /// The first thing that is wrong with the text.
    pub fn parse(text: &str, scope: Scope<'_>) -> Result<Self, TemplateError> {
        parse::template(text, scope)
    }

    /// Text without any variable.
    pub fn literal(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { parts: if text.is_empty() { Vec::new() } else { vec![Part::Text(text)] } }
    }

    /// Adds text as it is.
    pub fn push_text(&mut self, text: &str) {
        match self.parts.last_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            _ if text.is_empty() => {}
            _ => self.parts.push(Part::Text(text.to_owned())),
        }
    }

    /// Adds another template as a string of JSON, quotes included; it is to be rendered for [`Place::Json`].
    pub fn push_json_string(&mut self, other: &Self) {
        self.push_text("\"");
        for part in &other.parts {
            match part {
                Part::Text(text) => {
                    let mut escaped = Vec::new();
                    render::push_json(&mut escaped, text);
                    self.push_text(&String::from_utf8_lossy(&escaped));
                }
                Part::Variable(variable) => self.parts.push(Part::Variable(variable.clone())),
            }
        }
        self.push_text("\"");
    }

    /// The same as the value of a query parameter: its own text is percent-escaped.
    #[must_use]
    pub fn into_query_value(self) -> Self {
        let escaped = |part| match part {
            Part::Text(text) => Part::Text(escape_query(&text)),
            Part::Variable(_) => part,
        };
        Self { parts: self.parts.into_iter().map(escaped).collect() }
    }

    /// The text, if there is no variable in it.
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it speaks of the request, so that the request has to be kept until it is rendered.
    pub fn needs_request(&self) -> bool {
        self.variables().any(|one| !matches!(one, Variable::Status | Variable::ResponseHeader(_)))
    }

    fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Variable(variable) => Some(variable),
        })
    }

    /// The text for one request, and its answer where there is one.
    pub fn render(&self, place: Place, context: Context<'_>) -> Vec<u8> {
        render::render(&self.parts, place, context)
    }
}

/// The text that gives this template again.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Part::Variable(variable) => write!(f, "{{{variable}}}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter(name) => f.write_str(name),
            Self::Method => f.write_str("request.method"),
            Self::Host => f.write_str("request.host"),
            Self::Path => f.write_str("request.path"),
            Self::RequestHeader(name) => write!(f, "request.headers.{name}"),
            Self::RequestQuery(name) => write!(f, "request.query.{name}"),
            Self::Status => f.write_str("response.status"),
            Self::ResponseHeader(name) => write!(f, "response.headers.{name}"),
        }
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("pattern", self.pattern).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
