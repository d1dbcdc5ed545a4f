//! Plan → Generation: everything that the configuration in force is made of, swapped as one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use starve_compare::Rules;
use starve_config::{LEGACY, Plan, RoutePlan};
use starve_http::Target;
use starve_migration::Salt;
use starve_routing::{Entry, RouteTable};
use starve_upstream::Upstream;

use crate::functions::{Function, FunctionWorkshop};
use crate::registry::{DISCOVERED, Registry};
use crate::route::Route;

#[derive(Debug)]
pub(crate) struct Generation {
    /// From 1.
    pub(crate) number: u64,
    pub(crate) plan: Arc<Plan>,
    pub(crate) table: RouteTable<Arc<Route>>,
    /// Where everything goes that no route matches.
    pub(crate) discovered: Arc<Route>,
    pub(crate) upstreams: BTreeMap<String, Upstream>,
    pub(crate) functions: BTreeMap<String, Arc<Function>>,
    pub(crate) loaded_at: SystemTime,
}

/// Something that the plan names and that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BuildError {
    Function {
        name: String,
        message: String,
    },
    /// The plan's own check lets no such table through.
    Table(String),
}

/// What generations are built with.
pub(crate) struct Workshop {
    pub(crate) registry: Arc<Registry>,
    pub(crate) functions: FunctionWorkshop,
}

impl Workshop {
    /// Builds the next generation; what is equal in the one before is taken over as it lives: pools with
    /// their connections, functions with their instances, counts. May compile for seconds.
    ///
    /// # Errors
    /// All that cannot be had. Nothing is changed then.
    pub(crate) fn build(
        &self,
        plan: Arc<Plan>,
        before: Option<&Generation>,
    ) -> Result<Generation, Vec<BuildError>> {
        let upstreams = self.upstreams(&plan, before);
        let functions = self.functions(&plan, before)?;
        let route = |plan: &Arc<RoutePlan>| self.route(plan, &upstreams, &functions);
        let entries = plan.routes.iter().map(|plan| Entry {
            pattern: plan.pattern.clone(),
            when: plan.when.clone(),
            value: route(plan),
        });
        let table = RouteTable::build(entries.collect())
            .map_err(|conflicts| vec![BuildError::Table(format!("{conflicts:?}"))])?;
        let discovered = Arc::new(Route {
            plan: None,
            legacy: Arc::new(upstreams[LEGACY].clone()),
            function: None,
            salt: Salt::of(DISCOVERED),
            kept: self.registry.route(DISCOVERED),
            shadow: self.registry.shadow(DISCOVERED, &Rules::default()),
        });
        let number = before.map_or(1, |before| before.number + 1);
        Ok(Generation { number, plan, table, discovered, upstreams, functions, loaded_at: SystemTime::now() })
    }

    fn upstreams(&self, plan: &Plan, before: Option<&Generation>) -> BTreeMap<String, Upstream> {
        let live = |name: &str| before.and_then(|before| before.upstreams.get(name));
        let one = |(name, plan): (&String, &Arc<starve_config::UpstreamPlan>)| {
            let adopted = live(name).filter(|live| live.plan() == plan).cloned();
            (name.clone(), adopted.unwrap_or_else(|| Upstream::new(plan.clone(), self.functions.workers)))
        };
        plan.upstreams.iter().map(one).collect()
    }

    fn functions(
        &self,
        plan: &Plan,
        before: Option<&Generation>,
    ) -> Result<BTreeMap<String, Arc<Function>>, Vec<BuildError>> {
        let (mut functions, mut errors) = (BTreeMap::new(), Vec::new());
        for (name, plan) in &plan.functions {
            let live = before.and_then(|before| before.functions.get(name));
            if let Some(live) = live.filter(|live| live.plan == *plan && !live.is_outdated()) {
                functions.insert(name.clone(), live.clone());
                continue;
            }
            match Function::build(plan, &self.registry.function(name), &self.functions) {
                Ok(function) => drop(functions.insert(name.clone(), Arc::new(function))),
                Err(message) => errors.push(BuildError::Function { name: name.clone(), message }),
            }
        }
        if errors.is_empty() { Ok(functions) } else { Err(errors) }
    }

    fn route(
        &self,
        plan: &Arc<RoutePlan>,
        upstreams: &BTreeMap<String, Upstream>,
        functions: &BTreeMap<String, Arc<Function>>,
    ) -> Arc<Route> {
        let function = plan.function.as_ref().map(|name| functions[name].target.clone());
        Arc::new(Route {
            plan: Some(plan.clone()),
            legacy: Arc::new(upstreams[&plan.upstream].clone()) as Arc<dyn Target>,
            function,
            salt: Salt::of(&plan.group),
            kept: self.registry.route(&plan.id),
            shadow: self.registry.shadow(&plan.id, &plan.compare),
        })
    }
}
