//! `system_state` in SQLite: the schema version, the records of migrations, and leases.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction};
use serde::{Deserialize, Serialize};

use super::json::{from_json, json};
use crate::{
    model::Time,
    store::{Fence, LeaseLost},
};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lease {
    /// Empty when it was given back.
    holder: String,
    expires_at: Time,
    #[serde(default)]
    fence: i64,
}

/// The number of the newest applied migration, 0 where there is none.
pub fn schema_version(connection: &Connection) -> rusqlite::Result<u32> {
    let table = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'system_state'";
    if connection.query_row(table, [], |_| Ok(())).optional()?.is_none() {
        return Ok(0);
    }
    Ok(get(connection, "schema_version")?.unwrap_or(0))
}

/// The value under `key`.
pub fn get<T: serde::de::DeserializeOwned>(
    connection: &Connection,
    key: &str,
) -> rusqlite::Result<Option<T>> {
    let mut select = connection.prepare_cached("SELECT value FROM system_state WHERE key = ?1")?;
    let text: Option<String> = select.query_row([key], |row| row.get(0)).optional()?;
    text.map(|text| from_json(&text)).transpose()
}

/// Writes the value under `key`; the caller commits.
pub fn put<T: Serialize>(tx: &Transaction<'_>, key: &str, value: &T) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT OR REPLACE INTO system_state (key, value) VALUES (?1, ?2)")?
        .execute((key, json(value)?))?;
    Ok(())
}

/// Takes or prolongs a lease; `None` if another holds it.
pub fn acquire_lease(
    tx: &Transaction<'_>,
    name: &str,
    holder: &str,
    now: Time,
    ttl: Duration,
) -> rusqlite::Result<Option<i64>> {
    let key = lease_key(name);
    let fence = match get::<Lease>(tx, &key)? {
        Some(lease) if lease.holder == holder => lease.fence,
        Some(lease) if lease.expires_at > now => return Ok(None),
        lease => lease.map_or(0, |lease| lease.fence) + 1,
    };
    put(tx, &key, &Lease { holder: holder.to_owned(), expires_at: now.plus(ttl), fence })?;
    Ok(Some(fence))
}

/// Whether the lease still has this number, and was not given back.
fn is_held(tx: &Transaction<'_>, fence: Fence) -> rusqlite::Result<bool> {
    let held: Option<Lease> = get(tx, &lease_key(fence.lease))?;
    Ok(held.is_some_and(|lease| lease.fence == fence.number && !lease.holder.is_empty()))
}

/// Gives a lease back, if `holder` has it. Its number stays.
pub fn release_lease(tx: &Transaction<'_>, name: &str, holder: &str) -> rusqlite::Result<()> {
    let key = lease_key(name);
    let held: Option<Lease> = get(tx, &key)?;
    if let Some(lease) = held.filter(|lease| lease.holder == holder) {
        let given_back = Lease { holder: String::new(), expires_at: Time::default(), ..lease };
        put(tx, &key, &given_back)?;
    }
    Ok(())
}

fn lease_key(name: &str) -> String {
    format!("lease:{name}")
}

/// `work`, once it is sure that the lease is held.
pub fn fenced<T>(
    fence: Option<Fence>,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> impl FnOnce(&Transaction<'_>) -> rusqlite::Result<Result<T, LeaseLost>> {
    move |tx| match fence {
        Some(fence) if !is_held(tx, fence)? => Ok(Err(LeaseLost(fence.lease))),
        _ => Ok(Ok(work(tx)?)),
    }
}
