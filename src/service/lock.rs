//! One service for one SQLite file: each keeps the knowledge in memory, and two would not see what
//! the other learns. Commands (import, retention, knowledge) work beside the service and take no
//! lock.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::config::StoreTarget;

/// Held as long as the service runs. The file stays behind; the operating system lets go of the
/// lock when the process ends, however that happens.
#[derive(Debug)]
pub(super) struct ServiceLock {
    _file: File,
}

impl ServiceLock {
    /// Takes the lock beside a SQLite file; a MongoDB is made to be shared.
    ///
    /// # Errors
    /// Another service holds it, or the lock's file cannot be opened.
    pub fn take(target: &StoreTarget) -> Result<Option<Self>, (PathBuf, io::Error)> {
        let StoreTarget::Sqlite { path } = target else { return Ok(None) };
        let lock = beside(path);
        match lock_file(&lock) {
            Ok(file) => Ok(Some(Self { _file: file })),
            Err(error) => Err((lock, error)),
        }
    }
}

/// Not the database itself: closing any of its descriptors gives up SQLite's own locks.
fn beside(database: &Path) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(".lock");
    name.into()
}

fn lock_file(path: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "another service uses this database; stop it, or set another DATABASE_URL",
        )),
        // A file system without locks: then nobody is told, as before.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
