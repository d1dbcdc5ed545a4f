//! How far the migration was, day by day; and which calls show nothing of it.

use std::sync::LazyLock;

use rusqlite::{Connection, params};
use starve_migration::Side;

use crate::LedgerError;
use crate::batch::{ApartCount, Count, HOUR_MS, Standing};
use crate::reader::{Reader, number};
use crate::rows::{Apart, ProgressDay};
use crate::spans::{self, Window};
use crate::store::{ROUTE, int};

const DAY_MS: u64 = 24 * HOUR_MS;

pub(crate) fn add_calls(connection: &Connection, count: &Count) -> rusqlite::Result<()> {
    let of = |side: Option<Side>, n: u64| if count.side == side { int(n) } else { 0 };
    let (legacy, function) = (Some(Side::Legacy), Some(Side::Function));
    connection
        .prepare_cached(
            "INSERT INTO progress_daily (day, legacy, function, nobody, legacy_us, function_us)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET legacy = legacy + excluded.legacy, function = function + excluded.function,
                 nobody = nobody + excluded.nobody, legacy_us = legacy_us + excluded.legacy_us,
                 function_us = function_us + excluded.function_us",
        )?
        .execute(params![
            int(count.last_at_unix_ms / DAY_MS),
            of(legacy, count.calls),
            of(function, count.calls),
            of(None, count.calls),
            of(legacy, count.duration_us),
            of(function, count.duration_us),
        ])
        .map(drop)
}

pub(crate) fn note(connection: &Connection, at_unix_ms: u64, standing: Standing) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO progress_daily VALUES (?1, 0, 0, 0, 0, 0, ?2, ?3)
             ON CONFLICT DO UPDATE SET routes = excluded.routes, routes_on_legacy = excluded.routes_on_legacy",
        )?
        .execute(params![int(at_unix_ms / DAY_MS), int(standing.routes), int(standing.routes_on_legacy)])
        .map(drop)
}

static ADD_APART: LazyLock<[String; 3]> = LazyLock::new(|| {
    spans::forms("apart", |table| {
        format!(
            "INSERT INTO {table} VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET calls = calls + excluded.calls"
        )
    })
});

pub(crate) fn add_apart(connection: &Connection, endpoint: i64, count: &ApartCount) -> rusqlite::Result<()> {
    for (sql, time) in ADD_APART.iter().zip(spans::times(count.last_at_unix_ms)) {
        let row = params![time, endpoint, count.kind, int(count.calls)];
        connection.prepare_cached(sql)?.execute(row)?;
    }
    Ok(())
}

impl Reader {
    /// Calls of health checks, bots and scanners per route, from the hour (or day) of `since_unix_ms` on, as
    /// [`Reader::totals`].
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn apart(&self, since_unix_ms: u64) -> Result<Vec<Apart>, LedgerError> {
        let window = self.window(since_unix_ms)?;
        self.rows(
            &format!(
                "WITH parts AS ({parts})
                 SELECT e.name, p.kind, sum(p.calls) FROM parts p JOIN endpoints e ON e.id = p.endpoint
                 WHERE e.kind = ?4 GROUP BY e.name, p.kind ORDER BY e.name, p.kind",
                parts = Window::rows("apart", "endpoint, kind, calls")
            ),
            window.parameters(ROUTE),
            |row| Ok(Apart { route: row.get(0)?, kind: row.get(1)?, calls: number(row, 2)? }),
        )
    }

    /// Every day on which something was counted, oldest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn progress(&self) -> Result<Vec<ProgressDay>, LedgerError> {
        self.rows(
            "SELECT day, legacy, function, nobody, legacy_us, function_us, nullif(routes, -1),
                 nullif(routes_on_legacy, -1)
             FROM progress_daily ORDER BY day",
            [],
            |row| {
                let noted = |index| {
                    Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(index)?.map(i64::unsigned_abs))
                };
                Ok(ProgressDay {
                    day_unix_ms: number(row, 0)? * DAY_MS,
                    calls_legacy: number(row, 1)?,
                    calls_function: number(row, 2)?,
                    calls_nobody: number(row, 3)?,
                    legacy_us: number(row, 4)?,
                    function_us: number(row, 5)?,
                    routes: noted(6)?,
                    routes_on_legacy: noted(7)?,
                })
            },
        )
    }
}
