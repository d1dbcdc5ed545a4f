//! Patterns, the route table, precedence, explain and the one path normaliser.
//!
//! Pure: knows no HTTP library, no clock, no randomness.

mod pattern;
pub use pattern::{Pattern, PatternError, Predicates, ValueMatch};
