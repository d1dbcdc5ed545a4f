//! Where a comparison stops: every bound of this crate in one place.

/// Distinct (path, kind) pairs that one comparison lists.
pub const DIFFERENCES_PER_COMPARISON: usize = 64;

/// Values (scalars, arrays, objects) in one JSON document. A larger one gets the verdict `budget`.
pub const JSON_NODES: u32 = 200_000;

/// Visits to values while two documents are compared. Aligning arrays visits a value more than once.
pub const JSON_VISITS: u32 = 5 * JSON_NODES;

/// Arrays and objects within one another. A deeper document gets the verdict `budget`.
pub const JSON_DEPTH: usize = 128;

/// Bytes of a body after its content coding was undone. More gets the verdict `too_large`.
pub const DECODED_BYTES: usize = 8 * 1024 * 1024;

/// Output bytes per input byte that a content coding may reach, once [`RATIO_FREE_BYTES`] have come out.
pub const DECODED_RATIO: usize = 200;

/// Output that is never held against the ratio: small bodies of equal bytes compress well and harm nobody.
pub const RATIO_FREE_BYTES: usize = 256 * 1024;

/// Content codings laid upon one another in one answer.
pub const CONTENT_CODINGS: usize = 3;

/// Seconds between two points in time that count as the same moment of answering.
pub const TIME_TOLERANCE_SECONDS: i64 = 5;

/// Members from which on an object is taken for a map: its keys are data and appear as `{*}`.
pub const MAP_MEMBERS: usize = 50;

/// Steps of one field path.
pub const FIELD_PATH_STEPS: usize = 63;

/// Distinct paths in one [`FieldTable`](crate::FieldTable); what comes later is counted under `other`.
pub const TABLE_PATHS: usize = 512;

/// Random samples kept for each path and kind, beside the newest.
pub const TABLE_SAMPLES: usize = 5;
