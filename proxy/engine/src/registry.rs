//! What outlives generations: the counts of routes and functions, found again by their names.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use starve_compare::Rules;
use starve_functions::FunctionStats;
use starve_shadow::RouteShadow;
use starve_telemetry::RouteStats;

use crate::handover::Bequest;
use crate::operations::Operations;
use crate::route::Kept;

/// The id under which everything is counted that no route matched.
pub(crate) const DISCOVERED: &str = "discovered";

/// Only the control thread writes here, when a generation is built; nothing on a request's way reads it.
#[derive(Debug)]
pub(crate) struct Registry {
    workers: usize,
    tables: Mutex<Tables>,
    /// The kill switch for all routes.
    pub(crate) all_killed: AtomicBool,
}

#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) routes: BTreeMap<String, Arc<Kept>>,
    pub(crate) shadows: BTreeMap<String, Arc<RouteShadow>>,
    pub(crate) functions: BTreeMap<String, Arc<FunctionStats>>,
}

impl Registry {
    pub(crate) fn new(workers: usize) -> Self {
        Self { workers, tables: Mutex::default(), all_killed: AtomicBool::new(false) }
    }

    pub(crate) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn route(&self, id: &str) -> Arc<Kept> {
        let mut tables = self.tables();
        // A route is never taken out, so its number stays its own; a configuration has far fewer than 2^32.
        let number = u32::try_from(tables.routes.len()).unwrap_or(u32::MAX);
        let new = || {
            Arc::new(Kept {
                id: id.to_owned(),
                number,
                stats: Arc::new(RouteStats::new(self.workers)),
                operations: Arc::new(Operations::new(self.workers)),
                killed: AtomicBool::new(self.all_killed.load(Relaxed)),
                brownouts: AtomicU64::new(0),
            })
        };
        tables.routes.entry(id.to_owned()).or_insert_with(new).clone()
    }

    /// Drops the entries that nobody holds and nobody ever called: those of inventories that were replaced.
    pub(crate) fn forget_unused(&self) {
        self.tables().routes.retain(|_, kept| Arc::strong_count(kept) > 1 || kept.stats.recorded() > 0);
    }

    /// A route's copies go on being counted where they were, also under new rules.
    pub(crate) fn shadow(&self, id: &str, rules: &Rules) -> Arc<RouteShadow> {
        let mut tables = self.tables();
        let shadow = match tables.shadows.get(id) {
            Some(known) if known.rules() == rules => return known.clone(),
            Some(known) => Arc::new(known.with_rules(rules.clone())),
            None => Arc::new(RouteShadow::new(id.to_owned(), rules.clone())),
        };
        tables.shadows.insert(id.to_owned(), shadow.clone());
        shadow
    }

    /// What a successor must know.
    pub(crate) fn bequest(&self) -> Bequest {
        let tables = self.tables();
        let killed = tables.routes.values().filter(|kept| kept.killed.load(Relaxed));
        Bequest {
            all_killed: self.all_killed.load(Relaxed),
            killed: killed.map(|kept| kept.id.clone()).collect(),
        }
    }

    /// Goes on where the process before this one ended.
    pub(crate) fn take_over(&self, bequest: &Bequest) {
        self.all_killed.store(bequest.all_killed, Relaxed);
        for id in &bequest.killed {
            self.route(id).killed.store(true, Relaxed);
        }
    }

    pub(crate) fn function(&self, name: &str) -> Arc<FunctionStats> {
        self.tables().functions.entry(name.to_owned()).or_default().clone()
    }
}
