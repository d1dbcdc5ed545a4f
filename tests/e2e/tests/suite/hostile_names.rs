//! Whatever names clients make up: series and memory stay bounded, and every call is counted.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use e2e::{After, Origin, Proxy, eventually};

/// In all, unless [`CALLS_VARIABLE`] says otherwise: a million take too long in a debug build, and what bounds series and
/// memory are tables far smaller than this.
const CALLS: usize = 60_000;
const CALLS_VARIABLE: &str = "STARVE_HOSTILE_NAMES";
const CONNECTIONS: usize = 6;
const PIPELINED: usize = 100;

const MIB: u64 = 1024 * 1024;

#[test]
fn distinct_hostile_paths_hosts_and_clients_leave_series_and_memory_bounded() {
    let legacy = Origin::start(|exchange| {
        exchange.answer(200, &[], b"")?;
        Ok(After::Keep)
    });
    let calls = std::env::var(CALLS_VARIABLE).map_or(CALLS, |number| number.parse().unwrap());
    let proxy = Proxy::start(&format!(
        "legacy: {}\ncallers: {{ id: 'header:X-Client-Id' }}\nroutes: [ {{ match: 'GET /a/{{id}}' }} ]\n",
        legacy.url()
    ));
    flood(&proxy, 0, calls / 2);
    let before = lines(&proxy);
    let (resident, _) = proxy.memory();
    flood(&proxy, calls / 2, calls);
    let after = lines(&proxy);
    let (_, most) = proxy.memory();
    assert_eq!(before, after, "not one series more for {calls} names");
    assert!(after < 400, "{after} series");
    assert!(most < resident + 192 * MIB, "{} MiB, then {} MiB", resident / MIB, most / MIB);
    let report = eventually("every call in the report", || match proxy.report() {
        report if report.0["progress"]["calls"] == calls => Ok(report),
        report => Err(report.0["progress"].to_string()),
    });
    let (routed, _, _) = report.calls("GET /a/{id}");
    assert_eq!(routed, calls as u64 / 4);
    assert!(report.0["discovered"].as_array().unwrap().len() <= 2_049, "templates are bounded");
}

/// How many series there are.
fn lines(proxy: &Proxy) -> usize {
    let text = proxy.admin_call("GET", "/metrics", "").text();
    text.lines().filter(|line| !line.starts_with('#')).count()
}

fn flood(proxy: &Proxy, from: usize, to: usize) {
    let share = |connection| from + connection * (to - from) / CONNECTIONS;
    std::thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let (names, address) = (share(connection)..share(connection + 1), proxy.address());
            scope.spawn(move || {
                let stream = TcpStream::connect(address).unwrap();
                for first in names.clone().step_by(PIPELINED) {
                    pipeline(&stream, first, PIPELINED.min(names.end - first));
                }
            });
        }
    });
}

/// One in four goes to the route; no name comes twice.
fn pipeline(mut stream: &TcpStream, first: usize, count: usize) {
    let mut text = String::new();
    for n in first..first + count {
        let path = match n % 4 {
            0 => format!("/a/{n}"),
            1 => format!("/wp-{n}.php?x={n}"),
            2 => format!("/%7B{n}%7D/x{n}/y{n}"),
            _ => format!("/api/v{n}/{n:x}/k{n}"),
        };
        let _infallible = write!(
            text,
            "GET {path} HTTP/1.1\r\nhost: h{n}.example\r\nuser-agent: agent-{n}\r\nx-client-id: c{n}\r\n\
             referer: http://r{n}.example/p{n}\r\nx-forwarded-for: 10.{}.{}.{}\r\n\r\n",
            n >> 16 & 255,
            n >> 8 & 255,
            n & 255
        );
    }
    stream.write_all(text.as_bytes()).unwrap();
    let (mut seen, mut answers, mut buffer) = (Vec::new(), 0, [0; 16 * 1024]);
    while answers < count {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "closed after {answers} of {count}");
        seen.extend_from_slice(&buffer[..read]);
        // A part of a head that is cut stays for the next look.
        let whole = seen.windows(4).rposition(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4);
        let heads = String::from_utf8_lossy(&seen[..whole]).into_owned();
        answers += heads.matches("HTTP/1.1 200").count();
        assert!(!heads.contains("HTTP/1.1 4") && !heads.contains("HTTP/1.1 5"), "{heads}");
        seen.drain(..whole);
    }
}
