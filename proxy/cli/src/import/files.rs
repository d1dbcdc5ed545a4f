//! The text of a log file: plain or gzip, its identity, and from where on it is new.
//!
//! A file is known by its first bytes and by those in front of where reading ended: whatever it is called, when it has
//! grown since, and whether it is compressed by now.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use starve_discovery::access_log::{self, Fields, Format};
use starve_ledger::KnownFile;

use super::progress::{Counted, Progress};
use crate::output::Failure;

/// What a file is known by.
const MARK_BYTES: usize = 4096;
/// What the format is found from.
const DETECTED_BYTES: usize = 256 * 1024;

/// Whether a file is in already, as a whole or up to a place.
#[derive(Debug)]
pub(super) enum Begin {
    New,
    Grown {
        id: i64,
        /// Where it goes on.
        bytes: u64,
    },
    Known,
}

pub(super) struct LogText {
    path: PathBuf,
    reader: Box<dyn Read + Send>,
    is_gzip: bool,
    /// Read already, and to be read again first.
    front: Vec<u8>,
    front_at: usize,
    head: Vec<u8>,
    position: u64,
    /// The last bytes that were taken.
    tail: Vec<u8>,
    progress: Progress,
}

impl LogText {
    pub(super) fn open(path: &Path, progress: &Progress) -> Result<Self, String> {
        let (reader, is_gzip) = open(path, progress)?;
        let mut text = Self {
            path: path.to_owned(),
            reader,
            is_gzip,
            front: Vec::new(),
            front_at: 0,
            head: Vec::new(),
            position: 0,
            tail: Vec::new(),
            progress: progress.clone(),
        };
        text.fill_front()?;
        if text.front.is_empty() {
            return Err("the file is empty".to_owned());
        }
        // A head that may still be written to is no mark: only whole lines are.
        let whole = memchr::memrchr(b'\n', &text.front[..text.front.len().min(MARK_BYTES)]);
        let end = whole.map_or(text.front.len().min(MARK_BYTES), |newline| newline + 1);
        text.head = text.front[..end].to_vec();
        Ok(text)
    }

    pub(super) fn detect(&self, fields: &Fields) -> Result<Format, String> {
        if memchr::memchr(0, &self.front).is_some() {
            return Err("the file is binary, not a log".to_owned());
        }
        access_log::detect(&self.front, fields).ok_or_else(|| {
            let line = self.front.split(|byte| *byte == b'\n').next().unwrap_or_default();
            format!(
                "none of the known formats ({}) reads its lines, such as line 1: `{}`; --format takes the format \
                 string of nginx or Apache too",
                Format::NAMES.join(", "),
                access_log::redacted(line)
            )
        })
    }

    /// Finds out whether the file, or the beginning of it, is in already, and goes to where it is new.
    pub(super) fn begin_at(&mut self, known: &[KnownFile]) -> Result<Begin, String> {
        let mut same: Vec<&KnownFile> = known.iter().filter(|known| self.begins_as(known)).collect();
        same.sort_by_key(|known| std::cmp::Reverse(known.bytes));
        for known in same {
            match self.skip_to(known)? {
                Skipped::There if self.at_end()? => return Ok(Begin::Known),
                Skipped::There => return Ok(Begin::Grown { id: known.id, bytes: known.bytes }),
                // Shorter than what is in, and begins the same: an older copy.
                Skipped::TooShort if known.head_bytes >= MARK_BYTES as u64 / 2 => return Ok(Begin::Known),
                Skipped::TooShort | Skipped::Other => *self = Self::open(&self.path, &self.progress)?,
            }
        }
        Ok(Begin::New)
    }

    fn begins_as(&self, known: &KnownFile) -> bool {
        let length = usize::try_from(known.head_bytes).unwrap_or(usize::MAX);
        self.front.get(..length).is_some_and(|head| hash(head) == known.head_hash)
    }

    /// Goes to the end of what is known, if the text in front of it is the same.
    fn skip_to(&mut self, known: &KnownFile) -> Result<Skipped, String> {
        let mark = known.bytes.saturating_sub(MARK_BYTES as u64);
        if !self.is_gzip {
            // Bytes of the file are bytes of the text: no need to read them.
            let mut file = File::open(&self.path).map_err(|error| unreadable(&error))?;
            if file.metadata().is_ok_and(|metadata| metadata.len() < known.bytes) {
                return Ok(Skipped::TooShort);
            }
            file.seek(SeekFrom::Start(mark)).map_err(|error| unreadable(&error))?;
            self.reader = Box::new(Counted::new(file, &self.progress));
            self.progress.skip(mark.saturating_sub(self.front.len() as u64));
            (self.front, self.front_at) = (Vec::new(), 0);
        } else if !self.discard(mark)? {
            return Ok(Skipped::TooShort);
        }
        let length = usize::try_from(known.bytes - mark).unwrap_or(MARK_BYTES);
        let mut tail = vec![0; length];
        if self.read_full(&mut tail)? < length {
            return Ok(Skipped::TooShort);
        }
        if hash(&tail) != known.tail_hash {
            return Ok(Skipped::Other);
        }
        (self.position, self.tail) = (known.bytes, tail);
        Ok(Skipped::There)
    }

