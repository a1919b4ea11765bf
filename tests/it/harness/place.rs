//! Where a test takes place: a directory that is gone afterwards, and an empty database.

use std::{collections::BTreeMap, fs, path::Path, process::Command, sync::Arc};

use orchestrator::{
    config::Settings,
    model::{Clock, SystemClock},
    service::ServiceError,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{PATIENCE, Process, Running, Server, actor::keys, eventually};

/// A directory and a database that no other test uses.
pub struct Place {
    directory: TempDir,
    server: Option<Server>,
    variables: BTreeMap<String, String>,
}

/// Runs a claim on SQLite.
pub async fn on_sqlite(claim: impl AsyncFnOnce(&Place)) {
    claim(&Place::sqlite()).await;
}

/// Runs a claim on MongoDB, if there is a server.
pub async fn on_mongodb(claim: impl AsyncFnOnce(&Place)) {
    if let Some(server) = Server::replica_set().await {
        claim(&Place::mongodb(server)).await;
    }
}

/// Runs a claim on the MongoDB without transactions, if there is one.
pub async fn on_lone_mongodb(claim: impl AsyncFnOnce(&Place)) {
    if let Some(server) = Server::lone().await {
        claim(&Place::mongodb(server)).await;
    }
}

/// The variable's value. Without it the test passes unseen, unless `TEST_REQUIRE_SERVICES` says
/// that it must run.
#[allow(clippy::disallowed_methods)]
pub fn require(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok();
    let required = std::env::var("TEST_REQUIRE_SERVICES").is_ok();
    assert!(value.is_some() || !required, "TEST_REQUIRE_SERVICES is set, but {variable} is not");
    value
}

impl Place {
    /// With a SQLite file.
    pub fn sqlite() -> Self {
        Self::new()
    }

    fn mongodb(server: Server) -> Self {
        let mut place = Self::new();
        place.set("DATABASE_URL", &server.text);
        place.set("DB_NAME", &server.database);
        place.server = Some(server);
        place
    }

    fn new() -> Self {
        let mut place = Self {
            directory: tempfile::tempdir().unwrap(),
            server: None,
            variables: BTreeMap::new(),
        };
        for (name, value) in [
            ("HOST", "127.0.0.1"),
            ("PORT", "0"),
            ("METRICS_PORT", "0"),
            ("LOG_FORMAT", "json"),
            ("WEBHOOK_SECRET", keys::SECRET),
            ("WEBHOOK_TOKEN", keys::TOKEN),
            // Limits have tests of their own; elsewhere they would only be in the way.
            ("RATE_LIMIT_WEBHOOK", "0"),
            ("RATE_LIMIT_API", "0"),
            ("RATE_LIMIT_EXPORT", "0"),
            ("RATE_LIMIT_PUBLIC", "0"),
            ("RATE_LIMIT_HEALTH", "0"),
            ("AUTH_FAILURE_LIMIT", "0"),
            ("SHUTDOWN_TIMEOUT_SECONDS", "10"),
            ("STORE_CONNECT_TIMEOUT_SECONDS", "10"),
        ] {
            place.set(name, value);
        }
        let key = |label: &str, key: &str| json!({"key": key, "label": label, "roles": [label]});
        let keys = json!([
            key("viewer", keys::VIEWER),
            key("operator", keys::OPERATOR),
            key("admin", keys::ADMIN),
        ]);
        place.set("API_KEY_ROTATION", &keys.to_string());
        place
    }

    /// Sets a variable for all that starts here from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// The working directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The MongoDB behind it, if it is one.
    pub fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    /// What is set here, and `more` over it.
    pub fn variables(&self, more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let mut variables = self.variables.clone();
        variables.extend(more.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        variables
    }

    /// The settings that make.
    pub fn settings(&self, more: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::load(&self.variables(more), self.directory()).unwrap();
        // The variable's 0 means off; a test's listener takes any free port.
        settings.server.metrics_port = Some(0);
        if let Some(redis) = &mut settings.redis {
            // A busy machine is no reason to count apart; what is, the built binary is tested for.
            redis.answer_within = PATIENCE;
        }
        settings
    }

    /// The built binary here, as a person calls it beside the service.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrator"));
        command.current_dir(self.directory()).env_clear().envs(&self.variables).args(args);
        command
    }

    /// The lines of one event in the audit log.
    pub fn audited(&self, event: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.directory().join("logs/security.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("one object"));
        lines.filter(|line: &Value| line["event"] == event).collect()
    }

    /// The same, as soon as there is one: a thread writes them.
    pub async fn audited_soon(&self, event: &str) -> Vec<Value> {
        let what = format!("{event} is audited");
        eventually(&what, async || Some(self.audited(event)).filter(|lines| !lines.is_empty()))
            .await
    }

    /// Starts the service in this process.
    pub async fn start(&self) -> Running {
        self.start_with(&[]).await
    }

    /// Starts it with more variables.
    pub async fn start_with(&self, more: &[(&str, &str)]) -> Running {
        self.try_start(more).await.expect("the service starts")
    }

    /// Starts it by a clock of the test's own.
    pub async fn start_at(&self, clock: Arc<dyn Clock>) -> Running {
        Running::start(&self.settings(&[]), clock).await.expect("the service starts")
    }

    /// Starts it, or says why not.
    pub async fn try_start(&self, more: &[(&str, &str)]) -> Result<Running, ServiceError> {
        Running::start(&self.settings(more), Arc::new(SystemClock)).await
    }

    /// Starts the built binary and waits until it serves.
    pub async fn spawn(&self, more: &[(&str, &str)]) -> Process {
        let mut process = Process::spawn(self.directory(), &self.variables(more));
        process.serving().await;
        process
    }
}
