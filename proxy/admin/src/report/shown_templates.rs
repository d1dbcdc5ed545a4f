//! Under which template the rows of the ledger are shown.

use std::collections::HashMap;

use starve_discovery::{Discovered, Row, RowKey, Tally, Template};
use starve_ledger::MORE;
use starve_routing::Pattern;

const ANY_METHOD: &str = "_OTHER";
const GUARDED: &str = "(guarded)";

/// Method and template.
type Name = (String, String);

/// `told` is what a person said. For each row that is shown as a part of another one: that one. Paths of which discovery is not certain enough to
/// join them for good are shown joined; at most [`SHOWN_MAX`](starve_discovery::SHOWN_MAX) rows are shown.
pub(super) fn of(rows: &[starve_ledger::Discovered], told: &[Pattern]) -> HashMap<Name, Name> {
    let mut discovered = Discovered::new();
    discovered.tell(told);
    let mut shown = HashMap::new();
    for row in rows {
        let own = (row.method.clone(), row.template.clone());
        // Refusals are told apart in the ledger only so that they can be found again.
        if row.template.starts_with(GUARDED) {
            shown.insert(own, (ANY_METHOD.to_owned(), GUARDED.to_owned()));
            continue;
        }
        if !row.template.starts_with('/') {
            continue;
        }
        let mut tally = Tally { last_seen_unix_s: row.last_unix_ms / 1_000, ..Tally::default() };
        tally.calls[usize::from(row.class.min(5))] = row.calls;
        let key = RowKey::Template(Template::stored(&row.method, &row.template));
        discovered.restore(&Row { key, tally });
    }
    for one in discovered.shown() {
        let name = name(&one.row.key);
        for was in one.was.iter().filter(|was| **was != one.row.key) {
            shown.insert(self::name(was), name.clone());
        }
    }
    shown
}

fn name(key: &RowKey) -> Name {
    match key {
        RowKey::Template(template) => (template.method().to_owned(), template.path().to_owned()),
        _ => (ANY_METHOD.to_owned(), MORE.to_owned()),
    }
}
