//! See `tests/panels.rs`.
