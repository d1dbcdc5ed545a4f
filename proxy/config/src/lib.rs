//! routes.yaml: Document to Spec to Plan, diagnostics, the diff of two plans, the in-place edit of a flip.
//!
//! Pure: it opens no file, looks no name up, reads no environment. A text enters as a [`Document`] at
//! [`load`], and leaves as a [`Plan`] or as [`Diagnostics`] that say everything that is wrong with it.
//!
//! ```
//! use std::path::Path;
//! use starve_config::{Document, load};
//!
//! let document = Document::new("routes.yaml", "legacy: http://127.0.0.1:3000".to_owned());
//! let loaded = load(&document, Path::new("/etc/starve")).expect("one line is enough");
//! assert_eq!(loaded.plan.legacy().servers.len(), 1);
//!
//! let document = Document::new("routes.yaml", "legcay: http://127.0.0.1:3000".to_owned());
//! let diagnostics = load(&document, Path::new("/etc/starve")).expect_err("no such key");
//! assert!(diagnostics.to_string().contains("did you mean `legacy`?"));
//! ```

mod changes;
mod diagnostics;
mod diff;
mod document;
mod edit;
mod keys;
mod load;
mod not_yet;
mod plan;
mod positions;
mod read;
mod reader;
mod render;
mod resolve;
mod routes;
mod secrets;
mod spec;
mod sunset;
mod upstream;
mod url;
mod values;
mod yaml;

pub use changes::{BodyPlan, Changes, FilesPlan, RequestChanges, RespondPlan, ResponseChanges, field_place};
pub use diagnostics::{Diagnostic, Diagnostics, Problem, SHOWN_MAX, Severity};
pub use diff::{NameDiff, PlanDiff, RouteChange, SettingChange, StageChange, diff};
pub use document::{Document, Position, Span};
pub use edit::{FlipError, flip};
pub use load::{FILE_BYTES_MAX, Loaded, load};
pub use plan::*;
pub use positions::Positions;
pub use sunset::{SunsetPlan, utc};
pub use upstream::*;

/// The shape of routes.yaml as a JSON Schema, for editors: which keys there are and what their values look like. What depends
/// on more than one value is left to [`load`].
pub const SCHEMA: &str = include_str!("routes.schema.json");
