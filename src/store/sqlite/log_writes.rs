//! What `log_writes.c` promises: SQLite behaves as on its own file system, with fewer calls of the
//! system.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use rusqlite::{Connection, OpenFlags};

use super::connection::DatabaseFile;

/// Rows: the id, and what byte how often.
type Rows = BTreeMap<u8, (u8, usize)>;

#[derive(Clone, Debug)]
enum Step {
    Put {
        id: u8,
        byte: u8,
        bytes: usize,
    },
    Commit,
    Rollback,
    Savepoint,
    BackToSavepoint,
    Checkpoint {
        whole: bool,
    },
    /// Another process writes, as soon as nobody else does.
    Other {
        id: u8,
        byte: u8,
        bytes: usize,
    },
    Look,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (any::<u8>(), any::<u8>(), 0_usize..40_000)
            .prop_map(|(id, byte, bytes)| Step::Put { id, byte, bytes }),
        3 => Just(Step::Commit),
        1 => Just(Step::Rollback),
        1 => Just(Step::Savepoint),
        1 => Just(Step::BackToSavepoint),
        1 => any::<bool>().prop_map(|whole| Step::Checkpoint { whole }),
        3 => (any::<u8>(), any::<u8>(), 0_usize..40_000)
            .prop_map(|(id, byte, bytes)| Step::Other { id, byte, bytes }),
        2 => Just(Step::Look),
    ];
    prop::collection::vec(step, 1..80)
}

fn rows(connection: &Connection) -> Rows {
    let mut select = connection.prepare("SELECT id, x FROM t ORDER BY id").unwrap();
    let row = |row: &rusqlite::Row<'_>| {
        let bytes: Vec<u8> = row.get(1)?;
        let byte = bytes.first().copied().unwrap_or(0);
        assert!(bytes.iter().all(|other| *other == byte), "a row is torn");
        Ok((row.get(0)?, (byte, bytes.len())))
    };
    select.query_map([], row).unwrap().map(Result::unwrap).collect()
}

/// The rows that a process finds after this one was killed here.
fn after_a_kill(path: &Path) -> Rows {
    let folder = tempfile::tempdir().unwrap();
    let copy = |end: &str| {
        let from = PathBuf::from(format!("{}{end}", path.display()));
        fs::copy(from, folder.path().join(format!("copy.db{end}"))).unwrap();
    };
    copy("");
    copy("-wal");
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = Connection::open_with_flags(folder.path().join("copy.db"), flags).unwrap();
    let whole: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    rows(&connection)
}

fn open(path: &Path, synchronous: &str, cache_pages: i32) -> (DatabaseFile, Connection) {
    let (file, connection) = DatabaseFile::open(path).unwrap();
    connection.pragma_update(None, "synchronous", synchronous).unwrap();
    // So few that pages go to the log before their transaction ends.
    connection.pragma_update(None, "cache_size", cache_pages).unwrap();
    (file, connection)
}

fn put(connection: &Connection, rows: &mut Rows, (id, byte, bytes): (u8, u8, usize)) {
    let mut put = connection.prepare_cached("REPLACE INTO t VALUES (?1, ?2)").unwrap();
    put.execute((id, vec![byte; bytes])).unwrap();
    rows.insert(id, (if bytes == 0 { 0 } else { byte }, bytes));
}

fn run(steps: &[Step], synchronous: &str, cache_pages: i32) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.db");
    let (file, connection) = open(&path, synchronous, cache_pages);
    connection.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)").unwrap();
    let ((_, other), reader) = (open(&path, synchronous, cache_pages), file.reader().unwrap());
    let (mut committed, mut now) = (Rows::new(), Rows::new());
    let mut saved: Option<Rows> = None;
    let run = |sql: &str| connection.execute_batch(sql).unwrap();
    for step in steps.iter().chain([&Step::Commit, &Step::Look]) {
        let begins = matches!(step, Step::Put { .. } | Step::Savepoint);
        if begins && connection.is_autocommit() {
            run("BEGIN IMMEDIATE");
        }
        match *step {
            Step::Put { id, byte, bytes } => put(&connection, &mut now, (id, byte, bytes)),
            Step::Commit if !connection.is_autocommit() => {
                run("COMMIT");
                (committed, saved) = (now.clone(), None);
            }
            Step::Rollback if !connection.is_autocommit() => {
                run("ROLLBACK");
                (now, saved) = (committed.clone(), None);
            }
            Step::Savepoint => {
                run("SAVEPOINT here");
                saved = Some(now.clone());
            }
            Step::BackToSavepoint => {
                if let Some(saved) = &saved {
                    run("ROLLBACK TO here");
                    now = saved.clone();
                }
            }
            Step::Checkpoint { whole } if connection.is_autocommit() => {
                let mode = if whole { "TRUNCATE" } else { "PASSIVE" };
                let sql = format!("PRAGMA wal_checkpoint({mode})");
                connection.query_row(&sql, [], |_| Ok(())).unwrap();
            }
            Step::Other { id, byte, bytes } if connection.is_autocommit() => {
                put(&other, &mut now, (id, byte, bytes));
                committed = now.clone();
            }
            Step::Look => {
                assert_eq!(rows(&connection), now);
                assert_eq!(rows(&other), committed);
                assert_eq!(rows(&reader), committed);
                assert_eq!(after_a_kill(&path), committed);
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_committed_is_there_for_others_and_after_a_kill_and_nothing_else(
        steps in steps(),
        synchronous in prop::sample::select(vec!["OFF", "NORMAL", "FULL"]),
        cache_pages in prop::sample::select(vec![10, 100, 1_000]),
    ) {
        run(&steps, synchronous, cache_pages);
    }
}

#[test]
fn what_was_not_committed_does_not_come_over_what_another_process_commits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.db");
    let (_file, connection) = open(&path, "FULL", 10);
    connection.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)").unwrap();
    let (_, other) = open(&path, "FULL", 10);
    let (mut gone, mut there) = (Rows::new(), Rows::new());
    for round in 0..20 {
        // Else a rollback reads the first page from the log, for which what is held is written.
        other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        // Thirty pages, of which more than ten go to the log.
        (0..30 + round).for_each(|id| put(&connection, &mut gone, (id, 1, 3_000)));
        connection.execute_batch("ROLLBACK").unwrap();
        (0..40).for_each(|id| put(&other, &mut there, (id, 2, 3_000)));
        assert_eq!(rows(&connection), there);
        assert_eq!(after_a_kill(&path), there);
    }
}

/// Calls that wrote something, by this thread.
fn writing_calls() -> u64 {
    let figures = fs::read_to_string("/proc/thread-self/io").unwrap();
    let calls = figures.lines().find_map(|line| line.strip_prefix("syscw: ")).unwrap();
    calls.parse().unwrap()
}

#[test]
fn the_pages_of_a_transaction_are_written_some_thirty_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.db");
    let (_file, connection) = DatabaseFile::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE t (x BLOB); BEGIN").unwrap();
    for _ in 0..100 {
        connection.execute("INSERT INTO t VALUES (zeroblob(9000))", []).unwrap();
    }
    let before = writing_calls();
    connection.execute_batch("COMMIT").unwrap();
    let calls = writing_calls() - before;
    let pages = fs::metadata(folder.path().join("calls.db-wal")).unwrap().len() / 4_120;
    assert!(pages > 200 && calls < pages / 10, "{calls} calls for {pages} pages");
}
