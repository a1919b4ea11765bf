//! A copy of the database file, whole and of one moment, while the service goes on writing.

use std::{fs, io, path::Path};

use rusqlite::{Connection, OpenFlags};

use super::connection::{look, store_error};
use crate::store::{Result, StoreError};

/// Copies the database at `path` to `target`, which must not be there, readable by its owner
/// alone; returns the size of the copy in bytes. Nothing is changed in the original. It takes
/// one reading transaction, so that writers neither wait for it nor disturb it.
///
/// # Errors
/// If there is no such database, or the copy cannot be written or is not whole.
pub fn backup(path: &Path, target: &Path) -> Result<u64> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let at_target = |error: io::Error| {
        let text = format!("cannot write {}: {error}", target.display());
        StoreError::refused(io::Error::new(error.kind(), text))
    };
    if target.symlink_metadata().is_ok() {
        return Err(at_target(io::ErrorKind::AlreadyExists.into()));
    }
    let source = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let source = source.map_err(store_error)?;
    look(&source).map_err(store_error)?;
    // Under another name until it is whole; made with the mode 0600.
    let part = tempfile::Builder::new().prefix(".backup-").tempfile_in(folder);
    let part = part.map_err(at_target)?;
    let name = part.path().to_string_lossy().into_owned();
    source.execute("VACUUM INTO ?1", [name]).map_err(store_error)?;
    check(part.path())?;
    part.as_file().sync_all().map_err(at_target)?;
    let size = part.as_file().metadata().map_err(at_target)?.len();
    part.persist_noclobber(target).map_err(|error| at_target(error.error))?;
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(at_target)?;
    Ok(size)
}

fn check(copy: &Path) -> Result<()> {
    let copy = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let copy = copy.map_err(store_error)?;
    let verdict: String =
        copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(store_error)?;
    match verdict.as_str() {
        "ok" => Ok(()),
        _ => Err(StoreError::refused(format!("the copy is damaged: {verdict}"))),
    }
}
