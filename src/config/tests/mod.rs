//! What settings promise, over a map in place of the process environment.

mod keys;
mod sources;
mod store;

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use mongodb::options::ConnectionString;
use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::*;
use crate::{model::Time, security::Role};

const LONG: [&str; 4] = [
    "b7c1d98e02f4465a93e0aa51cf3b7d64",
    "1f0e9d8c7b6a59483726150493a2b1c0",
    "f3a9c2e8d1b7460598a4c6e2f0d3b591",
    "d41c8e7f6a5b3920e1f4a7c9b8d60352",
];

fn load_in(directory: &Path, variables: &[(&str, &str)]) -> Result<Settings, Problems> {
    let env: BTreeMap<String, String> =
        variables.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    Settings::load(&env, directory)
}

fn load(variables: &[(&str, &str)]) -> Result<Settings, Problems> {
    load_in(tempfile::tempdir().unwrap().path(), variables)
}

/// The problems as lines; checks that no value of a variable that may be secret is shown.
fn problems(variables: &[(&str, &str)]) -> Vec<String> {
    let problems = load(variables).expect_err("expected problems");
    for (name, value) in variables {
        let secret = VARIABLES.iter().any(|v| v.name == *name && v.secret);
        assert!(!secret || value.len() < 8 || !problems.to_string().contains(value), "{problems}");
    }
    problems.iter().map(str::to_owned).collect()
}

fn production(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let mut variables =
        vec![("ORCHESTRATOR_ENV", "production"), ("API_KEY", LONG[0]), ("WEBHOOK_SECRET", LONG[1])];
    variables.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    variables.extend_from_slice(more);
    variables
}

#[test]
fn nothing_set_means_the_defaults_of_the_table() {
    let directory = tempfile::tempdir().unwrap();
    let settings = load_in(directory.path(), &[]).unwrap();
    assert_eq!(settings.environment, Environment::Development);
    assert_eq!(
        (settings.server.host.to_string().as_str(), settings.server.port),
        ("127.0.0.1", 3000)
    );
    assert_eq!(settings.server.metrics_port, Some(9100));
    assert_eq!(settings.server.body_limit, 1 << 20);
    assert_eq!(settings.server.request_timeout, Duration::from_secs(30));
    assert!(matches!(&settings.store.target, StoreTarget::Sqlite { path }
        if *path == directory.path().join("data/orchestrator.db")));
    assert_eq!(settings.limits.webhook, 100);
    assert_eq!(settings.max_questions, 10_000);
    assert_eq!(settings.retention.at, jiff::civil::time(0, 0, 0, 0));
    assert_eq!(settings.log.format, LogFormat::Json);
    assert!(settings.cors.origins.is_empty() && settings.trusted_proxies.is_empty());
    assert_eq!(settings.warnings, Vec::<String>::new());
}

#[test]
fn every_variable_of_the_table_is_read_and_described() {
    let settings = load(&[]).unwrap();
    let described: Vec<_> = settings.describe().iter().map(|row| row.variable).collect();
    let mut all: Vec<_> = VARIABLES.iter().map(|variable| variable.name).collect();
    all.sort_unstable();
    assert_eq!(described, all);
}

