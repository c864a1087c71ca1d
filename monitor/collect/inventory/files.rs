//! Files of an inventory: which there are, and what stands in them. Whole or not at all.

use std::borrow::Cow;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use driftwarden_core::resource::GapReason;
use globset::{GlobBuilder, GlobMatcher};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Format;

/// Longest file that is read.
const CAP: u64 = 1 << 30;
/// Most files and folders that are looked at for one pattern.
const MOST_ENTRIES: usize = 100_000;

/// Why a file, or a folder on the way to it, does not count.
#[derive(Debug)]
pub(super) struct Unread(pub(super) GapReason, pub(super) String);

fn unread(path: &Path, error: &std::io::Error) -> Unread {
    let reason = match error.kind() {
        std::io::ErrorKind::PermissionDenied => GapReason::Denied,
        std::io::ErrorKind::InvalidData => GapReason::Malformed,
        _ => GapReason::Partial,
    };
    Unread(reason, format!("failed to read `{}`: {}", path.display(), error.kind()))
}

fn linked(path: &Path) -> Unread {
    let why = "is a link, and links to folders are not followed; hint: name the folder that it leads to";
    Unread(GapReason::Partial, format!("`{}` {why}", path.display()))
}

/// What tells a file from the same file after somebody wrote to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    path: PathBuf,
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    /// Returns the stamp of the file as it is now.
    pub(super) fn of(path: &Path) -> Result<Self, Unread> {
        let found = fs::metadata(path).map_err(|error| unread(path, &error))?;
        Ok(Self { path: path.to_owned(), length: found.len(), modified: found.modified().ok() })
    }

    /// Returns the text of the whole file, if it is still as this stamp says when it was read.
    pub(super) fn read(&self) -> Result<String, Unread> {
        if self.length > CAP {
            return Err(Unread(GapReason::Partial, format!("`{}` is longer than is read", self.path.display())));
        }
        let file = fs::File::open(&self.path).map_err(|error| unread(&self.path, &error))?;
        // Growing as it is read would take the room twice.
        let mut text = String::with_capacity(usize::try_from(self.length).unwrap_or_default() + 1);
        file.take(CAP).read_to_string(&mut text).map_err(|error| unread(&self.path, &error))?;
        if u64::try_from(text.len()).ok() != Some(self.length) || Self::of(&self.path)? != *self {
            return Err(self.changed());
        }
        Ok(text)
    }

    /// Returns some bytes of the file, if it is still as this stamp says when they were read.
    pub(super) fn part(&self, span: &Range<usize>) -> Result<Box<str>, Unread> {
        let failed = |error| unread(&self.path, &error);
        let mut file = fs::File::open(&self.path).map_err(failed)?;
        let mut bytes = vec![0; span.len()];
        file.seek(SeekFrom::Start(u64::try_from(span.start).unwrap_or(u64::MAX))).map_err(failed)?;
        file.read_exact(&mut bytes).map_err(failed)?;
        let text = String::from_utf8(bytes).ok().filter(|_| Self::of(&self.path).is_ok_and(|now| now == *self));
        text.map(String::into_boxed_str).ok_or_else(|| self.changed())
    }

    fn changed(&self) -> Unread {
        Unread(GapReason::Partial, format!("`{}` changed while it was read", self.path.display()))
    }
}

/// One document of a file.
pub(super) struct Document<'t> {
    /// Where it stands, for people.
    pub(super) place: String,
    /// Its JSON; part of the file's text where that is JSON.
    pub(super) json: Cow<'t, str>,
}

/// Returns the documents of a file, each of which is JSON to its end.
pub(super) fn documents<'t>(path: &Path, format: Format, text: &'t str) -> Result<Vec<Document<'t>>, Unread> {
    let file = path.display();
    let malformed = |line: u64, what| Unread(GapReason::Malformed, format!("`{file}`, line {line}: not {what}"));
    match format {
        Format::Json => {
            serde_json::from_str::<&RawValue>(text)
                .map_err(|error| malformed(u64::try_from(error.line()).unwrap_or(1), "JSON"))?;
            Ok(vec![Document { place: format!("`{file}`"), json: text.into() }])
        }
        Format::JsonLines => {
            let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
            let document = |(at, line)| {
                serde_json::from_str::<&RawValue>(line).map_err(|_| malformed(at, "JSON"))?;
                Ok(Document { place: format!("`{file}`, line {at}"), json: Cow::Borrowed(line) })
            };
            lines.map(document).collect()
        }
        Format::Yaml => {
            let values: Vec<Value> = crate::yaml::from_multiple(text)
                .map_err(|error| malformed(error.location().map_or(1, |at| at.line()), "YAML"))?;
            let document = |(at, value): (u64, Value)| Document {
                place: format!("`{file}`, document {at}"),
                json: value.to_string().into(),
            };
            Ok((1..).zip(values).map(document).collect())
        }
    }
}

/// A path in which some parts may be globs.
pub(super) struct Pattern {
    /// As it was written.
    pub(super) text: String,
    /// The folder in front of the first part that is a glob, or the file itself.
    base: PathBuf,
    matcher: Option<GlobMatcher>,
    /// Match the folders on the way; nothing where a glob cannot be taken apart at its slashes.
    ways: Option<Vec<GlobMatcher>>,
}

impl Pattern {
    /// Returns the pattern that a text means.
    pub(super) fn new(text: &str) -> Result<Self, globset::Error> {
        let is_plain = |part: &Component<'_>| !part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']);
        let base: PathBuf = Path::new(text).components().take_while(is_plain).collect();
        if base == Path::new(text) {
            return Ok(Self { text: text.to_owned(), base, matcher: None, ways: None });
        }
        let matcher = |text: &str| Ok(GlobBuilder::new(text).literal_separator(true).build()?.compile_matcher());
        let ways = text.match_indices('/').filter_map(|(at, _)| text.get(..at)).map(matcher);
        let ways = ways.collect::<Result<_, globset::Error>>().ok();
        Ok(Self { text: text.to_owned(), base, matcher: Some(matcher(text)?), ways })
    }

    /// Returns whether files in or below a folder can match.
    fn leads_through(&self, folder: &Path) -> bool {
        self.ways.as_ref().is_none_or(|ways| ways.iter().any(|way| way.is_match(folder)))
    }

    /// Returns the files that match.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>, Unread> {
        let Some(matcher) = &self.matcher else { return Ok(vec![self.base.clone()]) };
        let mut folders = vec![self.base.clone()];
        let mut found = Vec::new();
        let mut seen = 0;
        while let Some(folder) = folders.pop() {
            let at = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
            for entry in fs::read_dir(at).map_err(|error| unread(at, &error))? {
                let entry = entry.map_err(|error| unread(at, &error))?;
                let path = folder.join(entry.file_name());
                let sort = entry.file_type().map_err(|error| unread(&path, &error))?;
                if sort.is_dir() {
                    folders.push(path);
                // Links to files are followed, links to folders are not: they could go round.
                } else if sort.is_symlink() && !path.is_file() && self.leads_through(&path) {
                    return Err(linked(&path));
                } else if matcher.is_match(&path) {
                    found.push(path);
                }
                seen += 1;
                if seen > MOST_ENTRIES {
                    return Err(Unread(GapReason::Partial, format!("too many files below `{}`", self.base.display())));
                }
            }
        }
        Ok(found)
    }
}
