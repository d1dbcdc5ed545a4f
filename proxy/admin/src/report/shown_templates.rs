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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use starve_discovery::SHOWN_MAX;

    use super::*;

    fn row(method: &str, template: &str, class: u8, calls: u64) -> starve_ledger::Discovered {
        starve_ledger::Discovered {
            template: template.to_owned(),
            method: method.to_owned(),
            class,
            calls,
            duration_us: 0,
            apart: 0,
            first_unix_ms: 1_000,
            last_unix_ms: 2_000,
            last_regular_unix_ms: 2_000,
        }
    }

    /// The sums under the names that are shown.
    fn sums(rows: &[starve_ledger::Discovered], told: &[&str]) -> BTreeMap<String, u64> {
        let told: Vec<Pattern> = told.iter().map(|pattern| pattern.parse().unwrap()).collect();
        let shown = of(rows, &told);
        let mut sums = BTreeMap::new();
        for row in rows {
            let own = (row.method.clone(), row.template.clone());
            let (method, template) = shown.get(&own).unwrap_or(&own);
            *sums.entry(format!("{method} {template}")).or_default() += row.calls;
        }
        sums
    }

    fn letters(mut n: usize) -> String {
        let mut text = String::new();
        for _ in 0..4 {
            text.push(char::from(b'a' + u8::try_from(n % 26).unwrap()));
            n /= 26;
        }
        text
    }

    #[test]
    fn what_looks_like_values_is_added_up_with_all_its_answers() {
        let mut rows = Vec::new();
        for n in 0..40 {
            let path = format!("/people/{}", letters(n));
            rows.push(row("GET", &path, 2, if n < 20 { 1 } else { 3 }));
            rows.push(row("GET", &path, 4, 1));
        }
        rows.push(row("GET", "/people/{value}", 2, 100));
        rows.push(row("POST", "/people", 2, 5));
        let expected = [("GET /people/{value}".to_owned(), 220), ("POST /people".to_owned(), 5)];
        assert_eq!(sums(&rows, &[]), expected.into());
    }

    #[test]
    fn what_a_person_said_is_shown_so_whatever_the_order_of_the_rows() {
        let mut rows = vec![
            row("GET", "/teams/best", 2, 7),
            row("GET", "/teams/{value}", 2, 100),
            row("GET", "/teams/red", 2, 1),
        ];
        let told = ["* /teams/{name}", "* /teams/best"];
        let expected = [("GET /teams/best".to_owned(), 7), ("GET /teams/{value}".to_owned(), 101)];
        assert_eq!(sums(&rows, &told), expected.clone().into());
        rows.reverse();
        assert_eq!(sums(&rows, &told), expected.into());
    }

    #[test]
    fn refusals_are_one_row_and_other_sums_stay() {
        let rows = [
            row("GET", "(guarded) /admin/{int}", 4, 3),
            row("_OTHER", "(guarded)", 4, 2),
            row("_OTHER", "(unmatched)", 4, 9),
            row("_OTHER", MORE, 2, 4),
        ];
        let expected = [("_OTHER (guarded)", 5), ("_OTHER (more)", 4), ("_OTHER (unmatched)", 9)];
        assert_eq!(sums(&rows, &[]), expected.map(|(name, calls)| (name.to_owned(), calls)).into());
    }

    #[test]
    fn beyond_what_is_shown_nothing_is_lost() {
        // Each its own place, so that none is joined.
        let rows: Vec<_> =
            (0..SHOWN_MAX + 50).map(|n| row("GET", &format!("/{}/x", letters(n)), 2, 10)).collect();
        let sums = sums(&rows, &[]);
        assert!(sums.len() <= SHOWN_MAX + 1, "{}", sums.len());
        assert_eq!(sums.values().sum::<u64>(), rows.iter().map(|row| row.calls).sum::<u64>());
        assert!(sums["_OTHER (more)"] >= 500, "{}", sums["_OTHER (more)"]);
    }
}
