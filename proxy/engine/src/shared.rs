//! What all threads share.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderName;
use starve_config::LimitsPlan;
use starve_shadow::Shadow;

use crate::abort::Detached;
use crate::admission::Admission;
use crate::callers::Callers;
use crate::generation::Generation;
use crate::inventory::Listed;
use crate::observations::Observations;
use crate::refusal::Refusals;

#[derive(Debug)]
pub(crate) struct Shared {
    /// What the configuration in force was built into; swapped as one.
    pub(crate) live: ArcSwap<Generation>,
    /// Imported endpoints, asked where no route matches; swapped as one.
    pub(crate) listed: ArcSwap<Listed>,
    pub(crate) limits: LimitsPlan,
    /// Fields that tell of client certificates: nobody's word but the listener's, or a trusted proxy's.
    pub(crate) certificate_fields: Vec<HeaderName>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) refusals: Refusals,
    pub(crate) observations: Observations,
    pub(crate) callers: Callers,
    pub(crate) shadow: Shadow,
    /// Writes that go on without their clients.
    pub(crate) detached: Arc<Detached>,
}
