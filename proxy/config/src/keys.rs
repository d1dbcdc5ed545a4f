//! Which keys stand in which mapping: the one list behind the reading, the messages and the suggestions.

/// The keys that a mapping may hold.
#[derive(Debug)]
pub(crate) struct Shape {
    /// What the mapping describes, as messages call it.
    pub(crate) what: &'static str,
    pub(crate) keys: &'static [&'static str],
}

pub(crate) const FILE: Shape = Shape {
    what: "the file",
    keys: &[
        "version",
        "listen",
        "workers",
        "trusted-proxies",
        "limits",
        "admin",
        "ledger",
        "callers",
        "legacy",
        "upstreams",
        "functions",
        "defaults",
        "routes",
    ],
};

pub(crate) const LISTENER: Shape = Shape { what: "a listener", keys: &["address", "tls", "proxy-protocol"] };
pub(crate) const TLS: Shape = Shape {
    what: "`tls`",
    keys: &["certificates", "min-version", "client-ca", "client-auth", "client-cert-header"],
};
pub(crate) const CERTIFICATE: Shape = Shape { what: "a certificate", keys: &["certificate", "key"] };

pub(crate) const LIMITS: Shape = Shape {
    what: "`limits`",
    keys: &[
        "head-timeout",
        "min-head-rate",
        "head-bytes",
        "uri-bytes",
        "body-bytes",
        "body-timeout",
        "min-body-rate",
        "send-timeout",
        "connections",
        "connections-per-address",
        "handshakes",
        "handshake-timeout",
        "http2-streams",
        "http2-resets",
        "http2-control-frames",
        "http2-ping-interval",
        "http2-ping-timeout",
        "in-flight",
        "idle-timeout",
        "drain-timeout",
        "shadow-queue",
        "shadow-body-bytes",
        "detached-writes",
    ],
};

pub(crate) const ADMIN: Shape = Shape { what: "`admin`", keys: &["address", "token"] };
pub(crate) const LEDGER: Shape = Shape { what: "`ledger`", keys: &["url"] };

pub(crate) const CALLERS: Shape = Shape { what: "`callers`", keys: &["id"] };

pub(crate) const UPSTREAM: Shape = Shape {
    what: "an upstream",
    keys: &[
        "servers",
        "balance",
        "sticky",
        "timeout",
        "host",
        "health",
        "eject",
        "retry",
        "limits",
        "tls",
        "protocol",
        "proxy-protocol",
    ],
};
pub(crate) const TIMEOUT: Shape = Shape { what: "`timeout`", keys: &["connect", "first-byte", "idle"] };
pub(crate) const HEALTH: Shape =
    Shape { what: "`health`", keys: &["path", "host", "interval", "timeout", "healthy", "unhealthy"] };
pub(crate) const EJECT: Shape = Shape { what: "`eject`", keys: &["failures", "time", "max"] };
pub(crate) const RETRY: Shape = Shape { what: "`retry`", keys: &["budget", "per-second"] };
pub(crate) const SERVER_LIMITS: Shape =
    Shape { what: "`limits` of an upstream", keys: &["connections", "in-flight", "queue", "wait"] };
pub(crate) const UPSTREAM_TLS: Shape =
    Shape { what: "`tls` of an upstream", keys: &["ca", "certificate", "key", "server-name"] };

pub(crate) const FUNCTION: Shape = Shape {
    what: "a function",
    keys: &[
        "wasm",
        "process",
        "http",
        "timeout",
        "concurrency",
        "queue",
        "memory",
        "outbound",
        "env",
        "directory",
        "scale",
    ],
};
/// The keys of which a function has exactly one.
pub(crate) const HOSTS: [&str; 3] = ["wasm", "process", "http"];
/// The keys that have a meaning for one host only.
pub(crate) const OF_ONE_HOST: [(&str, &str); 5] = [
    ("memory", "wasm"),
    ("outbound", "wasm"),
    ("env", "process"),
    ("directory", "process"),
    ("scale", "process"),
];
pub(crate) const SCALE: Shape = Shape { what: "`scale`", keys: &["min", "max", "idle", "start-timeout"] };

pub(crate) const DEFAULTS: Shape = Shape { what: "`defaults`", keys: &["compare", "shadow"] };

pub(crate) const ROUTE: Shape = Shape {
    what: "a route",
    keys: &[
        "match",
        "name",
        "when",
        "legacy",
        "function",
        "files",
        "stage",
        "shadow",
        "canary",
        "live",
        "compare",
        "fallback",
        "timeout",
        "on-client-abort",
        "rewrite",
        "request",
        "response",
        "respond",
        "sunset",
        "operations",
    ],
};
pub(crate) const WHEN: Shape = Shape { what: "`when`", keys: &["header", "query"] };
pub(crate) const SHADOW: Shape = Shape { what: "`shadow`", keys: &["percent", "writes"] };
/// `shadow` under `defaults`: whether writes may be copied is each route's own decision.
pub(crate) const SHADOW_DEFAULTS: Shape = Shape { what: "`shadow` of `defaults`", keys: &["percent"] };
pub(crate) const CANARY: Shape = Shape { what: "`canary`", keys: &["percent", "sticky", "group"] };
pub(crate) const LIVE: Shape = Shape { what: "`live`", keys: &["mirror"] };
pub(crate) const COMPARE: Shape =
    Shape { what: "`compare`", keys: &["ignore", "unordered", "ignore-headers"] };
