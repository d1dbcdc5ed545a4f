//! The whole thing on one machine: the old shop, the functions, the proxy, traffic, and flips while it runs.
//!
//! It works on a copy of the root `routes.yaml` in `target/…/demo`, so that the flips leave the tree alone.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::children::{Running, wait_for_line};
use crate::packages::{PYTHON, ensure};
use crate::progress::{Line, run as run_shown};
use crate::test::cargo;
use crate::{root, target_dir};

const DURATION_DEFAULT: Duration = Duration::from_secs(600);
const RATE_DEFAULT: u32 = 150;

/// What is flipped, and when: the share of the run that has passed.
const FLIPS: &[(f64, &str, &str, Option<&str>)] = &[
    (0.15, "GET /api/shipping/quote", "canary", Some("50")),
    (0.25, "GET /api/search", "live", None),
    (0.35, "GET /api/products/{id:int}", "canary", Some("25")),
    (0.45, "GET /api/shipping/quote", "live", None),
    (0.55, "GET /api/products/{id:int}", "canary", Some("100")),
    (0.65, "GET /api/search", "done", None),
    (0.75, "GET /api/products/{id:int}", "live", None),
];

struct Options {
    duration: Duration,
    rate: u32,
}

pub(crate) fn run(words: &[&str]) -> Result<()> {
    let options = options(words)?;
    ensure(&[PYTHON])?;
    let build = ["build", "--package", "starve", "--package", "search", "--package", "starve-traffic"];
    run_shown(
        "build the proxy, the functions and the traffic (some minutes the first time)",
        cargo().args(build),
    )?;

    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())?;
    }
    let folder = target_dir().join("demo");
    prepare(&folder)?;
    let (mut shop, legacy) = start_shop(&folder)?;
    write_routes(&folder, &legacy)?;
    let (mut proxy, addresses) = start_proxy(&folder)?;
    println!("· the page: {}   metrics: {}/metrics", addresses.admin, addresses.admin);
    println!("· the shop through the proxy: {}", addresses.listen);
    println!("· routes.yaml that is being flipped: {}", folder.join("routes.yaml").display());

    let summary = drive(&options, &folder, &addresses, &stop)?;
    // The ledger takes the last second's counts.
    std::thread::sleep(Duration::from_millis(1_500));
    println!("\n{}", starve(&folder, &addresses, &["report"])?);
    println!("{}", first_difference(&folder, &addresses)?);
    proxy.stop(Duration::from_secs(40))?;
    shop.stop(Duration::from_secs(10))?;
    conclude(&summary)
}

fn options(words: &[&str]) -> Result<Options> {
    let mut options = Options { duration: DURATION_DEFAULT, rate: RATE_DEFAULT };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("{word} wants a value"))?;
        match *word {
            "--for" => options.duration = duration(value)?,
            "--rate" => options.rate = value.parse().with_context(|| format!("--rate {value}"))?,
            other => bail!("{other} is not known; try `cargo xtask help`"),
        }
    }
    Ok(options)
}

fn duration(text: &str) -> Result<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().with_context(|| format!("--for {text}: write 30s or 5m"))?;
    match unit {
        "s" | "" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        _ => bail!("--for {text}: write 30s or 5m"),
    }
}

fn prepare(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder)?;
    // Relative paths in routes.yaml start at its own folder.
    std::os::unix::fs::symlink(root().join("functions"), folder.join("functions"))?;
    Ok(())
}

fn start_shop(folder: &Path) -> Result<(Running, String)> {
    let script = root().join("legacy-monolith").join("shop.py");
    let data = folder.join("shop");
    let arguments =
        [script.as_os_str(), "--port".as_ref(), "0".as_ref(), "--data".as_ref(), data.as_os_str()];
    let log = folder.join("shop.log");
    let (shop, mut output) = Running::start("the shop", PYTHON.program, &arguments, folder, &log)?;
    let address = wait_for_line(&mut output, "listening on ").context("the shop")?;
    println!("· the old shop runs on {address}");
    Ok((shop, address))
}

/// The root `routes.yaml` with this machine's addresses and this build's program.
fn write_routes(folder: &Path, legacy: &str) -> Result<()> {
    let mut text = fs::read_to_string(root().join("routes.yaml"))?;
    let search = target_dir().join("search");
    let mut changes = vec![
        ("http://127.0.0.1:3000", format!("http://{legacy}")),
        ("target/release/search", search.display().to_string()),
    ];
    for address in ["127.0.0.1:8080", "127.0.0.1:9900"] {
        if TcpListener::bind(address).is_err() {
            changes.push((address, "127.0.0.1:0".to_owned()));
        }
    }
    for (from, to) in changes {
        if !text.contains(from) {
            bail!("routes.yaml no longer names {from}, which the demo replaces");
        }
        text = text.replacen(from, &to, 1);
    }
    fs::write(folder.join("routes.yaml"), text)?;
    Ok(())
}

