//! Endpoints that the monolith is known to have, imported into the ledger: their calls are counted one by one, as
//! those of configured routes are, although no route matches them.
//!
//! An import is noticed within a second. Invariant: the table that is asked is whole; a call is counted either for
//! an endpoint of it or for discovery, never for both.

use std::sync::Arc;
use std::time::Duration;

use starve_discovery::inventory::Inventory;
use starve_ledger::{ListedEndpoint, Reader};
use starve_routing::Pattern;
use starve_telemetry::RouteStats;
use tokio::sync::watch;

use crate::proxy::Proxy;
use crate::recorder::chain;
use crate::registry::Registry;
use crate::route::{Kept, View};

/// How often the ledger is asked whether an inventory was imported; the question costs a fraction of a millisecond.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The table as it is in force.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    table: Inventory,
    /// By the place of the endpoint in the table.
    pub(crate) kept: Vec<Arc<Kept>>,
    /// What it was made from.
    version: u64,
    generation: u64,
}

impl Listed {
    /// Who counts a call that no configured route takes, if an endpoint of an inventory does.
    pub(crate) fn stats(&self, request: &View<'_>) -> Option<Arc<RouteStats>> {
        if self.kept.is_empty() {
            return None;
        }
        self.table.find(request).map(|place| self.kept[place].stats.clone())
    }

    /// The endpoints with their counts, in the order in which they were listed.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = (&Pattern, &Arc<Kept>)> {
        self.table.endpoints().iter().zip(&self.kept)
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    fn build(rows: Vec<ListedEndpoint>, configured: &[&Pattern], registry: &Registry) -> Self {
        let parsed = rows.into_iter().filter_map(|row| {
            // What an importer of another version wrote may not be understood; the report says what is listed.
            let pattern = row.pattern.parse().ok()?;
            Some((pattern, row.also.iter().filter_map(|also| also.parse().ok()).collect()))
        });
        let table = Inventory::build(parsed, configured);
        let kept = table.endpoints().iter().map(|pattern| registry.route(&pattern.to_string())).collect();
        Self { table, kept, version: 0, generation: 0 }
    }
}

/// Reads the inventories when they, or the configured routes, are others than those in force. Blocks.
pub(crate) fn refresh(proxy: &Proxy) {
    let generation = proxy.shared.live.load_full();
    let before = proxy.shared.listed.load_full();
    let read = Reader::open(proxy.ledger.path()).and_then(|reader| {
        let version = reader.inventory_version()?;
        let is_known = (version, generation.number) == (before.version, before.generation);
        // Without any inventory there is nothing to do about a reload.
        if is_known || (version == before.version && before.kept.is_empty() && version == 0) {
            return Ok(None);
        }
        Ok(Some((version, reader.inventory()?)))
    });
    let (version, rows) = match read {
        Ok(Some(read)) => read,
        Ok(None) => return,
        Err(error) => return tracing::debug!(error = chain(&error), "the inventories cannot be read"),
    };
    let configured: Vec<&Pattern> = generation.plan.routes.iter().map(|route| &route.pattern).collect();
    let mut listed = Listed::build(rows, &configured, &proxy.registry);
    (listed.version, listed.generation) = (version, generation.number);
    if version != before.version {
        tracing::info!(endpoints = listed.len(), "inventory in force");
    }
    proxy.shared.listed.store(Arc::new(listed));
    drop(before);
    proxy.registry.forget_unused();
}

/// Looks again until told to stop.
pub(crate) async fn run(proxy: Arc<Proxy>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = crate::watch::stopped(&mut stop) => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let looking = proxy.clone();
        if tokio::task::spawn_blocking(move || refresh(&looking)).await.is_err() {
            tracing::error!("looking for inventories broke off");
        }
    }
}
