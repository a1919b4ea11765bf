//! Severities as they were sent. Read from end to end, after a change of their meanings only.

use futures::TryStreamExt;
use mongodb::bson::{Document, doc};

use super::{MongoStore, error::MongoError};
use crate::{
    model::{Collection, pattern_id},
    store::SEVERITY_WORDS,
};

/// Each entry with each severity that its alerts were sent with, also those of the old
/// orchestrator, which do not say which entry they belong to.
pub(super) async fn sent(store: &MongoStore) -> Result<Vec<(String, String)>, MongoError> {
    let by = doc! { "$group": { "_id": {
        "entryId": "$entryId",
        "name": "$name",
        "cause": "$labels.cause",
        "severity": "$severity",
        "priority": "$labels.priority",
        "level": "$labels.level",
    } } };
    let groups = store.documents(Collection::Alerts).aggregate([by]).await?;
    let groups: Vec<Document> = groups.try_collect().await?;
    Ok(groups.iter().filter_map(|group| pair(group.get_document("_id").ok()?)).collect())
}

fn pair(group: &Document) -> Option<(String, String)> {
    let text = |name: &str| group.get_str(name).ok().filter(|text| !text.is_empty());
    let entry_id = match text("entryId") {
        Some(id) => id.to_owned(),
        None => pattern_id(text("name")?, text("cause").unwrap_or_default()),
    };
    let severity = text("severity").filter(|severity| *severity != "none");
    let word = severity.or_else(|| text("priority")).or_else(|| text("level"))?;
    Some((entry_id, word.to_owned()))
}

pub(super) async fn words(store: &MongoStore) -> Result<Option<String>, MongoError> {
    let state = store.documents(Collection::SystemState);
    let noted = state.find_one(doc! { "_id": SEVERITY_WORDS }).await?;
    Ok(noted.and_then(|noted| noted.get_str("value").ok().map(str::to_owned)))
}

pub(super) async fn note_words(store: &MongoStore, signature: &str) -> Result<(), MongoError> {
    let set = doc! { "$set": { "key": SEVERITY_WORDS, "value": signature } };
    let state = store.documents(Collection::SystemState);
    state.update_one(doc! { "_id": SEVERITY_WORDS }, set).upsert(true).await?;
    Ok(())
}
