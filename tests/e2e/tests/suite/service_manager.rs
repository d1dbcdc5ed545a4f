//! Under systemd: sockets are passed, and the proxy says how it fares.

use std::collections::VecDeque;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::time::Instant;

use e2e::{Client, DEADLINE, Origin, Site, eventually};
use rustix::process::Signal;

#[test]
fn passed_sockets_are_served_and_what_waited_in_them_is_answered() {
    let origin = Origin::named("legacy");
    let (listener, stray) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    let site = Site::exactly(&format!(
        "listen: {address}\nadmin: 127.0.0.1:0\nworkers: 3\nlegacy: {}\nroutes: [ {{ match: GET /a }} ]\n",
        origin.url()
    ));
    // They come before anybody serves.
    let mut early: Vec<Client> = (0..5).map(|_| Client::connect(address)).collect();
    for client in &mut early {
        client.begin("GET", "/a", &[], b"");
    }
    let proxy = site.run_passing(&[], vec![stray, listener.try_clone().unwrap()]);
    assert_eq!(proxy.address(), address);
    for client in &mut early {
        assert_eq!(client.answer("GET").status, 200);
    }
    for _ in 0..10 {
        assert_eq!(proxy.get("/a").status, 200);
    }
    assert!(proxy.log().contains("a passed socket is no address of `listen`"), "{}", proxy.log());

    // While the proxy is away, the socket is not: whoever calls waits for the next one.
    proxy.stop();
    let mut patient = Client::connect(address);
    patient.begin("GET", "/a", &[], b"");
    let proxy = site.run_passing(&[], vec![listener]);
    assert_eq!(patient.answer("GET").status, 200);
    proxy.stop();
    assert_eq!(site.report().calls("GET /a"), (16, 0, 0));
}

/// What the service manager hears.
struct Manager {
    socket: UnixDatagram,
    heard: VecDeque<String>,
}

impl Manager {
    fn wait_for(&mut self, word: &str) {
        let until = Instant::now() + DEADLINE;
        while Instant::now() < until {
            while let Some(line) = self.heard.pop_front() {
                if line == word {
                    return;
                }
            }
            let mut bytes = [0; 4_096];
            let read = self.socket.recv(&mut bytes).unwrap_or_else(|error| panic!("no {word}: {error}"));
            let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
            self.heard.extend(text.lines().map(str::to_owned));
        }
        panic!("no {word} in {DEADLINE:?}");
    }
}

#[test]
fn the_service_manager_is_told() {
    let origin = Origin::named("legacy");
    let site = Site::new(&format!("legacy: {}\n", origin.url()));
    let path = site.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut manager = Manager { socket, heard: VecDeque::new() };
    let mut proxy =
        site.run_with(&[("NOTIFY_SOCKET", path.as_os_str()), ("WATCHDOG_USEC", "400000".as_ref())]);
    manager.wait_for("READY=1");
    manager.wait_for("WATCHDOG=1");
    proxy.signal(Signal::HUP);
    manager.wait_for("RELOADING=1");
    manager.wait_for("READY=1");
    let successor = proxy.replace();
    // Not by asking the admin address again: both processes may answer there for a moment.
    manager.wait_for(&format!("MAINPID={}", successor.pid()));
    assert_eq!(proxy.ended().status.code(), Some(0));
    // The watchdog hears the new process.
    manager.wait_for("WATCHDOG=1");
    eventually("an answer", || match proxy.get("/a").status {
        200 => Ok(()),
        other => Err(other.to_string()),
    });
    successor.stop();
    manager.wait_for("STOPPING=1");
}
