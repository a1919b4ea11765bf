//! The side of the store that migrations work on.
//!
//! A script is a list of database commands in extended JSON; what needs more is code (`upgrade`). Making what is there already is no
//! error, because a database of the old orchestrator has collections and indexes of its own.

use async_trait::async_trait;
use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};

use super::{
    LONG, MongoStore, SHORT,
    connect::write_concern_document,
    error::{INDEX_NOT_FOUND, MongoError, NAMESPACE_EXISTS, NAMESPACE_NOT_FOUND},
    lease, upgrade,
    wire::{date, integer},
    within,
};
use crate::{
    model::{Collection, Time},
    store::{
        Result, StoreError,
        migrate::{Applied, Migration, Schema, migrations},
    },
};

pub(super) static MIGRATIONS: &[Migration] = migrations!("mongodb", ".json");

/// What is to be made is there, or what is to be dropped is not.
const DONE_ALREADY: [i32; 2] = [NAMESPACE_EXISTS, INDEX_NOT_FOUND];

/// The migration that is code, too.
const INSTANCES: u32 = 4;

const VERSION_KEY: &str = "schema_version";
const RECORD_PREFIX: &str = "migration:";

#[async_trait]
impl Schema for MongoStore {
    fn migrations(&self) -> &'static [Migration] {
        MIGRATIONS
    }

    /// MongoDB makes a collection with its first document.
    async fn prepare(&self) -> Result<()> {
        Ok(())
    }

    async fn applied(&self) -> Result<Vec<Applied>> {
        within(SHORT, applied(self)).await
    }

    /// Without a time limit: an index on a large collection takes as long as it takes.
    async fn apply(&self, migration: &Migration, checksum: &str, at: Time) -> Result<()> {
        let commands: Vec<Document> = serde_json::from_str(migration.script)
            .map_err(|error| StoreError::refused(format!("{}: {error}", migration.name)))?;
        for command in commands {
            lease::check(self).await?;
            run(self, command).await?;
        }
        if migration.number == INSTANCES {
            lease::check(self).await?;
            upgrade::upgrade(self).await?;
        }
        within(LONG, write_down(self, migration, checksum, at)).await
    }
}

/// The schema version, whoever wrote it; 0 if nobody did.
pub(super) async fn version(store: &MongoStore) -> std::result::Result<u32, MongoError> {
    let state = store.probes.collection::<Document>(Collection::SystemState.name());
    let document = state.find_one(doc! { "key": VERSION_KEY }).await?;
    let value = document.as_ref().and_then(|document| document.get("value")).and_then(integer);
    Ok(value.and_then(|value| value.try_into().ok()).unwrap_or(0))
}

async fn applied(store: &MongoStore) -> std::result::Result<Vec<Applied>, MongoError> {
    let state = store.documents(Collection::SystemState);
    let records = doc! { "key": { "$regex": format!("^{RECORD_PREFIX}") } };
    let documents: Vec<Document> = state.find(records).await?.try_collect().await?;
    let mut applied: Vec<Applied> = documents.iter().filter_map(record).collect();
    applied.sort_by_key(|record| record.number);
    Ok(applied)
}

fn record(document: &Document) -> Option<Applied> {
    let text = |name: &str| document.get_str(name).ok().map(str::to_owned);
    let number = document.get("number").and_then(integer)?.try_into().ok()?;
    Some(Applied { number, name: text("name")?, checksum: text("checksum").unwrap_or_default() })
}

/// The version first: with the record missing, a crash in between repeats the migration.
async fn write_down(
    store: &MongoStore,
    migration: &Migration,
    checksum: &str,
    at: Time,
) -> std::result::Result<(), MongoError> {
    lease::set_state(store, VERSION_KEY, "value", migration.number.into()).await?;
    let record = doc! {
        "number": migration.number,
        "name": migration.name,
        "checksum": checksum,
        "appliedAt": date(at),
    };
    let key = format!("{RECORD_PREFIX}{:04}", migration.number);
    lease::check(store).await?;
    let update = doc! { "$set": record, "$setOnInsert": { "_id": &key } };
    let state = store.documents(Collection::SystemState);
    state.update_one(doc! { "key": &key }, update).upsert(true).await?;
    Ok(())
}

async fn run(store: &MongoStore, mut command: Document) -> std::result::Result<(), MongoError> {
    if let Some(collection) = command.get("createIndexes").and_then(Bson::as_str) {
        let existing = index_keys(store, collection).await?;
        let wanted = command.get_array_mut("indexes");
        let wanted = wanted.map_err(|_| MongoError::Answer("a migration without `indexes`"))?;
        // An index goes by the order of its keys, which equality of documents does not.
        let is_on =
            |index: &Bson, key: &Document| key_of(index).is_some_and(|of| of.iter().eq(key));
        wanted.retain(|index| !existing.iter().any(|key| is_on(index, key)));
        if wanted.is_empty() {
            return Ok(());
        }
    }
    command.insert("writeConcern", write_concern_document());
    match store.db.run_command(command).await.map_err(MongoError::from) {
        Err(error) if !error.code().is_some_and(|code| DONE_ALREADY.contains(&code)) => Err(error),
        _ => Ok(()),
    }
}

fn key_of(index: &Bson) -> Option<&Document> {
    index.as_document()?.get_document("key").ok()
}

/// The keys of the collection's indexes that find every document. Another index on the same keys
/// would be refused, whatever its name.
async fn index_keys(
    store: &MongoStore,
    collection: &str,
) -> std::result::Result<Vec<Document>, MongoError> {
    let listed = store.db.collection::<Document>(collection).list_indexes().await;
    let indexes = match listed.map_err(MongoError::from) {
        Err(error) if error.code() == Some(NAMESPACE_NOT_FOUND) => return Ok(Vec::new()),
        listed => listed?,
    };
    let indexes: Vec<_> = indexes.try_collect().await?;
    let whole = indexes.into_iter().filter(|index| {
        index.options.as_ref().is_none_or(|options| {
            options.partial_filter_expression.is_none() && options.sparse != Some(true)
        })
    });
    Ok(whole.map(|index| normal(index.keys)).collect())
}

/// Directions as the scripts write them: the server may hold them as doubles.
fn normal(keys: Document) -> Document {
    keys.into_iter()
        .map(|(name, direction)| match integer(&direction) {
            Some(direction) => (name, Bson::Int32(direction as i32)),
            None => (name, direction),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;

    fn files(folder: &str) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
        std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn every_migration_file_is_built_in_and_both_backends_have_the_same() {
        let built_in: BTreeSet<_> =
            MIGRATIONS.iter().map(|m| format!("{:04}_{}", m.number, m.name)).collect();
        assert_eq!(built_in, files("mongodb"));
        assert_eq!(built_in, files("sqlite"));
    }

    #[test]
    fn every_script_is_a_list_of_commands() {
        for migration in MIGRATIONS {
            let commands: Vec<Document> = serde_json::from_str(migration.script).unwrap();
            let of_sqlite = ["alert_inbox", "alerts_at_once", "firing_apart", "alert_numbers"];
            assert_eq!(commands.is_empty(), of_sqlite.contains(&migration.name));
            for command in commands {
                let (name, _) = command.iter().next().unwrap();
                assert!(
                    ["create", "createIndexes", "dropIndexes"].contains(&name.as_str()),
                    "{name}"
                );
            }
        }
    }
}
