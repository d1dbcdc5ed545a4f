//! Whether the files that make up a function have changed.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::ProcessOptions;

/// The content of a program's file and of all its arguments that are files. Equal as long as no byte of them
/// differs, whatever their times say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(Vec<(PathBuf, u64)>);

impl Fingerprint {
    pub(super) fn of(options: &ProcessOptions) -> Self {
        // A program found on PATH belongs to the machine, not to the function.
        let program = options.program.contains('/').then_some(&options.program);
        let files = program.into_iter().chain(&options.arguments).filter_map(|name| {
            let file = options.working_dir.join(name);
            let hash = content_hash(&file).ok()?;
            Some((file, hash))
        });
        Self(files.collect())
    }
}

fn content_hash(file: &Path) -> io::Result<u64> {
    // A pipe or a device would never end.
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut file = File::open(file)?;
    let mut hasher = DefaultHasher::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hasher.finish()),
            length => hasher.write(&piece[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn it_changes_with_the_content_of_an_argument_and_with_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("main.py");
        fs::write(&script, "one").unwrap();
        let mut options = ProcessOptions::new("f", "python3");
        options.working_dir = folder.path().to_owned();
        options.arguments = vec!["-u".to_owned(), "main.py".to_owned(), "/dev/zero".to_owned()];

        let before = Fingerprint::of(&options);
        assert_eq!(before.0.len(), 1, "{before:?}");
        fs::write(folder.path().join("other.py"), "x").unwrap();
        fs::write(&script, "one").unwrap();
        assert_eq!(Fingerprint::of(&options), before);
        fs::write(&script, "two").unwrap();
        assert_ne!(Fingerprint::of(&options), before);
        fs::remove_file(&script).unwrap();
        assert_ne!(Fingerprint::of(&options), before);
    }
}
