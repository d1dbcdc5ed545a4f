//! Reading what was imported.

use std::collections::HashMap;

use serde::Serialize;
use starve_migration::Side;

use crate::LedgerError;
use crate::reader::{Reader, number};
use crate::rows::RouteTotals;
use crate::spans::Window;

/// An endpoint of an inventory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedEndpoint {
    pub source: String,
    /// In the syntax of routes.yaml.
    pub pattern: String,
    /// Further spellings of the same endpoint.
    pub also: Vec<String>,
    /// In the imported file, from 1; 0 where that is not known.
    pub line: u64,
}

/// An inventory that was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InventorySource {
    pub name: String,
    pub format: String,
    pub file: String,
    pub imported_at_unix_ms: u64,
    pub endpoints: u64,
}

/// The access logs that were imported under one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportedLog {
    pub name: String,
    /// May lack lines: its silence is not counted as observation.
    pub weak: bool,
    pub files: u64,
    pub calls: u64,
    /// Lines that could not be read.
    pub bad_lines: u64,
    pub first_unix_ms: u64,
    pub last_unix_ms: u64,
}

/// A stretch of time of which a log has lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: u64,
    pub(crate) until: u64,
}

impl Reader {
    /// Grows whenever an inventory is imported; 0 when none ever was.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn inventory_version(&self) -> Result<u64, LedgerError> {
        let found =
            self.rows("SELECT value FROM marks WHERE name = 'inventory'", [], |row| number(row, 0))?;
        Ok(found.first().copied().unwrap_or(0))
    }

    /// The endpoints of all inventories, by the name of their source, then in the order of its file. Several
    /// sources may list the same endpoint.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn inventory(&self) -> Result<Vec<ListedEndpoint>, LedgerError> {
        self.rows(
            "SELECT s.name, i.pattern, i.also, i.line FROM inventory i JOIN inventory_sources s ON s.id = i.source
             ORDER BY s.name, i.place",
            [],
            |row| {
                let also: String = row.get(2)?;
                Ok(ListedEndpoint {
                    source: row.get(0)?,
                    pattern: row.get(1)?,
                    also: also.lines().map(str::to_owned).collect(),
                    line: number(row, 3)?,
                })
            },
        )
    }

    /// # Errors
    /// The file cannot be read.
    pub fn inventory_sources(&self) -> Result<Vec<InventorySource>, LedgerError> {
        self.rows(
            "SELECT s.name, s.format, s.file, s.imported_ms,
                 (SELECT count(*) FROM inventory i WHERE i.source = s.id)
             FROM inventory_sources s ORDER BY s.name",
            [],
            |row| {
                Ok(InventorySource {
                    name: row.get(0)?,
                    format: row.get(1)?,
                    file: row.get(2)?,
                    imported_at_unix_ms: number(row, 3)?,
                    endpoints: number(row, 4)?,
                })
            },
        )
    }

    /// # Errors
    /// The file cannot be read.
    pub fn imported_logs(&self) -> Result<Vec<ImportedLog>, LedgerError> {
        self.rows(
            "SELECT s.name, s.weak, count(f.id), coalesce(sum(f.calls), 0), coalesce(sum(f.bad), 0),
                 coalesce(min(f.first_ms), 0), coalesce(max(f.last_ms), 0)
             FROM log_sources s LEFT JOIN log_files f ON f.source = s.id AND f.calls > 0
             GROUP BY s.id ORDER BY s.name",
            [],
            |row| {
                Ok(ImportedLog {
                    name: row.get(0)?,
                    weak: row.get(1)?,
                    files: number(row, 2)?,
                    calls: number(row, 3)?,
                    bad_lines: number(row, 4)?,
                    first_unix_ms: number(row, 5)?,
                    last_unix_ms: number(row, 6)?,
                })
            },
        )
    }

    /// The stretches of time that logs without gaps tell of, in order.
    pub(crate) fn log_spans(&self) -> Result<Vec<Span>, LedgerError> {
        self.rows(
            "SELECT p.from_ms, p.until_ms FROM log_spans p JOIN log_sources s ON s.id = p.source
             WHERE s.weak = 0 ORDER BY p.from_ms",
            [],
            |row| Ok(Span { from: number(row, 0)?, until: number(row, 1)? }),
        )
    }

    /// Adds what logs tell to what was counted live: of several logs the one with the most calls, since they may
    /// tell of the same ones. (Lines of the time in which a proxy counted were not imported.)
    pub(crate) fn add_imported(
        &self,
        kind: i64,
        window: Window,
        live: Vec<RouteTotals>,
    ) -> Result<Vec<RouteTotals>, LedgerError> {
        let imported = self.imported_calls(kind, window)?;
        if imported.is_empty() {
            return Ok(live);
        }
        let key = |row: &RouteTotals| (row.route.clone(), row.side, row.method.clone(), row.class);
        let mut most: HashMap<_, RouteTotals> = HashMap::new();
        for row in imported {
            match most.get_mut(&key(&row)) {
                None => drop(most.insert(key(&row), row)),
                Some(known) => {
                    known.first_unix_ms = known.first_unix_ms.min(row.first_unix_ms);
                    known.last_unix_ms = known.last_unix_ms.max(row.last_unix_ms);
                    known.last_regular_unix_ms = known.last_regular_unix_ms.max(row.last_regular_unix_ms);
                    if row.calls > known.calls {
                        (known.calls, known.duration_us, known.bytes_out, known.apart) =
                            (row.calls, row.duration_us, row.bytes_out, row.apart);
                    }
                }
            }
        }
        let mut all = live;
        for row in &mut all {
            if let Some(more) = most.remove(&key(row)) {
                row.calls = row.calls.saturating_add(more.calls);
                row.duration_us = row.duration_us.saturating_add(more.duration_us);
                row.bytes_out = row.bytes_out.saturating_add(more.bytes_out);
                row.apart = row.apart.saturating_add(more.apart);
                row.first_unix_ms = row.first_unix_ms.min(more.first_unix_ms);
                row.last_unix_ms = row.last_unix_ms.max(more.last_unix_ms);
                row.last_regular_unix_ms = row.last_regular_unix_ms.max(more.last_regular_unix_ms);
            }
        }
        all.extend(most.into_values());
        all.sort_by(|a, b| {
            (&a.route, a.side, &a.method, a.class).cmp(&(&b.route, b.side, &b.method, b.class))
        });
        Ok(all)
    }

    fn imported_calls(&self, kind: i64, window: Window) -> Result<Vec<RouteTotals>, LedgerError> {
        let columns = "source, endpoint, method, class, calls, duration_us, bytes_out, apart";
        let sql = format!(
            "WITH parts AS ({parts}),
             sums AS (
                 SELECT source, endpoint, method, class, sum(calls) AS calls, sum(duration_us) AS duration_us,
                     sum(bytes_out) AS bytes_out, sum(apart) AS apart
                 FROM parts GROUP BY source, endpoint, method, class)
             SELECT e.name, t.method, t.class, coalesce(s.calls, 0), coalesce(s.duration_us, 0),
                 coalesce(s.bytes_out, 0), t.first_ms, t.last_ms, coalesce(s.apart, 0), t.regular_ms
             FROM log_total t JOIN endpoints e ON e.id = t.endpoint
                 LEFT JOIN sums s ON s.source = t.source AND s.endpoint = t.endpoint AND s.method = t.method
                     AND s.class = t.class
             WHERE e.kind = ?4",
            parts = Window::rows("log", columns),
        );
        self.rows(&sql, window.parameters(kind), |row| {
            Ok(RouteTotals {
                route: row.get(0)?,
                side: Some(Side::Legacy),
                method: row.get(1)?,
                class: row.get(2)?,
                calls: number(row, 3)?,
                duration_us: number(row, 4)?,
                bytes_out: number(row, 5)?,
                first_unix_ms: number(row, 6)?,
                last_unix_ms: number(row, 7)?,
                bytes_in: 0,
                apart: number(row, 8)?,
                last_regular_unix_ms: number(row, 9)?,
            })
        })
    }

    /// The oldest hour of which calls are kept by the hour, whoever counted them.
    pub(crate) fn oldest_imported_hour(&self) -> Result<Option<i64>, LedgerError> {
        let found = self.rows("SELECT min(hour) FROM log_hourly", [], |row| row.get(0))?;
        Ok(found.into_iter().next().flatten())
    }
}
