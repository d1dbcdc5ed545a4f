//! An answer's fields for whom only passes them on.

/// The fields of an answer as their server wrote them: checked, and without those that concern the connection or the
/// framing of the content. Stands in the extensions of a response, beside a map that holds only what was added
/// on the way.
///
/// A map of fields takes more time than all else that is done for a small answer, and most answers are passed on
/// without a look at it. Whoever looks asks with [`Target::call`](crate::Target::call) and never sees one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verbatim {
    /// Lines of `name: value`, each with CR LF.
    pub lines: Vec<u8>,
    /// Whether `Date` is among them.
    pub has_date: bool,
}
