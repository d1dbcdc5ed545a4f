//! Who calls a route, day by day: the most frequent ones with their error, and how many different ones.
//!
//! Invariant: what a day and route holds has a bound ([`TOP_MAX`] rows of a kind), whoever calls.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, params};
use starve_callers::{Distinct, TOP_MAX};

use crate::LedgerError;
use crate::batch::{CallerCount, CallerKind, HOUR_MS};
use crate::reader::{Reader, number};
use crate::rows::{CallerRow, KindCallers};
use crate::store::{ROUTE, int};

const DAY_MS: u64 = 24 * HOUR_MS;

pub(crate) fn add(connection: &Connection, endpoint: i64, count: &CallerCount) -> rusqlite::Result<()> {
    let (day, kind) = (int(count.at_unix_ms / DAY_MS), count.kind as i64);
    for caller in &count.top {
        connection.prepare_cached("INSERT OR IGNORE INTO callers VALUES (?1, ?2, ?3)")?.execute(params![
            kind,
            caller.id.cast_signed(),
            caller.name
        ])?;
        connection
            .prepare_cached(
                "INSERT INTO callers_daily VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, error = error + excluded.error",
            )?
            .execute(params![
                day,
                endpoint,
                kind,
                caller.id.cast_signed(),
                int(caller.calls),
                int(caller.error)
            ])?;
    }
    let dropped = drop_rarest(connection, day, endpoint, kind)?;
    let before: Option<Vec<u8>> = connection
        .prepare_cached("SELECT different FROM callers_sums WHERE day = ?1 AND endpoint = ?2 AND kind = ?3")?
        .query_row([day, endpoint, kind], |row| row.get(0))
        .optional()?;
    let mut different = Distinct::from_bytes(&before.unwrap_or_default());
    different.merge(&count.different);
    connection
        .prepare_cached(
            "INSERT INTO callers_sums VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, floor = floor + excluded.floor,
                 different = excluded.different",
        )?
        .execute(params![
            day,
            endpoint,
            kind,
            int(count.calls),
            int(count.floor) + dropped,
            different.to_bytes()
        ])
        .map(drop)
}

/// Keeps the most frequent ones when there are twice as many as wanted; how many calls one of the others may
/// have made.
fn drop_rarest(connection: &Connection, day: i64, endpoint: i64, kind: i64) -> rusqlite::Result<i64> {
    let rows: i64 = connection
        .prepare_cached("SELECT count(*) FROM callers_daily WHERE day = ?1 AND endpoint = ?2 AND kind = ?3")?
        .query_row([day, endpoint, kind], |row| row.get(0))?;
    let kept = TOP_MAX as i64;
    if rows <= 2 * kept {
        return Ok(0);
    }
    const RAREST: &str = "day = ?1 AND endpoint = ?2 AND kind = ?3 AND id NOT IN (
        SELECT id FROM callers_daily WHERE day = ?1 AND endpoint = ?2 AND kind = ?3
        ORDER BY calls DESC, id LIMIT ?4)";
    let which = [day, endpoint, kind, kept];
    let most_dropped: Option<i64> = connection
        .prepare_cached(&format!("SELECT max(calls + error) FROM callers_daily WHERE {RAREST}"))?
        .query_row(which, |row| row.get(0))?;
    connection.prepare_cached(&format!("DELETE FROM callers_daily WHERE {RAREST}"))?.execute(which)?;
    Ok(most_dropped.unwrap_or(0))
}

/// Names that no row needs any more.
pub(crate) fn forget(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .execute(
            "DELETE FROM callers WHERE NOT EXISTS (
                 SELECT 1 FROM (SELECT DISTINCT kind, id FROM callers_daily) d
                 WHERE d.kind = callers.kind AND d.id = callers.id)",
            [],
        )
        .map(drop)
}

impl Reader {
    /// Who called a route from the day of `since_unix_ms` on: for each kind the most frequent callers, at most
    /// `limit`, and how many different ones. Kept for [`HOURLY_KEPT_DAYS`](crate::HOURLY_KEPT_DAYS).
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn callers(
        &self,
        route: &str,
        since_unix_ms: u64,
        limit: usize,
    ) -> Result<Vec<KindCallers>, LedgerError> {
        let since = int(since_unix_ms / DAY_MS);
        let sums = self.rows(
            "SELECT s.kind, s.calls, s.floor, s.different FROM callers_sums s JOIN endpoints e ON e.id = s.endpoint
             WHERE e.kind = ?1 AND e.name = ?2 AND s.day >= ?3",
            params![ROUTE, route, since],
            |row| Ok((row.get(0)?, number(row, 1)?, number(row, 2)?, row.get::<_, Vec<u8>>(3)?)),
        )?;
        let mut kinds: BTreeMap<i64, (u64, u64, Distinct)> = BTreeMap::new();
        for (kind, calls, floor, different) in sums {
            let of_kind = kinds.entry(kind).or_default();
            (of_kind.0, of_kind.1) = (of_kind.0 + calls, of_kind.1 + floor);
            of_kind.2.merge(&Distinct::from_bytes(&different));
        }
        let mut all = Vec::new();
        for (code, (calls, floor, different)) in kinds {
            let Some(kind) = CallerKind::ALL.into_iter().find(|kind| *kind as i64 == code) else { continue };
            let top = self.rows(
                "SELECT c.name, sum(d.calls) AS n, sum(d.error) FROM callers_daily d
                     JOIN endpoints e ON e.id = d.endpoint JOIN callers c ON c.kind = d.kind AND c.id = d.id
                 WHERE e.kind = ?1 AND e.name = ?2 AND d.kind = ?3 AND d.day >= ?4
                 GROUP BY d.id ORDER BY n DESC, c.name LIMIT ?5",
                params![ROUTE, route, code, since, int(limit as u64)],
                |row| {
                    let at_least = number(row, 1)?;
                    let at_most = (at_least + number(row, 2)? + floor).min(calls);
                    Ok(CallerRow { caller: row.get(0)?, calls_at_least: at_least, calls_at_most: at_most })
                },
            )?;
            let (distinct, exact) = (different.count(), different.is_exact());
            all.push(KindCallers { kind: kind.as_str(), calls, distinct, distinct_is_exact: exact, top });
        }
        Ok(all)
    }

    /// The families of user agents of every route from the day of `since_unix_ms` on, with at least how many calls,
    /// by route and most frequent first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn agents(&self, since_unix_ms: u64) -> Result<Vec<(String, String, u64)>, LedgerError> {
        self.rows(
            "SELECT e.name, c.name, s.n
             FROM (SELECT endpoint, id, sum(calls) AS n FROM callers_daily WHERE day >= ?1 AND kind = ?2
                 GROUP BY endpoint, id) s
             JOIN endpoints e ON e.id = s.endpoint JOIN callers c ON c.kind = ?2 AND c.id = s.id
             WHERE e.kind = ?3 ORDER BY e.name, s.n DESC, c.name",
            params![int(since_unix_ms / DAY_MS), CallerKind::Agent as i64, ROUTE],
            |row| Ok((row.get(0)?, row.get(1)?, number(row, 2)?)),
        )
    }
}
