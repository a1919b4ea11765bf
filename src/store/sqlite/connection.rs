//! The database file: how it is opened, that it is still the one that was opened, and which of
//! SQLite's failures mean "try later".

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};

use super::functions;
use crate::store::{Result, StoreError};

/// How long a statement waits for another process' lock on the file.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Page cache of a connection, in KiB. More is slower: where a write balances an index, SQLite goes
/// through all pages of the cache when it commits (with 16 MiB, a twelfth of its time).
const CACHE_KIB: i32 = 4_096;

/// The file that was opened, by path and inode.
pub struct DatabaseFile {
    path: PathBuf,
    identity: Identity,
    /// The most bytes that it was seen to have.
    length: AtomicU64,
    /// The path of its write-ahead log, which file that is once there is one, and how many bytes it
    /// had when it was last looked at.
    log: PathBuf,
    log_identity: OnceLock<Identity>,
    log_length: AtomicU64,
}

/// Device and inode.
type Identity = (u64, u64);

/// Which file is at a path, and how many bytes it has.
///
/// Its times are not asked for: where they were, a file system that keeps fine times notes the next
/// write's exactly, and writes them to the disk with the next sync.
fn look_at(path: &Path) -> io::Result<(Identity, u64)> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{AtFlags, CWD, StatxFlags, makedev, statx};
        let wanted = StatxFlags::INO | StatxFlags::SIZE;
        if let Ok(now) = statx(CWD, path, AtFlags::empty(), wanted) {
            let device = makedev(now.stx_dev_major, now.stx_dev_minor);
            return Ok(((device, now.stx_ino), now.stx_size));
        }
    }
    let now = fs::metadata(path)?;
    Ok(((now.dev(), now.ino()), now.len()))
}

impl DatabaseFile {
    /// Opens or makes the file, readable by its owner alone, and sets it up for writing.
    pub fn open(path: &Path) -> Result<(Self, Connection)> {
        create_private(path).map_err(|error| {
            StoreError::unavailable(io::Error::new(
                error.kind(),
                format!("cannot open or make the database file {}: {error}", path.display()),
            ))
        })?;
        let (identity, length) = look_at(path).map_err(StoreError::unavailable)?;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let file = Self {
            path: path.to_owned(),
            identity,
            length: AtomicU64::new(length),
            log: log.into(),
            log_identity: OnceLock::new(),
            log_length: AtomicU64::new(0),
        };
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|connection| {
            let journal: String =
                connection.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
            functions::register(&connection)?;
            Ok((connection, journal))
        });
        match connection.map_err(store_error)? {
            (connection, journal) if journal.eq_ignore_ascii_case("wal") => Ok((file, connection)),
            (_, journal) => Err(StoreError::refused(format!(
                "the file system does not allow SQLite's WAL (journal mode {journal})"
            ))),
        }
    }

    /// Another connection, for reading.
    pub fn reader(&self) -> Result<Connection> {
        self.check()?;
        let connection = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY).and_then(|c| {
            c.pragma_update(None, "cache_size", -CACHE_KIB)?;
            Ok(c)
        });
        connection.map_err(store_error)
    }

    /// Another connection, which may write.
    pub fn connect(&self) -> Result<Connection> {
        connect(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(store_error)
    }

    /// Bytes that are free on its disk.
    pub fn free_space(&self) -> Result<u64> {
        let disk = rustix::fs::statvfs(&self.path).map_err(StoreError::unavailable)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Are the files still there, and whole? What is written into a deleted file is lost, though
    /// SQLite would go on without a word.
    pub fn check(&self) -> Result<()> {
        // What another thread sees meanwhile may be more than what is seen here.
        let known = self.length.load(Ordering::Acquire);
        let (identity, length) = look_at(&self.path).map_err(StoreError::unavailable)?;
        if identity != self.identity {
            return Err(StoreError::unavailable("the database file was replaced by another"));
        }
        // It only grows: pages that are free stay.
        self.length.fetch_max(length, Ordering::AcqRel);
        if length < known {
            return Err(StoreError::unavailable("the database file was cut"));
        }
        self.check_log()
    }

    /// The write-ahead log is made by the first write and stays while the database is open.
    fn check_log(&self) -> Result<()> {
        match (look_at(&self.log), self.log_identity.get()) {
            (Ok((identity, _)), Some(known)) if identity != *known => {
                Err(StoreError::unavailable("the write-ahead log was replaced by another"))
            }
            (Ok((identity, length)), _) => {
                self.log_identity.get_or_init(|| identity);
                self.log_length.store(length, Ordering::Release);
                Ok(())
            }
            (Err(error), Some(_)) => Err(StoreError::unavailable(error)),
            (Err(_), None) => Ok(()),
        }
    }

    /// Bytes of the write-ahead log, as the last [`check`](Self::check) saw it.
    pub fn log_length(&self) -> u64 {
        self.log_length.load(Ordering::Acquire)
    }

    /// The write-ahead log, to write at its end.
    pub fn append_to_log(&self) -> io::Result<fs::File> {
        OpenOptions::new().append(true).open(&self.log)
    }
}

fn create_private(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    Ok(())
}

/// A connection as all are set up.
pub fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    // Plans do not go by values: those of a limit or a name would have a kept statement prepared again
    // each time.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // A file that is no database fails here, not at the first alert.
    look(&connection)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Reads the schema: is it a database, and can it be read?
pub fn look(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

/// As [`store_error`], of a database that was good when it was opened: one that is damaged now
/// takes no writes, and may be put right.
pub fn write_error(error: rusqlite::Error) -> StoreError {
    use ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => StoreError::unavailable(error),
        _ => store_error(error),
    }
}

/// Which of SQLite's failures mean that the store is away (locked, full, unreadable now) and
/// which that it refused.
pub fn store_error(error: rusqlite::Error) -> StoreError {
    use ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed,
        OperationAborted, OutOfMemory, PermissionDenied, ReadOnly, SystemIoFailure,
    };
    match error.sqlite_error_code() {
        Some(
            CannotOpen
            | DatabaseBusy
            | DatabaseLocked
            | DiskFull
            | FileLockingProtocolFailed
            | OperationAborted
            | OutOfMemory
            | PermissionDenied
            | ReadOnly
            | SystemIoFailure,
        ) => StoreError::unavailable(error),
        _ => StoreError::refused(error),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicBool, thread};

    use super::*;

    #[test]
    fn a_file_that_grows_while_it_is_looked_at_was_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        let (file, _connection) = DatabaseFile::open(&folder.path().join("grows.db")).unwrap();
        let grown = OpenOptions::new().write(true).open(&file.path).unwrap();
        let (over, length) = (AtomicBool::new(false), grown.metadata().unwrap().len());
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        file.check().unwrap();
                    }
                });
            }
            for more in 1..40_000 {
                grown.set_len(length + more).unwrap();
            }
            over.store(true, Ordering::Relaxed);
        });
        grown.set_len(1).unwrap();
        assert!(file.check().unwrap_err().to_string().contains("was cut"));
    }
}
