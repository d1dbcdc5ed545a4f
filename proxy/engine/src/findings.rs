//! What discovery found, as rows of the ledger, and back.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use starve_discovery::{Change, Discovered, Row, RowKey, Tally, Template};
use starve_ledger::{Batch, DiscoveredCount, LedgerError, Reader, Rename};

/// The method of rows that add up several.
const ANY_METHOD: &str = "_OTHER";
/// Rows for calls that showed no endpoint, and for those refused on paths that are not known; the latter with the
/// path behind it where it is told apart.
const UNMATCHED: &str = "(unmatched)";
const GUARDED: &str = "(guarded)";

type Name = (String, Cow<'static, str>);

fn name(key: &RowKey) -> Name {
    let any = |template: &str| (template.to_owned(), Cow::Borrowed(ANY_METHOD));
    match key {
        RowKey::Template(template) => (template.path().to_owned(), template.method().to_owned().into()),
        RowKey::Unmatched => any(UNMATCHED),
        RowKey::Guarded(None) => any(GUARDED),
        RowKey::Guarded(Some(template)) => {
            (format!("{GUARDED} {}", template.path()), template.method().to_owned().into())
        }
        RowKey::Other => any(starve_ledger::MORE),
    }
}

fn key(template: &str, method: &str) -> RowKey {
    match template.strip_prefix(GUARDED) {
        Some("") => RowKey::Guarded(None),
        Some(path) => RowKey::Guarded(Some(Template::stored(method, path.trim_start()))),
        None if template == UNMATCHED => RowKey::Unmatched,
        None if template == starve_ledger::MORE => RowKey::Other,
        None => RowKey::Template(Template::stored(method, template)),
    }
}

/// Adds a change to a batch.
pub(crate) fn record(change: &Change, batch: &mut Batch) {
    let to = name(&change.key);
    batch.renames.extend(renames(change));
    let added = &change.added;
    for (class, calls) in (0_u8..).zip(added.calls).filter(|(_, calls)| *calls > 0) {
        batch.discovered.push(DiscoveredCount {
            template: to.0.clone(),
            method: to.1.clone(),
            class,
            calls,
            duration_us: u64::try_from(added.duration[usize::from(class)].as_micros()).unwrap_or(u64::MAX),
            apart: added.apart[usize::from(class)],
            last_at_unix_ms: added.last_seen_unix_s * 1_000,
        });
    }
}

fn renames(change: &Change) -> impl Iterator<Item = Rename> {
    let to = name(&change.key);
    change.was.iter().map(move |was| Rename { from: name(was), to: to.clone() })
}

/// What the rules join of all that is in a ledger, imported calls included.
///
/// # Errors
/// The ledger cannot be read.
pub fn joined_in(ledger: &Path) -> Result<Vec<Rename>, LedgerError> {
    let changes = restore(ledger)?.drain_changes();
    Ok(changes.iter().flat_map(renames).collect())
}

/// Calls that came faster than they can be looked at.
pub(crate) fn unseen(calls: u64, now_unix_ms: u64) -> DiscoveredCount {
    let (template, method) = name(&RowKey::Other);
    let at = now_unix_ms;
    DiscoveredCount { template, method, class: 0, calls, duration_us: 0, apart: 0, last_at_unix_ms: at }
}

/// What earlier runs found, and what a person said of it.
pub(crate) fn restore(ledger: &Path) -> Result<Discovered, LedgerError> {
    let reader = Reader::open(ledger)?;
    let mut discovered = Discovered::new();
    // First: it decides where the rows belong.
    discovered.tell(&starve_admin::told(&reader.told()?));
    for row in reader.discovered(0)? {
        let mut tally = Tally {
            first_seen_unix_s: row.first_unix_ms / 1_000,
            last_seen_unix_s: row.last_unix_ms / 1_000,
            ..Tally::default()
        };
        let class = usize::from(row.class.min(5));
        tally.calls[class] = row.calls;
        tally.duration[class] = Duration::from_micros(row.duration_us);
        tally.apart[class] = row.apart;
        discovered.restore(&Row { key: key(&row.template, &row.method), tally });
    }
    Ok(discovered)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use starve_discovery::{CANDIDATES_MAX, Call, NODES_MAX, TOP_MAX};
    use starve_ledger::Ledger;

    use super::*;

    const CALLS: u64 = 1_000_000;
    const A_SECOND: u64 = 50_000;
    const T0: u64 = 1_800_000_000;

    /// What clients make up; no path comes twice.
    fn path(n: u64) -> String {
        match n % 4 {
            0 => format!("/wp-{n}.php"),
            1 => format!("/%7B{n}%7D/x{n}/y{n}"),
            2 => format!("/api/v{n}/{n:x}/k{n}"),
            _ => format!("/{n:x}/{}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
        }
    }

    fn observe(discovered: &mut Discovered, path: &str, status: u16, now_unix_s: u64) {
        let duration = Duration::from_millis(1);
        let location = None;
        discovered.observe(&Call {
            method: "GET",
            path,
            status,
            location,
            now_unix_s,
            duration,
            apart: false,
        });
    }

    /// As the recorder does it once a second.
    fn write(discovered: &mut Discovered, ledger: &Ledger, second: u64) {
        let mut batch = Batch::new(second * 1_000, (second + 1) * 1_000);
        for change in discovered.drain_changes() {
            record(&change, &mut batch);
        }
        ledger.record(batch).unwrap();
        ledger.flush(Duration::from_secs(60)).unwrap();
    }

    #[test]
    fn a_million_made_up_paths_leave_tables_and_ledger_bounded_and_no_call_uncounted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("starve.db");
        let ledger = Ledger::open(&file).unwrap();
        let mut discovered = Discovered::new();
        for n in 0..CALLS {
            let now = T0 + n / A_SECOND;
            // Answered, missing, refused, answered: in turns of four.
            observe(&mut discovered, &path(n), [200, 404, 403, 200][usize::from(n as u8 / 4 % 4)], now);
            if n % A_SECOND == A_SECOND - 1 {
                write(&mut discovered, &ledger, now);
            }
        }
        assert!(discovered.nodes() <= NODES_MAX && discovered.candidates() <= CANDIDATES_MAX);
        assert!(discovered.top_unmatched().len() <= TOP_MAX);
        // What comes after the flood has a row of its own, here and there.
        for n in 0..50 {
            observe(&mut discovered, &format!("/honest/{n}/orders"), 200, T0 + CALLS);
        }
        write(&mut discovered, &ledger, T0 + CALLS);
        let rows = Reader::open(&file).unwrap().discovered(0).unwrap();
        assert_eq!(rows.iter().map(|row| row.calls).sum::<u64>(), CALLS + 50);
        let honest = rows.iter().find(|row| row.template == "/honest/{int}/orders");
        assert_eq!(honest.map(|row| row.calls), Some(50));
        let names: BTreeSet<_> = rows.iter().map(|row| &row.template).collect();
        assert!(names.len() < NODES_MAX + CANDIDATES_MAX, "{}", names.len());
        ledger.close(Duration::from_secs(30)).unwrap();
        let bytes = std::fs::metadata(&file).unwrap().len();
        assert!(bytes < 32 << 20, "{bytes}");
    }
}
