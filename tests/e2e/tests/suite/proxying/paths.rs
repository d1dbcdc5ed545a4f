//! What is matched is what is forwarded.

use e2e::{Origin, Proxy};

use super::before;

#[test]
fn a_query_passes_as_it_was_sent() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    for target in ["/a?x=%7E%7e&&=;y=%2F/?&z=+%20", "/a?", "/a??", "/a?%zz&x={y}|`", "/a?a=1&a=2&A=3"] {
        assert_eq!(proxy.get(target).status, 200, "{target}");
        assert_eq!(origin.seen().last().unwrap().head.target(), target);
    }
}

#[test]
fn a_path_is_forwarded_in_the_spelling_that_was_matched() {
    let (legacy, function) = (Origin::named("legacy"), Origin::named("function"));
    let proxy = Proxy::start(&format!(
        "legacy: {}\nfunctions: {{ new: {{ http: '{}' }} }}\n\
         routes: [ {{ match: GET /admin/users, function: new, stage: done }} ]\n",
        legacy.url(),
        function.url()
    ));
    for target in
        ["/admin/users", "/%61dmin/users", "/admin/./users", "/x/../admin/users", "/x/%2e%2E/admin/%75sers"]
    {
        assert_eq!(proxy.get(target).server(), "function", "{target}");
        assert_eq!(function.seen().last().unwrap().head.target(), "/admin/users", "{target}");
    }
    for (target, forwarded) in [
        ("/admin%2fusers", "/admin%2Fusers"),
        ("/admin//users", "/admin//users"),
        ("/admin/users/", "/admin/users/"),
        ("/Admin/users", "/Admin/users"),
        ("/caf%c3%a9/%7Ejo", "/caf%C3%A9/~jo"),
        ("/a|b", "/a%7Cb"),
    ] {
        assert_eq!(proxy.get(target).server(), "legacy", "{target}");
        assert_eq!(legacy.seen().last().unwrap().head.target(), forwarded, "{target}");
    }
}

#[test]
fn paths_on_which_servers_disagree_are_refused() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    for target in [
        "/..",
        "/a/../..",
        "/%2e%2e/etc/passwd",
        "/a/..;x/b",
        "/a%2F..%2Fb",
        "/a/..%5Cb",
        "/a\\b",
        "/%",
        "/%zz",
        "/a%00b",
    ] {
        let answer = proxy.get(target);
        assert_eq!(answer.status, 400, "{target}");
    }
    assert_eq!(origin.count(), 0);
    assert!(proxy.metrics().sum("starve_refused_requests_total", &[]) >= 9.0);
}

#[test]
fn the_asterisk_of_options_passes() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    assert_eq!(proxy.client().call("OPTIONS", "*", &[], b"").status, 200);
    assert_eq!(origin.seen()[0].head.line, "OPTIONS * HTTP/1.1");
}

#[test]
fn unusual_methods_pass() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    for method in ["PURGE", "PROPFIND", "get", "X-OWN", "QUERY"] {
        assert_eq!(proxy.client().call(method, "/b", &[], b"").status, 200, "{method}");
        assert_eq!(origin.seen().last().unwrap().head.method(), method);
    }
}

#[test]
fn the_most_specific_route_wins_by_host_header_and_query() {
    let (legacy, function) = (Origin::named("legacy"), Origin::named("function"));
    let proxy = Proxy::start(&format!(
        "legacy: {}\nfunctions: {{ new: {{ http: '{}' }} }}\nroutes:\n  \
         - {{ match: GET //new.example/a, function: new, stage: done }}\n  \
         - {{ match: 'GET /b/{{id:int}}', function: new, stage: done }}\n  \
         - {{ match: 'GET /b/{{rest*}}' }}\n  \
         - {{ match: GET /c, when: {{ header: {{ accept: application/json }}, query: {{ q: '*' }} }}, function: new, stage: done }}\n",
        legacy.url(),
        function.url()
    ));
    let json = ("accept", "application/json");
    for (target, fields, server) in [
        ("/a", &[("host", "new.example")][..], "function"),
        ("/a", &[("host", "NEW.example:8080")], "function"),
        ("/a", &[("host", "old.example")], "legacy"),
        ("/b/7", &[], "function"),
        ("/b/seven", &[], "legacy"),
        ("/b/7/8", &[], "legacy"),
        ("/c?q=1", &[json], "function"),
        ("/c", &[json], "legacy"),
        ("/c?q=1", &[], "legacy"),
    ] {
        let answer = proxy.client().call("GET", target, fields, b"");
        assert_eq!(answer.server(), server, "{target} {fields:?}");
    }
}
