//! The anchor file: append-only lines outside the database, so that nobody can rewrite both with one key.
//!
//! All of it blocks and is called off the run time. Nothing is ever rewritten; only what a kill tore off after the last
//! line feed is cut away before the next line is written.

use std::collections::HashMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::AuditError;
use super::chain::{Anchored, Broken, GENESIS, Row, Verifier, announcements, confirmations};

/// The anchor file, open for appending, and its last word.
#[derive(Debug)]
pub(super) struct Anchors {
    path: PathBuf,
    file: File,
    /// Device and inode.
    identity: (u64, u64),
    length: u64,
    confirmed: u64,
    hash: String,
    announced: HashMap<u64, String>,
}

/// Reads the anchors; none if there is no file.
pub(super) fn read(path: &Path) -> Result<Anchored, AuditError> {
    match regular(path)? {
        Some(_) => Ok(Anchored::parse(&text(File::open(path), path)?)?),
        None => Ok(Anchored::default()),
    }
}

/// Opens the anchors of a chain of `records` records. Makes the file only for a chain that has not begun.
pub(super) fn open(path: &Path, records: u64) -> Result<Anchors, AuditError> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).mode(0o600);
    match regular(path)? {
        Some(_) => (),
        None if records == 0 => drop(options.create_new(true)),
        None => return Err(Broken { index: 1, why: "the file of its anchors is gone" }.into()),
    }
    let file = options.open(path).map_err(failed("open", path))?;
    let text = text(file.try_clone(), path)?;
    let anchored = Anchored::parse(&text)?;
    let whole = text.rfind('\n').map_or(0, |end| end.saturating_add(1));
    let length = u64::try_from(whole).unwrap_or(u64::MAX);
    if whole < text.len() {
        file.set_len(length).map_err(failed("cut what was torn off", path))?;
    }
    sync_folder(path).map_err(failed("sync the folder of", path))?;
    let identity = identity(&file.metadata().map_err(failed("look at", path))?);
    let (confirmed, hash) = (anchored.next().saturating_sub(1), anchored.confirmed.last().cloned());
    let hash = hash.unwrap_or_else(|| GENESIS.to_owned());
    Ok(Anchors { path: path.to_owned(), file, identity, length, confirmed, hash, announced: anchored.announced })
}

impl Anchors {
    /// Returns the last confirmed position and its hash.
    pub(super) fn confirmed(&self) -> (u64, &str) {
        (self.confirmed, &self.hash)
    }

    /// Confirms what a kill left unconfirmed. `rows` are those of the store from the last confirmed one to `last`.
    pub(super) fn settled(self, rows: &[Row], last: u64) -> Result<Self, AuditError> {
        if last < self.confirmed {
            return Err(Broken { index: last.saturating_add(1), why: "it is anchored, and gone" }.into());
        }
        let (known, new): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.seq <= self.confirmed);
        if self.confirmed > 0 && !known.iter().any(|row| row.seq == self.confirmed && row.hash == self.hash) {
            return Err(Broken { index: self.confirmed, why: "its anchor says otherwise" }.into());
        }
        if new.is_empty() {
            return Ok(self);
        }
        let anchored = Anchored { confirmed: Vec::new(), announced: self.announced.clone() };
        let mut verifier = Verifier { anchored: &anchored, seq: self.confirmed, hash: self.hash.clone() };
        for row in &new {
            verifier.take(row)?;
        }
        let new: Vec<Row> = new.into_iter().cloned().collect();
        self.confirmed_up_to(&new)
    }

    /// Announces rows that are about to be stored.
    pub(super) fn announced(mut self, rows: &[Row]) -> Result<Self, AuditError> {
        self.write(&announcements(rows))?;
        Ok(self)
    }

    /// Confirms rows that were stored.
    pub(super) fn confirmed_up_to(mut self, rows: &[Row]) -> Result<Self, AuditError> {
        self.write(&confirmations(rows))?;
        if let Some(last) = rows.last() {
            self.confirmed = last.seq;
            self.hash.clone_from(&last.hash);
            self.announced.clear();
        }
        Ok(self)
    }

    fn write(&mut self, lines: &str) -> Result<(), AuditError> {
        self.check_unchanged()?;
        self.file.write_all(lines.as_bytes()).map_err(failed("write", &self.path))?;
        self.file.sync_data().map_err(failed("sync", &self.path))?;
        self.length = self.length.saturating_add(u64::try_from(lines.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// An open file can be written after it was unlinked or replaced: the lines would be lost without a sound.
    fn check_unchanged(&self) -> Result<(), AuditError> {
        let replaced = |why| AuditError::Replaced { path: self.path.clone(), why };
        let Some(metadata) = regular(&self.path)? else { return Err(replaced("it is gone")) };
        if identity(&metadata) != self.identity {
            return Err(replaced("another file is in its place"));
        }
        if metadata.len() != self.length {
            return Err(replaced("somebody else wrote to it, or cut it"));
        }
        Ok(())
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn failed(what: &'static str, path: &Path) -> impl Fn(io::Error) -> AuditError {
    let path = path.to_owned();
    move |source| AuditError::Anchors { what, path: path.clone(), source }
}

/// Returns what is known of the file, if there is one; anything but a regular file is refused before it is opened: a
/// pipe would block.
fn regular(path: &Path) -> Result<Option<Metadata>, AuditError> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata)),
        Ok(_) => Err(AuditError::Replaced { path: path.to_owned(), why: "it is not a regular file" }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("look at", path)(error)),
    }
}

/// Returns the text of the file; bytes that are no text become a mark that no line may have.
fn text(file: io::Result<File>, path: &Path) -> Result<String, AuditError> {
    let mut bytes = Vec::new();
    file.and_then(|mut file| file.read_to_end(&mut bytes)).map_err(failed("read", path))?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
