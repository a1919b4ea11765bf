//! Connections for reading: a few, made when wanted, used one task at a time.

use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::connection::{DatabaseFile, store_error};
use crate::store::{Result, StoreError};

/// How many reads go on at once.
const CONNECTIONS: usize = 4;

/// The connections that are free, and the right to make more up to [`CONNECTIONS`].
pub struct Readers {
    file: Arc<DatabaseFile>,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    /// None yet; the first read makes the first.
    pub fn new(file: Arc<DatabaseFile>) -> Self {
        Self { file, idle: Arc::default(), permits: Arc::new(Semaphore::new(CONNECTIONS)) }
    }

    /// Runs `work` on a connection of its own, off the async threads. All its statements see the
    /// database as the first of them does.
    pub async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| StoreError::unavailable("the store is closed"))?;
        let (file, idle) = (Arc::clone(&self.file), Arc::clone(&self.idle));
        let reading = tokio::task::spawn_blocking(move || {
            // A connection that is open would go on reading a file that was deleted or replaced.
            file.check()?;
            let free = idle.lock().pop();
            let connection = free.map_or_else(|| file.reader(), Ok)?;
            let snapshot = connection.unchecked_transaction();
            let result = snapshot.and_then(|snapshot| work(&snapshot)).map_err(store_error);
            idle.lock().push(connection);
            drop(permit);
            result
        });
        reading.await.map_err(StoreError::refused)?
    }

    /// No more reads; the free connections are closed.
    pub fn close(&self) {
        self.permits.close();
        self.idle.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_statements_of_a_read_see_one_state() {
        let folder = tempfile::tempdir().unwrap();
        let (file, writing) = DatabaseFile::open(&folder.path().join("read.db")).unwrap();
        writing.execute_batch("CREATE TABLE t (n)").unwrap();
        let readers = Readers::new(Arc::new(file));
        let rows = |c: &Connection| c.query_row("SELECT count(*) FROM t", [], |row| row.get(0));
        let during = move |connection: &Connection| {
            let before: i64 = rows(connection)?;
            writing.execute("INSERT INTO t VALUES (1)", [])?;
            Ok((before, rows(connection)?))
        };
        assert_eq!(readers.read(during).await.unwrap(), (0, 0));
        assert_eq!(readers.read(rows).await.unwrap(), 1);
    }
}
