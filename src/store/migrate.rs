//! Migrations: what each backend offers ([`Schema`]) and the runner above both.

use async_trait::async_trait;

use super::Result;
use crate::model::Time;

/// One numbered change of the schema.
#[derive(Clone, Debug)]
pub struct Migration {
    /// 1, 2, 3, …
    pub number: u32,
    /// What it does, in snake_case.
    pub name: &'static str,
    /// SQL, or commands in extended JSON.
    pub script: &'static str,
}

/// The record of an applied migration, `{"key":"migration:0001",…}` in `system_state`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its number.
    pub number: u32,
    /// Its name when it was applied.
    pub name: String,
    /// SHA-256 of its script when it was applied, in hex.
    pub checksum: String,
}

/// What a backend offers to the migration runner.
#[async_trait]
pub trait Schema: Send + Sync {
    /// The backend's migrations, in order.
    fn migrations(&self) -> &'static [Migration];

    /// Makes the place for records and leases, if missing.
    async fn prepare(&self) -> Result<()>;

    /// The records of applied migrations, in order. The old orchestrator's databases have none,
    /// though they may have a schema version.
    async fn applied(&self) -> Result<Vec<Applied>>;

    /// Runs the script, writes its record and raises `{"key":"schema_version","value":n}`; on
    /// SQLite all in one transaction, on MongoDB in this order, so that a crash repeats it.
    async fn apply(&self, migration: &Migration, checksum: &str, at: Time) -> Result<()>;
}
