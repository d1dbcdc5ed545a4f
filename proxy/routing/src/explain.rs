//! Why a request goes where it goes: every route it could be meant for, and what each lost by.
//!
//! This asks every route one by one and never the table's tree, so it can be held against
//! [`RouteTable::find`]: both must name the same winner. Made for people; its cost grows with the number of
//! routes.

mod near;
mod order;
mod render;

pub use near::NearMiss;

use crate::predicates::Verdict;
use crate::request::without_port;
use crate::{Entry, Methods, Pattern, Request, RouteTable, ValueMatch};

/// How many routes are listed whose path only nearly matches.
const NEAR_MAX: usize = 10;

/// What [`RouteTable::explain`] found. Displays as lines for people; its parts are plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub method: String,
    /// Lower-case, without port.
    pub host: Option<String>,
    pub path: String,
    pub query: Option<String>,
    /// Place of the winner among the table's entries.
    pub winner: Option<usize>,
    /// Routes whose path matches, in the order of precedence for this request; behind them those whose path
    /// nearly does, in the order of the entries.
    pub candidates: Vec<Candidate>,
}

/// One route and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its place among the table's entries.
    pub index: usize,
    pub pattern: String,
    /// Its predicates, `accept: application/json, ?q=*`; empty when it has none.
    pub when: String,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With name and value of each parameter.
    Won { params: Vec<(String, String)> },
    /// Takes the request as well, but is less specific than the winner.
    Shadowed { by: usize },
    /// All that was wrong with it; never empty.
    Rejected { reasons: Vec<Reason> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The path does not match, but nearly.
    Path(NearMiss),
    Host {
        expected: String,
    },
    Method {
        listed: Vec<String>,
    },
    HeaderMissing {
        name: String,
    },
    HeaderOther {
        name: String,
        expected: String,
    },
    QueryMissing {
        name: String,
    },
    QueryOther {
        name: String,
        expected: String,
    },
}

impl<T> RouteTable<T> {
    /// Every route this request could be meant for, in the order of precedence, with what each lost by.
    ///
    /// Values of the request's own headers are not repeated in it, since they may be secret.
    pub fn explain(&self, request: &(impl Request + ?Sized)) -> Explanation {
        let host = request.host().map(|host| without_port(host).to_ascii_lowercase());
        let mut on_path: Vec<(usize, &Entry<T>)> = self
            .entries()
            .iter()
            .enumerate()
            .filter(|(_, e)| e.pattern.matches_path(request.path()))
            .collect();
        on_path.sort_by_key(|(index, entry)| order::specificity(*index, entry, request.method()));

        let rejections: Vec<_> = on_path.iter().map(|(_, e)| reasons(e, request, host.as_deref())).collect();
        let winner = rejections.iter().position(Vec::is_empty).map(|at| on_path[at].0);
        let mut candidates: Vec<_> = on_path
            .into_iter()
            .zip(rejections)
            .map(|((index, entry), reasons)| {
                let outcome = match winner {
                    _ if !reasons.is_empty() => Outcome::Rejected { reasons },
                    Some(by) if by != index => Outcome::Shadowed { by },
                    _ => Outcome::Won { params: owned_params(&entry.pattern, request.path()) },
                };
                Candidate::of(index, entry, outcome)
            })
            .collect();
        candidates.extend(self.near_misses(request, host.as_deref()));

        Explanation {
            method: request.method().to_owned(),
            path: request.path().to_owned(),
            query: request.query().map(str::to_owned),
            host,
            winner,
            candidates,
        }
    }

    fn near_misses(
        &self,
        request: &(impl Request + ?Sized),
        host: Option<&str>,
    ) -> impl Iterator<Item = Candidate> {
        self.entries()
            .iter()
            .enumerate()
            .filter_map(move |(index, entry)| {
                let near = NearMiss::of(&entry.pattern, request.path())?;
                let mut all = vec![Reason::Path(near)];
                all.extend(reasons(entry, request, host));
                Some(Candidate::of(index, entry, Outcome::Rejected { reasons: all }))
            })
            .take(NEAR_MAX)
    }
}

impl Candidate {
    fn of<T>(index: usize, entry: &Entry<T>, outcome: Outcome) -> Self {
        let text = |value: &ValueMatch| match value {
            ValueMatch::Any => "*".to_owned(),
            ValueMatch::Exact(text) => text.clone(),
        };
        let headers = entry.when.headers.iter().map(|(name, value)| format!("{name}: {}", text(value)));
        let query = entry.when.query.iter().map(|(name, value)| format!("?{name}={}", text(value)));
        let when: Vec<_> = headers.chain(query).collect();
        Self { index, pattern: entry.pattern.to_string(), when: when.join(", "), outcome }
    }
}

fn owned_params(pattern: &Pattern, path: &str) -> Vec<(String, String)> {
    pattern.params(path).iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What is wrong with a route beside its path.
fn reasons<T>(entry: &Entry<T>, request: &(impl Request + ?Sized), host: Option<&str>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if let Some(expected) = entry.pattern.host()
        && !host.is_some_and(|host| expected.matches(host))
    {
        reasons.push(Reason::Host { expected: expected.to_string() });
    }
    if let Methods::These(listed) = entry.pattern.methods()
        && order::method_rank(entry.pattern.methods(), request.method()).is_none()
    {
        reasons.push(Reason::Method { listed: listed.clone() });
    }
    for (name, value) in &entry.when.headers {
        reasons.extend(header_reason(name, value, request));
    }
    for (name, value) in &entry.when.query {
        reasons.extend(query_reason(name, value, request));
    }
    reasons
}

fn header_reason(name: &str, value: &ValueMatch, request: &(impl Request + ?Sized)) -> Option<Reason> {
    let name = || name.to_owned();
    match (value.header(request, &name()), value) {
        (Verdict::Holds, _) => None,
        (Verdict::Other, ValueMatch::Exact(text)) => {
            Some(Reason::HeaderOther { name: name(), expected: text.clone() })
        }
        (Verdict::Missing | Verdict::Other, _) => Some(Reason::HeaderMissing { name: name() }),
    }
}

fn query_reason(name: &str, value: &ValueMatch, request: &(impl Request + ?Sized)) -> Option<Reason> {
    let name = || name.to_owned();
    match (value.query(request, &name()), value) {
        (Verdict::Holds, _) => None,
        (Verdict::Other, ValueMatch::Exact(text)) => {
            Some(Reason::QueryOther { name: name(), expected: text.clone() })
        }
        (Verdict::Missing | Verdict::Other, _) => Some(Reason::QueryMissing { name: name() }),
    }
}
