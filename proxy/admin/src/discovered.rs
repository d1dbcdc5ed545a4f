//! What discovery found, how sure it is, and what a person says of it: the same for the running proxy and for the
//! command line beside a ledger file.

mod text;

use serde::{Deserialize, Serialize};
use starve_discovery::{Discovered, Evident, RowKey, Shown, Tally, Why};
use starve_routing::Pattern;

/// So many endpoints can be told; each is a place in the tree of paths that is never given up.
pub const TOLD_MAX: usize = 1_000;

#[derive(Clone, Debug, Serialize)]
pub struct Findings {
    pub generated_at_unix_ms: u64,
    /// Most called first; calls of further ones are in `more`.
    pub endpoints: Vec<FoundEndpoint>,
    /// Paths that are only refused, so regularly that there must be something; most refused first.
    pub guarded: Vec<GuardedPath>,
    pub unmatched: UnmatchedCalls,
    /// Calls of endpoints for which there was no place.
    pub more: u64,
    /// What a person said, as patterns.
    pub told: Vec<String>,
}

/// An endpoint that nobody wrote down.
#[derive(Clone, Debug, Serialize)]
pub struct FoundEndpoint {
    pub method: String,
    pub template: String,
    pub calls: u64,
    /// Those of health checks, bots and scanners.
    pub calls_apart: u64,
    /// Answered with 5xx, or not at all.
    pub errors: u64,
    pub first_call_unix_ms: u64,
    pub last_call_unix_ms: u64,
    pub sure: Sure,
    /// What in its path is a value, from left to right.
    pub values: Vec<FoundValue>,
}

#[derive(Clone, Debug, Serialize)]
pub struct FoundValue {
    pub why: &'static str,
    /// A few that were seen since the start, as they are: words and plain numbers, so that a person can judge. What opens
    /// something or names somebody by its form (hashes, ids, tokens, addresses) is left out.
    pub examples: Vec<String>,
}

/// How certain it is that this is one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sure {
    /// Joined for showing only: its rows stay apart underneath.
    Guess,
    /// What follows the words, or what is known of them elsewhere, speaks for it.
    Likely,
    /// There is no value in its path, or its form leaves no doubt.
    Certain,
    /// A person said it.
    Told,
}

#[derive(Clone, Debug, Serialize)]
pub struct GuardedPath {
    pub method: String,
    pub template: String,
    pub refusals: u64,
    /// Answers on the same path that said that nothing is there.
    pub misses: u64,
}

/// Calls on paths where nothing showed that there is an endpoint: scanners, old links, mistakes.
#[derive(Clone, Debug, Serialize)]
pub struct UnmatchedCalls {
    pub calls: u64,
    /// Since the proxy started, most frequent first; empty when no proxy runs.
    pub top: Vec<UnmatchedPath>,
}

#[derive(Clone, Debug, Serialize)]
pub struct UnmatchedPath {
    pub method: String,
    pub template: String,
    pub calls_at_least: u64,
    pub calls_at_most: u64,
}

/// What a person says of discovered endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TellRequest {
    pub action: TellAction,
    /// A path in the syntax of `match:`, such as `/teams/{name}`.
    pub path: String,
    /// Only say what it would change.
    #[serde(default)]
    pub dry_run: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TellAction {
    /// A parameter of the path takes every value at its place, for one endpoint.
    Merge,
    /// The words of the path are an endpoint of their own, never a value.
    Split,
    /// Takes back what was said of this path.
    Forget,
}

/// What it came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TellAnswer {
    pub action: TellAction,
    pub path: String,
    pub dry_run: bool,
    /// Endpoints that have become others, with their counts.
    pub joined: Vec<String>,
    /// Those they have become.
    pub into: Vec<String>,
}

impl Findings {
    pub fn of(discovered: &Discovered, told: &[Pattern], now_unix_ms: u64) -> Self {
        let shown = discovered.shown();
        let calls = |wanted: &RowKey| {
            let row = shown.iter().find(|shown| shown.row.key == *wanted);
            row.map_or(0, |shown| shown.row.tally.total())
        };
        let top = discovered.top_unmatched().into_iter().map(|entry| {
            let (method, template) = split(&entry.text);
            let (calls_at_least, calls_at_most) = (entry.count - entry.error, entry.count);
            UnmatchedPath { method, template, calls_at_least, calls_at_most }
        });
        let guarded = discovered.guarded().into_iter().map(|guarded| GuardedPath {
            method: guarded.template.method().to_owned(),
            template: guarded.template.path().to_owned(),
            refusals: guarded.refusals,
            misses: guarded.misses,
        });
        Self {
            generated_at_unix_ms: now_unix_ms,
            unmatched: UnmatchedCalls { calls: calls(&RowKey::Unmatched), top: top.collect() },
            more: calls(&RowKey::Other),
            guarded: guarded.collect(),
            endpoints: shown.into_iter().filter_map(FoundEndpoint::of).collect(),
            told: told.iter().map(|pattern| pattern.path_template().to_owned()).collect(),
        }
    }

    /// Only the endpoints that a person should look at: of which it is not certain that they are one.
    #[must_use]
    pub fn to_review(mut self) -> Self {
        self.endpoints.retain(|endpoint| matches!(endpoint.sure, Sure::Guess | Sure::Likely));
        self
    }
}

impl FoundEndpoint {
    fn of(shown: Shown) -> Option<Self> {
        let RowKey::Template(template) = &shown.row.key else { return None };
        let tally: &Tally = &shown.row.tally;
        Some(Self {
            method: template.method().to_owned(),
            template: template.path().to_owned(),
            calls: tally.total(),
            calls_apart: tally.apart.iter().sum(),
            errors: tally.errors(),
            first_call_unix_ms: tally.first_seen_unix_s * 1_000,
            last_call_unix_ms: tally.last_seen_unix_s * 1_000,
            sure: Sure::of(&shown.values),
            values: shown.values.into_iter().map(FoundValue::of).collect(),
        })
    }
}

impl FoundValue {
    fn of(evident: Evident) -> Self {
        Self { why: why(evident.why), examples: evident.examples }
    }
}

impl Sure {
    fn of(values: &[Evident]) -> Self {
        let of_one = |value: &Evident| match value.why {
            Why::Form => Self::Certain,
            Why::Told => Self::Told,
            Why::Before | Why::Known | Why::Below => Self::Likely,
            Why::Alike | Why::Many => Self::Guess,
        };
        let least = values.iter().map(of_one).min().unwrap_or(Self::Certain);
        // One place that was told among others of a certain form makes it a person's word.
        match least {
            Self::Certain if values.iter().any(|value| value.why == Why::Told) => Self::Told,
            least => least,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guess => "a guess",
            Self::Likely => "likely",
            Self::Certain => "certain",
            Self::Told => "told",
        }
    }
}

fn why(why: Why) -> &'static str {
    match why {
        Why::Form => "form",
        Why::Before => "found before the last start",
        Why::Known => "values elsewhere",
        Why::Below => "the same follows them",
        Why::Alike => "used alike",
        Why::Many => "many, each with few calls",
        Why::Told => "told",
    }
}

fn split(text: &str) -> (String, String) {
    let (method, template) = text.split_once(' ').unwrap_or(("", text));
    (method.to_owned(), template.to_owned())
}

/// What was told, as it is stored; what another version wrote and this one does not understand is left out.
pub fn told(stored: &[String]) -> Vec<Pattern> {
    stored.iter().filter_map(|pattern| pattern.parse().ok()).collect()
}
