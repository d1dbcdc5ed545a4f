//! What a person says of discovered endpoints: checked, written to the ledger, and only then in force.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use starve_admin::{ControlError, Findings, TOLD_MAX, TellAction, TellAnswer, TellRequest};
use starve_discovery::{Discovered, RowKey};
use starve_ledger::{EventKind, Reader, remember_told};
use starve_routing::{Methods, Parameter, Pattern, Segment};

use crate::findings;
use crate::proxy::Proxy;
use crate::recorder::{chain, now_ms};

/// Endpoints named in an answer.
const NAMED_MAX: usize = 1_000;

/// What is told after a request, and what it changes.
struct Next {
    told: Vec<Pattern>,
    answer: TellAnswer,
}

impl Proxy {
    pub(crate) fn findings(&self) -> Findings {
        let told = self.told_endpoints.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let discovered = self.discovered.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Findings::of(&discovered, &told, now_ms())
    }

    /// Blocks: writes to the ledger.
    pub(crate) fn tell_endpoints(
        self: &Arc<Self>,
        request: &TellRequest,
    ) -> Result<TellAnswer, ControlError> {
        // One at a time, until it is in force.
        let mut told = self.told_endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        let discovered = self.discovered.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let next = next(discovered, &told, request)?;
        if request.dry_run {
            return Ok(next.answer);
        }
        remember(self.ledger.path(), &told, &next.told)?;
        let mut discovered = self.discovered.lock().unwrap_or_else(PoisonError::into_inner);
        discovered.tell(&next.told);
        drop(discovered);
        *told = next.told;
        tracing::info!(action = ?request.action, path = request.path, "discovered endpoints");
        self.notes.event(EventKind::Discovered, format!("{}: {}", word(request.action), next.answer.path));
        Ok(next.answer)
    }
}

/// What an earlier run found, where no proxy runs.
///
/// # Errors
/// The ledger cannot be read.
pub fn findings_in(ledger: &Path) -> Result<Findings, ControlError> {
    let (discovered, told) = read(ledger)?;
    Ok(Findings::of(&discovered, &told, now_ms()))
}

/// Says something of discovered endpoints where no proxy runs; the next one goes by it.
///
/// # Errors
/// It is refused, or the ledger cannot be written; then nothing is changed.
pub fn tell_in(ledger: &Path, request: &TellRequest) -> Result<TellAnswer, ControlError> {
    let (discovered, told) = read(ledger)?;
    let next = next(discovered, &told, request)?;
    if !request.dry_run {
        remember(ledger, &told, &next.told)?;
    }
    Ok(next.answer)
}

fn read(ledger: &Path) -> Result<(Discovered, Vec<Pattern>), ControlError> {
    let failed = |error| ControlError::Failed(chain(&error));
    let discovered = findings::restore(ledger).map_err(failed)?;
    let told = Reader::open(ledger).and_then(|reader| reader.told()).map_err(failed)?;
    Ok((discovered, starve_admin::told(&told)))
}

/// Only what changes is written: what could not be read is not lost by it.
fn remember(ledger: &Path, before: &[Pattern], now: &[Pattern]) -> Result<(), ControlError> {
    let without = |all: &[Pattern], others: &[Pattern]| -> Vec<String> {
        all.iter().filter(|one| !others.contains(one)).map(ToString::to_string).collect()
    };
    let failed = |error| ControlError::Failed(format!("nothing is changed: {}", chain(&error)));
    remember_told(ledger, &without(now, before), &without(before, now), now_ms()).map_err(failed)
}

fn next(mut discovered: Discovered, told: &[Pattern], request: &TellRequest) -> Result<Next, ControlError> {
    let pattern = parse(&request.path)?;
    let is_it = |known: &&Pattern| is_same(known, &pattern);
    let known = told.iter().find(is_it);
    let mut told: Vec<Pattern> = told.iter().filter(|known| !is_it(known)).cloned().collect();
    let path = pattern.path_template().to_owned();
    match request.action {
        TellAction::Forget if known.is_none() => {
            return refused(format!("nothing was said of `{path}`; `starve discovered` lists what was"));
        }
        TellAction::Forget => {}
        TellAction::Merge if pattern.is_literal() => {
            return refused(format!(
                "`{path}` has no parameter that could take values; write it as /teams/{{name}}"
            ));
        }
        TellAction::Split if known.is_some_and(|known| !known.is_literal()) => {
            return refused(format!(
                "`{path}` was merged; `starve discovered forget '{path}'` takes that back"
            ));
        }
        TellAction::Split if !has_word(&pattern) => {
            return refused(format!("`{path}` has no word that could be split off"));
        }
        TellAction::Merge | TellAction::Split if told.len() >= TOLD_MAX => {
            return refused(format!(
                "{TOLD_MAX} endpoints are told already; forget one, or configure a route"
            ));
        }
        TellAction::Merge | TellAction::Split => told.push(pattern),
    }
    // What waits anyway is no consequence.
    let _waiting = discovered.drain_changes();
    discovered.tell(&told);
    let (mut joined, mut into) = (Vec::new(), Vec::new());
    for change in discovered.drain_changes().into_iter().filter(|change| !change.was.is_empty()) {
        joined.extend(change.was.iter().filter_map(name));
        into.extend(name(&change.key));
    }
    for names in [&mut joined, &mut into] {
        names.sort_unstable();
        names.dedup();
        names.truncate(NAMED_MAX);
    }
    let answer = TellAnswer { action: request.action, path, dry_run: request.dry_run, joined, into };
    Ok(Next { told, answer })
}

