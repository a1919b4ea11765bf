//! Migrations: what each backend offers ([`Schema`]) and the runner above both.
//!
//! The promise: a database is changed by one process at a time, only by scripts that it has not
//! seen yet, and never by a binary that is older than the database. What is applied is read from
//! the records of migrations and not from the schema version, because a database of the old
//! orchestrator has a version of its own and no records.

mod history;

use std::time::Duration;

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use sha2::{Digest, Sha256};

pub use self::history::{Row, State};
use super::{Lease, LeaseLost, Result, Store, StoreError};
use crate::model::{Clock, Time};

const LEASE: &str = "migrations";
const LEASE_TTL: Duration = Duration::from_secs(30);
/// Longer than building an index takes on any base of this service's size, and then some.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

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

impl Migration {
    /// SHA-256 of the script, in hex.
    pub fn checksum(&self) -> String {
        hex::encode(Sha256::digest(self.script))
    }
}

/// All migrations as one backend has them: `migrations/<folder>/<number>_<name><ending>`.
macro_rules! migrations {
    ($folder:literal, $ending:literal) => {
        $crate::store::migrate::migrations!(
            @scripts $folder, $ending:
            1 "0001" "collections",
            2 "0002" "indexes",
            3 "0003" "history",
            4 "0004" "instances",
            5 "0005" "listing",
            6 "0006" "embeddings",
            7 "0007" "alert_inbox",
            8 "0008" "alerts_at_once",
            9 "0009" "firing_apart",
            10 "0010" "fewer_indexes",
            11 "0011" "alert_numbers"
        )
    };
    (@scripts $folder:literal, $ending:literal: $($number:literal $padded:literal $name:literal),+) => {
        &[$($crate::store::migrate::Migration {
            number: $number,
            name: $name,
            script: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"), "/migrations/", $folder, "/", $padded, "_", $name, $ending
            )),
        }),+]
    };
}
pub(super) use migrations;

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

    /// Runs the script, raises `{"key":"schema_version","value":n}` and writes the record; on
    /// SQLite all in one transaction, on MongoDB in this order, so that a crash repeats it.
    async fn apply(&self, migration: &Migration, checksum: &str, at: Time) -> Result<()>;
}

/// Why the schema was not brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A script was edited after it was applied.
    #[error("migration {number:04}_{name} was applied with another script (its checksum differs)")]
    Changed {
        /// Its number.
        number: u32,
        /// Its name.
        name: String,
    },
    /// A number stands for another migration here than in the database.
    #[error("migration {number:04} is {recorded} in the database, but {known} in this binary")]
    Renamed {
        /// Its number.
        number: u32,
        /// Its name when it was applied.
        recorded: String,
        /// Its name in this binary.
        known: String,
    },
    /// The database has been migrated by a newer version of this program.
    #[error("the database is newer than this binary: it is at {found}, this knows up to {newest}")]
    Newer {
        /// The number in the database.
        found: u32,
        /// The newest that this binary knows.
        newest: u32,
    },
    /// A migration was left out, though a later one was applied.
    #[error("migration {missing:04} is not applied, but the later {applied:04} is")]
    Gap {
        /// The one left out.
        missing: u32,
        /// The later one.
        applied: u32,
    },
    /// Another process has been migrating for too long.
    #[error("another process holds the lease of migrations")]
    Busy,
    /// Another process took the lease over.
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
}

/// What [`up`] did, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The schema version before.
    pub from: u32,
    /// The schema version after.
    pub to: u32,
    /// The migrations applied by this process, as `0001_name`; those to apply, if a dry run.
    pub applied: Vec<String>,
    /// Whether nothing was changed on purpose.
    pub dry_run: bool,
}

/// Every migration that this binary or the database knows, in order, and where it stands.
///
/// # Errors
/// Only of the store: what is wrong with a migration is reported by its [`State`].
pub async fn status(store: &dyn Store) -> Result<Vec<Row>> {
    let schema = store.schema();
    schema.prepare().await?;
    Ok(history::rows(schema.migrations(), &schema.applied().await?))
}

/// [`up_reporting`] to nobody.
///
/// # Errors
/// [`MigrateError`]; every check comes before the first change.
pub async fn up(
    store: &dyn Store,
    holder: &str,
    clock: &dyn Clock,
    dry_run: bool,
) -> Result<Report, MigrateError> {
    up_reporting(store, holder, clock, dry_run, &|_| ()).await
}

/// Applies what is pending, one process at a time; `holder` names this one to the others, and
/// `applied` hears of each migration as it is applied, also of those before one that fails.
///
/// # Errors
/// [`MigrateError`]; every check comes before the first change.
pub async fn up_reporting(
    store: &dyn Store,
    holder: &str,
    clock: &dyn Clock,
    dry_run: bool,
    applied: &(dyn Fn(&str) + Sync),
) -> Result<Report, MigrateError> {
    store.schema().prepare().await?;
    let (from, pending) = pending(store).await?;
    if dry_run || pending.is_empty() {
        let to = pending.last().map_or(from, |last| last.number);
        let applied = pending.into_iter().map(label).collect();
        return Ok(Report { from, to, applied, dry_run });
    }
    let lease = wait_for_lease(store, holder).await?;
    let fenced = lease.store();
    lease.hold_while(apply_pending(fenced.as_ref(), clock, applied)).await?
}

/// The lease, as soon as no other process has it.
async fn wait_for_lease<'a>(
    store: &'a dyn Store,
    holder: &'a str,
) -> Result<Lease<'a>, MigrateError> {
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(2))
        .with_jitter()
        .without_max_times()
        .with_total_delay(Some(LONGEST_WAIT));
    let take =
        || async { Lease::take(store, LEASE, holder, LEASE_TTL).await?.ok_or(MigrateError::Busy) };
    take.retry(backoff).when(|error| matches!(error, MigrateError::Busy)).await
}

/// Applies what is pending, with the lease held. It looks again first, because another process
/// may have worked while this one waited.
async fn apply_pending(
    store: &dyn Store,
    clock: &dyn Clock,
    applied: &(dyn Fn(&str) + Sync),
) -> Result<Report, MigrateError> {
    let (from, pending) = pending(store).await?;
    let mut report = Report { from, to: from, applied: Vec::new(), dry_run: false };
    for migration in pending {
        store.schema().apply(migration, &migration.checksum(), clock.now()).await?;
        applied(&label(migration));
        report.to = migration.number;
        report.applied.push(label(migration));
    }
    Ok(report)
}

/// The schema version, and what is to be applied, in order.
async fn pending(store: &dyn Store) -> Result<(u32, Vec<&'static Migration>), MigrateError> {
    let version = store.schema_version().await?;
    let applied = store.schema().applied().await?;
    let pending = history::pending(store.schema().migrations(), &applied, version)?;
    Ok((version, pending))
}

fn label(migration: &Migration) -> String {
    format!("{:04}_{}", migration.number, migration.name)
}
