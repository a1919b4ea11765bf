//! The files of an import: regular files inside the folders that were named, and nothing else.
//!
//! Folders are walked by their descriptors and without following links, so that nothing outside
//! of them is read whatever is renamed meanwhile. What is opened is looked at before it is read:
//! pipes, devices and files beyond a limit are not. A link that is named itself is followed.

use std::{
    collections::{BTreeMap, HashSet},
    fs, io,
    io::Read,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, statat};

use crate::{
    cli::Failure,
    knowledge::runbook::{self, Kind, Origin},
};

/// A runbook is read by people; what is longer is something else.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// How much all files of one import may hold together.
const MAX_ALL_BYTES: u64 = 256 << 20;
/// How many folders may stand one within the other.
const MAX_DEPTH: usize = 32;

/// A file's content.
#[derive(Debug)]
pub(super) struct File {
    /// The name of the source that it is from.
    pub source: String,
    /// From the source's folder down, with `/`.
    pub path: String,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// The service's own runbook.
pub(super) fn own() -> File {
    File {
        source: runbook::own::SOURCE.to_owned(),
        path: runbook::own::PATH.to_owned(),
        bytes: runbook::own::BYTES.to_vec(),
    }
}

/// What was found in the paths of an import.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What is to be read, in the order of sources and paths.
    pub files: Vec<File>,
    /// What is not, by the reason.
    pub skipped: BTreeMap<Skipped, Vec<String>>,
    /// The folders of the sources.
    roots: Vec<(String, PathBuf)>,
    /// What was read, so that what is named twice is read once.
    seen: BTreeMap<(String, String), (u64, u64)>,
    bytes: u64,
}

/// Why a file is not imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Skipped {
    /// The system says no.
    Unreadable,
    /// A link: it may lead out of the folder.
    Link,
    /// A pipe, a device, a socket.
    Special,
    /// Beyond [`MAX_FILE_BYTES`] or [`MAX_DEPTH`].
    TooLarge,
    /// Of no kind that is read here.
    Unsupported,
    /// No text in any encoding, or no text at all.
    Empty,
}

impl Skipped {
    /// The reason as a line of the summary begins.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Link => "links, not followed",
            Self::Special => "no regular files",
            Self::TooLarge => "too large",
            Self::Unsupported => "of no kind that is read",
            Self::Empty => "without text",
        }
    }
}

/// Finds what is in `paths`; `source` is the name of all of them, else each is called after its
/// folder.
pub(super) fn find(paths: &[PathBuf], source: Option<&str>) -> Result<Found, Failure> {
    let mut found = Found::default();
    for path in paths {
        let unreadable =
            |error: io::Error| Failure::Failed(format!("cannot read {}: {error}", path.display()));
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = openat(CWD, path, flags, Mode::empty());
        let opened = opened.map_err(|error| unreadable(error.into()))?;
        let stat = fstat(&opened).map_err(|error| unreadable(error.into()))?;
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let root = if is_folder { path.clone() } else { parent(path) };
        let source = source.map_or_else(|| called(&root), runbook::source_name);
        found.roots.push((source.clone(), root));
        if is_folder {
            found.walk(&source, opened, "", 0)?;
        } else {
            let name = path.file_name().unwrap_or(path.as_os_str());
            found.file(&source, name.to_string_lossy().into_owned(), opened)?;
        }
    }
    found.files.sort_by(|a, b| (&a.source, &a.path).cmp(&(&b.source, &b.path)));
    Ok(found)
}

