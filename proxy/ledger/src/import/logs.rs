//! The counts of one log file at a time, with the mark that it is in.

use std::collections::HashMap;

use rusqlite::{Connection, Transaction, params};

use super::{Importer, find};
use crate::batch::{HOUR_MS, MORE};
use crate::spans::MONTH_DAYS;
use crate::store::{DISCOVERED, DISCOVERED_MAX, ROUTE, add_endpoint, find_endpoint, int};
use crate::{DAILY_KEPT_DAYS, HOURLY_KEPT_DAYS, LedgerError, Rename, rename};

const DAY_MS: u64 = 24 * HOUR_MS;
/// For more renames than these, all rows are read once; for fewer, theirs are searched.
const SEARCHED_MAX: usize = 100;

/// Whose log it is. Files of several servers that share the work belong to one source and are added up; logs of two
/// places that see the same calls (a CDN and what is behind it) are two sources and are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSource {
    pub name: String,
    /// The log may lack lines: its silence is not counted as observation.
    pub weak: bool,
}

/// A file, or the part of it that is new, as far as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFile {
    /// The file that this one goes on from, where one is known.
    pub grown_from: Option<i64>,
    /// For people.
    pub name: String,
    pub head_bytes: u64,
    pub head_hash: String,
    /// How much of it is in now, from its beginning.
    pub bytes: u64,
    pub tail_hash: String,
    pub lines: u64,
    pub calls: u64,
    pub bad: u64,
    pub first_unix_ms: u64,
    pub last_unix_ms: u64,
    pub at_unix_ms: u64,
    /// The stretches of time of which it has lines.
    pub spans: Vec<(u64, u64)>,
}

/// A file that is in already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFile {
    pub id: i64,
    pub name: String,
    pub head_bytes: u64,
    pub head_hash: String,
    pub bytes: u64,
    pub tail_hash: String,
}

/// A method as it is counted: a known one, or a word for all others.
pub type MethodName = &'static str;

/// What the calls were of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogEndpoint {
    /// A configured route, by its id, or an endpoint of an inventory, by its pattern.
    Route(String),
    /// A template learnt from the log.
    Discovered(String),
}

/// Calls of one endpoint within one hour that ended alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogCount {
    /// Its place in the list of endpoints that is given beside the counts.
    pub endpoint: usize,
    pub method: MethodName,
    /// 1 to 5, or 0 for no answer.
    pub class: u8,
    /// Since 1970-01-01T00:00Z.
    pub hour: u64,
    pub calls: u64,
    pub duration_us: u64,
    pub bytes_out: u64,
    /// Those of the calls that health checks, bots and scanners made.
    pub apart: u64,
    pub first_unix_ms: u64,
    pub last_unix_ms: u64,
    /// The last call that was none of `apart`; 0 when there was none.
    pub last_regular_unix_ms: u64,
}

impl Importer {
    /// The files of a source that are in.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn known_files(&self, source: &str) -> Result<Vec<KnownFile>, LedgerError> {
        let failed = |error| LedgerError::Read { path: self.path.clone(), source: error };
        let mut statement = self
            .connection
            .prepare(
                "SELECT f.id, f.name, f.head_bytes, f.head_hash, f.bytes, f.tail_hash
                 FROM log_files f JOIN log_sources s ON s.id = f.source WHERE s.name = ?1",
            )
            .map_err(failed)?;
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        let rows = statement.query_map([source], |row| {
            Ok(KnownFile {
                id: row.get(0)?,
                name: row.get(1)?,
                head_bytes: number(row.get(2)?),
                head_hash: row.get(3)?,
                bytes: number(row.get(4)?),
                tail_hash: row.get(5)?,
            })
        });
        rows.and_then(Iterator::collect).map_err(failed)
    }

    /// The stretches of time in which a proxy counted into this ledger.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn observed(&self) -> Result<Vec<(u64, u64)>, LedgerError> {
        let failed = |error| LedgerError::Read { path: self.path.clone(), source: error };
        let mut statement = self
            .connection
            .prepare("SELECT started_ms, seen_ms FROM runs ORDER BY started_ms")
            .map_err(failed)?;
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        let rows = statement.query_map([], |row| Ok((number(row.get(0)?), number(row.get(1)?))));
        rows.and_then(Iterator::collect).map_err(failed)
    }

    /// Adds up the calls of logs of discovered endpoints that turned out to be one; those that were counted live stay
    /// where they are. A name that is left without calls is given up.
    ///
    /// # Errors
    /// The ledger cannot be written; it is as it was.
    pub fn rename_logs(&mut self, renames: &[Rename]) -> Result<(), LedgerError> {
        self.transact(|transaction| {
            let mut ids = Ids { transaction, ids: Vec::new(), discovered: None };
            let mut found = Vec::new();
            for Rename { from, to } in renames {
                let Some(old) = find_endpoint(transaction, DISCOVERED, &from.0)? else { continue };
                let new = ids.discovered(&to.0)?;
                found.push(((old, from.1.to_string()), (new, to.1.to_string())));
            }
            if found.len() > SEARCHED_MAX {
                rename::logs_at_once(transaction, &found)?;
            } else {
                for ((old, was), (new, method)) in &found {
                    rename::logs(transaction, (*old, was), (*new, method))?;
                }
            }
            for ((old, _), _) in &found {
                rename::forget_if_empty(transaction, *old)?;
            }
            Ok(())
        })
    }

    /// Adds the counts of a file and notes that it is in, both or neither.
    ///
    /// Counts older than [the hourly ones are kept](crate::HOURLY_KEPT_DAYS) go to their day only, those older than
    /// [the daily ones](crate::DAILY_KEPT_DAYS) nowhere but into the totals.
    ///
    /// # Errors
    /// The ledger cannot be written; it is as it was.
    pub fn log(
        &mut self,
        source: &LogSource,
        file: &LogFile,
        endpoints: &[LogEndpoint],
        counts: &[LogCount],
    ) -> Result<(), LedgerError> {
        self.transact(|transaction| {
            let source = note_source(transaction, source)?;
            note_file(transaction, source, file)?;
            add(transaction, source, file.at_unix_ms, endpoints, counts)
        })
    }
}

