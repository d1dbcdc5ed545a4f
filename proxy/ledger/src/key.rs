//! The secret with which callers are hashed: beside the ledger, for its owner alone.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use starve_callers::CallerKey;

const BYTES: usize = 16;

/// The key of a ledger, made when there is none. Not in the ledger itself: a copy of the ledger, which others may
/// be given, does not let them try names against its hashes.
///
/// # Errors
/// The file can be neither read nor made.
pub fn caller_key(ledger: &Path) -> io::Result<CallerKey> {
    let path = key_path(ledger);
    match File::open(&path) {
        Ok(mut file) => {
            let mut secret = [0; BYTES];
            file.read_exact(&mut secret)?;
            Ok(CallerKey::new(secret))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let secret = random()?;
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(&secret)?;
            Ok(CallerKey::new(secret))
        }
        Err(error) => Err(error),
    }
}

fn random() -> io::Result<[u8; BYTES]> {
    let mut secret = [0; BYTES];
    File::open("/dev/urandom")?.read_exact(&mut secret)?;
    Ok(secret)
}

fn key_path(ledger: &Path) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(".key");
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn the_key_stays_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("starve.db");
        let hash = |key: CallerKey| key.hash(b"ann");
        let first = hash(caller_key(&ledger).unwrap());
        assert_eq!(hash(caller_key(&ledger).unwrap()), first);
        assert_ne!(hash(caller_key(&folder.path().join("other.db")).unwrap()), first);
        let mode = std::fs::metadata(folder.path().join("starve.db.key")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(folder.path().join("starve.db.key"), b"short").unwrap();
        assert!(caller_key(&ledger).is_err());
    }
}