#[test]
fn all_problems_are_reported_together_and_each_names_its_variable() {
    let wrong = [
        ("ORCHESTRATOR_ENV", "prod"),
        ("HOST", "everywhere"),
        ("PORT", "70000"),
        ("METRICS_PORT", "-1"),
        ("BODY_LIMIT_BYTES", "0"),
        ("REQUEST_TIMEOUT_SECONDS", "soon"),
        ("MAX_CONNECTIONS", "0"),
        ("SHUTDOWN_TIMEOUT_SECONDS", "1.5"),
        ("DATABASE_URL", "postgres://u:hunter2@h/db"),
        ("DB_NAME", "a/b"),
        ("MIGRATE_ON_START", "maybe"),
        ("STORE_CONNECT_TIMEOUT_SECONDS", "0"),
        ("REDIS_URL", "http://u:hunter2@h"),
        ("API_KEY_ROTATION", "[{\"key\":\"hunter2\""),
        ("WEBHOOK_SECRET", " "),
        ("WEBHOOK_REQUIRE_TIMESTAMP", "2"),
        ("WEBHOOK_SIGNATURE_COMPAT", "json"),
        ("RATE_LIMIT_API", "many"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("ORCHESTRATOR_CORS_ALLOWED_ORIGINS", "https://a.example.org/path"),
        ("ORCHESTRATOR_CORS_ALLOWED_METHODS", "GE T,@"),
        ("ORCHESTRATOR_CORS_MAX_AGE_SECONDS", "-5"),
        ("RETENTION_METRICS_DAYS", "0"),
        ("RETENTION_ALERTS_HOURS", "0"),
        ("RETENTION_AT", "24:00"),
        ("SAMPLE_INTERVAL_SECONDS", "0"),
        ("KNOWLEDGE_MAX_QUESTIONS", "0"),
        ("KNOWLEDGE_OWN_RUNBOOK", "perhaps"),
        ("SEVERITY_MAP", "5=critical,5=low,6"),
        ("LOG_LEVEL", "verbose"),
        ("LOG_FORMAT", "xml"),
        ("AUDIT_READS", "some"),
        ("TZ", "Mars"),
    ];
    let problems = problems(&wrong);
    for (name, _) in wrong {
        assert!(
            problems.iter().any(|p| p.starts_with(&format!("{name}:"))),
            "{name}: {problems:#?}"
        );
    }
    assert!(!problems.join("\n").contains("hunter2"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn no_text_makes_reading_panic_or_show_a_secret(
        variable in proptest::sample::select(VARIABLES),
        (before, after) in proptest::sample::select(&[
            ("", ""), ("mongodb://user:", "@host/db"), ("redis://user:", "@host"),
        ][..]),
        secret in "\\PC{8,40}",
    ) {
        let loaded = load(&[(variable.name, &format!("{before}{secret}{after}"))]);
        let shown = match &loaded {
            Ok(settings) => format!("{settings:?}"),
            Err(problems) => problems.to_string(),
        };
        prop_assert!(!variable.secret || !shown.contains(&secret), "{}", shown);
    }
}

#[test]
fn what_is_legal_but_odd_is_warned_about() {
    for (variables, start) in [
        (&[("API_KEY", LONG[0])][..], "neither WEBHOOK_SECRET"),
        (&[("WEBHOOK_TOKEN", LONG[0])], "neither API_KEY"),
        (&[("HOST", "0.0.0.0")], "HOST 0.0.0.0"),
        (&[("METRICS_HOST", "::")], "METRICS_HOST ::"),
        (&[("DATABASE_URL", "sqlite:x.db"), ("MONGO_HOST", "h")], "MONGO_HOST is ignored"),
        (&[("REDIS_PASSWORD", "p")], "REDIS_PASSWORD is ignored"),
    ] {
        let settings = load(variables).unwrap();
        assert!(settings.warnings.iter().any(|w| w.starts_with(start)), "{:?}", settings.warnings);
    }
}

#[test]
fn production_is_warned_of_limits_that_are_off() {
    let off = [("RATE_LIMIT_API", "0"), ("AUTH_FAILURE_LIMIT", "0")];
    let warnings = load(&production(&off)).unwrap().warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(off.iter().all(|(name, _)| warnings.iter().any(|w| w.starts_with(name))));
    assert_eq!(load(&off).unwrap().warnings, Vec::<String>::new(), "in development");
}

#[test]
fn no_color_is_honoured_unless_it_is_empty() {
    for (value, colour) in [("1", false), ("0", false), ("", true)] {
        assert_eq!(load(&[("NO_COLOR", value)]).unwrap().log.colour, colour, "{value:?}");
    }
    assert!(load(&[]).unwrap().log.colour);
}

#[test]
fn origins_are_exact_and_a_wildcard_takes_no_credentials() {
    const ORIGINS: &str = "ORCHESTRATOR_CORS_ALLOWED_ORIGINS";
    let settings = load(&[(ORIGINS, "https://Ops.example.org, http://localhost:8080")]).unwrap();
    assert_eq!(settings.cors.origins, ["https://ops.example.org", "http://localhost:8080"]);
    for origin in ["ops.example.org", "https://a/", "null", "https://u@h", "*,https://a"] {
        assert!(problems(&[(ORIGINS, origin)])[0].starts_with(ORIGINS), "{origin}");
    }
    let credentials = ("ORCHESTRATOR_CORS_ALLOW_CREDENTIALS", "true");
    assert!(load(&[(ORIGINS, "*")]).is_ok());
    assert!(problems(&[(ORIGINS, "*"), credentials])[0].starts_with(ORIGINS));
    assert!(
        problems(&[("ORCHESTRATOR_CORS_ALLOWED_HEADERS", "*"), credentials])[0].contains("HEADERS")
    );
}

#[test]
fn proxies_are_addresses_or_networks_but_never_everyone() {
    let settings = load(&[("TRUSTED_PROXIES", "10.0.0.0/8, ::1 192.168.1.1")]).unwrap();
    let shown: Vec<_> = settings.trusted_proxies.iter().map(IpNet::to_string).collect();
    assert_eq!(shown, ["10.0.0.0/8", "::1/128", "192.168.1.1/32"]);
    assert!(problems(&[("TRUSTED_PROXIES", "0.0.0.0/0")])[0].starts_with("TRUSTED_PROXIES:"));
}

#[test]
fn no_secret_is_shown() {
    let redis = format!("redis://:{}@redis/0", LONG[2]);
    let settings = load(&[
        ("API_KEY", LONG[0]),
        ("WEBHOOK_SECRET", LONG[1]),
        ("REDIS_URL", &redis),
        ("MONGO_HOST", "mongo"),
        ("MONGO_USER", "u"),
        ("MONGO_PASSWORD", LONG[3]),
    ])
    .unwrap();
    let shown = format!("{settings:?}");
    for secret in LONG {
        assert!(!shown.contains(secret), "{shown}");
    }
    let value =
        |name| settings.describe().iter().find(|r| r.variable == name).unwrap().value.clone();
    assert_eq!(value("API_KEY"), "<set, 32 characters>");
    assert_eq!(value("REDIS_URL"), "redis://***@redis/0");
    assert_eq!(value("DATABASE_URL"), "mongodb://***@mongo:27017/?authSource=admin");
    assert_eq!(value("DB_NAME"), "orchestrator");
}

#[test]
fn the_address_is_read_even_where_other_settings_are_wrong() {
    let env: BTreeMap<String, String> =
        [("HOST", "localhost"), ("PORT", "8080"), ("LOG_LEVEL", "verbose")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
    let directory = tempfile::tempdir().unwrap();
    let Listening { host, port, tls } = listening(&env, directory.path()).unwrap();
    assert_eq!((host.to_string().as_str(), port, tls), ("127.0.0.1", 8080, false));
}