fn parse(path: &str) -> Result<Pattern, ControlError> {
    let problem = |detail: String| {
        ControlError::Refused(format!(
            "`{path}` is no path of an endpoint: {detail}; write it as /teams/{{name}}"
        ))
    };
    if !path.starts_with('/') {
        return Err(problem(
            "the path alone is wanted, since what is a value is one for every method".to_owned(),
        ));
    }
    let pattern: Pattern = format!("* {path}").parse().map_err(|error| problem(format!("{error}")))?;
    match (pattern.methods(), pattern.host()) {
        (Methods::Any, None) => Ok(pattern),
        _ => Err(problem("it has a host".to_owned())),
    }
}

fn refused(detail: String) -> Result<Next, ControlError> {
    Err(ControlError::Refused(detail))
}

fn has_word(pattern: &Pattern) -> bool {
    pattern.segments().iter().any(|segment| matches!(segment, Segment::Literal(text) if !text.is_empty()))
}

/// The same path, whatever its parameters are called.
fn is_same(one: &Pattern, other: &Pattern) -> bool {
    let nameless = |pattern: &Pattern| -> Vec<Segment> {
        let segments = pattern.segments().iter().cloned();
        segments
            .map(|segment| match segment {
                Segment::Parameter(parameter) => {
                    Segment::Parameter(Parameter { name: String::new(), ..parameter })
                }
                Segment::Rest { .. } => Segment::Rest { name: String::new() },
                literal @ Segment::Literal(_) => literal,
            })
            .collect()
    };
    nameless(one) == nameless(other)
}

fn name(key: &RowKey) -> Option<String> {
    match key {
        RowKey::Template(template) => Some(template.to_string()),
        _ => None,
    }
}

fn word(action: TellAction) -> &'static str {
    match action {
        TellAction::Merge => "merge",
        TellAction::Split => "split",
        TellAction::Forget => "forget",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use starve_discovery::Call;

    use super::*;

    fn discovered() -> Discovered {
        let mut discovered = Discovered::new();
        for path in ["/teams/red", "/teams/blue", "/docs/a"] {
            discovered.observe(&Call {
                method: "GET",
                path,
                status: 200,
                location: None,
                now_unix_s: 1,
                duration: Duration::ZERO,
                apart: false,
            });
        }
        discovered
    }

    fn ask(told: &[Pattern], action: TellAction, path: &str) -> Result<Next, String> {
        let request = TellRequest { action, path: path.to_owned(), dry_run: false };
        next(discovered(), told, &request).map_err(|error| error.to_string())
    }

    #[test]
    fn the_answer_names_what_becomes_what() {
        let merged = ask(&[], TellAction::Merge, "/teams/{name}").unwrap();
        assert_eq!(merged.answer.joined, ["GET /teams/blue", "GET /teams/red"]);
        assert_eq!(merged.answer.into, ["GET /teams/{value}"]);
        let split = ask(&merged.told, TellAction::Split, "/teams/best").unwrap();
        assert_eq!(split.told.len(), 2);
        // Called otherwise, it is the same.
        let again = ask(&split.told, TellAction::Merge, "/teams/{team}").unwrap();
        assert_eq!(again.told.len(), 2);
        assert_eq!(ask(&again.told, TellAction::Forget, "/teams/{x}").unwrap().told, [split.told[1].clone()]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_way_out() {
        let merged = ask(&[], TellAction::Merge, "/teams/{name}").unwrap().told;
        for (action, path, words) in [
            (TellAction::Merge, "/teams/red", "no parameter"),
            (TellAction::Merge, "GET /teams/{name}", "the path alone"),
            (TellAction::Merge, "/teams/{name", "no path of an endpoint"),
            (TellAction::Merge, "//host.example/teams/{name}", "host"),
            (TellAction::Split, "/teams/{x}", "was merged"),
            (TellAction::Split, "/{x}", "no word"),
            (TellAction::Forget, "/docs/{x}", "nothing was said"),
        ] {
            let error = ask(&merged, action, path).map(|_| ()).unwrap_err();
            assert!(error.contains(words), "{path}: {error}");
        }
    }
}
