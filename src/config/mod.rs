//! Settings: the only code that reads the environment. One struct a concern; every failure
//! names its variable, and all failures are reported together.

mod api_keys;
mod audit;
mod client;
mod cors;
mod credentials;
mod describe;
mod instance;
mod limits;
mod log;
mod misspelt;
mod mongo;
mod problems;
mod production;
mod reader;
mod redis;
mod retention;
mod server;
mod severity;
mod sources;
mod store;
mod strength;
#[cfg(test)]
mod tests;
mod variables;
mod webhook;
mod zone;

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use ipnet::IpNet;
use secrecy::SecretString;

use self::reader::Reader;
pub use self::{
    api_keys::ApiKeySettings,
    audit::AuditReads,
    client::{ClientSettings, client},
    cors::CorsSettings,
    credentials::{Credentials, DEV_CREDENTIALS, KEY_BYTES, fresh_credentials, fresh_key},
    describe::Effective,
    limits::LimitSettings,
    log::{LogFormat, LogSettings},
    problems::Problems,
    redis::RedisSettings,
    retention::RetentionSettings,
    server::{ServerSettings, TlsSettings},
    sources::{Env, NotUnicode, ProcessEnv},
    store::{StoreSettings, StoreTarget},
    variables::{VARIABLES, Variable},
    webhook::WebhookSettings,
};
use crate::model::SeverityWords;

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `ORCHESTRATOR_ENV`.
    pub environment: Environment,
    /// `INSTANCE_ID`: what this replica is called in samples, leases and logs.
    pub instance: String,
    /// The listeners and their limits.
    pub server: ServerSettings,
    /// Where alerts and knowledge are kept.
    pub store: StoreSettings,
    /// `REDIS_URL`: where replicas meet.
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
    /// `KNOWLEDGE_MAX_PATTERNS`: patterns learned from alerts that are kept.
    pub max_patterns: usize,
    /// `KNOWLEDGE_MAX_QUESTIONS`: open questions kept.
    pub max_questions: usize,
    /// `KNOWLEDGE_OWN_RUNBOOK`: whether the service's own runbook is put in at the first start.
    pub own_runbook: bool,
    /// `EMBEDDING_MODEL`: the folder of a model that compares texts by meaning.
    pub embedding_model: Option<PathBuf>,
    /// `SEVERITY_MAP`, over the usual words.
    pub severity_words: SeverityWords,
    /// `AUDIT_LOG_PATH`.
    pub audit_log_path: PathBuf,
    /// `AUDIT_READS`.
    pub audit_reads: AuditReads,
    /// What is logged and how.
    pub log: LogSettings,
    /// The working directory: where relative paths start.
    pub directory: PathBuf,
    /// What is legal but deserves a line in the log.
    pub warnings: Vec<String>,
    effective: Vec<Effective>,
}

/// `ORCHESTRATOR_ENV` (or `NODE_ENV`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Makes its own credentials if none are set.
    Development,
    /// Refuses missing, short or placeholder secrets.
    Production,
}

impl Settings {
    /// Reads the process environment and the `.env` file of the working directory.
    pub fn from_process() -> Result<Self, Problems> {
        Self::load(&ProcessEnv, &working_directory()?)
    }

    /// Reads `env` and the `.env` file in `directory`; the environment wins.
    pub fn load(env: &dyn Env, directory: &Path) -> Result<Self, Problems> {
        let mut reader = Reader::new(env, directory);
        let settings = Self::read(&mut reader);
        let (mut settings, notes) = reader.finish(settings)?;
        settings.warnings = notes.warnings;
        settings.effective = notes.effective;
        Ok(settings)
    }

    /// The effective settings by variable, fit to be shown: secrets by their length only.
    pub fn describe(&self) -> &[Effective] {
        &self.effective
    }

