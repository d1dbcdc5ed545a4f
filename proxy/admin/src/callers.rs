//! Who calls a route: the same for the running proxy and for the command line beside a ledger file.

use std::fmt::Write as _;

use serde::Serialize;
use starve_ledger::{KindCallers, LedgerError, Reader};

use crate::report::text::{markdown, push_csv};
use crate::shown;

/// Callers of each kind that are shown when no other number is asked for.
pub(crate) const SHOWN_DEFAULT: usize = 20;

#[derive(Clone, Debug, Serialize)]
pub struct Callers {
    pub route: String,
    pub since_unix_ms: u64,
    /// Client ids, families of user agents, referers, source networks; those of which something is known.
    pub kinds: Vec<KindCallers>,
}

impl Callers {
    /// # Errors
    /// The ledger cannot be read.
    pub fn read(reader: &Reader, route: &str, since_unix_ms: u64, limit: usize) -> Result<Self, LedgerError> {
        let kinds = reader.callers(route, since_unix_ms, limit)?;
        Ok(Self { route: route.to_owned(), since_unix_ms, kinds })
    }

    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    pub fn table(&self) -> String {
        let mut text =
            format!("{}, callers since {}\n", shown::plain(&self.route), shown::day(self.since_unix_ms));
        if self.kinds.is_empty() {
            text.push_str("nothing is known: nobody called, or `callers: off`\n");
        }
        for kind in &self.kinds {
            let _ = writeln!(text, "\n{} ({})", title(kind), distinct(kind));
            let names: Vec<_> = kind.top.iter().map(|row| shown::plain(&row.caller)).collect();
            let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
            for (name, row) in names.iter().zip(&kind.top) {
                let _ = writeln!(text, "  {name:width$}  {}", calls(row.calls_at_least, row.calls_at_most));
            }
        }
        text
    }

    pub fn csv(&self) -> String {
        let mut text =
            "kind,caller,calls_at_least,calls_at_most,calls_of_kind,distinct,distinct_is_exact\n".to_owned();
        for kind in &self.kinds {
            for row in &kind.top {
                push_csv(
                    &mut text,
                    &[
                        kind.kind.to_owned(),
                        row.caller.clone(),
                        row.calls_at_least.to_string(),
                        row.calls_at_most.to_string(),
                        kind.calls.to_string(),
                        kind.distinct.to_string(),
                        kind.distinct_is_exact.to_string(),
                    ],
                );
            }
        }
        text
    }

    pub fn markdown(&self) -> String {
        let mut text = format!("# Callers of {}\n", markdown(&self.route));
        for kind in &self.kinds {
            let _ = writeln!(
                text,
                "\n## {} ({})\n\n| Caller | Calls |\n| --- | ---: |",
                title(kind),
                distinct(kind)
            );
            for row in &kind.top {
                let calls = calls(row.calls_at_least, row.calls_at_most);
                let _ = writeln!(text, "| {} | {calls} |", markdown(&row.caller));
            }
        }
        text
    }
}

/// What a kind is called above its list.
pub(crate) fn title(kind: &KindCallers) -> &'static str {
    match kind.kind {
        "client" => "Clients",
        "agent" => "User agents",
        "referer" => "Referers",
        _ => "Networks",
    }
}

/// `12 different, 340 calls`.
pub(crate) fn distinct(kind: &KindCallers) -> String {
    let about = if kind.distinct_is_exact { "" } else { "about " };
    format!("{about}{} different, {}", shown::count(kind.distinct), shown::counted(kind.calls, "call"))
}

/// One number where it is known, else its bounds.
pub(crate) fn calls(at_least: u64, at_most: u64) -> String {
    match at_least == at_most {
        true => shown::count(at_least),
        false => format!("{} to {}", shown::count(at_least), shown::count(at_most)),
    }
}
