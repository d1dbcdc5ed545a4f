//! What the tests and the demo need from the machine beside Rust, installed where it is missing.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::{progress, target_dir};

/// A program, and the package that has it in each package manager.
pub(crate) struct Needed {
    pub(crate) program: &'static str,
    apt: &'static str,
    dnf: &'static str,
    brew: &'static str,
}

pub(crate) const PYTHON: Needed =
    Needed { program: "python3", apt: "python3", dnf: "python3", brew: "python@3" };
pub(crate) const PROMETHEUS: Needed =
    Needed { program: "prometheus", apt: "prometheus", dnf: "prometheus", brew: "prometheus" };

/// What the end-to-end tests call with, and what cuts the network for them (Linux).
pub(crate) const CURL: Needed = Needed { program: "curl", apt: "curl", dnf: "curl", brew: "curl" };
pub(crate) const PIP: Needed =
    Needed { program: "pip3", apt: "python3-pip", dnf: "python3-pip", brew: "python@3" };
pub(crate) const IP: Needed = Needed { program: "ip", apt: "iproute2", dnf: "iproute", brew: "iproute2mac" };

/// What the scripts of the tests import, and the name by which they do.
const PYTHON_PACKAGES: [(&str, &str); 4] = [
    ("websockets>=14", "websockets"),
    ("grpcio>=1.60", "grpc"),
    ("jsonschema>=4.18", "jsonschema"),
    ("pyyaml>=6", "yaml"),
];

/// What `tests/bench` measures with and against. Envoy comes from PyPI, where it is wanted.
pub(crate) const VALGRIND: Needed =
    Needed { program: "valgrind", apt: "valgrind", dnf: "valgrind", brew: "valgrind" };

pub(crate) const BENCH: [Needed; 6] = [
    PYTHON,
    Needed { program: "nginx", apt: "nginx-light", dnf: "nginx", brew: "nginx" },
    Needed { program: "haproxy", apt: "haproxy", dnf: "haproxy", brew: "haproxy" },
    Needed { program: "wrk", apt: "wrk", dnf: "wrk", brew: "wrk" },
    Needed { program: "h2load", apt: "nghttp2-client", dnf: "nghttp2", brew: "nghttp2" },
    Needed { program: "openssl", apt: "openssl", dnf: "openssl", brew: "openssl" },
];

/// Installs what is missing, all at once.
///
/// # Errors
/// There is no known package manager, or it fails: says what to install by hand.
pub(crate) fn ensure(needed: &[Needed]) -> Result<()> {
    let missing: Vec<&Needed> = needed.iter().filter(|needed| find(needed.program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = |of: fn(&Needed) -> &'static str| missing.iter().map(|needed| of(needed)).collect::<Vec<_>>();
    if find("apt-get").is_some() {
        progress::run("update the package lists", root_command("apt-get").args(["update", "-qq"]))?;
        // Services that a package would start belong to the machine's owner, not to a test.
        let mut install = root_command("apt-get");
        install.args(["install", "-y", "-qq", "--no-install-recommends"]).args(names(|needed| needed.apt));
        install.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1").stdout(Stdio::null());
        progress::run(&format!("install {}", names(|needed| needed.apt).join(", ")), &mut install)?;
    } else if find("dnf").is_some() {
        let mut install = root_command("dnf");
        install.args(["install", "-y", "-q"]).args(names(|needed| needed.dnf));
        progress::run(&format!("install {}", names(|needed| needed.dnf).join(", ")), &mut install)?;
    } else if find("brew").is_some() {
        let mut install = Command::new("brew");
        install.arg("install").args(names(|needed| needed.brew));
        progress::run(&format!("install {}", names(|needed| needed.brew).join(", ")), &mut install)?;
    }
    for needed in missing {
        if find(needed.program).is_none() {
            bail!("`{}` is missing; install it with this machine's package manager", needed.program);
        }
    }
    Ok(())
}

/// Installs the Python packages of the tests beside what cargo builds, where they disturb nothing.
///
/// # Errors
/// pip fails.
pub(crate) fn ensure_python_packages() -> Result<()> {
    let folder = target_dir().join("../python");
    let missing = PYTHON_PACKAGES.iter().filter(|(_, import)| !folder.join(import).is_dir());
    let missing: Vec<&str> = missing.map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut install = Command::new(PYTHON.program);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]);
    install.arg(&folder).args(["--root-user-action", "ignore", "--upgrade"]).args(&missing);
    progress::run(&format!("install {}", missing.join(", ")), &mut install)
}

/// Where a program stands on PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn root_command(program: &str) -> Command {
    if rustix::process::geteuid().is_root() || find("sudo").is_none() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg(program);
    command
}