fn note_source(connection: &Connection, source: &LogSource) -> rusqlite::Result<i64> {
    if let Some(id) = find(connection, "log_sources", &source.name)? {
        // Weak once, weak for ever: part of what is in may lack lines.
        connection
            .execute("UPDATE log_sources SET weak = max(weak, ?2) WHERE id = ?1", params![id, source.weak])?;
        return Ok(id);
    }
    connection
        .execute("INSERT INTO log_sources (name, weak) VALUES (?1, ?2)", params![source.name, source.weak])?;
    Ok(connection.last_insert_rowid())
}

fn note_file(connection: &Connection, source: i64, file: &LogFile) -> rusqlite::Result<()> {
    let numbers = params![
        file.grown_from,
        source,
        file.name,
        int(file.head_bytes),
        file.head_hash,
        int(file.bytes),
        file.tail_hash,
        int(file.lines),
        int(file.calls),
        int(file.bad),
        int(file.first_unix_ms),
        int(file.last_unix_ms),
        int(file.at_unix_ms),
    ];
    connection.execute(
        "INSERT INTO log_files VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, head_bytes = excluded.head_bytes,
             head_hash = excluded.head_hash, bytes = excluded.bytes, tail_hash = excluded.tail_hash,
             lines = lines + excluded.lines, calls = calls + excluded.calls, bad = bad + excluded.bad,
             last_ms = max(last_ms, excluded.last_ms), imported_ms = excluded.imported_ms",
        numbers,
    )?;
    for (from, until) in &file.spans {
        connection.execute(
            "INSERT OR IGNORE INTO log_spans VALUES (?1, ?2, ?3)",
            [source, int(*from), int(*until)],
        )?;
    }
    Ok(())
}

