//! The composition root: settings → store → migrations → knowledge → tasks → listeners, and the
//! way back.
//!
//! The caller owns the sockets' addresses and the signal to stop; nothing here is global.

mod opening;
mod tasks;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, task::JoinSet, time::Instant};

use crate::{
    alerts::Intake,
    config::Settings,
    coordination::Coordination,
    history::{Calendar, RetentionTask, Sampler, Totals},
    http::{
        self,
        guard::{body_budget::BodyBudget, rate_limit::Limits},
        state::{App, AppParts},
    },
    knowledge::{Base, BaseError},
    model::Clock,
    security::{AuditContext, AuditLog, Event, KeyRing, Verifier, WebhookToken},
    shutdown::Phase,
    store::{Store, StoreError, migrate::MigrateError, observed::ObservedStore},
    telemetry::Metrics,
};

pub use self::opening::{Workbench, open_store};
use self::opening::{bring_up_to_date, open_audit_log};

/// Why the service did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The store could not be opened within the time for it.
    #[error("the store could not be opened: {0}")]
    Store(#[from] StoreError),
    /// The schema could not be brought up to date.
    #[error("the schema could not be brought up to date: {0}")]
    Migrate(#[from] MigrateError),
    /// The knowledge could not be loaded; the service never starts without it.
    #[error("the knowledge base could not be loaded: {0}")]
    Base(#[from] BaseError),
    /// The audit log could not be opened.
    #[error("the audit log {path} could not be opened: {cause}")]
    Audit {
        /// Where it was to be.
        path: String,
        /// Why not.
        cause: io::Error,
    },
    /// An address could not be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why not.
        cause: io::Error,
    },
    /// Metrics could not be registered: a defect.
    #[error("metrics could not be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    /// Redis' URL cannot be read.
    #[error("{0}")]
    Redis(String),
    /// A task that must run as long as the service has ended.
    #[error("the task {0} has died")]
    TaskDied(&'static str),
    /// Not everything was finished within `SHUTDOWN_TIMEOUT_SECONDS`.
    #[error("not everything was finished within {0:?}")]
    ShutdownTimeout(Duration),
    /// Somebody asked to stop before the service had started.
    #[error("stopped while starting")]
    Interrupted,
}

/// A service that has started and listens.
pub struct Service {
    app: App,
    tasks: JoinSet<&'static str>,
    shutdown_timeout: Duration,
}

impl Service {
    /// Starts: returns once the listeners are open.
    ///
    /// # Errors
    /// [`ServiceError`]; a store that cannot be read is never taken for an empty one.
    pub async fn start(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        phase: Phase,
    ) -> Result<Self, ServiceError> {
        let metrics = Arc::new(Metrics::new()?);
        let audit = open_audit_log(settings, &clock, &metrics)?;
        let coordination = Coordination::new(settings.redis.as_ref(), &metrics);
        let coordination = coordination.map_err(ServiceError::Redis)?;
        coordination.check().await;
        let opened = tokio::select! {
            opened = open_store(settings) => opened?,
            () = phase.draining() => return Err(ServiceError::Interrupted),
        };
        let observed = ObservedStore::new(opened, Arc::clone(&metrics));
        let store_health = observed.health();
        let store: Arc<dyn Store> = Arc::new(observed);
        let dry_run = !settings.store.migrate_on_start;
        bring_up_to_date(store.as_ref(), clock.as_ref(), &audit, dry_run).await?;
        metrics.schema_version.set(i64::from(store.schema_version().await?));

        let base = Base::load(
            Arc::clone(&store),
            Arc::clone(&clock),
            Arc::clone(&metrics),
            settings.max_questions,
        );
        let base = base.await?;

        let listener = listen(SocketAddr::new(settings.server.host, settings.server.port)).await?;
        let metrics_listener = match settings.server.metrics_port {
            Some(port) => Some(listen(SocketAddr::new(settings.server.metrics_host, port)).await?),
            None => None,
        };

        let (intake, intake_task) = Intake::new(Arc::clone(&base), Arc::clone(&metrics));
        let totals = Totals::new(
            Arc::clone(&store),
            Arc::clone(&base),
            Arc::clone(&clock),
            Calendar::local(),
            settings.retention,
        );
        let app = App::new(AppParts {
            intake,
            base,
            totals,
            store,
            store_health,
            limits: Limits::new(&settings.limits, &coordination),
            coordination,
            keys: KeyRing::new(&settings.api_keys),
            verifier: Verifier::new(&settings.webhook),
            webhook_token: WebhookToken::new(&settings.webhook),
            audit,
            metrics: Arc::clone(&metrics),
            trusted_proxies: settings.trusted_proxies.clone(),
            cors: settings.cors.clone(),
            body_limit: settings.server.body_limit,
            webhook_body_limit: settings.server.webhook_body_limit,
            bodies: BodyBudget::new(
                settings.server.body_limit,
                settings.server.webhook_body_limit,
            ),
            request_timeout: settings.server.request_timeout,
            clock,
            phase: phase.clone(),
            started: std::time::Instant::now(),
            metrics_address: metrics_listener.as_ref().and_then(|l| l.local_addr().ok()),
            address: address_of(&listener),
            probe: http::routes::persistence::ProbeCache::default(),
            exports: http::export::ExportPermits::default(),
        });
        warn_of_expiring_keys(&app);

        let mut service =
            Self { app, tasks: JoinSet::new(), shutdown_timeout: settings.server.shutdown_timeout };
        service.spawn_tasks(intake_task);
        service.spawn_history(settings);
        service.listen(listener, metrics_listener, settings.server.max_connections);
        phase.serve();
        let details = serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"), "backend": service.app.store.backend().as_str(),
        });
        service.app.audit.record(Event::Startup, AuditContext::default(), details);
        Ok(service)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.app.address
    }

    /// Where its metrics are.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.app.metrics_address
    }

    /// Its audit log, to be opened again when it was rotated.
    pub fn audit(&self) -> Arc<AuditLog> {
        Arc::clone(&self.app.audit)
    }

    fn spawn_tasks(&mut self, intake: crate::alerts::intake::IntakeTask) {
        self.tasks.spawn(async move {
            intake.run().await;
            "intake"
        });
        let app = self.app.clone();
        self.tasks.spawn(async move {
            tasks::watch_store(&app).await;
            "store watch"
        });
        let app = self.app.clone();
        self.tasks.spawn(async move {
            while app.phase.pause(tasks::FLUSH_EVERY).await {
                if app.store_health.is_up() {
                    app.base.flush().await;
                }
            }
            "knowledge flush"
        });
        let (base, phase) = (Arc::clone(&self.app.base), self.app.phase.clone());
        self.tasks.spawn(async move {
            base.keep_index(phase).await;
            "index"
        });
        let app = self.app.clone();
        self.tasks.spawn(async move {
            tasks::follow_others(&app).await;
            "following others"
        });
        let app = self.app.clone();
        self.tasks.spawn(async move {
            tasks::count_collections(&app).await;
            while app.phase.pause(tasks::COUNT_EVERY).await {
                tasks::count_collections(&app).await;
                if let Err(error) = app.base.count_alerts().await {
                    tracing::debug!(%error, "alerts could not be counted");
                }
            }
            "counting"
        });
        let app = self.app.clone();
        self.tasks.spawn(async move {
            while app.phase.pause(tasks::FORGET_EVERY).await {
                app.limits.forget_idle_clients();
            }
            "limits"
        });
        let app = self.app.clone();
        self.tasks.spawn(async move {
            app.coordination.watch(&app.phase).await;
            "Redis watch"
        });
    }

    fn spawn_history(&mut self, settings: &Settings) {
        let app = &self.app;
        let (store, metrics, clock) = (&app.store, &app.metrics, &app.clock);
        let sampler = Sampler::new(Arc::clone(store), Arc::clone(metrics), Arc::clone(clock));
        let retention = RetentionTask::new(
            Arc::clone(store),
            Arc::clone(&app.base),
            Arc::clone(clock),
            Arc::clone(metrics),
            Arc::clone(&app.audit),
            settings.retention,
        );
        let (phase, interval) = (app.phase.clone(), settings.sample_interval);
        self.tasks.spawn(async move {
            sampler.run(interval, &phase).await;
            "sampler"
        });
        let phase = app.phase.clone();
        self.tasks.spawn(async move {
            retention.run(&phase).await;
            "retention"
        });
    }

    fn listen(
        &mut self,
        listener: TcpListener,
        metrics_listener: Option<TcpListener>,
        max_connections: usize,
    ) {
        let (router, phase) = (http::router(&self.app), self.app.phase.clone());
        self.tasks.spawn(async move {
            http::server::serve(listener, router, max_connections, phase).await;
            "listener"
        });
        if let Some(listener) = metrics_listener {
            let router = http::metrics_router(Arc::clone(&self.app.metrics));
            let phase = self.app.phase.clone();
            self.tasks.spawn(async move {
                http::server::serve(listener, router, max_connections, phase).await;
                "metrics listener"
            });
        }
    }

    /// Runs until the phase turns to draining, then finishes what is under way.
    ///
    /// # Errors
    /// [`ServiceError::TaskDied`] if a task ended before, [`ServiceError::ShutdownTimeout`] if
    /// not everything was finished in time.
    pub async fn run(mut self) -> Result<(), ServiceError> {
        let phase = self.app.phase.clone();
        let died = tokio::select! {
            biased;
            () = phase.draining() => None,
            // Draining ends tasks too, and may begin just now.
            ended = self.tasks.join_next() => (!phase.is_draining()).then(|| name_of(ended)),
        };
        phase.drain();
        let deadline = Instant::now() + self.shutdown_timeout;
        let finished = tokio::time::timeout_at(deadline, self.finish()).await;
        match (died, finished) {
            (Some(task), _) => Err(ServiceError::TaskDied(task)),
            (None, Ok(())) => Ok(()),
            (None, Err(_)) => Err(ServiceError::ShutdownTimeout(self.shutdown_timeout)),
        }
    }

    /// Lets tasks end in their order: listeners first, then the intake, which ends when the last
    /// door to it is gone; then what waits is written and everything is closed.
    async fn finish(&mut self) {
        let Self { app, tasks, .. } = self;
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = &ended
                && error.is_panic()
            {
                tracing::error!(%error, "a task panicked");
            }
            // Only the intake is left, and the doors that it waits for are ours.
            if tasks.len() == 1 {
                app.intake.close();
            }
        }
        if !app.base.flush().await {
            tracing::error!("knowledge that waited for the store could not be written");
        }
        app.audit.record(Event::Shutdown, AuditContext::default(), serde_json::json!({}));
        if let Err(error) = app.audit.sync() {
            tracing::error!(%error, "the audit log could not be flushed");
        }
        app.store.close().await;
    }
}

fn name_of(ended: Option<Result<&'static str, tokio::task::JoinError>>) -> &'static str {
    match ended {
        Some(Ok(name)) => name,
        Some(Err(error)) => {
            tracing::error!(%error, "a task panicked");
            "that panicked"
        }
        None => "that never was",
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServiceError> {
    TcpListener::bind(address).await.map_err(|cause| ServiceError::Listen { address, cause })
}

fn address_of(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)))
}

fn warn_of_expiring_keys(app: &App) {
    for key in app.keys.expiring(app.clock.now()) {
        let expires_at = key.expires_at.map(|time| time.to_string());
        let details = serde_json::json!({ "key": key.label, "expiresAt": expires_at });
        app.audit.record(Event::ApiKeyExpiring, AuditContext::default(), details);
    }
}
