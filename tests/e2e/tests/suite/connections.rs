//! What happens to a connection before its first request: PROXY headers, limits per address, a machine that has
//! run out of descriptors.

use e2e::{Client, Origin, Proxy, Site, eventually};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

const FIRST: &str = "PROXY TCP4 192.0.2.1 198.51.100.1 56324 80\r\n";
const SECOND: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x11\xc0\0\x02\x02\xc6\x33\x64\x01\xdc\x04\0\x50\x04\0\x02ab";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\x00";

fn behind_a_load_balancer(origin: &Origin, trusted: &str, settings: &str) -> Proxy {
    Site::exactly(&format!(
        "listen: [ {{ address: 127.0.0.1:0, proxy-protocol: required }} ]\nadmin: 127.0.0.1:0\nworkers: 2\n\
         trusted-proxies: [{trusted}]\nlegacy: {}\n{settings}",
        origin.url()
    ))
    .run()
}

fn refused(proxy: &Proxy, reason: &str) -> f64 {
    proxy.metrics().get("starve_refused_connections_total", &[("reason", reason)]).unwrap()
}

#[test]
fn the_client_is_who_the_proxy_header_names() {
    let origin = Origin::named("legacy");
    let proxy = behind_a_load_balancer(&origin, "127.0.0.1", "");
    for (header, expected) in [(FIRST.as_bytes(), "192.0.2.1"), (SECOND, "192.0.2.2"), (LOCAL, "127.0.0.1")] {
        let mut client = proxy.client();
        client.send(header);
        // What the client itself claims is not believed.
        assert_eq!(client.call("GET", "/a", &[("x-forwarded-for", "203.0.113.9")], b"").status, 200);
        let (seen, claimed) = (origin.seen(), if expected == "127.0.0.1" { "203.0.113.9, " } else { "" });
        let forwarded = seen.last().unwrap().head.field("x-forwarded-for").unwrap().to_owned();
        // LOCAL: the load balancer itself calls, which is trusted.
        assert_eq!(forwarded, format!("{claimed}{expected}"));
        assert_eq!(client.get("/b").status, 200, "one header for the whole connection");
    }
}