struct Addresses {
    listen: String,
    admin: String,
}

fn start_proxy(folder: &Path) -> Result<(Running, Addresses)> {
    let program = target_dir().join("starve");
    let log = folder.join("starve.log");
    let (proxy, mut output) = Running::start("the proxy", program, &["run".as_ref()], folder, &log)?;
    let address = |output: &mut BufReader<ChildStdout>, beginning: &str| {
        wait_for_line(output, beginning).with_context(|| format!("the proxy; its log is {}", log.display()))
    };
    let listen = address(&mut output, "listening on ")?;
    let admin = address(&mut output, "admin on ")?;
    Ok((proxy, Addresses { listen, admin }))
}

/// Drives traffic for the time asked for, flips on the way, and returns the driver's summary.
fn drive(options: &Options, folder: &Path, addresses: &Addresses, stop: &AtomicBool) -> Result<Value> {
    let seconds = format!("{}s", options.duration.as_secs());
    let rate = options.rate.to_string();
    let words = ["--target", &addresses.listen, "--duration", &seconds, "--rate", &rate];
    let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
    let program = target_dir().join("starve-traffic");
    let (mut traffic, output) =
        Running::start("the traffic", program, &words, folder, &folder.join("traffic.log"))?;
    let started = Instant::now();
    let (mut line, mut flips, mut flipped, mut stopping) = (Line::new(), FLIPS.iter().peekable(), 0, false);
    for said in output.lines() {
        let said: Value = serde_json::from_str(&said?).context("the traffic's progress")?;
        if let Some(summary) = said.get("summary") {
            line.end();
            println!("· {flipped} flips while {} calls ran", summary["calls"]);
            return Ok(summary.clone());
        }
        if stop.load(Ordering::Relaxed) && !stopping {
            stopping = true;
            line.say("· stopping");
            traffic.stop(Duration::from_secs(40))?;
        }
        let passed = started.elapsed().as_secs_f64() / options.duration.as_secs_f64();
        while let Some((_, route, stage, percent)) = flips.next_if(|flip| flip.0 <= passed && !stopping) {
            line.say(&format!("· {}", flip(folder, addresses, route, stage, *percent)?));
            flipped += 1;
        }
        line.show(&format!(
            "{:>4} s of {seconds}  {:>7} calls  {} failed  {:.0}/s  p50 {:.1} ms  p99 {:.1} ms",
            said["second"],
            said["calls"],
            said["failed"],
            said["rate"].as_f64().unwrap_or_default(),
            said["p50_ms"].as_f64().unwrap_or_default(),
            said["p99_ms"].as_f64().unwrap_or_default(),
        ));
    }
    bail!("the traffic ended without a summary; see {}", folder.join("traffic.log").display())
}

fn flip(
    folder: &Path,
    addresses: &Addresses,
    route: &str,
    stage: &str,
    percent: Option<&str>,
) -> Result<String> {
    let mut words = vec!["flip", route, stage];
    if let Some(percent) = percent {
        words.extend(["--percent", percent]);
    }
    starve(folder, addresses, &words).map(|said| said.trim_end().to_owned())
}

/// Runs one of the proxy's own commands, as a person would.
fn starve(folder: &Path, addresses: &Addresses, words: &[&str]) -> Result<String> {
    let program: PathBuf = target_dir().join("starve");
    let admin = addresses.admin.trim_start_matches("http://");
    let output = Command::new(program).args(words).args(["--admin", admin]).current_dir(folder).output()?;
    if !output.status.success() {
        bail!("starve {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// One sample of what the comparison found, as `starve diffs` shows it.
fn first_difference(folder: &Path, addresses: &Addresses) -> Result<String> {
    let diffs = starve(folder, addresses, &["diffs", "GET /api/products/{id:int}/price", "--limit", "1"])?;
    Ok(format!("What differs, and an example (starve diffs 'GET /api/products/{{id:int}}/price'):\n{diffs}"))
}

fn conclude(summary: &Value) -> Result<()> {
    let (calls, failed) = (&summary["calls"], summary["failed"].as_u64().unwrap_or(u64::MAX));
    if failed > 0 {
        bail!("{failed} of {calls} calls failed: {}", summary["examples"]);
    }
    println!("{calls} calls, 0 failed.");
    Ok(())
}
