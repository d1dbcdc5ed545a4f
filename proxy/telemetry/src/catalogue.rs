//! Every metric that the program exports, in one table. Dashboards, rules and documentation are tested
//! against it; a name outside it cannot be exported.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    /// In the order in which values are given; each from a finite set.
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

macro_rules! catalogue {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $constant: Metric =
                Metric { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };
        )*
        pub static ALL: &[&Metric] = &[$(&$constant),*];
    };
}

catalogue! {
    REQUESTS = Counter "starve_requests_total" ["route", "side", "method", "code"]
        "Calls by route, answering side (none: refused, retired or the proxy itself), method and status class (none: no complete answer).";
    OPERATION_REQUESTS = Counter "starve_operation_requests_total" ["route", "operation", "side", "code"]
        "Operations (GraphQL, JSON-RPC) of routes that count them; at most 100 names a route, the rest is (other).";
    REQUEST_DURATION = Histogram "starve_request_duration_seconds" ["route", "side"]
        "Time from the request's head to the end of the answer's body.";
    TIME_TO_FIRST_BYTE = Histogram "starve_time_to_first_byte_seconds" ["route", "side"]
        "Time from the request's head to the answer's head.";
    IN_FLIGHT = Gauge "starve_in_flight_requests" []
        "Requests being answered.";
    CONNECTIONS = Gauge "starve_connections" []
        "Open client connections.";
    REFUSED_CONNECTIONS = Counter "starve_refused_connections_total" ["reason"]
        "Connections closed before their first request, by reason.";
    TLS_HANDSHAKES = Counter "starve_tls_handshakes_total" ["result"]
        "TLS handshakes of clients, by result.";
    ROUTE_STAGE = Gauge "starve_route_stage" ["route", "stage"]
        "1 for the stage that a route is in, 0 for the others.";
    ROUTE_LAST_CALL = Gauge "starve_route_last_call_timestamp_seconds" ["route", "side"]
        "When the route was last called; 0 is never.";
    SHADOW_REQUESTS = Counter "starve_shadow_requests_total" ["route", "side", "result"]
        "Copies sent to the side that does not answer, by result.";
    SHADOW_DROPPED = Counter "starve_shadow_dropped_total" ["route", "reason"]
        "Copies that were not sent, by reason.";
    COMPARISONS = Counter "starve_comparisons_total" ["route", "verdict"]
        "Comparisons of the two sides' answers, by verdict.";
    FUNCTION_INVOCATIONS = Counter "starve_function_invocations_total" ["function", "result"]
        "Calls of a function, by result.";
    FUNCTION_DURATION = Histogram "starve_function_duration_seconds" ["function"]
        "Time a function took to the head of its answer, waiting for a place included.";
    FUNCTION_INSTANCES = Gauge "starve_function_instances" ["function", "state"]
        "Instances of a function, by state.";
    FUNCTION_COLD_STARTS = Counter "starve_function_cold_starts_total" ["function"]
        "Instances started because a call waited for one.";
    FUNCTION_GIGABYTE_SECONDS = Counter "starve_function_gigabyte_seconds_total" ["function"]
        "Memory by time, 2^30 bytes being a gigabyte: of a component what each call is given while it lasts, of a process what it occupies while it lives.";
    UPSTREAM_CONNECTIONS = Gauge "starve_upstream_connections" ["upstream", "state"]
        "Connections to an upstream, by state.";
    UPSTREAM_HEALTHY = Gauge "starve_upstream_healthy" ["upstream", "server"]
        "1 while a server gets requests, 0 while its checks fail or it is ejected.";
    UPSTREAM_EJECTIONS = Counter "starve_upstream_ejections_total" ["upstream", "server"]
        "How often a server was ejected because its calls failed.";
    UPSTREAM_WAITING = Gauge "starve_upstream_waiting_requests" ["upstream"]
        "Requests that wait for a place at a server.";
    UPSTREAM_LIMIT_HITS = Counter "starve_upstream_limit_hits_total" ["upstream", "limit"]
        "How often a limit of an upstream was reached.";
    RETRIES = Counter "starve_retries_total" ["upstream", "reason"]
        "Requests sent a second time, by reason.";
    LIMIT_HITS = Counter "starve_limit_hits_total" ["limit"]
        "How often a limit of docs/limits.md was reached.";
    REFUSED = Counter "starve_refused_requests_total" ["reason"]
        "Requests refused before they were routed, by reason.";
    BROWNOUT_ANSWERS = Counter "starve_brownout_answers_total" ["route"]
        "Calls turned away with 410 in the brownouts of a route's sunset.";
    DETACHED_WRITES = Counter "starve_detached_writes_total" ["result"]
        "Writes whose clients left before the answer had ended, by what became of them.";
    CONFIG_GENERATION = Gauge "starve_config_generation" []
        "Number of the configuration in force, from 1.";
    CONFIG_RELOAD_OK = Gauge "starve_config_last_reload_successful" []
        "1 if the last reload was taken, 0 if it was refused and the one before goes on.";
    CONFIG_RELOAD_TIME = Gauge "starve_config_last_reload_timestamp_seconds" []
        "When the configuration in force was taken.";
    INVENTORY_ROUTES = Gauge "starve_inventory_routes" []
        "Imported endpoints that no configured route takes; beyond 2048 they share one series.";
    DISCOVERED_REQUESTS = Counter "starve_discovered_requests_total" ["result"]
        "Calls without a route or listed endpoint, by what they showed: an endpoint, a refusal that may be one (guarded), nothing (unmatched), or an endpoint for which there was no place (more).";
    DISCOVERED_ROUTES = Gauge "starve_discovered_routes" []
        "Endpoint templates learnt from calls that no route matched.";
    DEAD_ROUTES = Gauge "starve_dead_routes" []
        "Endpoints that the report lists as dead: no wanted call in its window. Renewed every few seconds.";
    LEGACY_CALL_RATIO = Gauge "starve_legacy_call_ratio" []
        "The monolith's share of the answered calls in the window of the report. Renewed every few seconds.";
    LEDGER_OK = Gauge "starve_ledger_ok" []
        "1 while counts are written to the ledger, 0 while they wait in memory.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_and_are_unique() {
        let mut names: Vec<_> = ALL.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        for metric in ALL {
            assert!(metric.name.starts_with("starve_"), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }
}
