//! Bodies, header hygiene, and the one place where an error becomes an answer.
//!
//! A request enters at [`hygiene`]; every failure leaves through [`rescue()`]; content over HTTP/2 goes through
//! [`stream`]. Nothing here opens a connection or knows a route.

mod body;
mod error;
pub mod hygiene;
mod observe;
pub mod present;
mod put_back;
mod replay;
mod rescue;
pub mod stream;
mod target;
mod verbatim;

pub use body::{Body, BodyError};
pub use error::{Error, ErrorKind};
pub use observe::{End, Observed, Observer};
pub use replay::duplicate;
pub use rescue::{problem, rescue};
pub use target::{BoxFuture, ClientConnection, Copied, ResponseFuture, Target};
pub use verbatim::Verbatim;

pub type Request = http::Request<Body>;
pub type Response = http::Response<Body>;
