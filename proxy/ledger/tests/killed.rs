//! A process that writes and is killed: what it was told to be committed is there, and nothing is there by half.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use starve_ledger::{Batch, Count, Ledger, Reader};
use starve_migration::Side;

const FILE: &str = "STARVE_TEST_LEDGER";
const T0: u64 = 1_781_517_600_000;

/// Does not outlive the test, however that ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_was_committed_outlives_a_kill_and_the_gap_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("starve.db");
    let mut sent_at_least = 0;
    for round in 0..3 {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writes_until_killed", "--nocapture", "--ignored"])
            .env(FILE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut child = Killed(child);
        let mut committed = 0;
        let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        for line in &mut lines {
            if let Some(number) = line.unwrap().strip_prefix("committed ") {
                committed = number.parse().unwrap();
                if committed >= 40 + round {
                    break;
                }
            }
        }
        drop(child);
        // Said before the kill, still in the pipe.
        let rest = lines.map_while(Result::ok);
        let committed: u64 =
            rest.filter_map(|line| line.strip_prefix("committed ")?.parse().ok()).last().unwrap_or(committed);
        assert!(committed >= 40, "the child ended on its own");
        sent_at_least += committed;

        let totals = Reader::open(&path).unwrap().totals(0).unwrap();
        let calls = |class| totals.iter().find(|row| row.class == class).map_or(0, |row| row.calls);
        assert!(calls(2) >= sent_at_least, "{} of {sent_at_least} are there", calls(2));
        assert_eq!(calls(2), calls(5), "half a batch is there");
        sent_at_least = calls(2);
    }
    let ledger = Ledger::open(&path).unwrap();
    let later = T0 + 3_600_000;
    ledger.record(Batch::new(later, later + 1_000)).unwrap();
    ledger.close(Duration::from_secs(30)).unwrap();
    let coverage = Reader::open(&path).unwrap().coverage(T0, later + 1_000).unwrap();
    assert_eq!(coverage.gaps.len(), 1, "{coverage:?}");
    assert!(!coverage.gaps[0].clean, "a kill is no clean end");
    assert_eq!(coverage.gaps[0].until_unix_ms, later);
    let connection = rusqlite::Connection::open(&path).unwrap();
    let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

/// The killed process; run by the test above.
#[test]
#[ignore = "is started by what_was_committed_outlives_a_kill_and_the_gap_is_known"]
fn writes_until_killed() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let ledger = Ledger::open(path.as_ref()).unwrap();
    let count = |class, at| Count {
        route: "r".into(),
        side: Some(Side::Legacy),
        method: "GET".into(),
        class,
        calls: 1,
        duration_us: 1,
        bytes_out: 1,
        bytes_in: 0,
        apart: 0,
        last_at_unix_ms: at,
    };
    for number in 1_u64.. {
        let at = T0 + number;
        let batch = Batch { counts: vec![count(2, at), count(5, at)], ..Batch::new(at - 1, at) };
        ledger.record(batch).unwrap();
        // Every third is left to the thread, so that the kill meets batches on their way.
        if number % 3 == 0 {
            ledger.flush(Duration::from_secs(30)).unwrap();
            println!("committed {number}");
        }
    }
}
