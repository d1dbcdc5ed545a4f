//! Two answers in, a verdict and the differing fields out.

mod rules;
pub use rules::{FieldPath, FieldPathError, Rules};
