//! Who calls: what a user agent is, who calls most, and how many different ones there are.
//!
//! Pure: chance and time are arguments. Invariant: every structure has a fixed bound, whoever calls; what a top
//! list cannot know it says as an error.

mod distinct;
mod family;
mod key;
mod top;

pub use distinct::{Distinct, EXACT_MAX};
pub use family::{Family, Kind};
pub use key::CallerKey;
pub use top::{TOP_MAX, Top, TopEntry};
