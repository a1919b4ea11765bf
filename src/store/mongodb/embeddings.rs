//! Embeddings in MongoDB: not a collection of the contract's.

use futures::TryStreamExt;
use mongodb::bson::{Binary, Document, doc, spec::BinarySubtype};

use super::{
    MongoStore,
    error::MongoError,
    wire::{date, time_in},
};
use crate::{
    model::Time,
    store::embeddings::{StoredEmbedding, too_old},
};

fn collection(store: &MongoStore) -> mongodb::Collection<Document> {
    store.db.collection("embeddings")
}

/// Those of these hashes that are kept; their use is marked, seldom.
pub(super) async fn of(
    store: &MongoStore,
    hashes: &[String],
    now: Time,
) -> Result<Vec<StoredEmbedding>, MongoError> {
    let (_, marked) = too_old(now);
    let mut documents = collection(store).find(doc! { "_id": { "$in": hashes } }).await?;
    let (mut found, mut to_mark) = (Vec::new(), Vec::new());
    while let Some(document) = documents.try_next().await? {
        let Ok(hash) = document.get_str("_id") else { continue };
        let Ok(vector) = document.get_binary_generic("vector") else { continue };
        if time_in(&document, "usedAt").is_none_or(|used| used < marked) {
            to_mark.push(hash.to_owned());
        }
        found.push(StoredEmbedding { hash: hash.to_owned(), vector: vector.clone() });
    }
    if !to_mark.is_empty() {
        let used = doc! { "$set": { "usedAt": date(now) } };
        collection(store).update_many(doc! { "_id": { "$in": to_mark } }, used).await?;
    }
    Ok(found)
}

/// Keeps embeddings, and forgets those that nobody used for long.
pub(super) async fn keep(
    store: &MongoStore,
    embeddings: &[StoredEmbedding],
    now: Time,
) -> Result<(), MongoError> {
    let collection = &collection(store);
    let of_each = embeddings.iter().map(|StoredEmbedding { hash, vector }| async move {
        let bytes = Binary { subtype: BinarySubtype::Generic, bytes: vector.clone() };
        let document = doc! { "_id": hash, "vector": bytes, "usedAt": date(now) };
        let put = collection.replace_one(doc! { "_id": hash }, document).upsert(true);
        put.await.map(drop)
    });
    futures::future::try_join_all(of_each).await?;
    let (unused, _) = too_old(now);
    collection.delete_many(doc! { "usedAt": { "$lt": date(unused) } }).await?;
    Ok(())
}
