//! Leases between replicas, as documents `{"key":"lease:<name>",holder,expiresAt}` of
//! `system_state`. They go by the replicas' clocks, so these may differ by less than a lease's
//! length.

use std::time::Duration;

use mongodb::bson::{DateTime, doc};

use super::{MongoStore, error::MongoError};
use crate::model::Collection;

/// What the keys of leases begin with.
pub(super) const PREFIX: &str = "lease:";

/// The upsert runs into the taken `_id` when another holder has the lease.
pub(super) async fn acquire(
    store: &MongoStore,
    name: &str,
    holder: &str,
    ttl: Duration,
) -> Result<bool, MongoError> {
    let key = format!("{PREFIX}{name}");
    let now = DateTime::now();
    let ttl_ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
    let expires = DateTime::from_millis(now.timestamp_millis().saturating_add(ttl_ms));
    let mine_or_over = doc! {
        "_id": &key,
        "$or": [{ "holder": holder }, { "expiresAt": { "$lte": now } }],
    };
    let take = doc! { "$set": { "key": &key, "holder": holder, "expiresAt": expires } };
    let taken = store
        .documents(Collection::SystemState)
        .find_one_and_update(mine_or_over, take)
        .upsert(true)
        .await
        .map_err(MongoError::from);
    match taken {
        Ok(_) => Ok(true),
        Err(error) if error.is_duplicate_key() => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) async fn release(
    store: &MongoStore,
    name: &str,
    holder: &str,
) -> Result<(), MongoError> {
    let held = doc! { "_id": format!("{PREFIX}{name}"), "holder": holder };
    store.documents(Collection::SystemState).delete_one(held).await?;
    Ok(())
}