    // Everything is read before anything is given up, so that all problems come together.
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let environment = environment(reader);
        // What is judged while this is unknown is judged mildly; it is a problem anyway.
        let mode = environment.unwrap_or(Environment::Development);
        let server = server::read(reader);
        let instance = instance::read(reader, server.as_ref().map(|server| server.port));
        let store = store::read(reader, mode);
        let redis = redis::read(reader, mode);
        let api_keys = api_keys::read(reader);
        let webhook = webhook::read(reader);
        let limits = limits::read(reader);
        let trusted_proxies = limits::read_trusted_proxies(reader);
        let cors = cors::read(reader);
        let retention = retention::read(reader);
        let sample_interval = server::seconds(reader, "SAMPLE_INTERVAL_SECONDS", 86_400);
        let max_patterns = reader.number("KNOWLEDGE_MAX_PATTERNS", 100..=10_000_000);
        let max_questions = reader.number("KNOWLEDGE_MAX_QUESTIONS", 1..=1_000_000);
        let own_runbook = reader.flag("KNOWLEDGE_OWN_RUNBOOK");
        let embedding_model = reader
            .optional("EMBEDDING_MODEL", "the path of a folder", |text| Some(PathBuf::from(text)));
        let embedding_model = embedding_model.map(|path| reader.directory.join(path));
        let severity_words = severity::read(reader);
        let (audit_log_path, audit_reads) = (audit::path(reader), audit::reads(reader));
        let log = log::read(reader, instance.as_deref());
        strength::judge(reader, mode, &api_keys, &webhook);
        client::read(reader);
        misspelt::warn(reader);
        zone::check(reader);
        if let Some(limits) = &limits {
            production::judge_limits(reader, mode, limits);
        }
        if let Some(server) = &server {
            server::warn(reader, server, mode);
        }
        Some(Self {
            environment: environment?,
            instance: instance?,
            server: server?,
            store: store?,
            redis,
            api_keys,
            webhook,
            limits: limits?,
            trusted_proxies,
            cors,
            retention: retention?,
            sample_interval: sample_interval?,
            max_patterns: max_patterns?,
            max_questions: max_questions?,
            own_runbook: own_runbook?,
            embedding_model,
            severity_words,
            audit_log_path: audit_log_path?,
            audit_reads: audit_reads?,
            log: log?,
            directory: reader.directory.to_owned(),
            warnings: Vec::new(),
            effective: Vec::new(),
        })
    }
}

/// Where the service listens, for who only wants to call it.
#[derive(Clone, Debug)]
pub struct Listening {
    /// `HOST`.
    pub host: IpAddr,
    /// `PORT`.
    pub port: u16,
    /// Whether it speaks TLS.
    pub tls: bool,
}

/// `HOST`, `PORT` and whether there is TLS alone, for who only wants to call the service.
pub fn listening(env: &dyn Env, directory: &Path) -> Result<Listening, Problems> {
    let mut reader = Reader::new(env, directory);
    let (host, port) = (server::host(&mut reader, "HOST"), server::port(&mut reader));
    let tls = server::tls(&mut reader).is_some();
    let listening = host.zip(port).map(|(host, port)| Listening { host, port, tls });
    Ok(reader.finish(listening)?.0)
}

/// The secret that webhooks are signed with, for who only wants to sign: `WEBHOOK_SECRET`, else
/// the one of the service's own credentials.
pub fn webhook_secret(env: &dyn Env, directory: &Path) -> Result<SecretString, Problems> {
    let mut reader = Reader::new(env, directory);
    let secret = reader.secret("WEBHOOK_SECRET");
    if let Some(secret) = reader.finish(Some(secret))?.0 {
        return Ok(secret);
    }
    let mut settings = Settings::load(env, directory)?;
    settings.find_credentials()?;
    settings.webhook.secret.ok_or_else(|| {
        Problems::one(format!("WEBHOOK_SECRET: is not set, and there is no {DEV_CREDENTIALS}"))
    })
}

/// Where this process was started.
pub fn working_directory() -> Result<PathBuf, Problems> {
    std::env::current_dir()
        .map_err(|error| Problems::one(format!("the working directory cannot be found: {error}")))
}

fn environment(reader: &mut Reader<'_>) -> Option<Environment> {
    reader.value("ORCHESTRATOR_ENV", "`development` or `production`", |text| match text {
        "development" => Some(Environment::Development),
        "production" => Some(Environment::Production),
        _ => None,
    })
}
