//! The composition root: settings → store → migrations → knowledge → tasks → listeners, and the
//! way back.
//!
//! The caller owns the sockets' addresses and the signal to stop; nothing here is global.

mod error;
mod lock;
mod opening;
mod secrets;
mod tasks;

use std::{collections::HashSet, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, task::JoinSet, time::Instant};

use crate::{
    config::Settings,
    coordination::Coordination,
    history::{Calendar, RetentionTask, Sampler, Totals},
    http::{
        self,
        guard::{body_budget::BodyBudget, rate_limit::Limits},
        routes::health::Links,
        server::{self, Server, SharedTls},
        state::{App, AppParts},
    },
    knowledge::{Base, BaseLimits, BaseTasks, severities},
    model::Clock,
    security::{AuditContext, AuditLog, Event, KeyRing, Verifier, WebhookToken},
    shutdown::Phase,
    store::{Store, observed::InstrumentedStore},
    telemetry::Metrics,
};

pub use self::{
    error::ServiceError,
    opening::{OfflineTools, apply_migrations, open_command_audit_log, open_store},
    secrets::{Secrets, SecretsError},
};
use self::{
    lock::ServiceLock,
    opening::{bring_up_to_date, import_own_runbook, load_model, open_audit_log},
};

/// A service that has started and listens.
pub struct Service {
    app: App,
    secrets: Arc<Secrets>,
    tasks: JoinSet<&'static str>,
    shutdown_timeout: Duration,
    _lock: Option<ServiceLock>,
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
        metrics.show_instance(&settings.instance);
        let audit = open_audit_log(settings, &clock, &metrics)?;
        let coordination = Coordination::new(settings.redis.as_ref(), &metrics);
        let coordination = coordination.map_err(ServiceError::Redis)?;
        coordination.check().await;
        let opened = tokio::select! {
            opened = open_store(settings) => opened?,
            () = phase.draining() => return Err(ServiceError::Interrupted),
        };
        let lock = ServiceLock::take(&settings.store.target)
            .map_err(|(path, cause)| ServiceError::Lock { path, cause })?;
        let observed = InstrumentedStore::new(opened, Arc::clone(&metrics));
        let store_health = observed.health();
        let store: Arc<dyn Store> = Arc::new(observed);
        bring_up_to_date(settings, store.as_ref(), clock.as_ref(), &audit).await?;
        metrics.schema_version.set(i64::from(store.schema_version().await?));

        let limits =
            BaseLimits { patterns: settings.max_patterns, questions: settings.max_questions };
        severities::reread(store.as_ref(), &settings.severity_words, clock.as_ref()).await?;
        let base = Base::load(Arc::clone(&store), Arc::clone(&clock), Arc::clone(&metrics), limits);
        let (base, base_tasks) = base.await?;

        if let Some(folder) = settings.embedding_model.clone() {
            base.understand(load_model(folder).await?);
        }

        let certificate = Secrets::certificate(settings)?;
        let tls = certificate.as_ref().map(|loaded| SharedTls::new(Arc::clone(&loaded.config)));
        let listener = listen(SocketAddr::new(settings.server.host, settings.server.port)).await?;
        let metrics_listener = match settings.server.metrics_port {
            Some(port) => Some(listen(SocketAddr::new(settings.server.metrics_host, port)).await?),
            None => None,
        };

        let address = address_of(&listener);
        let metrics_address = metrics_listener.as_ref().and_then(|l| l.local_addr().ok());
        let scheme = if tls.is_some() { "https" } else { "http" };

        let totals = Totals::new(
            Arc::clone(&store),
            base.clone(),
            Arc::clone(&clock),
            Calendar::local(),
            settings.retention,
        );
        let app = App::new(AppParts {
            severity_words: settings.severity_words.clone(),
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
            audit_reads: settings.audit_reads,
            metrics: Arc::clone(&metrics),
            trusted_proxies: settings.trusted_proxies.clone(),
            cors: settings.cors.clone(),
            body_limit: settings.server.body_limit,
            webhook_body_limit: settings.server.webhook_body_limit,
            bodies: BodyBudget::new(settings.server.body_limit, settings.server.webhook_body_limit),
            clock,
            phase: phase.clone(),
            started: std::time::Instant::now(),
            links: Links::new(scheme, address, metrics_address),
            metrics_address,
            address,
            probe: http::routes::persistence::ProbeCache::default(),
            exports: http::export::ExportPermits::default(),
        });
        let secrets = Arc::new(Secrets::new(app.clone(), settings, certificate, tls.clone()));
        secrets.warn_of_ends();

