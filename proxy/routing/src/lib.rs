//! Patterns, the route table, precedence, explain, templates and the one path normaliser.
//!
//! A request's path enters through [`normalise_path`], once, and that text is then matched, counted and
//! forwarded. [`RouteTable::find`] picks the route, [`RouteTable::explain`] says why it was picked.
//!
//! Pure: knows no HTTP library, no clock, no randomness. It must never match on another spelling of a path
//! than the one that is forwarded: that difference is how a route is bypassed.

mod explain;
mod path;
mod pattern;
mod predicates;
mod request;
mod table;
mod template;

pub use explain::{Candidate, Explanation, NearMiss, Outcome, Reason};
pub use path::{PathError, normalise_path};
pub use pattern::{
    HostPattern, Methods, Parameter, ParameterType, Params, Pattern, PatternError, SEGMENTS_MAX, Segment,
};
pub use predicates::{Predicates, ValueMatch};
pub use request::{PlainRequest, Request};
pub use table::{Conflict, ConflictKind, Entry, Match, RouteTable};
pub use template::{
    Context, Place, Response, Rewrite, Scope, Template, TemplateError, escape_path, escape_query,
    is_query_name,
};
