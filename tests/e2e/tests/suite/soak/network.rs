//! The network between the proxy and its server is cut and comes back: each in a network namespace of its own, joined by a
//! cable that exists for this test alone.

use std::process::{Child, Command, Stdio};

use e2e::{Done, Metrics, Site, binary, eventually, program};

/// Addresses that belong to nobody (RFC 5737).
const NEAR: &str = "192.0.2.1";
const FAR: &str = "192.0.2.2";

/// Two namespaces and the cable between them; gone with its value.
struct Network {
    near: String,
    far: String,
}

fn ip(arguments: &[&str]) -> Done {
    program("ip", arguments)
}

impl Network {
    fn new() -> Self {
        let id = std::process::id();
        let network = Self { near: format!("starve-near-{id}"), far: format!("starve-far-{id}") };
        let (near, far) = (&*network.near, &*network.far);
        for name in [near, far] {
            ip(&["netns", "add", name]).ok();
            ip(&["-n", name, "link", "set", "lo", "up"]).ok();
        }
        ip(&["link", "add", "near", "netns", near, "type", "veth", "peer", "name", "far", "netns", far]).ok();
        for (name, address, end) in [(near, NEAR, "near"), (far, FAR, "far")] {
            ip(&["-n", name, "addr", "add", &format!("{address}/30"), "dev", end]).ok();
            ip(&["-n", name, "link", "set", end, "up"]).ok();
        }
        network
    }

    fn cut(&self) {
        ip(&["-n", &self.far, "link", "set", "far", "down"]).ok();
    }

    fn mend(&self) {
        ip(&["-n", &self.far, "link", "set", "far", "up"]).ok();
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in [&self.near, &self.far] {
            let _gone = ip(&["netns", "del", name]);
        }
    }
}

/// A program in a namespace; ends with its value, by SIGKILL to its own process id.
struct Inside {
    child: Child,
    log: std::path::PathBuf,
}

impl Inside {
    fn start(namespace: &str, site: &Site, command: &[&str]) -> Self {
        let mut all = Command::new("ip");
        // It becomes the program: no process in between.
        all.args(["netns", "exec", namespace]).args(command).current_dir(site.folder());
        let log = site.path(&format!("{}.log", command.len()));
        all.stdin(Stdio::null()).stdout(Stdio::null()).stderr(std::fs::File::create(&log).unwrap());
        Self { child: all.spawn().unwrap(), log }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _ended = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

/// A server that answers `/small` at once and `/slow` for ever, a piece whenever the last one has gone.
const SERVER: &str = r#"
import http.server, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        if self.path.endswith("/small"):
            self.send_header("content-length", "5")
            self.end_headers()
            self.wfile.write(b"small")
            return
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        while True:
            self.wfile.write(b"1\r\nx\r\n")
            time.sleep(0.01)
http.server.ThreadingHTTPServer(("0.0.0.0", 9000), Handler).serve_forever()
"#;

/// In the order in which they end.
struct Setting {
    _programs: [Inside; 3],
    network: Network,
    site: Site,
    _far_site: Site,
}

impl Setting {
    /// The server behind a proxy that makes HTTP/2 of it, and this side's proxy that calls both.
    fn new() -> Self {
        let network = Network::new();
        let far_site = Site::exactly(&format!(
            "listen: {FAR}:8000\nadmin: 127.0.0.1:9901\nworkers: 1\nlegacy: http://127.0.0.1:9000\n"
        ));
        let site = Site::exactly(&format!(
            "listen: 127.0.0.1:8000\nadmin: 127.0.0.1:9901\nworkers: 1\n\
             legacy: {{ servers: ['http://{FAR}:9000'], timeout: {{ connect: 400ms, first-byte: 400ms, idle: 400ms }} }}\n\
             upstreams:\n  two: {{ servers: ['h2c://{FAR}:8000'], timeout: {{ connect: 400ms, first-byte: 400ms, \
             idle: 400ms }} }}\nroutes:\n  - match: GET /one/{{what}}\n  - match: GET /two/{{what}}\n    legacy: two\n"
        ));
        let starve = binary().display().to_string();
        let programs = [
            Inside::start(&network.far, &far_site, &["python3", "-c", SERVER]),
            Inside::start(&network.far, &far_site, &[&starve, "run"]),
            Inside::start(&network.near, &site, &[&starve, "run"]),
        ];
        Self { _programs: programs, network, site, _far_site: far_site }
    }

    fn curl(&self, arguments: &[&str]) -> Done {
        let all = ["netns", "exec", &self.network.near, "curl", "-sS", "--max-time", "20"];
        program("ip", &[&all[..], arguments].concat())
    }

    /// The status of a call, or that there was no whole answer.
    fn call(&self, route: &str) -> Option<u16> {
        let url = format!("http://127.0.0.1:8000/{route}/small");
        let done = self.curl(&["-o", "/dev/null", "-w", "%{http_code}", &url]);
        if done.code == Some(0) { done.stdout.parse().ok() } else { None }
    }

    fn metrics(&self) -> Metrics {
        Metrics::parse(&self.curl(&["http://127.0.0.1:9901/metrics"]).ok().stdout)
    }
}

#[test]
fn a_cut_network_is_told_in_time_and_calls_succeed_when_it_is_mended() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root: the network is left uncut");
        return;
    }
    let setting = Setting::new();
    let mut calls = 0_u64;
    let succeeds = |route: &str, calls: &mut u64| {
        eventually(&format!("an answer by {route}"), || {
            match setting.call(route) {
                // Nobody listens yet: nothing that could be counted.
                None => Err("no answer".to_owned()),
                Some(status) => {
                    *calls += 1;
                    if status == 200 { Ok(()) } else { Err(status.to_string()) }
                }
            }
        });
    };
    for route in ["one", "two"] {
        succeeds(route, &mut calls);
    }
    // Answers under way when the network goes are cut off, and never look whole.
    let under_way: Vec<Child> = ["one", "two"]
        .into_iter()
        .map(|route| {
            let mut curl = Command::new("ip");
            curl.args([
                "netns",
                "exec",
                &setting.network.near,
                "curl",
                "-sSN",
                "--max-time",
                "20",
                "-o",
                route,
            ]);
            curl.arg(format!("http://127.0.0.1:8000/{route}/slow")).current_dir(setting.site.folder());
            curl.spawn().unwrap()
        })
        .collect();
    for route in ["one", "two"] {
        eventually("the first bytes", || match std::fs::metadata(setting.site.path(route)) {
            Ok(file) if file.len() > 3 => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
    setting.network.cut();
    for mut curl in under_way {
        let status = curl.wait().unwrap();
        assert!(
            matches!(status.code(), Some(code) if code != 0 && code != 28),
            "cut off, and in time: {status}"
        );
        calls += 1;
    }
    for _ in 0..3 {
        for route in ["one", "two"] {
            let status = setting.call(route);
            assert!(matches!(status, Some(502..=504)), "{route}: {status:?}");
            calls += 1;
        }
    }
    setting.network.mend();
    for route in ["one", "two"] {
        succeeds(route, &mut calls);
    }
    let metrics = setting.metrics();
    assert_eq!(metrics.sum("starve_requests_total", &[]) as u64, calls);
    assert_eq!(metrics.sum("starve_requests_total", &[("code", "none")]) as u64, 2);
    assert_eq!(metrics.get("starve_in_flight_requests", &[]), Some(0.0));
}