fn add(
    transaction: &Transaction<'_>,
    source: i64,
    now_unix_ms: u64,
    endpoints: &[LogEndpoint],
    counts: &[LogCount],
) -> rusqlite::Result<()> {
    let oldest_hour = now_unix_ms.saturating_sub(HOURLY_KEPT_DAYS * DAY_MS) / HOUR_MS;
    let oldest_day = now_unix_ms.saturating_sub(DAILY_KEPT_DAYS * DAY_MS) / DAY_MS;
    let mut ids = Ids { transaction, ids: vec![None; endpoints.len()], discovered: None };
    let mut days = Sums::new();
    let mut totals: HashMap<(i64, MethodName, u8), [u64; 7]> = HashMap::new();
    let mut hourly = transaction.prepare(
        "INSERT INTO log_hourly VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT DO UPDATE SET calls = calls + excluded.calls,
             duration_us = duration_us + excluded.duration_us, bytes_out = bytes_out + excluded.bytes_out,
             apart = apart + excluded.apart",
    )?;
    for count in counts {
        let Some(endpoint) = endpoints.get(count.endpoint) else { continue };
        let endpoint = ids.of(count.endpoint, endpoint)?;
        let sums = [count.calls, count.duration_us, count.bytes_out, count.apart];
        if count.hour >= oldest_hour {
            let [calls, duration, bytes, apart] = sums.map(int);
            let bucket = int(count.hour);
            hourly.execute(params![
                bucket,
                source,
                endpoint,
                count.method,
                count.class,
                calls,
                duration,
                bytes,
                apart
            ])?;
        }
        let day = count.hour / 24;
        if day >= oldest_day {
            add_up(&mut days, (day, endpoint, count.method, count.class), sums);
        }
        let total =
            totals.entry((endpoint, count.method, count.class)).or_insert([0, 0, 0, 0, 0, u64::MAX, 0]);
        total[..4].iter_mut().zip(sums).for_each(|(sum, more)| *sum = sum.saturating_add(more));
        total[4] = total[4].max(count.last_regular_unix_ms);
        total[5] = total[5].min(count.first_unix_ms);
        total[6] = total[6].max(count.last_unix_ms);
    }
    let mut months = Sums::new();
    for ((day, endpoint, method, class), sums) in &days {
        add_up(&mut months, (day / MONTH_DAYS, *endpoint, method, *class), *sums);
    }
    add_spans(transaction, "log_daily", source, &days)?;
    add_spans(transaction, "log_monthly", source, &months)?;
    let mut total = transaction.prepare(
        "INSERT INTO log_total VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT DO UPDATE SET calls = calls + excluded.calls,
             duration_us = duration_us + excluded.duration_us, bytes_out = bytes_out + excluded.bytes_out,
             first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms),
             apart = apart + excluded.apart, regular_ms = max(regular_ms, excluded.regular_ms)",
    )?;
    for ((endpoint, method, class), sums) in totals {
        let [calls, duration, bytes, apart, regular, first, last] = sums.map(int);
        let row =
            params![source, endpoint, method, class, calls, duration, bytes, first, last, apart, regular];
        total.execute(row)?;
    }
    Ok(())
}

/// Calls, microseconds, bytes and calls apart, by day or month, endpoint, method and class.
type Sums = HashMap<(u64, i64, MethodName, u8), [u64; 4]>;

fn add_up(sums: &mut Sums, key: (u64, i64, MethodName, u8), more: [u64; 4]) {
    let sum = sums.entry(key).or_default();
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.saturating_add(more));
}

fn add_spans(transaction: &Transaction<'_>, table: &str, source: i64, sums: &Sums) -> rusqlite::Result<()> {
    let mut add = transaction.prepare(&format!(
        "INSERT INTO {table} VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT DO UPDATE SET calls = calls + excluded.calls,
             duration_us = duration_us + excluded.duration_us, bytes_out = bytes_out + excluded.bytes_out,
             apart = apart + excluded.apart",
    ))?;
    for ((at, endpoint, method, class), sums) in sums {
        let [calls, duration, bytes, apart] = sums.map(int);
        add.execute(params![int(*at), source, endpoint, method, class, calls, duration, bytes, apart])?;
    }
    Ok(())
}

/// The numbers of endpoints, looked up once.
struct Ids<'a> {
    transaction: &'a Transaction<'a>,
    ids: Vec<Option<i64>>,
    /// How many discovered endpoints the ledger has.
    discovered: Option<i64>,
}

impl Ids<'_> {
    fn of(&mut self, place: usize, endpoint: &LogEndpoint) -> rusqlite::Result<i64> {
        if let Some(id) = self.ids[place] {
            return Ok(id);
        }
        let id = match endpoint {
            LogEndpoint::Route(name) => match find_endpoint(self.transaction, ROUTE, name)? {
                Some(id) => id,
                None => add_endpoint(self.transaction, ROUTE, name)?,
            },
            LogEndpoint::Discovered(template) => self.discovered(template)?,
        };
        self.ids[place] = Some(id);
        Ok(id)
    }

    fn discovered(&mut self, template: &str) -> rusqlite::Result<i64> {
        if let Some(id) = find_endpoint(self.transaction, DISCOVERED, template)? {
            return Ok(id);
        }
        let known = match self.discovered {
            Some(known) => known,
            None => self.transaction.query_row(
                "SELECT count(*) FROM endpoints WHERE kind = ?1",
                [DISCOVERED],
                |row| row.get(0),
            )?,
        };
        if known >= DISCOVERED_MAX && template != MORE {
            self.discovered = Some(known);
            return self.discovered(MORE);
        }
        self.discovered = Some(known + 1);
        add_endpoint(self.transaction, DISCOVERED, template)
    }
}
