//! Endpoint templates learnt from traffic: what the monolith serves that nobody wrote down.
//!
//! A call that no configured route matched enters at [`Discovered::observe`], with its normalised path. The paths
//! that answered form a tree; what turns out to be a value in it becomes a placeholder, and the call is counted in
//! exactly one row. Whatever clients send, the tables keep their bounds, and no call is lost from the sums.
//!
//! What the monolith says of itself is read by [`inventory`]; its calls are counted there before they are discovered.
//!
//! Pure: time is an argument.

pub mod access_log;
mod asked;
mod discovered;
mod evidence;
mod guarded;
pub mod inventory;
mod judge;
mod kind;
mod known;
pub mod operations;
mod path;
mod shown;
mod tally;
mod template;
mod top;
mod trie;
mod words;

pub use discovered::{Call, Change, Discovered, Observed, Row, RowKey};
pub use evidence::is_login;
pub use guarded::{CANDIDATES_MAX, Guarded};
pub use shown::{Evident, SHOWN_MAX, Shown};
pub use tally::Tally;
pub use template::Template;
pub use top::{TOP_MAX, TopEntry};
pub use trie::{NODES_MAX, Why};
