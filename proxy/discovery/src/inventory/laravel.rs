//! `php artisan route:list --json`: an array of routes with `method` as `GET|HEAD` and `uri` without its slash.

use serde_json::Value;

use super::collector::{Collector, Place};
use super::path::{Path, without_optional};
use super::{Format, Unreadable, document, openapi};

/// The methods that `Route::any` stands for, `HEAD` and `OPTIONS` aside.
const ANY: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

pub(super) fn read(text: &str, collector: &mut Collector) -> Result<(), Unreadable> {
    if !text.trim_start().starts_with('[') {
        return Err(Format::Laravel.unreadable(1, "it does not begin with `[`"));
    }
    let root = document::json(Format::Laravel, text)?;
    for row in root.as_array().into_iter().flatten() {
        let string = |key: &str| row.get(key).and_then(Value::as_str);
        let Some(uri) = string("uri") else {
            collector.note(Place { line: 0, text: &row.to_string() }, "has no `uri`", true);
            continue;
        };
        let place = Place { line: document::line_of(text, &escaped(uri)), text: uri };
        if uri.contains("fallbackPlaceholder") {
            collector.note(place, "takes whatever no other route takes; left out", true);
            continue;
        }
        let mut methods: Vec<&str> = string("method").unwrap_or("ANY").split('|').collect();
        if ANY.iter().all(|method| methods.contains(method)) {
            methods = vec!["ANY"];
        }
        let host = string("domain").map(host);
        let path = if uri.starts_with('/') { uri.to_owned() } else { format!("/{uri}") };
        for path in without_optional(&path) {
            let path = Path::split(&path, |segment| openapi::braces(&without_keys(segment)));
            collector.add(place, &methods, host.as_deref(), &[path]);
        }
    }
    Ok(())
}

/// `{post:slug}` binds by another key; the name is what stands before it.
fn without_keys(segment: &str) -> String {
    match (segment.find('{'), segment.find(':'), segment.find('}')) {
        (Some(open), Some(colon), Some(close)) if open < colon && colon < close => {
            format!("{}{}", &segment[..colon], &segment[close..])
        }
        _ => segment.to_owned(),
    }
}

/// `{account}.example.com` is any host below it.
fn host(domain: &str) -> String {
    match domain.rfind('}') {
        Some(at) => format!("*{}", &domain[at + 1..]),
        None => domain.to_owned(),
    }
}

/// PHP escapes slashes in JSON.
fn escaped(uri: &str) -> String {
    format!("\"{}\"", uri.replace('/', "\\/"))
}
