//! Reading a ledger, beside a running proxy or without one.
//!
//! Invariant: nothing is ever written, and all answers of one reader are of one moment, that of its opening.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, Row, params};
use starve_migration::Side;

use crate::batch::HOUR_MS;
use crate::open::{BUSY_TIMEOUT, classify};
use crate::rows::{
    Comparisons, Coverage, Discovered, FieldDifferences, Gap, HourlyCalls, LoggedEvent, LoggedSample,
    Operation, RouteTotals,
};
use crate::spans::Window;
use crate::store::{DISCOVERED, OPERATION, ROUTE, int};
use crate::{LedgerError, schema};

/// Holes shorter than this are a quick restart or the rhythm of the batches. After a kill every hole counts:
/// what was not written by then is lost.
const GAP_MIN_MS: u64 = 5_000;
/// From the last line of one log file to the first of the next is a time without calls, if it is shorter than this.
const LOG_GAP_MIN_MS: u64 = HOUR_MS;

/// A consistent view of a ledger. Hold it briefly: as long as it lives, the write-ahead log only grows.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    path: PathBuf,
}

impl Reader {
    /// # Errors
    /// There is no such file, it is no ledger, it is damaged or of a newer version.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        if !path.exists() {
            return Err(LedgerError::Missing { path: path.to_owned() });
        }
        let connection = match connect(path, false) {
            // A ledger that was closed in a folder we may not write to: nobody else writes either.
            Err(error) if is_unopenable(&error) && !has_log(path) => connect(path, true),
            result => result,
        };
        let (connection, state) = connection.map_err(|source| classify_read(path, source))?;
        let path = path.to_owned();
        match state {
            schema::State::Empty => Err(LedgerError::Missing { path }),
            schema::State::Foreign => Err(LedgerError::Foreign { path }),
            schema::State::Ours { version: found } if found > schema::VERSION => {
                Err(LedgerError::Newer { path, found, known: schema::VERSION })
            }
            schema::State::Ours { version: found } if found < schema::VERSION => {
                Err(LedgerError::Older { path, found, known: schema::VERSION })
            }
            schema::State::Ours { .. } => Ok(Self { connection, path }),
        }
    }

    /// Calls per route, side, method and class, from the beginning of the hour of `since_unix_ms` on (of the day,
    /// when it is older than [the hourly counts](crate::HOURLY_KEPT_DAYS)). What was called only before the
    /// window stands there with 0 calls.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn totals(&self, since_unix_ms: u64) -> Result<Vec<RouteTotals>, LedgerError> {
        self.calls(ROUTE, since_unix_ms)
    }

    /// The same for endpoints that no configured route matched.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn discovered(&self, since_unix_ms: u64) -> Result<Vec<Discovered>, LedgerError> {
        let rows = self.calls(DISCOVERED, since_unix_ms)?;
        Ok(rows
            .into_iter()
            .map(|row| Discovered {
                template: row.route,
                method: row.method,
                class: row.class,
                calls: row.calls,
                duration_us: row.duration_us,
                apart: row.apart,
                first_unix_ms: row.first_unix_ms,
                last_unix_ms: row.last_unix_ms,
                last_regular_unix_ms: row.last_regular_unix_ms,
            })
            .collect())
    }

    /// The same for the operations of routes, whose calls are those of their route once more.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn operations(&self, since_unix_ms: u64) -> Result<Vec<Operation>, LedgerError> {
        let rows = self.calls(OPERATION, since_unix_ms)?;
        let operation = |row: RouteTotals| {
            let (route, operation) = row.route.rsplit_once('#')?;
            Some(Operation {
                route: route.to_owned(),
                operation: operation.to_owned(),
                side: row.side,
                class: row.class,
                calls: row.calls,
                duration_us: row.duration_us,
                first_unix_ms: row.first_unix_ms,
                last_unix_ms: row.last_unix_ms,
            })
        };
        Ok(rows.into_iter().filter_map(operation).collect())
    }

    /// What a person said of discovered endpoints, as patterns of routes.yaml.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn told(&self) -> Result<Vec<String>, LedgerError> {
        self.rows("SELECT pattern FROM told ORDER BY pattern", [], |row| row.get(0))
    }

    /// Verdicts per route, from the beginning of the hour of `since_unix_ms` on; kept for
    /// [`HOURLY_KEPT_DAYS`](crate::HOURLY_KEPT_DAYS).
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn comparisons(&self, since_unix_ms: u64) -> Result<Vec<Comparisons>, LedgerError> {
        self.rows(
            "SELECT e.name, c.verdict, c.n
             FROM (SELECT endpoint, verdict, sum(n) AS n FROM comparisons_hourly WHERE hour >= ?1
                 GROUP BY endpoint, verdict) c
             JOIN endpoints e ON e.id = c.endpoint ORDER BY e.name, c.verdict",
            params![int(since_unix_ms / HOUR_MS)],
            |row| Ok(Comparisons { route: row.get(0)?, verdict: row.get(1)?, n: number(row, 2)? }),
        )
    }

    /// Differing places of one route or all, most frequent first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn fields(
        &self,
        route: Option<&str>,
        since_unix_ms: u64,
    ) -> Result<Vec<FieldDifferences>, LedgerError> {
        self.rows(
            "SELECT e.name, f.path, f.kind, sum(h.n) AS n FROM fields_hourly h JOIN fields f ON f.id = h.field
                 JOIN endpoints e ON e.id = f.endpoint
             WHERE h.hour >= ?1 AND (?2 IS NULL OR e.name = ?2)
             GROUP BY f.id ORDER BY e.name, n DESC, f.path, f.kind",
            params![int(since_unix_ms / HOUR_MS), route],
            |row| {
                Ok(FieldDifferences {
                    route: row.get(0)?,
                    path: row.get(1)?,
                    kind: row.get(2)?,
                    n: number(row, 3)?,
                })
            },
        )
    }

    /// The newest samples of one route or all, newest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn samples(&self, route: Option<&str>, limit: usize) -> Result<Vec<LoggedSample>, LedgerError> {
        self.rows(
            "SELECT s.id, e.name, s.at_ms, s.method, s.target, s.verdict, s.differences
             FROM samples s JOIN endpoints e ON e.id = s.endpoint
             WHERE ?1 IS NULL OR e.name = ?1 ORDER BY s.id DESC LIMIT ?2",
            params![route, int(limit as u64)],
            |row| {
                Ok(LoggedSample {
                    id: row.get(0)?,
                    route: row.get(1)?,
                    at_unix_ms: number(row, 2)?,
                    method: row.get(3)?,
                    target: row.get(4)?,
                    verdict: row.get(5)?,
                    differences: row.get(6)?,
                })
            },
        )
    }

    /// The newest entries of the journal, newest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn events(&self, limit: usize) -> Result<Vec<LoggedEvent>, LedgerError> {
        self.rows(
            "SELECT id, at_ms, kind, route, from_value, to_value, text FROM events ORDER BY id DESC LIMIT ?1",
            params![int(limit as u64)],
            |row| {
                Ok(LoggedEvent {
                    id: row.get(0)?,
                    at_unix_ms: number(row, 1)?,
                    kind: row.get(2)?,
                    route: row.get(3)?,
                    from: row.get(4)?,
                    to: row.get(5)?,
                    text: row.get(6)?,
                })
            },
        )
    }

    /// Calls per hour of one configured route, or of all of them together.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn hourly(&self, route: Option<&str>, since_unix_ms: u64) -> Result<Vec<HourlyCalls>, LedgerError> {
        self.rows(
            "SELECT c.hour, c.side, c.class, sum(c.calls), sum(c.duration_us)
             FROM calls_hourly c JOIN endpoints e ON e.id = c.endpoint
             WHERE c.hour >= ?1 AND e.kind = ?2 AND (?3 IS NULL OR e.name = ?3)
             GROUP BY c.hour, c.side, c.class ORDER BY c.hour, c.side, c.class",
            params![int(since_unix_ms / HOUR_MS), ROUTE, route],
            |row| {
                Ok(HourlyCalls {
                    hour_unix_ms: number(row, 0)? * HOUR_MS,
                    side: side(row, 1)?,
                    class: row.get(2)?,
                    calls: number(row, 3)?,
                    duration_us: number(row, 4)?,
                })
            },
        )
    }

    /// How much of the time from `since_unix_ms` to `now_unix_ms` was observed, and the holes in it. What an imported
    /// access log tells of was observed, unless the log may lack lines.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn coverage(&self, since_unix_ms: u64, now_unix_ms: u64) -> Result<Coverage, LedgerError> {
        let mut runs =
            self.rows("SELECT started_ms, seen_ms, clean FROM runs ORDER BY started_ms, id", [], |row| {
                Ok(Run { from: number(row, 0)?, until: number(row, 1)?, clean: row.get(2)? })
            })?;
        runs.extend(self.log_runs()?);
        runs.sort_by_key(|run| run.from);
        Ok(cover(&runs, since_unix_ms.min(now_unix_ms), now_unix_ms))
    }

    fn calls(&self, kind: i64, since_unix_ms: u64) -> Result<Vec<RouteTotals>, LedgerError> {
        let window = self.window(since_unix_ms)?;
        let columns = "endpoint, side, method, class, calls, duration_us, bytes_out, bytes_in, apart";
        let live = self.rows(
            &format!(
                "WITH parts AS ({parts}),
                 sums AS (
                     SELECT endpoint, side, method, class, sum(calls) AS calls, sum(duration_us) AS duration_us,
                         sum(bytes_out) AS bytes_out, sum(bytes_in) AS bytes_in, sum(apart) AS apart
                     FROM parts GROUP BY endpoint, side, method, class)
                 SELECT e.name, t.side, t.method, t.class, coalesce(s.calls, 0), coalesce(s.duration_us, 0),
                     coalesce(s.bytes_out, 0), t.first_ms, t.last_ms, coalesce(s.bytes_in, 0), coalesce(s.apart, 0),
                     t.regular_ms
                 FROM calls_total t JOIN endpoints e ON e.id = t.endpoint
                     LEFT JOIN sums s ON s.endpoint = t.endpoint AND s.side = t.side
                         AND s.method = t.method AND s.class = t.class
                 WHERE e.kind = ?4 ORDER BY e.name, t.side, t.method, t.class",
                parts = Window::rows("calls", columns)
            ),
            window.parameters(kind),
            |row| {
                Ok(RouteTotals {
                    route: row.get(0)?,
                    side: side(row, 1)?,
                    method: row.get(2)?,
                    class: row.get(3)?,
                    calls: number(row, 4)?,
                    duration_us: number(row, 5)?,
                    bytes_out: number(row, 6)?,
                    first_unix_ms: number(row, 7)?,
                    last_unix_ms: number(row, 8)?,
                    bytes_in: number(row, 9)?,
                    apart: number(row, 10)?,
                    last_regular_unix_ms: number(row, 11)?,
                })
            },
        )?;
        self.add_imported(kind, window, live)
    }

    /// Logs as runs: what lies between two of their stretches is no crash, and joins where it is short.
    fn log_runs(&self) -> Result<Vec<Run>, LedgerError> {
        let mut runs: Vec<Run> = Vec::new();
        for span in self.log_spans()? {
            match runs.last_mut() {
                Some(run) if span.from <= run.until.saturating_add(LOG_GAP_MIN_MS) => {
                    run.until = run.until.max(span.until);
                }
                _ => runs.push(Run { from: span.from, until: span.until, clean: true }),
            }
        }
        Ok(runs)
    }

    pub(crate) fn oldest_hour(&self) -> Result<Option<i64>, LedgerError> {
        self.connection
            .query_row("SELECT min(hour) FROM calls_hourly", [], |row| row.get(0))
            .map_err(|source| self.unreadable(source))
    }

    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, LedgerError> {
        let mut statement = self.connection.prepare(sql).map_err(|source| self.unreadable(source))?;
        let rows = statement.query_map(params, read).and_then(Iterator::collect);
        rows.map_err(|source| self.unreadable(source))
    }

    fn unreadable(&self, source: rusqlite::Error) -> LedgerError {
        classify_read(&self.path, source)
    }
}

