//! `starve-traffic`: the driver as a program. One line each second on stdout, then the summary.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, ValueEnum};
use starve_traffic::{Options, Running, Second, Summary, Target};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval_at},
};

/// Realistic traffic for the demo shop; every answer is checked. Ends with 1 when a call failed.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where the calls go: the proxy, or the shop itself (then with --http2-share 0)
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    target: Target,
    /// How long, such as 30s or 5m
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Calls per second; 0 is as fast as the users can
    #[arg(long, default_value_t = 150.0)]
    rate: f64,
    /// Decides what is called; only the timing differs between runs with the same seed
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Users at the same time, each with a connection of its own
    #[arg(long, default_value_t = 40)]
    users: usize,
    /// Percent of the users that speak HTTP/2 with prior knowledge
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(0..=100))]
    http2_share: u8,
    /// The longest a call may take
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// One JSON object per line
    Json,
    Text,
}

impl From<&Arguments> for Options {
    fn from(arguments: &Arguments) -> Self {
        Self {
            duration: arguments.duration,
            rate: arguments.rate.max(0.0),
            seed: arguments.seed,
            users: arguments.users,
            http2_percent: arguments.http2_share,
            timeout: arguments.timeout,
            ..Self::new(arguments.target.clone())
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let running = starve_traffic::start(Options::from(&arguments));
    let summary = report(running, arguments.format).await?;
    Ok(if summary.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Print a line each second until the run ends by itself or by a signal, then the summary.
async fn report(running: Running, format: Format) -> anyhow::Result<Summary> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (progress, stopper) = (running.progress(), running.stopper());
    let finish = running.finish();
    tokio::pin!(finish);
    let second = Duration::from_secs(1);
    let mut ticks = interval_at(Instant::now() + second, second);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let summary = loop {
        tokio::select! {
            summary = &mut finish => break summary,
            _ = ticks.tick() => print(&second_line(&progress.second(), format)?)?,
            _ = terminate.recv() => stopper.stop(),
            _ = interrupt.recv() => stopper.stop(),
        }
    };
    print(&match format {
        Format::Json => serde_json::json!({ "summary": summary }).to_string(),
        Format::Text => format!("\n{summary}"),
    })?;
    Ok(summary)
}

fn second_line(second: &Second, format: Format) -> anyhow::Result<String> {
    let Second { second: at, calls, failed, rate, p50_ms, p99_ms } = second;
    Ok(match format {
        Format::Json => serde_json::to_string(second)?,
        Format::Text => {
            format!(
                "{at:>4} s {calls:>8} calls {failed:>6} failed {rate:>7.1}/s  p50 {p50_ms} ms  p99 {p99_ms} ms"
            )
        }
    })
}

fn print(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