    fn discard(&mut self, bytes: u64) -> Result<bool, String> {
        let mut left = bytes;
        let mut buffer = vec![0; 1 << 18];
        while left > 0 {
            let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            match self.read(&mut buffer[..want])? {
                0 => return Ok(false),
                read => left -= read as u64,
            }
        }
        Ok(true)
    }

    fn at_end(&mut self) -> Result<bool, String> {
        let mut byte = [0; 1];
        if self.front_at == self.front.len() {
            let read = self.read_full(&mut byte)?;
            (self.front, self.front_at) = (byte[..read].to_vec(), 0);
        }
        Ok(self.front_at == self.front.len())
    }

    fn fill_front(&mut self) -> Result<(), String> {
        let mut front = vec![0; DETECTED_BYTES];
        let read = self.read_full(&mut front)?;
        front.truncate(read);
        (self.front, self.front_at) = (front, 0);
        Ok(())
    }

    fn read_full(&mut self, buffer: &mut [u8]) -> Result<usize, String> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }

    /// The next bytes of the text; 0 at its end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, String> {
        if self.front_at < self.front.len() {
            let length = buffer.len().min(self.front.len() - self.front_at);
            buffer[..length].copy_from_slice(&self.front[self.front_at..self.front_at + length]);
            self.front_at += length;
            return Ok(length);
        }
        loop {
            match self.reader.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if self.is_gzip => {
                    return Err(format!(
                        "the compressed data is damaged or cut off: {error}; nothing of it was imported"
                    ));
                }
                result => return result.map_err(|error| unreadable(&error)),
            }
        }
    }

    /// Notes that these bytes were taken.
    pub(super) fn took(&mut self, bytes: &[u8]) {
        self.position += bytes.len() as u64;
        if bytes.len() >= MARK_BYTES {
            self.tail = bytes[bytes.len() - MARK_BYTES..].to_vec();
        } else {
            self.tail.extend_from_slice(bytes);
            let surplus = self.tail.len().saturating_sub(MARK_BYTES);
            self.tail.drain(..surplus);
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn head(&self) -> (u64, String) {
        (self.head.len() as u64, hash(&self.head))
    }

    pub(super) fn tail_hash(&self) -> String {
        hash(&self.tail)
    }
}

enum Skipped {
    There,
    TooShort,
    Other,
}

fn open(path: &Path, progress: &Progress) -> Result<(Box<dyn Read + Send>, bool), String> {
    let mut file = File::open(path).map_err(|error| unreadable(&error))?;
    let metadata = file.metadata().map_err(|error| unreadable(&error))?;
    if metadata.is_dir() {
        return Err(format!("it is a directory; name its files, as {}/*", path.display()));
    }
    let mut magic = [0; 6];
    let mut read = 0;
    while read < magic.len() {
        match file.read(&mut magic[read..]) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(&error)),
        }
    }
    let packed = match magic {
        [0x28, 0xB5, 0x2F, 0xFD, ..] => Some(("zstd", "zstd -d")),
        [0xFD, b'7', b'z', b'X', b'Z', 0] => Some(("xz", "xz -d")),
        [b'B', b'Z', b'h', ..] => Some(("bzip2", "bzip2 -d")),
        [b'P', b'K', 3, 4, ..] => Some(("zip", "unzip")),
        _ => None,
    };
    if let Some((name, command)) = packed {
        return Err(format!(
            "it is compressed with {name}; unpack it first (`{command}`): gzip and plain text are read"
        ));
    }
    file.seek(SeekFrom::Start(0)).map_err(|error| unreadable(&error))?;
    let counted = Counted::new(file, progress);
    match magic {
        [0x1F, 0x8B, ..] => {
            Ok((Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(1 << 18, counted))), true))
        }
        _ => Ok((Box::new(counted), false)),
    }
}

fn unreadable(error: &io::Error) -> String {
    format!("it cannot be read: {error}")
}

fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The files that are meant: those that exist, and those that a `*` or `?` in the last part of a name stands for.
pub(super) fn expand(names: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for name in names {
        let pattern = name.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.exists() || !pattern.contains(['*', '?']) {
            files.push(name.clone());
            continue;
        }
        let folder = name.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let entries = std::fs::read_dir(folder)
            .map_err(|error| Failure::new(format!("{} cannot be read: {error}", folder.display())))?;
        let mut found: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                let name =
                    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                path.is_file() && is_match(pattern.as_bytes(), name.as_bytes())
            })
            .collect();
        if found.is_empty() {
            return Err(Failure::new(format!("no file is called {}", name.display())));
        }
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

/// `*` stands for any text, `?` for one byte.
fn is_match(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((after, at)) => {
                    (p, n) = (after, at + 1);
                    star = Some((after, at + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, name, matches) in [
            ("access.log*", "access.log.12.gz", true),
            ("*.gz", "a.gz", true),
            ("*.gz", "a.gz.old", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b", "xaxxb", true),
        ] {
            assert_eq!(is_match(pattern.as_bytes(), name.as_bytes()), matches, "{pattern} {name}");
        }
    }
}
