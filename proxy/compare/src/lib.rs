//! Two answers in, a verdict and the differing fields out.
//!
//! The call enters at [`compare`]: what legacy and the function answered to the same request. It leaves as a
//! [`Comparison`]. What is compared, ignored and shown is described for users in `docs/comparison.md`.
//!
//! Invariants: the same input gives the same output (no clock, no chance, no I/O); the work is linear in the
//! size of the answers and bounded by [`limits`]; nothing that is returned holds a text value of an answer,
//! only its type, length and keyed hash.

mod answer;
mod body;
mod cookies;
mod decode;
mod difference;
mod headers;
mod json;
pub mod limits;
mod location;
mod path;
mod rules;
mod shown;
mod table;
mod text;
mod time;
mod verdict;

pub use answer::{Answer, Body, Call, Capture};
pub use difference::{Comparison, Difference, Kind, Note, Tolerated};
pub use path::{FieldPath, FieldPathError};
pub use rules::Rules;
pub use shown::{HashKey, Shown};
pub use table::{Field, FieldTable, Sample};
pub use verdict::{Layer, UnknownVerdict, Verdict};

use difference::Findings;

/// Compares what the two sides answered to one call.
///
/// The verdict names the first layer that differs, in the order of [`Layer`]; the differences list all of
/// them. Where the status classes differ nothing further is listed: an error page and a product have no fields
/// in common, and a hundred missing ones would only hide what is wrong.
///
/// `key` makes the hashes in the differences useless to whoever does not know it. Keep it for as long as
/// differences are to be compared with one another.
pub fn compare(
    call: &Call<'_>,
    legacy: &Answer,
    function: &Answer,
    rules: &Rules,
    key: HashKey,
) -> Comparison {
    if legacy.failed() && function.failed() {
        return Comparison::of(Verdict::BothFailed);
    }
    let mut findings = Findings::new(key);
    compare_status(legacy.status, function.status, &mut findings);
    if findings.first_layer() == Some(Layer::StatusClass) {
        return findings.into_comparison(Verdict::Equal);
    }
    location::compare(call, legacy, function, rules, &mut findings);
    headers::compare(legacy, function, rules, &mut findings);
    let unless_different = match body::compare(call, legacy, function, rules, &mut findings) {
        Ok(()) => Verdict::Equal,
        Err(reason) => reason,
    };
    findings.into_comparison(unless_different)
}

fn compare_status(legacy: u16, function: u16, findings: &mut Findings) {
    if legacy == function {
        return;
    }
    let layer = if legacy / 100 == function / 100 { Layer::Status } else { Layer::StatusClass };
    let shown = [Shown::word(legacy.to_string()), Shown::word(function.to_string())];
    findings.add(layer, "status", Kind::Value, shown, None);
}
