//! Migrations in SQLite: script, record and version in one transaction.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{SqliteStore, state};
use crate::{
    model::Time,
    store::{
        Result,
        migrate::{Applied, Migration, Schema, migrations},
    },
};

const MIGRATIONS: &[Migration] = migrations!("sqlite", ".sql");

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    number: u32,
    name: String,
    checksum: String,
    applied_at: Time,
}

#[async_trait]
impl Schema for SqliteStore {
    fn migrations(&self) -> &'static [Migration] {
        MIGRATIONS
    }

    async fn prepare(&self) -> Result<()> {
        self.writer
            .write(|tx| {
                tx.execute_batch(
                    "CREATE TABLE IF NOT EXISTS system_state (
                         key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)",
                )
            })
            .await
    }

    async fn applied(&self) -> Result<Vec<Applied>> {
        self.readers
            .read(|connection| {
                let mut select = connection.prepare(
                    "SELECT value FROM system_state WHERE key LIKE 'migration:%' ORDER BY key",
                )?;
                let records = select.query_map([], |row| {
                    let record: Record = super::json::from_json(row.get_ref(0)?.as_str()?)?;
                    let Record { number, name, checksum, .. } = record;
                    Ok(Applied { number, name, checksum })
                })?;
                records.collect()
            })
            .await
    }

    async fn apply(&self, migration: &Migration, checksum: &str, at: Time) -> Result<()> {
        let (script, checksum) = (migration.script, checksum.to_owned());
        let (number, name) = (migration.number, migration.name.to_owned());
        self.write_fenced(move |tx| {
            tx.execute_batch(script)?;
            let record = Record { number, name, checksum, applied_at: at };
            state::put(tx, &format!("migration:{number:04}"), &record)?;
            state::put(tx, "schema_version", &number)
        })
        .await
    }
}
