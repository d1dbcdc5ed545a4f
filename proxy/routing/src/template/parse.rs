//! The template language's parser.

use std::ops::Range;

use super::{Part, Scope, Template, TemplateError, Variable};
use crate::Segment;

const BRACES: &str = "`{name}`, or `{{` and `}}` where braces are meant";

pub(super) fn template(text: &str, scope: Scope<'_>) -> Result<Template, TemplateError> {
    let mut template = Template::default();
    let mut at = 0;
    while let Some(length) = text[at..].find(['{', '}']) {
        template.push_text(&text[at..at + length]);
        at += length;
        let brace = &text[at..=at];
        if text[at + 1..].starts_with(brace) {
            template.push_text(brace);
            at += 2;
            continue;
        }
        if brace == "}" {
            return Err(error(at..at + 1, "`}` without a `{` before it", BRACES));
        }
        let Some(end) = text[at..].find('}').map(|length| at + length) else {
            return Err(error(at..text.len(), "`{` without a `}` behind it", BRACES));
        };
        let variable = variable(&text[at + 1..end], at + 1, scope)?;
        template.parts.push(Part::Variable(variable));
        at = end + 1;
    }
    template.push_text(&text[at..]);
    Ok(template)
}

fn variable(name: &str, start: usize, scope: Scope<'_>) -> Result<Variable, TemplateError> {
    let span = start..start + name.len();
    if name.is_empty() {
        return Err(error(start - 1..start + 1, "a variable without a name", BRACES));
    }
    if let Some((parameter, _)) = name.split_once(':').filter(|(name, _)| is_name(name)) {
        let message = "a type stands in `match` alone";
        return Err(error(span, message, format!("`{{{parameter}}}`")));
    }
    if let Some(parameter) = name.strip_suffix('*').filter(|name| is_name(name)) {
        return rest(parameter, span, scope);
    }
    match name.split_once('.') {
        Some(("request", of)) => request(of, &span, scope),
        Some(("response", of)) if scope.response => response(of, &span, scope),
        Some(("response", _)) => {
            let message = format!("there is no answer yet that `{{{name}}}` could speak of");
            Err(error(span, message, "a variable of the request, or a parameter"))
        }
        _ if !is_name(name) => Err(error(span, format!("`{{{name}}}` is no variable"), BRACES)),
        _ if is_parameter(name, scope) => Ok(Variable::Parameter(name.to_owned())),
        _ => Err(unknown(name, span, scope)),
    }
}

/// `{rest*}`, as it stands in the pattern.
fn rest(name: &str, span: Range<usize>, scope: Scope<'_>) -> Result<Variable, TemplateError> {
    let is_rest = |segment: &Segment| matches!(segment, Segment::Rest { name: own } if own == name);
    match scope.pattern {
        Some(pattern) if !pattern.segments().iter().any(is_rest) && is_parameter(name, scope) => {
            let message = format!("`{name}` holds one segment and not the rest of the path");
            Err(error(span, message, format!("`{{{name}}}`")))
        }
        Some(_) if !is_parameter(name, scope) => Err(unknown(name, span, scope)),
        _ => Ok(Variable::Parameter(name.to_owned())),
    }
}

fn request(of: &str, span: &Range<usize>, scope: Scope<'_>) -> Result<Variable, TemplateError> {
    Ok(match of.split_once('.') {
        None if of == "method" => Variable::Method,
        None if of == "host" => Variable::Host,
        None if of == "path" => Variable::Path,
        Some(("headers", name)) => Variable::RequestHeader(field_name(name, span)?),
        Some(("query", name)) if !name.is_empty() => Variable::RequestQuery(name.to_owned()),
        _ => return Err(unknown(&format!("request.{of}"), span.clone(), scope)),
    })
}

fn response(of: &str, span: &Range<usize>, scope: Scope<'_>) -> Result<Variable, TemplateError> {
    Ok(match of.split_once('.') {
        None if of == "status" => Variable::Status,
        Some(("headers", name)) => Variable::ResponseHeader(field_name(name, span)?),
        _ => return Err(unknown(&format!("response.{of}"), span.clone(), scope)),
    })
}

fn field_name(name: &str, span: &Range<usize>) -> Result<String, TemplateError> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.is_empty() && name.bytes().all(token) {
        return Ok(name.to_ascii_lowercase());
    }
    Err(error(span.clone(), format!("`{name}` is not a header name"), "letters, digits and `-`"))
}

fn is_name(text: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    !text.is_empty() && text.chars().all(part)
}

fn is_parameter(name: &str, scope: Scope<'_>) -> bool {
    scope.pattern.is_none_or(|pattern| pattern.parameter_names().any(|own| own == name))
}

fn unknown(name: &str, span: Range<usize>, scope: Scope<'_>) -> TemplateError {
    let parameters: Vec<String> =
        scope.pattern.into_iter().flat_map(|pattern| pattern.parameter_names()).map(str::to_owned).collect();
    let expected = match parameters.as_slice() {
        [] => "a variable of the request, such as `{request.query.NAME}`: the pattern has no parameter"
            .to_owned(),
        names => format!("a parameter of the pattern ({}), or a variable of the request", names.join(", ")),
    };
    let mut known = parameters;
    known.extend(["request.method", "request.host", "request.path"].map(str::to_owned));
    // What stands behind `headers.` and `query.` is free, so the nearest name keeps it.
    let of = name.rsplit('.').next().unwrap_or_default();
    known.extend([format!("request.headers.{of}"), format!("request.query.{of}")]);
    if scope.response {
        known.extend(["response.status".to_owned(), format!("response.headers.{of}")]);
    }
    let message = format!("there is no variable `{name}`");
    TemplateError { unknown: Some((name.to_owned(), known)), ..error(span, message, expected) }
}

fn error(span: Range<usize>, message: impl Into<String>, expected: impl Into<String>) -> TemplateError {
    TemplateError { span, message: message.into(), expected: expected.into(), unknown: None }
}
