//! `rails routes`: the table (Prefix, Verb, URI Pattern, Controller#Action) and `--expanded`.
//!
//! Mounted engines print sections of their own, `Routes for Blorgh::Engine:`, with paths relative to where the
//! engine is mounted, which the application's own rows say.

use std::collections::HashMap;

use super::collector::{Collector, Place};
use super::path::{Path, Piece, spellings};
use super::{Format, Unreadable};

/// A row as it is printed.
struct Row<'a> {
    line: usize,
    verb: &'a str,
    uri: &'a str,
    /// The controller and action, or the name of a mounted application.
    target: &'a str,
    /// The engine in whose section the row stands.
    engine: Option<&'a str>,
}

pub(super) fn read(text: &str, collector: &mut Collector) -> Result<(), Unreadable> {
    let is_expanded = text.lines().any(|line| line.starts_with("--[ Route "));
    let rows = if is_expanded { expanded(text) } else { table(text, collector) };
    if rows.is_empty() {
        return Err(Format::Rails.unreadable(1, "there is no row with a path in it"));
    }
    let mounts: HashMap<&str, &str> =
        rows.iter().filter(|row| is_mount(row)).map(|row| (row.target, row.uri)).collect();
    let engines: Vec<&str> = rows.iter().filter_map(|row| row.engine).collect();
    let mut unplaced = Vec::new();
    for row in &rows {
        let prefix = match row.engine.map(|engine| (engine, mounts.get(engine))) {
            None => "",
            Some((_, Some(prefix))) => *prefix,
            Some((engine, None)) => {
                if !unplaced.contains(&engine) {
                    unplaced.push(engine);
                    let message = "is mounted nowhere in this text; its routes are taken as if it were at /";
                    collector.note(Place { line: row.line, text: engine }, message, false);
                }
                ""
            }
        };
        // An engine whose own routes follow is more than its mount point.
        if !(is_mount(row) && engines.contains(&row.target)) {
            add(row, prefix, collector);
        }
    }
    Ok(())
}

/// Where the target is a constant (`Sidekiq::Web`) and no action, an application of its own is mounted.
fn is_mount(row: &Row<'_>) -> bool {
    row.verb.is_empty()
        && !row.target.contains('#')
        && row.target.starts_with(|c: char| c.is_ascii_uppercase())
}

fn add(row: &Row<'_>, prefix: &str, collector: &mut Collector) {
    let place = Place { line: row.line, text: row.uri };
    let methods: Vec<&str> = row.verb.split('|').collect();
    let uri = format!("{}{}", prefix.trim_end_matches('/'), row.uri);
    if is_mount(row) {
        let mounted = uri.trim_end_matches('/');
        let below = Path::split(&format!("{mounted}/*path"), segment);
        collector.add(place, &methods, None, &[below, Path::split(mounted, segment)]);
        return;
    }
    // The format is another spelling of the same endpoint, other optional parts are endpoints of their own.
    let (stem, format) = match uri.strip_suffix("(.:format)") {
        Some(stem) => (stem, true),
        None => (uri.as_str(), false),
    };
    let Some(stems) = spellings(stem) else {
        return collector.note(place, "has optional parts that do not pair, or too many", true);
    };
    for stem in stems {
        let stem = if stem.is_empty() { "/" } else { &stem };
        let mut paths = vec![Path::split(stem, segment)];
        // After a parameter or a glob the format is part of its value.
        let literal_end =
            stem.rsplit('/').next().is_some_and(|last| !last.is_empty() && !last.contains([':', '*']));
        if format && literal_end {
            paths.push(Path::split(&format!("{stem}.:format"), segment));
        }
        collector.add(place, &methods, None, &paths);
    }
}

/// `:name` and `*name` anywhere in a segment.
pub(super) fn segment(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let name_end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
        let name = &after[..name_end];
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if matches!(c, ':' | '*') && is_name {
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(if c == ':' { Piece::value(name) } else { Piece::Rest(name.to_owned()) });
            rest = &after[name_end..];
        } else {
            literal.push(c);
            rest = after;
        }
    }
    if !literal.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    pieces
}

fn table<'a>(text: &'a str, collector: &mut Collector) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    let mut engine = None;
    for (index, line) in text.lines().enumerate() {
        let place = index + 1;
        if let Some(name) = section(line) {
            engine = Some(name);
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        // The path is the first word that begins as one; what stands before it is prefix and verb.
        let Some(at) = words.iter().position(|word| word.starts_with('/') || word.starts_with("(/")) else {
            let is_head = words.is_empty() || words.contains(&"Prefix") || words.first() == Some(&"You");
            if !is_head && rows.is_empty() && index > 5 {
                collector.note(Place { line: place, text: line }, "is no row of a route", true);
            }
            continue;
        };
        let verb = at.checked_sub(1).map_or("", |before| words[before]);
        let verb = if is_verb(verb) { verb } else { "" };
        let target = words.get(at + 1).copied().unwrap_or_default();
        rows.push(Row { line: place, verb, uri: words[at], target, engine });
    }
    rows
}

fn is_verb(word: &str) -> bool {
    const VERBS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
    word.split('|').all(|verb| VERBS.contains(&verb))
}

/// `Routes for Blorgh::Engine:`, in `--expanded` also `[ Routes for Blorgh::Engine ]`.
fn section(line: &str) -> Option<&str> {
    let line = line.trim().trim_start_matches('[').trim_end_matches(']').trim();
    let name = line.strip_prefix("Routes for ")?.trim_end_matches(':');
    (name != "application").then_some(name)
}

fn expanded(text: &str) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    let mut engine = None;
    let mut current: Option<Row<'_>> = None;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("--[ Route ") {
            rows.extend(current.take().filter(|row| !row.uri.is_empty()));
            current = Some(Row { line: index + 1, verb: "", uri: "", target: "", engine });
        } else if let Some(name) = section(line) {
            rows.extend(current.take().filter(|row| !row.uri.is_empty()));
            engine = Some(name);
        } else if let (Some(row), Some((key, value))) = (&mut current, line.split_once('|')) {
            let value = value.trim();
            match key.trim() {
                "Verb" => row.verb = value,
                "URI" | "URI Pattern" => row.uri = value.split_whitespace().next().unwrap_or_default(),
                "Controller#Action" => row.target = value.split_whitespace().next().unwrap_or_default(),
                _ => {}
            }
        }
    }
    rows.extend(current.filter(|row| !row.uri.is_empty()));
    rows
}
