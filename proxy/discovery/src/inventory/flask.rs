//! `flask routes`: a table whose columns are told by its head and the line of dashes below it.

use starve_routing::ParameterType;

use super::collector::{Collector, Place};
use super::path::{Path, Piece};
use super::{Format, Unreadable};

pub(super) fn read(text: &str, collector: &mut Collector) -> Result<(), Unreadable> {
    let lines: Vec<&str> = text.lines().collect();
    let is_dashes = |line: &&str| line.contains("--") && line.chars().all(|c| c == '-' || c == ' ');
    let Some(dashes) = lines.iter().position(is_dashes) else {
        return Err(Format::Flask.unreadable(1, "there is no head with a line of dashes below it"));
    };
    let columns = columns(lines[dashes]);
    let head = dashes.checked_sub(1).map_or("", |above| lines[above]);
    let find = |name: &str| {
        columns.iter().position(|(from, until)| cell(head, *from, *until).eq_ignore_ascii_case(name))
    };
    let Some(rule) = find("Rule") else {
        return Err(Format::Flask.unreadable(dashes, "no column is called `Rule`"));
    };
    let (methods, host) = (find("Methods"), find("Host"));
    for (index, line) in lines.iter().enumerate().skip(dashes + 1) {
        let at = |column: usize| columns.get(column).map_or("", |(from, until)| cell(line, *from, *until));
        let path = at(rule);
        if path.is_empty() {
            continue;
        }
        let place = Place { line: index + 1, text: path };
        if !path.starts_with('/') {
            collector.note(place, "does not begin with a slash", true);
            continue;
        }
        let methods: Vec<&str> =
            methods.map_or(vec![], |column| at(column).split(',').map(str::trim).collect());
        // A host with a converter in it stands for many.
        let host = host.map(at).filter(|host| !host.is_empty() && !host.contains('<'));
        // Flask answers OPTIONS for every rule by itself.
        let methods: Vec<&str> = match methods.as_slice() {
            ["OPTIONS"] => methods,
            _ => methods.into_iter().filter(|method| *method != "OPTIONS").collect(),
        };
        collector.add(place, &methods, host, &[Path::split(&guarded(path), segment)]);
    }
    Ok(())
}

/// Where each column begins and the next one does.
fn columns(dashes: &str) -> Vec<(usize, usize)> {
    let bytes = dashes.as_bytes();
    let starts: Vec<usize> =
        (0..bytes.len()).filter(|at| bytes[*at] == b'-' && (*at == 0 || bytes[at - 1] == b' ')).collect();
    let next = |index: usize| starts.get(index + 1).copied().unwrap_or(usize::MAX);
    starts.iter().enumerate().map(|(index, start)| (*start, next(index))).collect()
}

/// Columns count characters: names of functions need not be ASCII.
fn cell(line: &str, from: usize, until: usize) -> &str {
    let byte = |column: usize| line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
    let (from, until) = (byte(from), if until == usize::MAX { line.len() } else { byte(until) });
    line.get(from..until).unwrap_or_default().trim()
}

/// A slash inside the arguments of a converter is no end of a segment.
pub(super) fn guarded(path: &str) -> String {
    let mut depth = 0_usize;
    let guard = |c: char| {
        match c {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if c == '/' && depth > 0 { '\u{1}' } else { c }
    };
    path.chars().map(guard).collect()
}

/// `<name>`, `<int:name>`, `<path:name>`, `<string(length=2):name>` anywhere in a segment.
pub(super) fn segment(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        let Some((inner, tail)) = after.split_once('>') else { break };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        // Arguments may hold colons; the name is what stands behind the last one.
        let (converter, name) = inner.rsplit_once(':').unwrap_or(("", inner));
        let converter = converter.split('(').next().unwrap_or_default();
        pieces.push(match converter {
            "path" => Piece::Rest(name.to_owned()),
            "int" => Piece::Value { name: name.to_owned(), kind: Some(ParameterType::Int) },
            "uuid" => Piece::Value { name: name.to_owned(), kind: Some(ParameterType::Uuid) },
            _ => Piece::value(name),
        });
        rest = tail;
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    pieces
}
