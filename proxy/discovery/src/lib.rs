//! Endpoint templates learnt from traffic: what the monolith serves that nobody wrote down.
//!
//! A call that no configured route matched enters at [`Discovered::observe`], with its normalised path. The path
//! becomes a [`Template`], in which what looks like a value is a placeholder, and the call is counted in exactly
//! one row. Whatever clients send, the tables keep their bounds, and no call is lost from the sums.
//!
//! Pure: time is an argument.

mod discovered;
mod evidence;
mod guarded;
mod kind;
mod template;
mod top;

pub use discovered::{Call, Change, Discovered, Row, RowKey, TEMPLATES_MAX, Tally};
pub use evidence::is_login;
pub use guarded::{CANDIDATES_MAX, Guarded};
pub use template::Template;
pub use top::{TOP_MAX, TopEntry};
