//! How well endpoints are recovered from traffic made up after an interface description.
//!
//! `starve-discovery-score [--calls 120000] [--seed 1] [--at-least 0.95] [--verbose] FILE.json…`
//!
//! For each OpenAPI document: calls with realistic values for its parameters and Zipf popularity over its endpoints,
//! mixed with scanners, preflights, health checks and refusals, go through `Discovered`; the templates that come out
//! are compared with the document.
#![expect(clippy::print_stdout, reason = "a program for the terminal")]

mod interface;
mod score;
mod traffic;
mod values;

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

struct Options {
    calls: usize,
    seed: u64,
    at_least: f64,
    verbose: bool,
    files: Vec<String>,
}

fn main() -> Result<ExitCode> {
    let options = options()?;
    println!(
        "{:<44} {:>9} {:>9} {:>6} {:>9} {:>6} {:>5} {:>5} {:>9}",
        "document", "endpoints", "≥50 calls", "shown", "precision", "recall", "sums", "dead", "calls/s"
    );
    let mut good = true;
    let (mut precision, mut recall) = (0.0, 0.0);
    for file in &options.files {
        let text = std::fs::read_to_string(file).with_context(|| file.clone())?;
        let endpoints = interface::read(&text).with_context(|| file.clone())?;
        let score = score::of(&endpoints, options.calls, options.seed);
        let name = file.rsplit('/').next().unwrap_or(file);
        println!(
            "{:<44} {:>9} {:>9} {:>6} {:>9.3} {:>6.3} {:>5} {:>5} {:>9.0}",
            name,
            endpoints.len(),
            score.expected,
            score.shown,
            score.precision(),
            score.recall(),
            if score.sums_exact { "exact" } else { "WRONG" },
            score.dead,
            score.calls_per_s
        );
        if options.verbose {
            score.junk.iter().for_each(|text| println!("    not in the document: {text}"));
            score.missed.iter().for_each(|text| println!("    missed: {text}"));
        }
        precision += score.precision();
        recall += score.recall();
        good &= score.sums_exact && score.dead == 0;
    }
    let count = options.files.len().max(1) as f64;
    let (precision, recall) = (precision / count, recall / count);
    println!("mean: precision {precision:.3}, recall {recall:.3}");
    good &= precision >= options.at_least && recall >= options.at_least;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn options() -> Result<Options> {
    let mut options = Options { calls: 120_000, seed: 1, at_least: 0.0, verbose: false, files: Vec::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} takes a value"));
        match argument.as_str() {
            "--calls" => options.calls = value()?.parse()?,
            "--seed" => options.seed = value()?.parse()?,
            "--at-least" => options.at_least = value()?.parse()?,
            "--verbose" => options.verbose = true,
            _ if argument.starts_with("--") => bail!("{argument} is unknown"),
            _ => options.files.push(argument),
        }
    }
    if options.files.is_empty() {
        bail!("name at least one OpenAPI document (JSON)");
    }
    Ok(options)
}
