//! Settings: the only code that reads the environment. One struct a concern; every failure
//! names its variable, and all failures are reported together.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use secrecy::SecretString;

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `ORCHESTRATOR_ENV`.
    pub environment: Environment,
    /// Listeners and what they bear.
    pub server: ServerSettings,
    /// Where alerts and knowledge are kept.
    pub store: StoreSettings,
    /// `REDIS_URL`: shares limits and leases between replicas.
    pub redis: Option<RedisSettings>,
    /// `API_KEY` or `API_KEY_ROTATION`.
    pub api_keys: Vec<ApiKeySettings>,
    /// How webhooks prove who sent them.
    pub webhook: WebhookSettings,
    /// Requests per client and minute; 0 switches a limit off.
    pub limits: LimitSettings,
    /// `TRUSTED_PROXIES`: whose `X-Forwarded-For` is read.
    pub trusted_proxies: Vec<IpNet>,
    /// Which other origins' pages may call.
    pub cors: CorsSettings,
    /// What is deleted when.
    pub retention: RetentionSettings,
    /// `SAMPLE_INTERVAL_SECONDS`.
    pub sample_interval: Duration,
    /// `KNOWLEDGE_MAX_QUESTIONS`: open questions kept.
    pub max_questions: usize,
    /// `AUDIT_LOG_PATH`.
    pub audit_log_path: PathBuf,
    /// What is logged and how.
    pub log: LogSettings,
}

/// `ORCHESTRATOR_ENV` (or `NODE_ENV`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Makes its own credentials if none are set.
    Development,
    /// Refuses missing, short or placeholder secrets.
    Production,
}

/// Listeners and what they bear.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// `HOST`.
    pub host: IpAddr,
    /// `PORT`; 0 takes any free one.
    pub port: u16,
    /// `METRICS_HOST`.
    pub metrics_host: IpAddr,
    /// `METRICS_PORT` (or `PROMETHEUS_PORT`); `None` when set to 0: off.
    pub metrics_port: Option<u16>,
    /// `BODY_LIMIT_BYTES`.
    pub body_limit: usize,
    /// `REQUEST_TIMEOUT_SECONDS`.
    pub request_timeout: Duration,
    /// `MAX_CONNECTIONS`.
    pub max_connections: usize,
    /// `SHUTDOWN_TIMEOUT_SECONDS`.
    pub shutdown_timeout: Duration,
}

/// Where alerts and knowledge are kept.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// `DATABASE_URL`, or made up from `MONGO_*`.
    pub target: StoreTarget,
    /// `MIGRATE_ON_START`.
    pub migrate_on_start: bool,
    /// `STORE_CONNECT_TIMEOUT_SECONDS`: how long to try at start.
    pub connect_timeout: Duration,
}

/// Which store.
#[derive(Clone, Debug)]
pub enum StoreTarget {
    /// A file of this machine.
    Sqlite {
        /// The file; its folder is made if missing.
        path: PathBuf,
    },
    /// A MongoDB.
    Mongodb {
        /// The connection string, credentials percent-encoded.
        uri: SecretString,
        /// `DB_NAME`, else the connection string's, else `orchestrator`.
        database: String,
    },
}

/// Redis.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// `REDIS_URL`.
    pub url: SecretString,
    /// `REDIS_PASSWORD`, where the URL has none.
    pub password: Option<SecretString>,
}

/// One bearer key.
#[derive(Clone, Debug)]
pub struct ApiKeySettings {
    /// The key itself.
    pub key: SecretString,
    /// How logs call it.
    pub label: String,
    /// The highest of its roles: a higher role may do all that a lower one may.
    pub role: crate::security::Role,
    /// Which edition of the key this is.
    pub version: Option<String>,
    /// When it was made.
    pub created_at: Option<crate::model::Time>,
    /// When it ends.
    pub expires_at: Option<crate::model::Time>,
    /// False: refused.
    pub active: bool,
}

/// How webhooks prove who sent them.
#[derive(Clone, Debug, Default)]
pub struct WebhookSettings {
    /// `WEBHOOK_SECRET`.
    pub secret: Option<SecretString>,
    /// `WEBHOOK_SECRET_PREVIOUS`.
    pub previous_secret: Option<SecretString>,
    /// `WEBHOOK_TOKEN`.
    pub token: Option<SecretString>,
    /// `WEBHOOK_REQUIRE_TIMESTAMP`.
    pub require_timestamp: bool,
    /// `WEBHOOK_SIGNATURE_COMPAT=canonical-json`.
    pub canonical_json: bool,
}

/// Requests per client and minute; 0 switches a limit off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitSettings {
    /// `RATE_LIMIT_WEBHOOK`.
    pub webhook: u32,
    /// `RATE_LIMIT_API`.
    pub api: u32,
    /// `RATE_LIMIT_EXPORT`.
    pub export: u32,
    /// `RATE_LIMIT_PUBLIC`.
    pub public: u32,
    /// `RATE_LIMIT_HEALTH`.
    pub health: u32,
    /// `AUTH_FAILURE_LIMIT`.
    pub auth_failure: u32,
}

/// Which other origins' pages may call; empty: none.
#[derive(Clone, Debug, Default)]
pub struct CorsSettings {
    /// `ORCHESTRATOR_CORS_ALLOWED_ORIGINS`.
    pub origins: Vec<axum::http::HeaderValue>,
    /// `ORCHESTRATOR_CORS_ALLOWED_METHODS`.
    pub methods: Vec<axum::http::Method>,
    /// `ORCHESTRATOR_CORS_ALLOWED_HEADERS`.
    pub headers: Vec<axum::http::HeaderName>,
    /// `ORCHESTRATOR_CORS_EXPOSED_HEADERS`.
    pub exposed: Vec<axum::http::HeaderName>,
    /// `ORCHESTRATOR_CORS_ALLOW_CREDENTIALS`.
    pub credentials: bool,
    /// `ORCHESTRATOR_CORS_MAX_AGE_SECONDS`.
    pub max_age: Option<Duration>,
}

/// What is deleted when.
#[derive(Clone, Copy, Debug)]
pub struct RetentionSettings {
    /// `RETENTION_METRICS_DAYS`.
    pub metrics_days: u32,
    /// `RETENTION_ALERTS_HOURS`.
    pub alerts_hours: u32,
    /// `RETENTION_AT`, local time.
    pub at: jiff::civil::Time,
}

/// What is logged and how.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// `LOG_LEVEL` (or `RUST_LOG`): a level or an `EnvFilter` directive.
    pub filter: String,
    /// `LOG_FORMAT`.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person at a terminal.
    Pretty,
    /// One JSON object a line.
    Json,
}