#[test]
fn a_header_in_single_bytes_and_one_together_with_the_request_are_the_same() {
    let origin = Origin::named("legacy");
    let proxy = behind_a_load_balancer(&origin, "127.0.0.1", "");
    for header in [FIRST.as_bytes(), SECOND] {
        let mut client = proxy.client();
        for byte in header {
            client.send([*byte]);
        }
        assert_eq!(client.get("/a").status, 200);
        let mut client = proxy.client();
        client.send([header, b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n"].concat());
        assert_eq!(client.answer("GET").status, 200);
    }
}

#[test]
fn without_a_header_and_from_strangers_there_is_no_connection() {
    let origin = Origin::named("legacy");
    let proxy = behind_a_load_balancer(&origin, "127.0.0.1", "");
    for bytes in ["GET / HTTP/1.1\r\nhost: a\r\n\r\n", "PROXY TCP4 192.0.2.1\r\nGET / HTTP/1.1\r\n\r\n"] {
        let mut client = proxy.client();
        client.send(bytes);
        client.wait_for_close().unwrap();
    }
    let mut gone = proxy.client();
    gone.send("PROXY ");
    gone.finish();
    gone.wait_for_close().unwrap();
    assert_eq!(refused(&proxy, "bad_proxy_header"), 3.0);

    let strangers = behind_a_load_balancer(&origin, "192.0.2.77", "");
    let mut client = strangers.client();
    client.send(FIRST);
    client.wait_for_close().unwrap();
    assert_eq!(refused(&strangers, "untrusted_proxy"), 1.0);
    assert_eq!(origin.seen().len(), 0);
}

#[test]
fn a_header_that_does_not_come_in_time_ends_the_connection() {
    let origin = Origin::named("legacy");
    let proxy = behind_a_load_balancer(&origin, "127.0.0.1", "limits: { head-timeout: 100ms }\n");
    let mut client = proxy.client();
    client.send("PROXY TCP4");
    client.wait_for_close().unwrap();
    let hits = proxy.metrics().get("starve_limit_hits_total", &[("limit", "head-timeout")]);
    assert_eq!(hits, Some(1.0));
}

#[test]
fn a_listener_that_nobody_could_use_is_an_error() {
    let site = Site::new("legacy: http://127.0.0.1:1\n");
    site.edit("listen: 127.0.0.1:0", "listen: [ { address: 127.0.0.1:0, proxy-protocol: required } ]");
    let done = site.starve(&["check"]);
    assert_eq!(done.code, Some(78), "{}", done.stderr);
    let said = done.stdout + &done.stderr;
    assert!(said.contains("trusted-proxies"), "{said}");
}

#[test]
fn an_address_has_so_many_connections_and_others_are_not_held_up() {
    let origin = Origin::named("legacy");
    let settings = "limits: { connections-per-address: 2 }\n";
    let proxy = behind_a_load_balancer(&origin, "127.0.0.1", settings);
    let connect = |address: &str| {
        let mut client = proxy.client();
        let family = if address.contains(':') { 6 } else { 4 };
        client.send(format!("PROXY TCP{family} {address} {address} 1 80\r\n"));
        client
    };
    for (address, neighbour, other) in
        [("192.0.2.1", "192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")]
    {
        let mut open: Vec<Client> = vec![connect(address), connect(neighbour)];
        for client in &mut open {
            assert_eq!(client.get("/a").status, 200);
        }
        connect(address).wait_for_close().unwrap();
        assert_eq!(connect(other).get("/a").status, 200);
        drop(open.pop());
        eventually("a place that was given free", || {
            let mut client = connect(address);
            client.begin("GET", "/a", &[], b"");
            client.try_answer("GET").map(drop).map_err(|error| error.to_string())
        });
    }
    assert!(refused(&proxy, "per_address") >= 2.0);

    // Connections of the load balancer itself are those of many.
    let mut own: Vec<Client> = (0..5).map(|_| proxy.client()).collect();
    for client in &mut own {
        client.send(LOCAL);
        assert_eq!(client.get("/a").status, 200);
    }
}

#[test]
fn without_a_load_balancer_the_address_is_the_connection_s() {
    let origin = Origin::named("legacy");
    let proxy =
        Proxy::start(&format!("legacy: {}\nlimits: {{ connections-per-address: 1 }}\n", origin.url()));
    let mut first = proxy.client();
    assert_eq!(first.get("/a").status, 200);
    proxy.client().wait_for_close().unwrap();
    assert_eq!(first.get("/a").status, 200);
}

#[test]
fn a_machine_without_descriptors_makes_clients_wait_and_nothing_else() {
    let origin = Origin::named("legacy");
    let proxy = Proxy::start(&format!("legacy: {}\n", origin.url()));
    assert_eq!(proxy.get("/a").status, 200);
    let pid = Pid::from_raw(i32::try_from(proxy.pid()).unwrap()).unwrap();
    let open = std::fs::read_dir(format!("/proc/{}/fd", proxy.pid())).unwrap().count() as u64;
    let before = getrlimit(Resource::Nofile);
    let few = Rlimit { current: Some(open + 4), maximum: before.maximum };
    prlimit(Some(pid), Resource::Nofile, few).unwrap();
    let mut clients: Vec<Client> = (0..20).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.begin("GET", "/a", &[("connection", "close")], b"");
    }
    eventually("a pause", || match proxy.log().contains("accepting pauses") {
        true => Ok(()),
        false => Err(proxy.log()),
    });
    prlimit(Some(pid), Resource::Nofile, before).unwrap();
    for client in &mut clients {
        // Accepted, it may still have found no descriptor for the way to the origin: that is said honestly.
        let status = client.answer("GET").status;
        assert!(matches!(status, 200 | 502 | 503), "{status}");
    }
    assert_eq!(proxy.get("/a").status, 200);
    let pauses = proxy.metrics().get("starve_limit_hits_total", &[("limit", "file-descriptors")]).unwrap();
    assert!(pauses >= 1.0, "{pauses}");
}