pub(crate) const FILES: Shape = Shape { what: "`files`", keys: &["folder", "single-page", "dotfiles"] };
pub(crate) const REWRITE: Shape = Shape { what: "`rewrite`", keys: &["legacy", "function"] };
pub(crate) const REQUEST: Shape = Shape { what: "`request`", keys: &["method", "set", "remove", "query"] };
pub(crate) const QUERY: Shape = Shape { what: "`query`", keys: &["set", "remove"] };
pub(crate) const RESPONSE: Shape = Shape { what: "`response`", keys: &["status", "set", "remove", "body"] };
pub(crate) const RESPOND: Shape = Shape { what: "`respond`", keys: &["status", "headers", "body"] };
/// What a route that answers by itself has no use for.
pub(crate) const OF_A_SIDE: [&str; 14] = [
    "legacy",
    "function",
    "files",
    "stage",
    "shadow",
    "canary",
    "live",
    "compare",
    "fallback",
    "timeout",
    "rewrite",
    "request",
    "response",
    "operations",
];
pub(crate) const SUNSET: Shape = Shape { what: "`sunset`", keys: &["deprecated", "at", "link", "brownouts"] };
pub(crate) const BROWNOUT: Shape = Shape { what: "a brownout", keys: &["from", "to"] };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_knows_the_same_keys() {
        let schema: serde_json::Value = serde_json::from_str(crate::SCHEMA).unwrap();
        let places = [
            ("", &FILE),
            ("listener", &LISTENER),
            ("tls", &TLS),
            ("certificate", &CERTIFICATE),
            ("limits", &LIMITS),
            ("admin", &ADMIN),
            ("ledger", &LEDGER),
            ("callers", &CALLERS),
            ("upstream", &UPSTREAM),
            ("timeout", &TIMEOUT),
            ("health", &HEALTH),
            ("eject", &EJECT),
            ("retry", &RETRY),
            ("server-limits", &SERVER_LIMITS),
            ("upstream-tls", &UPSTREAM_TLS),
            ("function", &FUNCTION),
            ("scale", &SCALE),
            ("defaults", &DEFAULTS),
            ("shadow-defaults", &SHADOW_DEFAULTS),
            ("route", &ROUTE),
            ("when", &WHEN),
            ("shadow", &SHADOW),
            ("canary", &CANARY),
            ("live", &LIVE),
            ("compare", &COMPARE),
            ("files", &FILES),
            ("rewrite", &REWRITE),
            ("request", &REQUEST),
            ("query", &QUERY),
            ("response", &RESPONSE),
            ("respond", &RESPOND),
            ("sunset", &SUNSET),
            ("brownout", &BROWNOUT),
        ];
        for (place, shape) in places {
            let mapping = if place.is_empty() { &schema } else { &schema["$defs"][place] };
            let mut known: Vec<&str> =
                mapping["properties"].as_object().unwrap().keys().map(|key| &**key).collect();
            let mut keys = shape.keys.to_vec();
            known.sort_unstable();
            keys.sort_unstable();
            assert_eq!(known, keys, "{}", shape.what);
            assert_eq!(mapping["additionalProperties"], false, "{}", shape.what);
        }
        let mappings = schema["$defs"].as_object().unwrap().values();
        let mappings = mappings.filter(|value| value["properties"].is_object()).count() + 1;
        assert_eq!(mappings, places.len(), "each mapping of the schema is one of these");
    }

    #[test]
    fn every_key_is_documented() {
        let pages = [include_str!("../../../docs/configuration.md"), include_str!("../../../docs/limits.md")]
            .concat();
        let shapes = [
            &FILE,
            &LISTENER,
            &TLS,
            &CERTIFICATE,
            &LIMITS,
            &ADMIN,
            &LEDGER,
            &CALLERS,
            &UPSTREAM,
            &TIMEOUT,
            &HEALTH,
            &EJECT,
            &RETRY,
            &SERVER_LIMITS,
            &UPSTREAM_TLS,
            &FUNCTION,
            &SCALE,
            &DEFAULTS,
            &ROUTE,
            &WHEN,
            &SHADOW,
            &CANARY,
            &LIVE,
            &COMPARE,
            &FILES,
            &REWRITE,
            &REQUEST,
            &QUERY,
            &RESPONSE,
            &RESPOND,
            &SUNSET,
            &BROWNOUT,
        ];
        // In a table, as `key`, `above.key`, `key.below`, `above.key[]` or with its range behind it.
        let words: Vec<&str> = pages
            .lines()
            .filter(|line| line.starts_with('|'))
            .flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-'))
            .collect();
        for shape in shapes {
            for key in shape.keys {
                assert!(words.contains(key), "`{key}` of {} stands in no table", shape.what);
            }
        }
    }
}
