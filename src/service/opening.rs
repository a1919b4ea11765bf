//! What must be there before anything else: the audit log, the store, its schema, the knowledge.

use std::{path::PathBuf, sync::Arc, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use tokio::{task::JoinSet, time::Instant};

use super::ServiceError;
use crate::{
    config::{Settings, StoreTarget},
    knowledge::{Base, BaseError, BaseLimits, search::Model},
    model::{Clock, SeverityWords, SystemClock},
    security::{AuditContext, AuditLog, Event},
    store::{
        Store, StoreError,
        migrate::{self, MigrateError, Report},
        mongodb::MongoStore,
        sqlite::SqliteStore,
    },
    telemetry::Metrics,
};

/// Opens the audit log for a command, whose metrics nobody reads.
///
/// # Errors
/// [`ServiceError::Audit`].
pub fn open_command_audit_log(settings: &Settings) -> Result<Arc<AuditLog>, ServiceError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    open_audit_log(settings, &clock, &Metrics::new()?)
}

/// Opens the audit log of the settings.
pub(super) fn open_audit_log(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    metrics: &Metrics,
) -> Result<Arc<AuditLog>, ServiceError> {
    let path = &settings.audit_log_path;
    let opened = AuditLog::open(path, Arc::clone(clock), metrics.audit_counters());
    opened
        .map(Arc::new)
        .map_err(|cause| ServiceError::Audit { path: path.display().to_string(), cause })
}

/// Opens the store, trying again while it is away, until `STORE_CONNECT_TIMEOUT_SECONDS`.
///
/// # Errors
/// The last failure; a store that refuses is not asked again.
pub async fn open_store(settings: &Settings) -> Result<Arc<dyn Store>, StoreError> {
    let open = || async {
        let store: Arc<dyn Store> = match &settings.store.target {
            StoreTarget::Sqlite { path } => Arc::new(SqliteStore::open(path).await?),
            StoreTarget::Mongodb { uri, database } => {
                Arc::new(MongoStore::open(uri, database).await?)
            }
        };
        store.ping().await?;
        Ok(store)
    };
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times();
    let deadline = Instant::now() + settings.store.connect_timeout;
    open.retry(backoff)
        .when(|error: &StoreError| error.is_unavailable() && Instant::now() < deadline)
        .notify(|error, pause| {
            tracing::warn!(%error, ?pause, "the store is not there yet; trying again");
        })
        .await
}

/// Loads the model of `EMBEDDING_MODEL`.
pub(super) async fn load_model(path: PathBuf) -> Result<Model, ServiceError> {
    let folder = path.clone();
    let loaded = tokio::task::spawn_blocking(move || Model::load(&folder)).await;
    loaded.map_err(BaseError::from)?.map_err(|cause| ServiceError::Model { path, cause })
}

/// Puts the service's own runbook into the knowledge. What cannot be done at this start may be done at
/// the next.
pub(super) async fn import_own_runbook(base: &Base, audit: &AuditLog, words: &SeverityWords) {
    match base.import_own_runbook(words).await {
        Ok(0) => {}
        Ok(created) => {
            let details =
                serde_json::json!({"action": "import", "by": "start", "created": created});
            audit.record(Event::KnowledgeChanged, AuditContext::default(), details);
        }
        Err(error) => tracing::warn!(%error, "the service's own runbook could not be imported"),
    }
}

/// What a command works with that runs beside the service or without it.
pub struct OfflineTools {
    /// All knowledge.
    pub base: Base,
    /// Where it is kept; to be closed at the end.
    pub store: Arc<dyn Store>,
    /// Who did what.
    pub audit: Arc<AuditLog>,
    tasks: JoinSet<&'static str>,
}

impl OfflineTools {
    /// Opens the store, brings its schema up to date and loads the knowledge.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn open(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, ServiceError> {
        let metrics = Arc::new(Metrics::new()?);
        let audit = open_audit_log(settings, &clock, &metrics)?;
        let store = open_store(settings).await?;
        bring_up_to_date(settings, store.as_ref(), clock.as_ref(), &audit).await?;
        let limits =
            BaseLimits { patterns: settings.max_patterns, questions: settings.max_questions };
        let (base, base_tasks) = Base::load(Arc::clone(&store), clock, metrics, limits).await?;
        let mut tasks = JoinSet::new();
        base_tasks.spawn_writer(&mut tasks);
        Ok(Self { base, store, audit, tasks })
    }

    /// Writes what waits and closes everything.
    ///
    /// # Errors
    /// If something could not be written.
    pub async fn close(mut self) -> Result<(), ServiceError> {
        self.base.close_answered_questions().await?;
        let unwritten = self.base.finish().await;
        while self.tasks.join_next().await.is_some() {}
        self.audit.sync().map_err(|cause| ServiceError::Audit { path: String::new(), cause })?;
        self.store.close().await;
        match unwritten {
            0 => Ok(()),
            changes => Err(ServiceError::Unwritten(changes)),
        }
    }
}

/// Applies what is missing; without `MIGRATE_ON_START` only makes sure that nothing speaks against
/// this binary.
pub(super) async fn bring_up_to_date(
    settings: &Settings,
    store: &dyn Store,
    clock: &dyn Clock,
    audit: &AuditLog,
) -> Result<(), ServiceError> {
    let report = migrate::up(store, "", clock, true).await?;
    if report.applied.is_empty() {
        return Ok(());
    }
    if !settings.store.migrate_on_start {
        let missing = report.applied.join(", ");
        tracing::warn!(missing, "migrations are missing, and MIGRATE_ON_START is false");
        return Ok(());
    }
    apply_migrations(settings, store, clock, audit, "start").await?;
    Ok(())
}

/// Applies what is missing; each is in the audit log as it is applied, with `by` whom.
///
/// # Errors
/// [`MigrateError`].
pub async fn apply_migrations(
    settings: &Settings,
    store: &dyn Store,
    clock: &dyn Clock,
    audit: &AuditLog,
    by: &str,
) -> Result<Report, MigrateError> {
    let holder = format!("{} {}", settings.instance, uuid::Uuid::new_v4());
    let applied = |migration: &str| {
        tracing::info!(migration, "migration applied");
        let details = serde_json::json!({ "by": by, "migration": migration });
        audit.record(Event::MigrationApplied, AuditContext::default(), details);
    };
    migrate::up_reporting(store, &holder, clock, false, &applied).await
}
