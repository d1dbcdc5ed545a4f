//! How long calls took: a row of buckets per route and side, by hour, day and month.

use std::sync::LazyLock;

use rusqlite::{Connection, params_from_iter};
use starve_migration::latency::BUCKETS;

use crate::LedgerError;
use crate::batch::LatencyCount;
use crate::reader::{Reader, number, side};
use crate::rows::Latencies;
use crate::spans::{self, Window};
use crate::store::{ROUTE, int};

static ADD: LazyLock<[String; 3]> = LazyLock::new(|| spans::forms("latency", insert));

pub(crate) fn add(
    connection: &Connection,
    endpoint: i64,
    side: i64,
    count: &LatencyCount,
) -> rusqlite::Result<()> {
    for (sql, time) in ADD.iter().zip(spans::times(count.last_at_unix_ms)) {
        let keys = [time, endpoint, side];
        let values = keys.into_iter().chain(count.buckets.iter().map(|n| int(*n)));
        connection.prepare_cached(sql)?.execute(params_from_iter(values))?;
    }
    Ok(())
}

fn insert(table: String) -> String {
    let places = list(1..=BUCKETS + 3, |n| format!("?{n}"));
    let sums = list(0..=BUCKETS - 1, |n| format!("b{n} = b{n} + excluded.b{n}"));
    format!("INSERT INTO {table} VALUES ({places}) ON CONFLICT DO UPDATE SET {sums}")
}

fn list(numbers: std::ops::RangeInclusive<usize>, one: impl Fn(usize) -> String) -> String {
    numbers.map(one).collect::<Vec<_>>().join(", ")
}

impl Reader {
    /// How long calls took, per route and side, from the hour (or day) of `since_unix_ms` on, as
    /// [`Reader::totals`].
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn latencies(&self, since_unix_ms: u64) -> Result<Vec<Latencies>, LedgerError> {
        let window = self.window(since_unix_ms)?;
        let columns = list(0..=BUCKETS - 1, |n| format!("b{n}"));
        let sums = list(0..=BUCKETS - 1, |n| format!("sum(b{n})"));
        self.rows(
            &format!(
                "WITH parts AS ({parts}),
                 sums AS (SELECT endpoint, side, {sums} FROM parts GROUP BY endpoint, side)
                 SELECT e.name, s.* FROM sums s JOIN endpoints e ON e.id = s.endpoint
                 WHERE e.kind = ?4 ORDER BY e.name, s.side",
                parts = Window::rows("latency", &format!("endpoint, side, {columns}"))
            ),
            window.parameters(ROUTE),
            |row| {
                let mut buckets = [0; BUCKETS];
                for (index, bucket) in buckets.iter_mut().enumerate() {
                    *bucket = number(row, index + 3)?;
                }
                Ok(Latencies { route: row.get(0)?, side: side(row, 2)?, buckets })
            },
        )
    }
}
