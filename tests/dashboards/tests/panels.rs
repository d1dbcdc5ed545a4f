//! Starts the shop, the proxy and a Prometheus, drives traffic, and requires data from every query of the
//! Grafana board; and holds every metric that the dashboards name against the catalogue.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test says what is wrong by failing")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use starve_traffic::{Options, Shop};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(60);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// The queries of all panels, by the panel's title.
fn queries() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("dashboards/grafana/starve.json")).unwrap();
    let board: Value = serde_json::from_str(&text).unwrap();
    let mut queries = Vec::new();
    for panel in board["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            queries.push((text(&panel["title"]), text(&target["expr"])));
        }
    }
    queries
}

#[test]
fn dashboards_name_only_metrics_of_the_catalogue() {
    let known: Vec<&str> = starve_telemetry::catalogue::ALL.iter().map(|metric| metric.name).collect();
    for (panel, query) in queries() {
        let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for name in words.filter(|word| word.starts_with("starve_")) {
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            assert!(
                known.contains(&name) || family.is_some_and(|family| known.contains(&family)),
                "panel `{panel}` asks for {name}, which is not exported"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_panel_shows_data_of_a_real_run() {
    let shop = Shop::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let proxy = Proxy::start(folder.path(), &shop.target().to_string()).await;
    let prometheus = Prometheus::start(folder.path(), &proxy.admin).await;

    let mut options = Options::new(format!("http://{}", proxy.listen).parse().unwrap());
    options.duration = PATIENCE;
    let traffic = starve_traffic::start(options);
    let mut missing = queries();
    let deadline = Instant::now() + PATIENCE;
    while !missing.is_empty() && Instant::now() < deadline {
        let mut still_missing = Vec::new();
        for (panel, query) in missing {
            if !prometheus.has_data(&query).await {
                still_missing.push((panel, query));
            }
        }
        missing = still_missing;
    }
    traffic.stopper().stop();
    let summary = traffic.finish().await;
    assert!(missing.is_empty(), "panels without data: {missing:#?}");
    assert_eq!(summary.failed, 0, "{:#?}", summary.examples);
}

struct Proxy {
    _process: Child,
    listen: String,
    admin: String,
}

impl Proxy {
    async fn start(folder: &Path, legacy: &str) -> Self {
        let price = root().join("functions/price/main.py");
        let routes = format!(
            "legacy: {legacy}\n\
             listen: 127.0.0.1:0\n\
             admin: 127.0.0.1:0\n\
             functions:\n  price: {{ process: [python3, {}] }}\n\
             routes:\n\
             - match: GET /api/products/{{id:int}}/price\n  function: price\n  stage: shadow\n\
             - match: GET /product/{{slug}}\n\
             - match: GET /wap\n",
            price.display()
        );
        fs::write(folder.join("routes.yaml"), routes).unwrap();
        let program = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("starve");
        assert!(program.is_file(), "no {}: cargo build -p starve", program.display());
        let mut process = Command::new(program)
            .arg("run")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(folder.join("starve.log")).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = Lines::of(process.stdout.take().unwrap());
        let listen = lines.rest_after("listening on http://").await;
        let admin = lines.rest_after("admin on http://").await;
        Self { _process: process, listen, admin }
    }
}

struct Prometheus {
    _process: Child,
    address: String,
}

impl Prometheus {
    /// With the repository's own scrape configuration, but for the address and a shorter interval.
    async fn start(folder: &Path, admin: &str) -> Self {
        let example = fs::read_to_string(root().join("dashboards/prometheus.yml")).unwrap();
        assert!(example.contains("127.0.0.1:9900") && example.contains("scrape_interval: 5s"));
        let config =
            example.replace("127.0.0.1:9900", admin).replace("scrape_interval: 5s", "scrape_interval: 1s");
        fs::write(folder.join("prometheus.yml"), config).unwrap();
        let mut process = Command::new("prometheus")
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=prometheus"])
            .arg("--web.listen-address=127.0.0.1:0")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("prometheus is not installed: `cargo xtask test` installs it");
        let mut lines = Lines::of(process.stderr.take().unwrap());
        let line = lines.find("\"Listening on\"").await;
        let address = line.split("address=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        // Its log goes on; a pipe that nobody reads would stop it.
        tokio::spawn(async move { while lines.next().await.is_some() {} });
        Self { _process: process, address }
    }

    async fn has_data(&self, query: &str) -> bool {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let Some(answer) = get(&self.address, &format!("/api/v1/query?query={encoded}")).await else {
            return false;
        };
        assert_ne!(answer["status"], "error", "{query}: {answer}");
        let has_value = |series: &Value| series["value"][1].as_str().is_some_and(|value| value != "NaN");
        answer["data"]["result"].as_array().is_some_and(|result| result.iter().any(has_value))
    }
}

async fn get(address: &str, path: &str) -> Option<Value> {
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    let request = hyper::Request::get(path).header("host", address).body(Empty::<Bytes>::new()).unwrap();
    let body = sender.send_request(request).await.ok()?.into_body().collect().await.ok()?.to_bytes();
    serde_json::from_slice(&body).ok()
}

struct Lines<R>(tokio::io::Lines<BufReader<R>>);

impl<R: AsyncRead + Unpin> Lines<R> {
    fn of(output: R) -> Self {
        Self(BufReader::new(output).lines())
    }

    async fn next(&mut self) -> Option<String> {
        self.0.next_line().await.ok().flatten()
    }

    async fn find(&mut self, part: &str) -> String {
        let found = async {
            while let Some(line) = self.next().await {
                if line.contains(part) {
                    return line;
                }
            }
            panic!("it ended without saying {part}");
        };
        timeout(PATIENCE, found).await.expect("it says nothing")
    }

    async fn rest_after(&mut self, beginning: &str) -> String {
        self.find(beginning).await.split(beginning).nth(1).unwrap().trim().to_owned()
    }
}
