//! Embeddings in SQLite.

use rusqlite::{Connection, OptionalExtension, Transaction};

use crate::{
    model::Time,
    store::embeddings::{FORGOTTEN, StoredEmbedding, too_old},
};

/// Those of these hashes that are kept, and which of them have an old mark of their last use.
pub fn of(
    connection: &Connection,
    hashes: &[String],
    now: Time,
) -> rusqlite::Result<(Vec<StoredEmbedding>, Vec<String>)> {
    let (_, marked) = too_old(now);
    let mut select =
        connection.prepare_cached("SELECT vector, usedAt FROM embeddings WHERE hash = ?1")?;
    let (mut found, mut old) = (Vec::new(), Vec::new());
    for hash in hashes {
        let row = select.query_row([hash], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)));
        let Some((vector, used)) = row.optional()? else { continue };
        if used < marked.millis() {
            old.push(hash.clone());
        }
        found.push(StoredEmbedding { hash: hash.clone(), vector });
    }
    Ok((found, old))
}

/// Marks embeddings as used now.
pub fn mark(tx: &Transaction<'_>, hashes: &[String], now: Time) -> rusqlite::Result<()> {
    let mut mark = tx.prepare_cached("UPDATE embeddings SET usedAt = ?2 WHERE hash = ?1")?;
    hashes.iter().try_for_each(|hash| mark.execute((hash, now.millis())).map(drop))
}

/// Keeps embeddings, and forgets some that nobody used for long.
pub fn keep(
    tx: &Transaction<'_>,
    embeddings: &[StoredEmbedding],
    now: Time,
) -> rusqlite::Result<()> {
    let mut put = tx.prepare_cached(
        "INSERT OR REPLACE INTO embeddings (hash, vector, usedAt) VALUES (?1, ?2, ?3)",
    )?;
    for StoredEmbedding { hash, vector } in embeddings {
        put.execute((hash, vector, now.millis()))?;
    }
    let (unused, _) = too_old(now);
    let mut forget = tx.prepare_cached(
        "DELETE FROM embeddings WHERE hash IN
         (SELECT hash FROM embeddings WHERE usedAt < ?1 ORDER BY usedAt LIMIT ?2)",
    )?;
    forget.execute((unused.millis(), FORGOTTEN))?;
    Ok(())
}
