//! The write-ahead log is made longer before a commit needs it to be.
//!
//! The sync of a file that has grown writes its new length as well: a second write to the disk, on a
//! journaling file system a commit of the journal. What is written over zeros needs neither.

use std::{io::Write, time::Duration};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{
    checkpointer::{Checkpointer, Pages},
    connection::{BUSY_TIMEOUT, DatabaseFile, store_error},
};
use crate::store::{Result, StoreError};

/// Zeros that are written at once.
static ZEROS: [u8; 1 << 20] = [0; 1 << 20];
/// With less than this before it, the end is moved on.
const LEAST_AHEAD: u64 = 1 << 18;
/// Where less is free, nothing is taken in advance.
const LEAST_FREE: u64 = 16 << 20;

/// Moves the end of the log on if that will be needed soon; if it cannot be, commits do it as they
/// need it.
pub fn keep_ahead(
    file: &DatabaseFile,
    writing: &Connection,
    checkpointer: &Checkpointer,
    pages: Pages,
) {
    let (used, most) = (checkpointer.used(), pages.most_bytes());
    if is_short(used, file.log_length(), most)
        && let Err(error) = lengthen(file, writing, used, most)
    {
        tracing::debug!(%error, "the write-ahead log grows with what is written");
    }
}

fn is_short(used: u64, length: u64, most: u64) -> bool {
    length < most && length < used + LEAST_AHEAD
}

/// Adds zeros to the log. SQLite reads it up to the first page that is none, which zeros are not;
/// where it writes, it writes over them.
fn lengthen(file: &DatabaseFile, writing: &Connection, used: u64, most: u64) -> Result<()> {
    if file.free_space()? < LEAST_FREE {
        return Ok(());
    }
    writing.busy_timeout(Duration::ZERO).map_err(store_error)?;
    // Whoever has this lock is the only one that writes to the log, in this process and in others.
    let begun = Transaction::new_unchecked(writing, TransactionBehavior::Immediate);
    writing.busy_timeout(BUSY_TIMEOUT).map_err(store_error)?;
    let _alone = begun.map_err(store_error)?;
    file.check()?;
    let length = file.log_length();
    if is_short(used, length, most) {
        let missing = (used + ZEROS.len() as u64).min(most).saturating_sub(length);
        let zeros = usize::try_from(missing).ok().and_then(|missing| ZEROS.get(..missing));
        let mut log = file.append_to_log().map_err(StoreError::unavailable)?;
        log.write_all(zeros.unwrap_or(&ZEROS)).map_err(StoreError::unavailable)?;
    }
    file.check()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    const MOST: u64 = 3 << 20;

    fn open(path: &Path) -> (DatabaseFile, Connection) {
        DatabaseFile::open(path).unwrap()
    }

    fn insert(connection: &Connection, n: i64) {
        connection.execute("INSERT INTO t VALUES (?1, ?2)", (n, "x".repeat(3_000))).unwrap();
    }

    fn rows(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn commits_do_not_lengthen_a_log_that_is_ahead_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ahead.db");
        let (file, writing) = open(&path);
        writing.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, x TEXT)").unwrap();
        lengthen(&file, &writing, 0, MOST).unwrap();
        let length = file.log_length();
        assert_eq!(length, 1 << 20);
        (0..50).for_each(|n| insert(&writing, n));
        file.check().unwrap();
        assert_eq!(file.log_length(), length);

        // What a crash leaves behind is read up to the zeros.
        let left = folder.path().join("left.db");
        fs::copy(&path, &left).unwrap();
        fs::copy(folder.path().join("ahead.db-wal"), folder.path().join("left.db-wal")).unwrap();
        let (_, left) = open(&left);
        assert_eq!(rows(&left), 50);

        for _ in 0..9 {
            lengthen(&file, &writing, MOST, MOST).unwrap();
        }
        assert_eq!(file.log_length(), MOST);
        insert(&writing, 50);
        assert_eq!(rows(&writing), 51);
    }

    #[test]
    fn what_another_process_writes_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two.db");
        let ((file, writing), (_, mut other)) = (open(&path), open(&path));
        writing.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, x TEXT)").unwrap();
        for n in 0..200 {
            insert(if n % 2 == 0 { &other } else { &writing }, n);
            if n % 20 == 0 {
                lengthen(&file, &writing, (n as u64) << 14, MOST).unwrap();
            }
        }
        let begun = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        insert(&begun, 200);
        let length = file.log_length();
        assert!(lengthen(&file, &writing, length, MOST).is_err());
        file.check().unwrap();
        assert_eq!(file.log_length(), length);
        begun.commit().unwrap();
        // Cut by another process, it begins anew.
        other.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        insert(&writing, 201);
        lengthen(&file, &writing, 8_000, MOST).unwrap();
        insert(&other, 202);
        let sound: String = other.query_row("PRAGMA integrity_check", [], |r| r.get(0)).unwrap();
        assert_eq!((sound.as_str(), rows(&writing)), ("ok", 203));
    }

    #[test]
    fn a_log_is_short_until_it_has_its_most() {
        let states = [(0, 0), (0, LEAST_AHEAD), (1, LEAST_AHEAD), (MOST, MOST), (MOST, MOST - 1)];
        let short = states.map(|(used, length)| is_short(used, length, MOST));
        assert_eq!(short, [true, false, true, false, true]);
    }
}