        let mut service = Self {
            app,
            secrets,
            tasks: JoinSet::new(),
            shutdown_timeout: settings.server.shutdown_timeout,
            _lock: lock,
        };
        service.spawn_tasks(base_tasks);
        if settings.own_runbook {
            import_own_runbook(&service.app.base, &service.app.audit, &settings.severity_words)
                .await;
        }
        service.spawn_history(settings);
        service.listen(settings, listener, metrics_listener, tls);
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

    /// Its secrets, to be read again when they were changed.
    pub fn secrets(&self) -> Arc<Secrets> {
        Arc::clone(&self.secrets)
    }

    fn spawn_tasks(&mut self, base: BaseTasks) {
        base.spawn(&mut self.tasks, &self.app.phase);
        for periodic in tasks::PERIODIC {
            let app = self.app.clone();
            self.tasks.spawn(async move {
                periodic.run(&app).await;
                periodic.name
            });
        }
        let secrets = Arc::clone(&self.secrets);
        self.tasks.spawn(async move {
            secrets.follow_certificate().await;
            tasks::CERTIFICATE
        });
    }

    fn spawn_history(&mut self, settings: &Settings) {
        let app = &self.app;
        let (store, metrics, clock) = (&app.store, &app.metrics, &app.clock);
        let sampler = Sampler::new(
            Arc::clone(store),
            Arc::clone(metrics),
            Arc::clone(clock),
            settings.instance.clone(),
        );
        let retention = RetentionTask::new(
            Arc::clone(store),
            app.base.clone(),
            Arc::clone(clock),
            Arc::clone(metrics),
            Arc::clone(&app.audit),
            settings.retention,
        );
        let retention = retention.of_instance(&settings.instance);
        let (phase, interval) = (app.phase.clone(), settings.sample_interval);
        self.tasks.spawn(async move {
            sampler.run(interval, &phase).await;
            tasks::SAMPLER
        });
        let phase = app.phase.clone();
        self.tasks.spawn(async move {
            retention.run(&phase).await;
            tasks::RETENTION
        });
    }

    fn listen(
        &mut self,
        settings: &Settings,
        listener: TcpListener,
        metrics_listener: Option<TcpListener>,
        tls: Option<SharedTls>,
    ) {
        let app = &self.app;
        let server = Server {
            router: http::router(app),
            limits: server::Limits::main(&settings.server, &settings.trusted_proxies),
            tls: tls.clone(),
            metrics: app.metrics.listener("main"),
        };
        let phase = app.phase.clone();
        self.tasks.spawn(async move {
            server::serve(listener, server, phase).await;
            tasks::LISTENER
        });
        if let Some(listener) = metrics_listener {
            let server = Server {
                router: http::metrics_router(Arc::clone(&app.metrics)),
                limits: server::Limits::metrics(&settings.server),
                tls,
                metrics: app.metrics.listener("metrics"),
            };
            let phase = app.phase.clone();
            self.tasks.spawn(async move {
                server::serve(listener, server, phase).await;
                tasks::METRICS_LISTENER
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
        let ended = tokio::select! {
            biased;
            () = phase.draining() => None,
            ended = self.tasks.join_next() => Some(name_of(ended)),
        };
        // Draining ends tasks too, and may have begun just now.
        let died = ended.filter(|_| !phase.is_draining());
        phase.drain();
        let deadline = Instant::now() + self.shutdown_timeout;
        let finished = tokio::time::timeout_at(deadline, self.finish(ended)).await;
        match (died, finished) {
            (Some(task), _) => Err(ServiceError::TaskDied(task)),
            (None, Ok(finished)) => finished,
            (None, Err(_)) => Err(ServiceError::ShutdownTimeout(self.shutdown_timeout)),
        }
    }

    /// Lets tasks end in their order: first all that could ask for a change, then the writer,
    /// when it has written what waits; then everything is closed.
    async fn finish(&mut self, ended: Option<&'static str>) -> Result<(), ServiceError> {
        let Self { app, tasks, .. } = self;
        let mut running: HashSet<&str> =
            tasks::names().filter(|name| ended != Some(name)).collect();
        if app.metrics_address.is_none() {
            running.remove(tasks::METRICS_LISTENER);
        }
        let mut unwritten = 0;
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok(name) => {
                    running.remove(name);
                }
                Err(error) => tracing::error!(%error, "a task panicked"),
            }
            if running.len() == 1 && running.contains(tasks::WRITER) {
                unwritten = app.base.finish().await;
            }
        }
        app.audit.record(Event::Shutdown, AuditContext::default(), serde_json::json!({}));
        if let Err(error) = app.audit.sync() {
            tracing::error!(%error, "the audit log could not be flushed");
        }
        app.store.close().await;
        match unwritten {
            0 => Ok(()),
            changes => Err(ServiceError::Unwritten(changes)),
        }
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