fn parent(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// The name of a folder as it was given, or else its own.
fn called(folder: &Path) -> String {
    let own = || fs::canonicalize(folder).ok()?.file_name().map(ToOwned::to_owned);
    let name = folder.file_name().map(ToOwned::to_owned).or_else(own);
    runbook::source_name(&name.unwrap_or_default().to_string_lossy())
}

impl Found {
    fn walk(
        &mut self,
        source: &str,
        folder: OwnedFd,
        path: &str,
        depth: usize,
    ) -> Result<(), Failure> {
        let names = match names(folder.as_fd()) {
            Ok(names) => names,
            Err(error) => {
                self.unreadable(path, &error);
                return Ok(());
            }
        };
        for name in names {
            let shown = name.to_string_lossy();
            let path = if path.is_empty() { shown.into_owned() } else { format!("{path}/{shown}") };
            let kind = match statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(error) => {
                    self.unreadable(&path, &error.into());
                    continue;
                }
            };
            let wanted = runbook::kind_of(&path);
            match (kind, wanted) {
                (FileType::Directory, _) if depth >= MAX_DEPTH => {
                    self.skip(Skipped::TooLarge, path)
                }
                (FileType::Directory, _) | (FileType::RegularFile, Kind::Runbook) => {
                    match open_beneath(folder.as_fd(), &name) {
                        Ok(opened) if kind == FileType::Directory => {
                            self.walk(source, opened, &path, depth + 1)?;
                        }
                        Ok(opened) => self.file(source, path, opened)?,
                        Err(error) => self.unreadable(&path, &error),
                    }
                }
                (_, Kind::Beside) => {}
                (FileType::Symlink, _) => self.skip(Skipped::Link, path),
                (FileType::RegularFile, _) => self.skip(Skipped::Unsupported, path),
                _ => self.skip(Skipped::Special, path),
            }
        }
        Ok(())
    }

    /// Reads an open file if it is a regular one and not too large.
    fn file(&mut self, source: &str, path: String, opened: OwnedFd) -> Result<(), Failure> {
        let stat = match fstat(&opened) {
            Ok(stat) => stat,
            Err(error) => {
                self.unreadable(&path, &error.into());
                return Ok(());
            }
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            self.skip(Skipped::Special, path);
            return Ok(());
        }
        let key = (source.to_owned(), path.clone());
        match self.seen.insert(key, (stat.st_dev, stat.st_ino)) {
            Some(earlier) if earlier == (stat.st_dev, stat.st_ino) => return Ok(()),
            Some(_) => {
                return Err(Failure::Usage(format!(
                    "two different files are {path} of the source {source}: import each folder \
                     by itself, with a --source of its own"
                )));
            }
            None => {}
        }
        let mut bytes = Vec::new();
        let read = fs::File::from(opened).take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes);
        match read {
            Err(error) => self.unreadable(&path, &error),
            Ok(length) if length as u64 > MAX_FILE_BYTES => self.skip(Skipped::TooLarge, path),
            Ok(length) => {
                self.bytes += length as u64;
                if self.bytes > MAX_ALL_BYTES {
                    let all = MAX_ALL_BYTES >> 20;
                    return Err(Failure::Failed(format!(
                        "the files hold more than {all} MiB together: import them in parts"
                    )));
                }
                self.files.push(File { source: source.to_owned(), path, bytes });
            }
        }
        Ok(())
    }

    pub(super) fn skip(&mut self, why: Skipped, path: String) {
        self.skipped.entry(why).or_default().push(path);
    }

    fn unreadable(&mut self, path: &str, error: &io::Error) {
        tracing::warn!("{path}: cannot be read: {error}");
        self.skip(Skipped::Unreadable, path.to_owned());
    }

    /// Whether a source that was walked has no such file any more; false for other sources.
    pub(super) fn is_gone(&self, origin: &Origin) -> bool {
        let of_source =
            |(name, _): &&(String, PathBuf)| origin.source.is_empty() || *name == origin.source;
        let mut roots = self.roots.iter().filter(of_source).peekable();
        let is_missing = |(_, root): &(String, PathBuf)| {
            let found = root.join(&origin.path).symlink_metadata();
            matches!(found, Err(error) if error.kind() == io::ErrorKind::NotFound)
        };
        roots.peek().is_some() && roots.all(is_missing)
    }

    /// The names of the sources.
    pub(super) fn sources(&self) -> HashSet<&str> {
        self.roots.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// What is in a folder, in order; hidden files and folders are left out.
fn names(folder: BorrowedFd<'_>) -> io::Result<Vec<std::ffi::OsString>> {
    use std::os::unix::ffi::OsStrExt;
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !name.starts_with(b".") {
            names.push(std::ffi::OsStr::from_bytes(name).to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn open_beneath(folder: BorrowedFd<'_>, name: &std::ffi::OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(openat(folder, name, flags, Mode::empty())?)
}
