//! JSON and YAML documents. What is read is a tree; places are found again by their text.

use serde_json::Value;

use super::{Format, Unreadable};

/// A description of 900 paths has about 12 MB and a million nodes; these stop what only grows by aliases.
const EVENTS_MAX: usize = 20_000_000;
const ALIASES_MAX: usize = 100_000;
const DEPTH_MAX: usize = 128;

pub(super) fn json(format: Format, text: &str) -> Result<Value, Unreadable> {
    serde_json::from_str(text).map_err(|error| {
        let message = format!("no JSON: {}", plain(&error.to_string()));
        format.unreadable(error.line(), message)
    })
}

/// JSON where the text begins as JSON does, else YAML.
pub(super) fn json_or_yaml(format: Format, text: &str) -> Result<Value, Unreadable> {
    if text.trim_start().starts_with(['{', '[']) {
        return json(format, text);
    }
    let options = serde_yaml::options! {
        with_snippet: false,
        budget: serde_yaml::budget! {
            max_events: EVENTS_MAX,
            max_nodes: EVENTS_MAX,
            max_aliases: ALIASES_MAX,
            max_anchors: ALIASES_MAX,
            max_depth: DEPTH_MAX,
            max_total_scalar_bytes: 512 * 1024 * 1024,
        },
    };
    serde_yaml::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(0, |place| usize::try_from(place.line()).unwrap_or(0));
        let message = error.to_string();
        let message = message.lines().next().unwrap_or_default();
        format.unreadable(line, format!("no YAML: {message}"))
    })
}

/// The line, from 1, on which a text stands first; 0 where it does not.
pub(super) fn line_of(text: &str, needle: &str) -> usize {
    text.find(needle).map_or(0, |at| 1 + text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count())
}

/// The library's message ends with the place, which is said apart.
fn plain(message: &str) -> &str {
    message.split(" at line ").next().unwrap_or(message)
}
