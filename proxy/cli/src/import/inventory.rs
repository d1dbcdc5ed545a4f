use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::Path;

use serde::Serialize;
use starve_discovery::inventory::{
    ENDPOINTS_MAX, Format, Listing, Note, Options, Unreadable, proxies_to_routes, read,
};
use starve_ledger::{ImportedEndpoint, ImportedInventory, Replaced};

use super::arguments;
use super::{failed, importer};
use crate::arguments::{Format as OutputFormat, Global};
use crate::output::{Failure, now_unix_ms, print, print_json};

/// The largest descriptions that are published have some 12 MB.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
const NOTES_SHOWN: usize = 10;

/// What an import came to, for programs.
#[derive(Serialize)]
struct Outcome<'a> {
    source: &'a str,
    format: &'a str,
    endpoints: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    added: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<usize>,
    notes: Vec<OutcomeNote<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    patterns: Vec<String>,
}

#[derive(Serialize)]
struct OutcomeNote<'a> {
    line: usize,
    place: &'a str,
    message: &'a str,
    left_out: bool,
}

pub(super) fn run(global: &Global, format: Format, listing: &arguments::Listing) -> Result<(), Failure> {
    let text = text(&listing.file)?;
    let options = Options { prefix: listing.prefix.clone() };
    let found = read(format, &text, &options).map_err(|error| unreadable(&listing.file, &error))?;
    let source = listing.source.as_deref().unwrap_or(format.name());
    if listing.dry_run {
        return say(listing, source, format, &found, None);
    }
    let inventory = ImportedInventory {
        source: source.to_owned(),
        format: format.name().to_owned(),
        file: file_name(&listing.file),
        at_unix_ms: now_unix_ms(),
        endpoints: found.endpoints.iter().map(imported).collect(),
    };
    let replaced = importer(global)?.inventory(&inventory).map_err(|error| failed(&error))?;
    say(listing, source, format, &found, Some(replaced))
}

pub(super) fn to_routes(listing: &arguments::Listing) -> Result<(), Failure> {
    let text = text(&listing.file)?;
    let (routes, notes) = proxies_to_routes(&text).map_err(|error| unreadable(&listing.file, &error))?;
    tell(&notes, 0, &listing.file);
    print(&routes)
}

fn imported(endpoint: &starve_discovery::inventory::Endpoint) -> ImportedEndpoint {
    ImportedEndpoint {
        pattern: endpoint.pattern.to_string(),
        also: endpoint.also.iter().map(ToString::to_string).collect(),
        line: endpoint.line,
    }
}

/// The whole file, or standard input.
fn text(file: &Path) -> Result<String, Failure> {
    let name = file_name(file);
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::IsADirectory => {
            Failure::new(format!("{name} is a directory; name the file that is to be imported"))
        }
        _ => Failure::new(format!("{name} cannot be read: {error}")),
    };
    let mut bytes = Vec::new();
    let too_large = if file == Path::new("-") {
        io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)
    } else {
        let opened = std::fs::File::open(file).map_err(unreadable)?;
        if opened.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(unreadable(io::ErrorKind::IsADirectory.into()));
        }
        opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)
    };
    too_large.map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Failure::new(format!("{name} has more than 256 MiB; an inventory has no such size")));
    }
    utf8(bytes).ok_or_else(|| {
        Failure::new(format!(
            "{name} is not text in UTF-8; PowerShell's `>` writes UTF-16, use `| Out-File -Encoding utf8`"
        ))
    })
}

/// UTF-8, or UTF-16 with its mark, as some shells write it.
fn utf8(bytes: Vec<u8>) -> Option<String> {
    let words = |from: fn([u8; 2]) -> u16| {
        let words: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| from([pair[0], pair[1]])).collect();
        String::from_utf16(&words).ok()
    };
    match bytes.as_slice() {
        [0xFF, 0xFE, ..] => words(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => words(u16::from_be_bytes),
        _ => String::from_utf8(bytes).ok(),
    }
}

fn unreadable(file: &Path, error: &Unreadable) -> Failure {
    Failure::new(format!("{}: {error}", file_name(file))).with(&format!("help: {}", error.help))
}

fn file_name(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() }
}

fn say(
    listing: &arguments::Listing,
    source: &str,
    format: Format,
    found: &Listing,
    replaced: Option<Replaced>,
) -> Result<(), Failure> {
    if listing.format == OutputFormat::Json {
        let patterns = match replaced {
            Some(_) => Vec::new(),
            None => found.endpoints.iter().map(|endpoint| endpoint.pattern.to_string()).collect(),
        };
        return print_json(&Outcome {
            source,
            format: format.name(),
            endpoints: found.endpoints.len(),
            added: replaced.map(|replaced| replaced.added),
            removed: replaced.map(|replaced| replaced.removed),
            notes: found.notes.iter().map(outcome_note).collect(),
            patterns,
        });
    }
    tell(&found.notes, found.more_notes, &listing.file);
    let mut text = String::new();
    // A String takes all that is written to it.
    match replaced {
        None => {
            for endpoint in &found.endpoints {
                let _written = writeln!(text, "{}", endpoint.pattern);
            }
        }
        Some(Replaced { endpoints, added, removed }) => {
            let _written = writeln!(
                text,
                "{}: {} imported as `{source}` ({added} new, {removed} gone)",
                file_name(&listing.file),
                counted(endpoints, "endpoint"),
            );
            if found.own_rows > 0 {
                let _written =
                    writeln!(text, "{} of the framework's own left out", counted(found.own_rows, "row"));
            }
            text.push_str("A running proxy counts them within a second; `starve report` shows them.\n");
            if endpoints == ENDPOINTS_MAX {
                text.push_str("This is as many as an inventory may have.\n");
            }
        }
    }
    print(&text)
}

fn outcome_note(note: &Note) -> OutcomeNote<'_> {
    OutcomeNote { line: note.line, place: &note.place, message: &note.message, left_out: note.left_out }
}

/// What was not taken as it stood, on standard error.
fn tell(notes: &[Note], more: usize, file: &Path) {
    let mut text = String::new();
    for note in notes.iter().take(NOTES_SHOWN) {
        let line = if note.line > 0 { format!(":{}", note.line) } else { String::new() };
        let what = if note.left_out { "left out" } else { "note" };
        let _written = writeln!(text, "{}{line}: {what}: `{}` {}", file_name(file), note.place, note.message);
    }
    let more = more + notes.len().saturating_sub(NOTES_SHOWN);
    if more > 0 {
        let _written = writeln!(text, "and {}; --format json lists them", counted(more, "more note"));
    }
    // Nobody is left to be told when this fails.
    let _written = io::Write::write_all(&mut io::stderr(), text.as_bytes());
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
