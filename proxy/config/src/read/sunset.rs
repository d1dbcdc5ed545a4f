//! The reading of `sunset` of a route.

use std::ops::Range;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::routes::inner;
use crate::diagnostics::{Diagnostic, quote};
use crate::document::Span;
use crate::keys;
use crate::reader::{Fields, Reader, head_span};
use crate::spec::At;
use crate::sunset::SunsetPlan;
use crate::values::{Parsed, Wrong};
use crate::yaml::Node;

pub(super) fn sunset(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<SunsetPlan> {
    let fields = inner(reader, fields, "sunset", &keys::SUNSET)?;
    let before = reader.count();
    let deprecated = reader.field(&fields, "deprecated", time).into_option();
    let at = reader.field(&fields, "at", time).into_option();
    let link = reader.field(&fields, "link", link).into_option().map(|at| at.value);
    let windows = match fields.find("brownouts") {
        Some(node) => reader.list(node, "brownouts", window),
        None => Vec::new(),
    };
    if deprecated.is_none() && at.is_none() && reader.count() == before {
        let problem = Diagnostic::error(fields.span, "`sunset` says neither since when nor until when");
        reader.report(problem.expected("`deprecated: 2026-12-01`, `at: 2027-03-01`, or both"));
    }
    check(reader, deprecated.as_ref(), at.as_ref(), &windows);
    let mut brownouts: Vec<Range<i64>> = windows.into_iter().map(|at| at.value).collect();
    brownouts.sort_by_key(|window| window.start);
    let value = |at: Option<At<i64>>| at.map(|at| at.value);
    Some(SunsetPlan { deprecated: value(deprecated), at: value(at), link, brownouts })
}

/// A brownout outside the time in which callers know of the end would be an outage.
fn check(
    reader: &mut Reader<'_>,
    deprecated: Option<&At<i64>>,
    at: Option<&At<i64>>,
    windows: &[At<Range<i64>>],
) {
    if let (Some(deprecated), Some(at)) = (deprecated, at)
        && at.value < deprecated.value
    {
        let problem = Diagnostic::error(at.span, "the endpoint ends before it is deprecated");
        reader
            .report(problem.related(deprecated.span, "deprecated here").expected("a later time (RFC 9745)"));
    }
    for (index, At { value: window, span }) in windows.iter().enumerate() {
        let outside = |end: &At<i64>, message: &str, label: &str| {
            Diagnostic::error(*span, message).related(end.span, label).expected("a window between the two")
        };
        if let Some(deprecated) = deprecated.filter(|at| window.start < at.value) {
            reader.report(outside(
                deprecated,
                "the brownout begins before the deprecation",
                "deprecated here",
            ));
        }
        if let Some(at) = at.filter(|at| window.end > at.value) {
            reader.report(outside(at, "the brownout goes on after the end", "ends here"));
        }
        let overlaps =
            |other: &&At<Range<i64>>| window.start < other.value.end && other.value.start < window.end;
        if let Some(other) = windows[..index].iter().find(overlaps) {
            let problem = Diagnostic::error(*span, "two brownouts overlap");
            reader.report(problem.related(other.span, "the first one").expected("windows apart"));
        }
    }
}

fn window(reader: &mut Reader<'_>, node: &Node) -> Option<At<Range<i64>>> {
    let fields = reader.fields(node, &keys::BROWNOUT)?;
    const EXAMPLE: &str = "2027-01-11T09:00Z";
    let from = reader.required(&fields, "from", "a brownout", EXAMPLE, time);
    let to = reader.required(&fields, "to", "a brownout", EXAMPLE, time);
    let (from, to) = (from.into_option()?, to.into_option()?);
    if from.value >= to.value {
        let problem = Diagnostic::error(to.span, "the brownout ends before it begins");
        reader.report(problem.related(from.span, "it begins here").expected("a later time"));
        return None;
    }
    let span = head_span(node);
    Some(At { value: from.value..to.value, span: Span::new(span.start, span.end) })
}

/// A day (its beginning in UTC) or a time with its offset; seconds since 1970.
fn time(text: &str) -> Parsed<i64> {
    const EXPECTED: &str =
        "a day such as 2027-03-01, or a time with its offset: 2027-03-01T09:00Z, 2027-03-01T10:00+01:00";
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.as_second());
    }
    let day = text.parse::<Date>().ok().filter(|_| text.len() == "2027-03-01".len());
    day.and_then(|day| day.to_zoned(TimeZone::UTC).ok())
        .map(|start| start.timestamp().as_second())
        .ok_or_else(|| Wrong::new(format!("{} is neither a day nor a time", quote(text)), EXPECTED))
}

fn link(text: &str) -> Parsed<String> {
    let is_address = ["https://", "http://", "/"].iter().any(|begin| text.starts_with(begin));
    let visible = |byte: u8| byte.is_ascii_graphic() && !b"<>\"\\".contains(&byte);
    match is_address && text.bytes().all(visible) {
        true => Ok(text.to_owned()),
        false => Err(Wrong::new(format!("{} is no address", quote(text)), "https://HOST/PATH, or a path")),
    }
}
