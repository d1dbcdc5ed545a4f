//! Plan → Generation: everything that the configuration in force is made of, swapped as one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use starve_compare::Rules;
use starve_config::{HostPolicy, LEGACY, Plan, RoutePlan, ServerPlan, UpstreamPlan};
use starve_http::Target;
use starve_migration::{Salt, Side};
use starve_routing::{Entry, RouteTable};
use starve_upstream::Upstream;

use crate::files::Files;
use crate::functions::{Function, FunctionWorkshop};
use crate::own::Own;
use crate::registry::{DISCOVERED, Registry};
use crate::rewrite::{self, Rewritten};
use crate::route::Route;
use crate::timed::Timed;

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
    Files {
        route: String,
        message: String,
    },
    /// The files of an upstream's `tls`.
    Upstream {
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
        let (upstreams, functions) = match (self.upstreams(&plan, before), self.functions(&plan, before)) {
            (Ok(upstreams), Ok(functions)) => (upstreams, functions),
            (upstreams, functions) => {
                let errors = [upstreams.err(), functions.err()];
                return Err(errors.into_iter().flatten().flatten().collect());
            }
        };
        let files = files(&plan)?;
        let route = |plan: &Arc<RoutePlan>| self.route(plan, &upstreams, &functions, &files);
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
            own: None,
            method: None,
            finish_writes: true,
            tells_client: upstreams[LEGACY].plan().proxy_protocol.is_some(),
        });
        let number = before.map_or(1, |before| before.number + 1);
        Ok(Generation { number, plan, table, discovered, upstreams, functions, loaded_at: SystemTime::now() })
    }

    fn upstreams(
        &self,
        plan: &Plan,
        before: Option<&Generation>,
    ) -> Result<BTreeMap<String, Upstream>, Vec<BuildError>> {
        let (mut upstreams, mut errors) = (BTreeMap::new(), Vec::new());
        for (name, plan) in &plan.upstreams {
            let live = before.and_then(|before| before.upstreams.get(name));
            if let Some(live) = live.filter(|live| live.plan() == plan) {
                upstreams.insert(name.clone(), live.clone());
                continue;
            }
            match Upstream::load(plan.clone(), self.functions.workers) {
                Ok(upstream) => {
                    upstream.watch(live, &self.functions.control);
                    upstreams.insert(name.clone(), upstream);
                }
                Err(error) => {
                    errors.push(BuildError::Upstream { name: name.clone(), message: error.to_string() });
                }
            }
        }
        if errors.is_empty() { Ok(upstreams) } else { Err(errors) }
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
        files: &BTreeMap<String, Arc<dyn Target>>,
    ) -> Arc<Route> {
        let around = |target: Arc<dyn Target>, side, own_hosts| {
            Rewritten::around(Timed::around(target, plan.timeout, side), plan, side, own_hosts)
        };
        let function = plan.function.as_ref().map(|name| {
            let function = &functions[name];
            around(function.target.clone(), Side::Function, function.own_hosts())
        });
        let files = files.get(&plan.id).map(|files| around(files.clone(), Side::Function, Vec::new()));
        let upstream = &upstreams[&plan.upstream];
        Arc::new(Route {
            plan: Some(plan.clone()),
            legacy: around(Arc::new(upstream.clone()), Side::Legacy, own_hosts(upstream.plan())),
            function: function.or(files),
            salt: Salt::of(&plan.group),
            kept: self.registry.route(&plan.id),
            shadow: self.registry.shadow(&plan.id, &plan.compare),
            own: Own::of(plan),
            method: rewrite::method(plan),
            finish_writes: plan.finish_writes,
            tells_client: upstream.plan().proxy_protocol.is_some(),
        })
    }
}

/// The folders that routes serve, by the routes' ids.
fn files(plan: &Plan) -> Result<BTreeMap<String, Arc<dyn Target>>, Vec<BuildError>> {
    let (mut served, mut errors) = (BTreeMap::new(), Vec::new());
    for route in &plan.routes {
        match route.files.as_ref().map(Files::new) {
            None => {}
            Some(Ok(files)) => drop(served.insert(route.id.clone(), Arc::new(files) as Arc<dyn Target>)),
            Some(Err(message)) => errors.push(BuildError::Files { route: route.id.clone(), message }),
        }
    }
    if errors.is_empty() { Ok(served) } else { Err(errors) }
}

/// The hosts under which an upstream's servers know themselves, if they do not get the client's.
fn own_hosts(plan: &UpstreamPlan) -> Vec<String> {
    match plan.host {
        HostPolicy::Preserve => Vec::new(),
        HostPolicy::Target => plan.servers.iter().filter_map(own_host).collect(),
    }
}

/// Host and port as they stand in an address.
pub(crate) fn own_host(server: &ServerPlan) -> Option<String> {
    server.to_string().split_once("://").map(|(_, host)| host.to_owned())
}
