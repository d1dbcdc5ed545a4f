//! Removing what is old: once an hour, a small step at a time.
//!
//! Invariant: a wrong clock cannot empty the ledger. One step removes at most one day of each kind, so that a
//! clock that jumps years ahead costs a day an hour until it is put right; a month goes after its last day; totals with first and last call are
//! never removed for configured routes.

use rusqlite::{Connection, TransactionBehavior, params};

use crate::batch::HOUR_MS;
use crate::callers;
use crate::spans::MONTH_DAYS;
use crate::store::{DISCOVERED, int, set_mark};

/// How long hourly counts, verdicts, field counts and samples are kept: the default window of a report, and the
/// day in which it begins.
pub const HOURLY_KEPT_DAYS: u64 = 36;
/// How long daily counts, journal entries, runs and endpoints that were only discovered are kept: 13 months, so that
/// a yearly job is seen.
pub const DAILY_KEPT_DAYS: u64 = 401;
pub const SAMPLES_KEPT_PER_ROUTE: i64 = 50;

pub(crate) const STEP_MS: u64 = HOUR_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

pub(crate) fn retain(connection: &mut Connection, now_unix_ms: u64) -> rusqlite::Result<()> {
    let hours = int(now_unix_ms.saturating_sub(HOURLY_KEPT_DAYS * DAY_MS) / HOUR_MS);
    let days = int(now_unix_ms.saturating_sub(DAILY_KEPT_DAYS * DAY_MS) / DAY_MS);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (table, column, horizon, step) in [
        ("calls_hourly", "hour", hours, 24),
        ("comparisons_hourly", "hour", hours, 24),
        ("fields_hourly", "hour", hours, 24),
        ("calls_daily", "day", days, 1),
        ("latency_hourly", "hour", hours, 24),
        ("latency_daily", "day", days, 1),
        ("apart_hourly", "hour", hours, 24),
        ("apart_daily", "day", days, 1),
        ("log_hourly", "hour", hours, 24),
        ("log_daily", "day", days, 1),
        ("log_spans", "until_ms", days * int(DAY_MS), int(DAY_MS)),
        ("callers_daily", "day", hours / 24, 1),
        ("callers_sums", "day", hours / 24, 1),
        ("samples", "at_ms", hours * int(HOUR_MS), int(DAY_MS)),
        ("events", "at_ms", days * int(DAY_MS), int(DAY_MS)),
        ("runs", "seen_ms", days * int(DAY_MS), int(DAY_MS)),
    ] {
        let sql =
            format!("DELETE FROM {table} WHERE {column} < min(?1, (SELECT min({column}) FROM {table}) + ?2)");
        transaction.execute(&sql, [horizon, step])?;
    }
    for table in ["calls", "latency", "apart", "log"] {
        let sql = format!(
            "DELETE FROM {table}_monthly WHERE month < (SELECT min(day) FROM {table}_daily) / {MONTH_DAYS}"
        );
        transaction.execute(&sql, [])?;
    }
    transaction.execute("DELETE FROM fields WHERE id NOT IN (SELECT field FROM fields_hourly)", [])?;
    callers::forget(&transaction)?;
    forget_discovered(&transaction, days)?;
    set_mark(&transaction, "retained_ms", int(now_unix_ms))?;
    transaction.commit()
}

/// A discovered endpoint goes when its last daily count is gone; its place is free for another.
fn forget_discovered(connection: &Connection, oldest_day: i64) -> rusqlite::Result<()> {
    connection.execute(
        "DELETE FROM calls_total WHERE last_ms < ?1 AND endpoint IN (SELECT id FROM endpoints WHERE kind = ?2)
             AND endpoint NOT IN (SELECT endpoint FROM calls_daily)",
        params![oldest_day * int(DAY_MS), DISCOVERED],
    )?;
    connection.execute(
        "DELETE FROM log_total WHERE last_ms < ?1 AND endpoint IN (SELECT id FROM endpoints WHERE kind = ?2)
             AND endpoint NOT IN (SELECT endpoint FROM log_daily)",
        params![oldest_day * int(DAY_MS), DISCOVERED],
    )?;
    connection.execute(
        "DELETE FROM endpoints WHERE kind = ?1 AND id NOT IN (SELECT endpoint FROM calls_total)
             AND id NOT IN (SELECT endpoint FROM log_total)",
        [DISCOVERED],
    )?;
    // Its number may be another's next, and a month outlives its first days.
    for table in ["calls_monthly", "log_monthly"] {
        let sql = format!("DELETE FROM {table} WHERE endpoint NOT IN (SELECT id FROM endpoints)");
        connection.execute(&sql, [])?;
    }
    Ok(())
}
