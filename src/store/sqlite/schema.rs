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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;
    use crate::{
        model::Alert,
        store::{AlertFilter, ListPosition, Store, Stored},
    };

    fn alert(fingerprint: &str, status: &str, more: Value) -> Value {
        let mut alert = json!({
            "fingerprint": fingerprint, "startsAt": "2026-11-24T07:00:27.468Z", "name": "Disk",
            "entryId": "kb", "severity": "warning", "status": status, "message": "It's \"full\" – ü",
            "timestamp": "2026-11-24T07:00:28.001Z", "firstReceived": "2026-11-24T07:00:28.001Z",
            "changedAt": "2026-11-24T07:00:28.001Z", "labels": {"alertname": "Disk", "ü": "\"\\"},
            "annotations": {},
        });
        let more = more.as_object().unwrap().clone();
        alert.as_object_mut().unwrap().extend(more);
        alert
    }

    /// A store with so many migrations, and those that are left.
    async fn after_migrations(
        folder: &TempDir,
        count: usize,
    ) -> (SqliteStore, &'static [Migration]) {
        let store = SqliteStore::open(&folder.path().join("before.db")).await.unwrap();
        store.prepare().await.unwrap();
        let (before, left) = MIGRATIONS.split_at(count);
        apply(&store, before).await;
        (store, left)
    }

    async fn apply(store: &SqliteStore, migrations: &[Migration]) {
        for migration in migrations {
            store.apply(migration, &migration.checksum(), Time::from_millis(0)).await.unwrap();
        }
    }

    fn parsed(alert: &Value) -> Alert {
        serde_json::from_value(alert.clone()).unwrap()
    }

    #[tokio::test]
    async fn a_list_goes_on_where_it_was_after_the_rows_have_got_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let (store, left) = after_migrations(&folder, 10).await;
        // All received in one millisecond, so that only their rows tell them apart.
        let named = |name| Stored::Alert(parsed(&alert(name, "firing", json!({}))));
        store.put(["a", "b", "c", "d", "e"].map(named).into()).await.unwrap();
        let delete = |fingerprint: &'static str| {
            store.writer.write(move |tx| {
                tx.execute("DELETE FROM alerts WHERE fingerprint = ?1", [fingerprint]).map(drop)
            })
        };
        delete("b").await.unwrap();
        let row_of_d = "SELECT rowid FROM alerts WHERE fingerprint = 'd'";
        let row: i64 = store
            .readers
            .read(|connection| connection.query_row(row_of_d, [], |row| row.get(0)))
            .await
            .unwrap();
        apply(&store, left).await;

        let at = parsed(&alert("d", "firing", json!({}))).first_received;
        let after = ListPosition { at, tie: row.to_string() };
        let page =
            store.list_alerts(AlertFilter::default(), Some(after), 9).await.unwrap().unwrap();
        let names: Vec<_> = page.alerts.iter().map(|alert| alert.fingerprint.as_str()).collect();
        assert_eq!(names, ["c", "a"]);
        delete("a").await.unwrap();
        let day = (at, at.plus_millis(24 * 60 * 60 * 1000));
        assert_eq!(store.received_counts(day.0, day.1).await.unwrap().total, 3);
        store.close().await;
    }

    #[tokio::test]
    async fn what_waited_in_the_inbox_is_in_the_table_after_the_migration() {
        let folder = tempfile::tempdir().unwrap();
        let (store, left) = after_migrations(&folder, 7).await;
        let firing = alert("a", "firing", json!({}));
        let full = json!({
            "startsAt": "0001-01-01T00:00:00Z", "resolvedAt": "9999-12-31T23:59:59.999Z",
            "duration": 5, "cause": "logs", "generatorURL": "http://g", "receiver": "ops",
            "changedAt": "2026-11-24T08:00:00Z",
            "carried": {"entryId": "kb", "status": "resolved", "duration": 5},
        });
        let resolved = alert("a", "resolved", json!({"changedAt": "2026-11-24T08:00:00Z"}));
        let (stored, new) = (alert("b", "firing", json!({})), alert("c", "resolved", full));
        let touch = |fingerprint: &str, at: &str| {
            let key = json!({"fingerprint": fingerprint, "startsAt": "2026-11-24T07:00:27.468Z"});
            json!({"touch": [key, at]})
        };
        let rows = [
            json!([{"insert": firing}, touch("b", "2026-11-24T09:00:00Z")]),
            json!([{"replace": resolved}, {"insert": new}, touch("b", "2026-11-24T08:00:00Z")]),
        ];
        store.put(vec![Stored::Alert(parsed(&stored))]).await.unwrap();
        let fill = move |tx: &rusqlite::Transaction<'_>| {
            let mut insert = tx.prepare("INSERT INTO alert_inbox (writes) VALUES (?1)")?;
            rows.iter().try_for_each(|row| insert.execute([row.to_string()]).map(drop))
        };
        store.writer.write(fill).await.unwrap();
        apply(&store, left).await;

        let listed = store.list_alerts(AlertFilter::default(), None, 10).await.unwrap().unwrap();
        let mut listed = listed.alerts;
        listed.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
        let touched =
            Alert { timestamp: Time::parse("2026-11-24T09:00:00Z").unwrap(), ..parsed(&stored) };
        assert_eq!(listed, [parsed(&resolved), touched, parsed(&new)]);
        let at = |text| Time::parse(text).unwrap();
        let (from, until) = (at("2026-11-24T07:00:00Z"), at("2026-11-24T08:00:00Z"));
        assert_eq!(store.received_counts(from, until).await.unwrap().total, 3);
        store.close().await;
    }
}
