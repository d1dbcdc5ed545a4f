//! W3C extended logs: `#Fields:` names the columns, and may do so again at any line. Times are UTC.

use super::lines::Read;
use super::time::{self, Clock};
use super::{Record, number, seconds, status};

/// How a server writes them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flavour {
    separator: u8,
    /// `time-taken` is in seconds, not in milliseconds.
    seconds: bool,
}

/// IIS: separated by spaces, `time-taken` in milliseconds.
pub(super) const IIS: Flavour = Flavour { separator: b' ', seconds: false };
/// CloudFront: separated by tabs, `time-taken` in seconds.
pub(super) const CLOUD_FRONT: Flavour = Flavour { separator: b'\t', seconds: true };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Date,
    Time,
    Method,
    Stem,
    Status,
    TimeTaken,
    Bytes,
    Host,
    Agent,
    Other,
}

/// The columns as the last `#Fields:` named them.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    columns: Vec<Column>,
    has_viewer_host: bool,
}

impl Columns {
    pub(super) fn line<'a>(&mut self, line: &'a [u8], flavour: Flavour, _clock: &mut Clock) -> Read<'a> {
        if let Some(comment) = line.strip_prefix(b"#") {
            if let Some(fields) = comment.strip_prefix(b"Fields:") {
                self.take(fields);
            }
            return Ok(None);
        }
        if self.columns.is_empty() {
            return Err("no #Fields line came before it");
        }
        let mut record = Record { is_decoded: !flavour.seconds, ..Record::default() };
        let (mut day, mut clock, mut code) = (None, None, None);
        let mut values = line.split(|byte| *byte == flavour.separator);
        for column in &self.columns {
            let Some(value) = values.next() else { return Err("it has fewer columns than #Fields names") };
            match column {
                Column::Date => day = time::day(value),
                Column::Time => clock = time::time_of_day(value),
                Column::Method => record.method = value,
                Column::Stem => record.target = value,
                Column::Status => code = status(value),
                Column::TimeTaken if flavour.seconds => record.duration_us = seconds(value),
                Column::TimeTaken => record.duration_us = number(value).saturating_mul(1_000),
                Column::Bytes => record.bytes_out = number(value),
                Column::Host => record.host = Some(value).filter(|host| *host != b"-"),
                Column::Agent => record.agent = Some(value),
                Column::Other => {}
            }
        }
        let (Some(day), Some(clock)) = (day, clock) else { return Err("its date and time cannot be read") };
        record.status = code.ok_or("the status is no number of three digits")?;
        record.at_unix_ms = day + clock;
        Ok(Some(record))
    }

    fn take(&mut self, fields: &[u8]) {
        let names = || fields.split(u8::is_ascii_whitespace).filter(|name| !name.is_empty());
        // Behind CloudFront, `cs(Host)` is the distribution; what the viewer asked for is `x-host-header`.
        self.has_viewer_host = names().any(|name| name == b"x-host-header");
        self.columns = names()
            .map(|name| match name {
                b"date" => Column::Date,
                b"time" => Column::Time,
                b"cs-method" => Column::Method,
                b"cs-uri-stem" => Column::Stem,
                b"sc-status" => Column::Status,
                b"time-taken" => Column::TimeTaken,
                b"sc-bytes" => Column::Bytes,
                b"x-host-header" => Column::Host,
                b"cs(User-Agent)" => Column::Agent,
                b"cs-host" | b"cs(Host)" if !self.has_viewer_host => Column::Host,
                _ => Column::Other,
            })
            .collect();
        // Without these three there is nothing to count.
        let needed = [Column::Date, Column::Time, Column::Stem, Column::Status];
        if !needed.iter().all(|column| self.columns.contains(column)) {
            self.columns.clear();
        }
    }
}
