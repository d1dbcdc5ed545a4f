//! A ledger that cannot be written: calls go on, counts wait, and it is said everywhere.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use e2e::{After, Origin, Proxy, Site, eventually};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

fn site() -> (Origin, Site) {
    let legacy = Origin::start(|exchange| {
        exchange.answer(200, &[], b"x")?;
        Ok(After::Keep)
    });
    let site = Site::new(&format!("legacy: {}\nroutes: [ {{ match: GET /a }} ]\n", legacy.url()));
    (legacy, site)
}

/// Another program that holds the ledger's lock for writing, until it is dropped.
struct Holder(Child);

impl Holder {
    fn of(site: &Site) -> Self {
        let script = "import sqlite3, sys\n\
                      c = sqlite3.connect('starve.db', isolation_level=None, timeout=30)\n\
                      c.execute('BEGIN IMMEDIATE')\nprint('held', flush=True)\nsys.stdin.read()\nc.execute('ROLLBACK')\n";
        let mut command = Command::new("python3");
        command.args(["-c", script]).current_dir(site.folder()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        Self(child)
    }

    fn release(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _waited = self.0.wait();
    }
}

#[track_caller]
fn call(proxy: &Proxy, times: usize) {
    let mut client = proxy.client();
    for _ in 0..times {
        assert_eq!(client.get("/a").status, 200, "no call fails because of the ledger");
    }
}

#[track_caller]
fn says_that_it_is_degraded(proxy: &Proxy) {
    eventually("a degraded ledger", || {
        let status = proxy.status()["ledger"]["degraded"].clone();
        if status.is_string() { Ok(()) } else { Err(status.to_string()) }
    });
    assert_eq!(proxy.metrics().get("starve_ledger_ok", &[]), Some(0.0));
    assert!(proxy.log().contains("the ledger cannot be written"), "{}", proxy.log());
}

#[track_caller]
fn is_well_again(proxy: &Proxy, calls: u64) {
    eventually("a ledger that can be written", || {
        let status = proxy.status()["ledger"]["degraded"].clone();
        if status.is_null() { Ok(()) } else { Err(status.to_string()) }
    });
    eventually("every call in the ledger", || match proxy.report().calls("GET /a") {
        (told, 0, 0) if told == calls => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(proxy.metrics().get("starve_ledger_ok", &[]), Some(1.0));
    assert!(
        proxy.report().0["warnings"][0].as_str().unwrap().contains("counting began"),
        "only the usual one"
    );
}

#[test]
fn a_locked_ledger_delays_no_call_and_loses_none() {
    let (_legacy, site) = site();
    let proxy = site.run();
    call(&proxy, 5);
    let holder = Holder::of(&site);
    call(&proxy, 20);
    says_that_it_is_degraded(&proxy);
    let page = proxy.admin_call("GET", "/", "").text();
    assert!(page.contains("The ledger cannot be written"), "{page}");
    let warning = proxy.report().0["warnings"][0].clone();
    assert!(warning.as_str().unwrap().contains("the newest counts are missing"), "{warning}");
    call(&proxy, 5);
    holder.release();
    is_well_again(&proxy, 30);
}

#[test]
fn a_ledger_that_turns_to_rubbish_fails_no_call_and_a_new_one_gets_what_waited() {
    let (_legacy, site) = site();
    let proxy = site.run();
    call(&proxy, 5);
    eventually("the first calls in the ledger", || match proxy.report().calls("GET /a") {
        (5, 0, 0) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    // As a bad copy does it: another file in its place, and what belonged to the old one is gone.
    let mut rubbish = std::fs::File::create(site.path("rubbish")).unwrap();
    rubbish.write_all(&[0x5A; 64 * 1024]).unwrap();
    for name in ["starve.db-wal", "starve.db-shm"] {
        let _gone = std::fs::remove_file(site.path(name));
    }
    std::fs::rename(site.path("rubbish"), site.path("starve.db")).unwrap();
    call(&proxy, 20);
    says_that_it_is_degraded(&proxy);
    let report = proxy.starve(&["report"]);
    assert_eq!(report.code, Some(1), "{}", report.stdout);
    assert!(report.stderr.contains("starve.db"), "it names the file: {}", report.stderr);
    for name in ["starve.db", "starve.db-wal", "starve.db-shm"] {
        let _gone = std::fs::remove_file(site.path(name));
    }
    is_well_again(&proxy, 20);
}

#[test]
fn a_damaged_ledger_is_refused_at_the_start_with_the_remedy() {
    let (_legacy, site) = site();
    let proxy = site.run();
    call(&proxy, 5);
    proxy.stop();
    let mut bytes = std::fs::read(site.path("starve.db")).unwrap();
    bytes[4096..].fill(0x5A);
    site.write("starve.db", &bytes);
    let refused = site.starve(&["run"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("damaged") && refused.stderr.contains("restore"), "{}", refused.stderr);
    assert_eq!(std::fs::read(site.path("starve.db")).unwrap(), bytes, "left as it was");
}

/// The largest file that a process may write; the hard limit stays, so that it can be taken back.
fn limit_files(proxy: &Proxy, bytes: Option<u64>) {
    let pid = i32::try_from(proxy.pid()).ok().and_then(Pid::from_raw).unwrap();
    let maximum = getrlimit(Resource::Fsize).maximum;
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}

/// As a quota or a service manager's `LimitFSIZE` does it, and much as a full disk.
#[test]
fn a_limit_on_the_size_of_files_ends_no_call_and_loses_none() {
    let (_legacy, site) = site();
    let proxy = site.run();
    call(&proxy, 5);
    eventually("the first calls in the ledger", || match proxy.report().calls("GET /a") {
        (5, 0, 0) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    // Less than the ledger's log has already.
    limit_files(&proxy, Some(4_096));
    call(&proxy, 200);
    eventually("a degraded ledger", || {
        let status = proxy.status()["ledger"]["degraded"].clone();
        if status.is_string() { Ok(()) } else { Err(status.to_string()) }
    });
    assert_eq!(proxy.metrics().get("starve_ledger_ok", &[]), Some(0.0));
    call(&proxy, 95);
    limit_files(&proxy, None);
    is_well_again(&proxy, 300);
    let site = proxy.site().clone();
    assert!(proxy.stop().status.success());
    assert_eq!(site.report().calls("GET /a"), (300, 0, 0));
}

/// A file system in memory of 2 MiB; gone with its value.
struct Disk(PathBuf);

impl Disk {
    /// `None` where this user may not mount one.
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir(at).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(at);
        let done = command.stderr(Stdio::null()).status();
        done.is_ok_and(|status| status.success()).then(|| Self(at.to_owned()))
    }

    /// Takes what is left of it.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("ballast");
        let mut file = std::fs::File::create(&path).unwrap();
        for size in [64 * 1_024, 4_096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_ends_no_call_and_loses_none() {
    let legacy = Origin::named("legacy");
    let site = Site::new(&format!(
        "legacy: {}\nledger: {{ url: 'sqlite:disk/starve.db' }}\nroutes: [ {{ match: GET /a }} ]\n",
        legacy.url()
    ));
    let Some(disk) = Disk::mount(&site.path("disk")) else {
        eprintln!(
            "SKIPPED: this user may not mount a file system; a limit on the size of files is tested anywhere"
        );
        return;
    };
    let proxy = site.run();
    call(&proxy, 5);
    eventually("the first calls in the ledger", || match proxy.report().calls("GET /a") {
        (5, 0, 0) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let ballast = disk.fill();
    // Every path is a new row, so that the log beside the ledger has to grow.
    let mut client = proxy.client();
    for n in 0..2_000 {
        assert_eq!(client.get(&format!("/words/{n}x/found")).status, 200);
    }
    call(&proxy, 95);
    says_that_it_is_degraded(&proxy);
    std::fs::remove_file(ballast).unwrap();
    is_well_again(&proxy, 100);
    eventually("every call in the report", || match proxy.report().0["progress"]["calls"].as_u64() {
        Some(2_100) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert!(proxy.stop().status.success());
    drop(disk);
}
