//! What a monolith says of itself: route lists and interface descriptions, read into patterns.
//!
//! [`read`] takes the text that a framework prints and gives one [`Endpoint`] per line of it that names an
//! address. [`Inventory`] is the table of all endpoints, asked for every call that no configured route matched.
//!
//! Invariant: nothing is dropped in silence. What cannot be expressed as a pattern is widened or left out, and
//! either is a [`Note`] with its place; a text that is not of the format at all is an [`Unreadable`] with a remedy.

mod azure;
mod collector;
mod convert;
mod django;
mod document;
mod flask;
mod laravel;
mod openapi;
mod path;
mod plain;
mod rails;
mod spring;
mod table;

use std::fmt;

use starve_routing::Pattern;

use collector::Collector;
pub use convert::proxies_to_routes;
pub use table::{Inventory, sample_path};

/// An inventory with more endpoints than this is refused.
pub const ENDPOINTS_MAX: usize = 100_000;
/// Notes kept of one text; more are only counted.
pub const NOTES_MAX: usize = 100;

/// Whose output a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// OpenAPI 3.x or Swagger 2, JSON or YAML.
    OpenApi,
    /// `rails routes`, the table or `--expanded`.
    Rails,
    /// The answer of the actuator's `/mappings`.
    Spring,
    /// `manage.py show_urls` of django-extensions, any of its formats.
    Django,
    /// `flask routes`.
    Flask,
    /// `php artisan route:list --json`.
    Laravel,
    /// `proxies.json` of Azure Functions Proxies.
    Azure,
    /// `METHOD /path`, one a line.
    Routes,
}

impl Format {
    pub const ALL: [Self; 8] = [
        Self::OpenApi,
        Self::Rails,
        Self::Spring,
        Self::Django,
        Self::Flask,
        Self::Laravel,
        Self::Azure,
        Self::Routes,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::OpenApi => "openapi",
            Self::Rails => "rails",
            Self::Spring => "spring",
            Self::Django => "django",
            Self::Flask => "flask",
            Self::Laravel => "laravel",
            Self::Azure => "azure",
            Self::Routes => "routes",
        }
    }

    /// The command whose output is wanted.
    fn made_by(self) -> &'static str {
        match self {
            Self::OpenApi => "an OpenAPI 3.x or Swagger 2 document, JSON or YAML",
            Self::Rails => "the output of `bin/rails routes`, with or without `--expanded`",
            Self::Spring => "the answer of `GET /actuator/mappings`",
            Self::Django => "the output of `manage.py show_urls` (django-extensions)",
            Self::Flask => "the output of `flask routes`",
            Self::Laravel => "the output of `php artisan route:list --json`",
            Self::Azure => "a proxies.json of Azure Functions Proxies",
            Self::Routes => "lines of `METHOD /path`",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One address of the monolith.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub pattern: Pattern,
    /// Further spellings that are the same endpoint: `/products.{format}` beside `/products`.
    pub also: Vec<Pattern>,
    /// Where it stands in the text, from 1; 0 where that is not known.
    pub line: usize,
}

/// What was not taken as it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// From 1; 0 where that is not known.
    pub line: usize,
    /// The piece of the text that is meant.
    pub place: String,
    pub message: String,
    /// The endpoint is not in the inventory; otherwise it is, with a wider pattern.
    pub left_out: bool,
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// In the order of the text; none twice.
    pub endpoints: Vec<Endpoint>,
    /// At most [`NOTES_MAX`].
    pub notes: Vec<Note>,
    /// Notes beyond those.
    pub more_notes: usize,
    /// Rows of the framework's own, such as those of the actuator.
    pub own_rows: usize,
}

/// The text is not what it was said to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if *line > 0 { format!("line {line}: ") } else { String::new() })]
pub struct Unreadable {
    /// From 1; 0 where no line is to blame.
    pub line: usize,
    pub message: String,
    /// What to do about it.
    pub help: String,
}

/// How to read a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Put in front of every path, in place of the `servers` or `basePath` of an OpenAPI document; begins with a
    /// slash and does not end with one.
    pub prefix: Option<String>,
}

/// Reads what a framework printed.
///
/// # Errors
/// The text is not of this format, names no endpoint, or too many.
pub fn read(format: Format, text: &str, options: &Options) -> Result<Listing, Unreadable> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(format.unreadable(0, "the file is empty"));
    }
    if text.contains('\0') {
        return Err(format.unreadable(0, "the file is binary, not text"));
    }
    let mut collector = Collector::new(options);
    match format {
        Format::OpenApi => openapi::read(text, &mut collector)?,
        Format::Rails => rails::read(text, &mut collector)?,
        Format::Spring => spring::read(text, &mut collector)?,
        Format::Django => django::read(text, &mut collector)?,
        Format::Flask => flask::read(text, &mut collector)?,
        Format::Laravel => laravel::read(text, &mut collector)?,
        Format::Azure => azure::read(text, &mut collector)?,
        Format::Routes => plain::read(text, &mut collector)?,
    }
    collector.finish(format)
}

impl Format {
    fn unreadable(self, line: usize, message: impl Into<String>) -> Unreadable {
        Unreadable { line, message: message.into(), help: format!("wanted is {}", self.made_by()) }
    }
}
