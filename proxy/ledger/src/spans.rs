//! The spans of time by which calls are summed: hours, days, and months of 32 days.
//!
//! Invariant: whatever is added to one of a table's three forms is added to all, so that a window can be put together from
//! the fewest rows.

use crate::LedgerError;
use crate::batch::HOUR_MS;
use crate::reader::Reader;
use crate::store::int;

pub(crate) const MONTH_DAYS: u64 = 32;

/// One text for each of the three forms of `table`, made from its name.
pub(crate) fn forms(table: &str, text: impl Fn(String) -> String) -> [String; 3] {
    ["hourly", "daily", "monthly"].map(|form| text(format!("{table}_{form}")))
}

/// When `at_unix_ms` is in each of them.
pub(crate) fn times(at_unix_ms: u64) -> [i64; 3] {
    let hour = at_unix_ms / HOUR_MS;
    [hour, hour / 24, hour / 24 / MONTH_DAYS].map(int)
}

/// A window up to now: hours from `hour` on, days from `day` on, months from `month` on.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) hour: i64,
    pub(crate) day: i64,
    month: i64,
}

impl Window {
    /// The rows of `table` in it, where the window's [parameters](Self::parameters) are ?1, ?2 and ?3.
    pub(crate) fn rows(table: &str, columns: &str) -> String {
        format!(
            "SELECT {columns} FROM {table}_hourly WHERE hour >= ?1 AND hour < ?2 * 24
             UNION ALL SELECT {columns} FROM {table}_daily WHERE day >= ?2 AND day < ?3 * {MONTH_DAYS}
             UNION ALL SELECT {columns} FROM {table}_monthly WHERE month >= ?3"
        )
    }

    /// With `kind`, which is ?4.
    pub(crate) fn parameters(self, kind: i64) -> [i64; 4] {
        [self.hour, self.day, self.month, kind]
    }
}

impl Reader {
    /// Hours that are no longer kept are taken from their day.
    pub(crate) fn window(&self, since_unix_ms: u64) -> Result<Window, LedgerError> {
        let hour = int(since_unix_ms / HOUR_MS);
        let oldest = [self.oldest_hour()?, self.oldest_imported_hour()?].into_iter().flatten().min();
        let day = if oldest.is_some_and(|oldest| hour >= oldest) { (hour + 23) / 24 } else { hour / 24 };
        let month_days = int(MONTH_DAYS);
        Ok(Window { hour, day, month: (day + month_days - 1) / month_days })
    }
}
