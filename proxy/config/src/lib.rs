//! routes.yaml: Document to Spec to Plan, diagnostics, the diff of two plans, the in-place edit of a flip.

mod plan;
pub use plan::*;