fn connect(path: &Path, immutable: bool) -> rusqlite::Result<(Connection, schema::State)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match immutable {
        false => Connection::open_with_flags(path, flags)?,
        true => Connection::open_with_flags(immutable_uri(path), flags | OpenFlags::SQLITE_OPEN_URI)?,
    };
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // The first read within the transaction fixes the moment that this reader sees.
    connection.execute_batch("BEGIN")?;
    let state = schema::state(&connection)?;
    Ok((connection, state))
}

fn immutable_uri(path: &Path) -> String {
    let escaped = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{escaped}?immutable=1")
}

fn is_unopenable(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

fn has_log(path: &Path) -> bool {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    Path::new(&name).exists()
}

fn classify_read(path: &Path, source: rusqlite::Error) -> LedgerError {
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => classify(path, source),
        _ => LedgerError::Read { path: path.to_owned(), source },
    }
}

pub(crate) fn number(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    // Only what was unsigned is ever stored; a negative number is a damaged file and shows as 0.
    Ok(u64::try_from(row.get::<_, i64>(index)?).unwrap_or(0))
}

pub(crate) fn side(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Side>> {
    Ok(match row.get::<_, i64>(index)? {
        1 => Some(Side::Legacy),
        2 => Some(Side::Function),
        _ => None,
    })
}

#[derive(Clone, Copy, Debug)]
struct Run {
    from: u64,
    until: u64,
    clean: bool,
}

/// `runs` in the order of their beginnings.
fn cover(runs: &[Run], since: u64, now: u64) -> Coverage {
    let mut coverage = Coverage {
        window_from_unix_ms: since,
        window_until_unix_ms: now,
        observed_ms: 0,
        first_unix_ms: runs.first().map(|run| run.from),
        last_unix_ms: runs.iter().map(|run| run.until).max(),
        gaps: Vec::new(),
    };
    // Up to where everything is accounted for, and how the run ended that reached this far.
    let mut seen: Option<Run> = None;
    for run in runs {
        let covered = seen.map_or(0, |seen| seen.until);
        if let Some(seen) = seen {
            let min = if seen.clean { GAP_MIN_MS } else { 1 };
            coverage.gaps.extend(gap(seen, run.from.min(now), since, min));
        }
        let (from, until) = (run.from.max(covered).max(since), run.until.min(now));
        coverage.observed_ms += until.saturating_sub(from);
        if run.until >= covered {
            seen = Some(*run);
        }
    }
    if let Some(seen) = seen {
        coverage.gaps.extend(gap(seen, now, since, GAP_MIN_MS));
    }
    coverage
}

fn gap(before: Run, until: u64, since: u64, min: u64) -> Option<Gap> {
    let from = before.until.max(since);
    (until.saturating_sub(from) >= min).then_some(Gap {
        from_unix_ms: from,
        until_unix_ms: until,
        clean: before.clean,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(from: u64, until: u64, clean: bool) -> Run {
        Run { from, until, clean }
    }

    #[test]
    fn a_quick_restart_is_no_hole_but_a_kill_is() {
        let quick = |clean| cover(&[run(0, 10_000, clean), run(10_800, 20_000, false)], 0, 20_500).gaps;
        assert_eq!(quick(true), []);
        assert_eq!(quick(false), [Gap { from_unix_ms: 10_000, until_unix_ms: 10_800, clean: false }]);
    }

    #[test]
    fn coverage_adds_up_runs_once_and_names_the_holes() {
        let runs = [run(10_000, 50_000, false), run(40_000, 60_000, true), run(100_000, 200_000, false)];
        let coverage = cover(&runs, 0, 400_000);
        assert_eq!(coverage.observed_ms, 150_000);
        assert_eq!(
            coverage.gaps,
            [
                Gap { from_unix_ms: 60_000, until_unix_ms: 100_000, clean: true },
                Gap { from_unix_ms: 200_000, until_unix_ms: 400_000, clean: false },
            ]
        );
        assert_eq!((coverage.first_unix_ms, coverage.last_unix_ms), (Some(10_000), Some(200_000)));
    }

    #[test]
    fn coverage_is_cut_to_its_window() {
        let runs = [run(0, 100_000, true), run(150_000, 300_000, false)];
        let coverage = cover(&runs, 90_000, 200_000);
        assert_eq!(coverage.observed_ms, 10_000 + 50_000);
        assert_eq!(coverage.gaps, [Gap { from_unix_ms: 100_000, until_unix_ms: 150_000, clean: true }]);
        assert!((coverage.ratio() - 60.0 / 110.0).abs() < 1e-9);
    }

    #[test]
    fn a_ledger_without_runs_has_observed_nothing() {
        let coverage = cover(&[], 0, 1_000);
        assert_eq!((coverage.observed_ms, coverage.first_unix_ms), (0, None));
        assert!(coverage.gaps.is_empty());
    }
}
