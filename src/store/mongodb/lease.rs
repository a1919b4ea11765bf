//! Leases between replicas, as documents `{"key":"lease:<name>",holder,expiresAt,fence}` of
//! `system_state`. They go by the server's clock and stay when they are given back, so that
//! their numbers only rise.

use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};

use super::{
    MongoStore, command,
    error::MongoError,
    follow,
    wire::{date, integer},
};
use crate::{
    model::{Collection, Time},
    store::LeaseLost,
};

/// What the keys of leases begin with.
pub(super) const PREFIX: &str = "lease:";

/// Prolongs the holder's own lease, or takes one that has run out. The upsert runs into the taken
/// `_id` when another holder has it.
pub(super) async fn acquire(
    store: &MongoStore,
    name: &str,
    holder: &str,
    ttl: Duration,
) -> Result<Option<i64>, MongoError> {
    let key = format!("{PREFIX}{name}");
    let now = Time::from_millis(follow::now(store).await?.0);
    let until = date(now.plus(ttl));
    let own = doc! { "_id": &key, "holder": holder };
    let prolong = doc! { "$set": { "expiresAt": until } };
    let leases = store.documents(Collection::SystemState);
    if let Some(held) = leases.find_one_and_update(own, prolong).await? {
        return Ok(Some(fence(&held)));
    }
    let over = doc! { "_id": &key, "expiresAt": { "$lte": date(now) } };
    let take = doc! {
        "$set": { "key": &key, "holder": holder, "expiresAt": until },
        "$inc": { "fence": 1_i64 },
    };
    match leases.find_one_and_update(over, take).upsert(true).await.map_err(MongoError::from) {
        // What was there before; nothing, if this is the first taking.
        Ok(before) => Ok(Some(before.as_ref().map_or(0, fence) + 1)),
        Err(error) if error.is_duplicate_key() => Ok(None),
        Err(error) => Err(error),
    }
}

fn fence(lease: &Document) -> i64 {
    lease.get("fence").and_then(integer).unwrap_or(0)
}

pub(super) async fn release(
    store: &MongoStore,
    name: &str,
    holder: &str,
) -> Result<(), MongoError> {
    let held = doc! { "_id": format!("{PREFIX}{name}"), "holder": holder };
    let give_back = doc! { "$set": { "holder": "", "expiresAt": date(Time::default()) } };
    store.documents(Collection::SystemState).update_one(held, give_back).await?;
    Ok(())
}

/// Before each write under a lease: the lease's document is written by compare-and-set on its
/// number, at a majority, so that no member that was cut off can say yes.
///
/// Between this and the write lies one way to the server. A process that is stopped right there
/// and wakes up under another holder sends this one write yet. So each such write has a condition of
/// its own, by which it then changes nothing, or only what it would be right to change whoever did
/// it: sums are taken by the numbers of batches, a note follows the one that was read before, alerts
/// are deleted by their revision, identities by their age, days and records are only inserted, and
/// the rest is [`set_state`].
pub(super) async fn check(store: &MongoStore) -> Result<(), MongoError> {
    let Some(fence) = store.fence else { return Ok(()) };
    let query = doc! {
        "_id": format!("{PREFIX}{}", fence.lease), "fence": fence.number, "holder": { "$ne": "" },
    };
    let statement = doc! { "q": query, "u": { "$currentDate": { "usedAt": true } } };
    let written = command::update(store, Collection::SystemState.name(), &[statement]).await?;
    match written.hit {
        0 => Err(MongoError::LeaseLost(LeaseLost(fence.lease))),
        _ => Ok(()),
    }
}

/// Sets a field of a document of `system_state`, unless another process set it since this one made
/// sure of its lease. Found by `key`, because a document of the old orchestrator has an object id.
pub(super) async fn set_state(
    store: &MongoStore,
    key: &str,
    field: &str,
    value: Bson,
) -> Result<(), MongoError> {
    let state = store.documents(Collection::SystemState);
    let before = state.find_one(doc! { "key": key }).await?;
    check(store).await?;
    let known = before.as_ref().and_then(|before| before.get(field)).cloned();
    let query = doc! { "key": key, field: known.unwrap_or(Bson::Null) };
    let update = doc! { "$set": { field: value }, "$setOnInsert": { "_id": key } };
    match state.update_one(query, update).upsert(before.is_none()).await.map_err(MongoError::from) {
        Ok(set) if set.matched_count > 0 || set.upserted_id.is_some() => Ok(()),
        Err(error) if !error.is_duplicate_key() => Err(error),
        _ => Err(MongoError::Overtaken),
    }
}
