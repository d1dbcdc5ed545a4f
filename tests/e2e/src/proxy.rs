//! The binary as it runs.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt as _, FdMapping};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::client::{Answer, Client};
use crate::command::{self, Done};
use crate::metrics::Metrics;
use crate::report::Report;
use crate::site::Site;
use crate::wait::{DEADLINE, eventually};

/// Ends with its value, at the latest: by SIGKILL, to its own process id.
#[derive(Debug)]
pub struct Proxy {
    site: Site,
    child: Child,
    address: SocketAddr,
    admin: SocketAddr,
    /// Where clients call with TLS.
    tls: Option<SocketAddr>,
    log: String,
}

/// A proxy that has ended.
#[derive(Debug)]
pub struct Stopped {
    pub status: ExitStatus,
    /// All that it wrote on standard error.
    pub log: String,
    pub took: Duration,
}

impl Proxy {
    /// Starts a proxy with these routes in a new folder.
    #[track_caller]
    pub fn start(routes: &str) -> Self {
        Site::new(routes).run()
    }

    #[track_caller]
    pub(crate) fn of(site: &Site, env: &[(&str, &OsStr)], passed: Vec<TcpListener>) -> Self {
        let log = format!("stderr-{}.log", std::fs::read_dir(site.folder()).unwrap().count());
        let mut command = command::starve(site.folder(), ["run"]);
        command.envs(env.iter().copied());
        pass(&mut command, passed);
        command.stdout(Stdio::piped()).stderr(std::fs::File::create(site.path(&log)).unwrap());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // Whoever asked for the first two lines may be gone.
                let _heard = sender.send(line);
            }
        });
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut proxy = Self { site: site.clone(), child, address: nowhere, admin: nowhere, tls: None, log };
        proxy.address = proxy.announced(&lines, "listening on http://");
        if site.routes().contains("tls:") {
            proxy.tls = Some(proxy.announced(&lines, "listening on https://"));
        }
        proxy.admin = proxy.announced(&lines, "admin on http://");
        eventually("a ready proxy", || match proxy.try_admin("GET", "/readyz", "") {
            Ok(answer) if answer.status == 200 => Ok(()),
            other => Err(format!("{other:?}")),
        });
        proxy
    }

    #[track_caller]
    fn announced(&mut self, lines: &mpsc::Receiver<String>, what: &str) -> SocketAddr {
        let line = lines.recv_timeout(DEADLINE).unwrap_or_else(|error| {
            panic!("no line `{what}` ({error}); {:?}; {}", self.child.try_wait(), self.log())
        });
        let address = line.strip_prefix(what).and_then(|address| address.parse().ok());
        address.unwrap_or_else(|| panic!("`{line}` is not `{what}ADDRESS`"))
    }

    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Where clients call.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients call with TLS.
    ///
    /// # Panics
    /// No listener has `tls`.
    pub fn tls_address(&self) -> SocketAddr {
        self.tls.expect("a listener with TLS")
    }

    /// The admin address.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection of its own.
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// One GET over a connection of its own.
    #[track_caller]
    pub fn get(&self, target: &str) -> Answer {
        self.client().get(target)
    }

    /// All that was written on standard error so far.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.site.path(&self.log)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// One request to the admin address.
    #[track_caller]
    pub fn admin_call(&self, method: &str, path: &str, body: &str) -> Answer {
        self.try_admin(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn try_admin(&self, method: &str, path: &str, body: &str) -> std::io::Result<Answer> {
        let mut client = Client::try_connect(self.admin)?;
        client.try_send(format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.admin,
            body.len()
        ))?;
        client.try_answer(method)
    }

    #[track_caller]
    pub fn status(&self) -> Value {
        self.admin_call("GET", "/api/status", "").json()
    }

    #[track_caller]
    pub fn generation(&self) -> u64 {
        self.status()["generation"].as_u64().expect("a generation")
    }

    #[track_caller]
    pub fn metrics(&self) -> Metrics {
        Metrics::parse(&self.admin_call("GET", "/metrics", "").text())
    }

    /// Runs a command of the binary against this proxy.
    #[track_caller]
    pub fn starve(&self, arguments: &[&str]) -> Done {
        let admin = self.admin.to_string();
        self.site.starve(&[arguments, &["--admin", &admin]].concat())
    }

    #[track_caller]
    pub fn report(&self) -> Report {
        Report(self.starve(&["report", "--format", "json"]).ok().json())
    }

    /// Changes a stage by the command, which is in force when this returns.
    #[track_caller]
    pub fn flip(&self, route: &str, stage: &str, percent: Option<&str>) {
        let percent = percent.map_or(Vec::new(), |percent| vec!["--percent", percent]);
        self.starve(&[&["flip", route, stage][..], &percent].concat()).ok();
    }

    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).unwrap();
    }

    /// Has itself replaced, and waits until another process answers at the admin address.
    #[track_caller]
    pub fn replace(&self) -> Successor {
        self.signal(Signal::USR2);
        let pid = eventually("a successor", || {
            let answer = self.try_admin("GET", "/api/status", "").map_err(|error| error.to_string())?;
            let pid = answer.json()["pid"].as_u64().unwrap_or_default();
            if pid == u64::from(self.pid()) { Err("the same process".to_owned()) } else { Ok(pid) }
        });
        Successor(i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id"))
    }

    /// Asks for a graceful end and waits for it.
    #[track_caller]
    pub fn stop(mut self) -> Stopped {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Waits for the end, whoever asked for it.
    #[track_caller]
    pub fn ended(&mut self) -> Stopped {
        let began = Instant::now();
        let status = command::wait(&mut self.child, DEADLINE + DEADLINE);
        let status = status.unwrap_or_else(|| panic!("the proxy does not end: {}", self.log()));
        Stopped { status, log: self.log(), took: began.elapsed() }
    }

    /// SIGKILL: no goodbye.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The resident memory in bytes: now, and the most there ever was.
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let bytes = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key)).expect(key);
            let kib: u64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap();
            kib * 1024
        };
        (bytes("VmRSS:"), bytes("VmHWM:"))
    }
}

/// As systemd does it: from descriptor 3 on.
fn pass(command: &mut Command, listeners: Vec<TcpListener>) {
    if listeners.is_empty() {
        return;
    }
    command.env("LISTEN_FDS", listeners.len().to_string());
    let mappings =
        listeners.into_iter().zip(3..).map(|(one, child_fd)| FdMapping { parent_fd: one.into(), child_fd });
    command.fd_mappings(mappings.collect()).unwrap();
}

/// The process that has taken over from a proxy. Ends with its value by SIGKILL, to its own process id.
#[derive(Debug)]
pub struct Successor(Pid);

impl Successor {
    pub fn pid(&self) -> i32 {
        self.0.as_raw_nonzero().get()
    }

    /// Asks for a graceful end and waits for it.
    #[track_caller]
    pub fn stop(self) {
        kill_process(self.0, Signal::TERM).unwrap();
        eventually("the end of the successor", || match self.has_ended() {
            true => Ok(()),
            false => Err(format!("{:?}", self.0)),
        });
    }

    /// Gone, or waiting for somebody to ask how it ended: it is no child of this process.
    fn has_ended(&self) -> bool {
        let path = format!("/proc/{}/stat", self.0.as_raw_nonzero());
        std::fs::read_to_string(path).map_or(true, |stat| {
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
        })
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if !self.has_ended() {
            let _killed = kill_process(self.0, Signal::KILL);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the proxy's standard error ---\n{}--- end ---", self.log());
        }
    }
}
