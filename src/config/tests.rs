//! What settings promise, over a map in place of the process environment.

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

fn mongodb(settings: &Settings) -> (ConnectionString, &str) {
    match &settings.store.target {
        StoreTarget::Mongodb { uri, database } => {
            (ConnectionString::parse(uri.expose_secret()).unwrap(), database)
        }
        StoreTarget::Sqlite { path } => panic!("SQLite at {path:?}"),
    }
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
fn an_empty_variable_counts_as_unset() {
    let empty: Vec<_> = VARIABLES
        .iter()
        .flat_map(|variable| [variable.name].into_iter().chain(variable.aliases.iter().copied()))
        .map(|name| (name, ""))
        .collect();
    let settings = load(&empty).unwrap();
    assert_eq!(settings.server.port, 3000);
    assert!(settings.api_keys.is_empty());
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
        ("LOG_LEVEL", "verbose"),
        ("LOG_FORMAT", "xml"),
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

#[test]
fn aliases_are_read_and_the_first_name_wins() {
    let settings =
        load(&[("PROMETHEUS_PORT", "9200"), ("RUST_LOG", "debug"), ("NODE_ENV", "development")])
            .unwrap();
    assert_eq!(settings.server.metrics_port, Some(9200));
    assert_eq!(settings.log.filter, "debug");
    let both = load(&[("METRICS_PORT", "0"), ("PROMETHEUS_PORT", "9200")]).unwrap();
    assert_eq!(both.server.metrics_port, None);
    assert_eq!(both.warnings, ["PROMETHEUS_PORT is ignored, because METRICS_PORT is set too"]);
    assert!(problems(&[("NODE_ENV", "test")])[0].starts_with("NODE_ENV:"));
}

#[test]
fn the_environment_wins_over_the_file() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".env"), "PORT=1111\nMETRICS_PORT=2222\nHOST=::1\n").unwrap();
    let settings =
        load_in(directory.path(), &[("PORT", "3333"), ("PROMETHEUS_PORT", "4444")]).unwrap();
    assert_eq!(settings.server.port, 3333);
    assert_eq!(settings.server.metrics_port, Some(4444));
    assert_eq!(settings.server.host.to_string(), "::1");
    let source =
        |name| settings.describe().iter().find(|r| r.variable == name).unwrap().source.clone();
    assert_eq!(source("HOST"), ".env");
    assert_eq!(source("METRICS_PORT"), "environment (PROMETHEUS_PORT)");
}

#[test]
fn a_rotation_list_in_single_quotes_comes_through_the_file_whole() {
    let directory = tempfile::tempdir().unwrap();
    let line = r#"API_KEY_ROTATION='[{"key":"a#b$c-a#b$c","label":"x","roles":["viewer"]}]'"#;
    fs::write(directory.path().join(".env"), line).unwrap();
    let settings = load_in(directory.path(), &[]).unwrap();
    assert_eq!(settings.api_keys[0].key.expose_secret(), "a#b$c-a#b$c");
}

#[test]
fn a_secret_may_come_from_a_file_and_loses_one_line_end() {
    let directory = tempfile::tempdir().unwrap();
    for (content, secret) in [
        ("s3cr3t", "s3cr3t"),
        ("s3cr3t\n", "s3cr3t"),
        ("s3cr3t\r\n", "s3cr3t"),
        ("s3cr3t\n\n", "s3cr3t\n"),
    ] {
        fs::write(directory.path().join("secret"), content).unwrap();
        let settings = load_in(directory.path(), &[("WEBHOOK_SECRET_FILE", "secret")]).unwrap();
        assert_eq!(settings.webhook.secret.unwrap().expose_secret(), secret);
    }
}

#[test]
fn a_secret_file_that_is_missing_blank_or_doubled_is_a_problem() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("blank"), " \n").unwrap();
    fs::write(directory.path().join("full"), "hunter2hunter2").unwrap();
    for variables in [
        &[("API_KEY_FILE", "missing")][..],
        &[("API_KEY_FILE", "blank")],
        &[("API_KEY_FILE", "full"), ("API_KEY", "hunter3hunter3")],
    ] {
        let problems = load_in(directory.path(), variables).unwrap_err().to_string();
        assert!(problems.starts_with("API_KEY") && !problems.contains("hunter"), "{problems}");
    }
}

#[test]
fn every_secret_of_the_table_may_come_from_a_file() {
    for variable in VARIABLES.iter().filter(|variable| variable.secret) {
        let problems = load(&[(&format!("{}_FILE", variable.name), "/nowhere")]).unwrap_err();
        assert!(problems.to_string().starts_with(variable.name), "{problems}");
    }
}

#[test]
fn a_connection_string_that_the_driver_chokes_on_is_a_problem() {
    assert!(problems(&[("DATABASE_URL", "mongodb://%ኲ@host")])[0].starts_with("DATABASE_URL:"));
}

#[test]
fn sqlite_paths_start_in_the_working_directory() {
    let directory = tempfile::tempdir().unwrap();
    for (url, path) in [
        ("sqlite:a/b.db", directory.path().join("a/b.db")),
        ("sqlite://a/b.db", directory.path().join("a/b.db")),
        ("sqlite:///a/b.db", "/a/b.db".into()),
        ("sqlite:/a/b.db", "/a/b.db".into()),
    ] {
        let settings = load_in(directory.path(), &[("DATABASE_URL", url)]).unwrap();
        assert!(
            matches!(settings.store.target, StoreTarget::Sqlite { path: p } if p == path),
            "{url}"
        );
    }
    for url in ["sqlite:", "sqlite::memory:", "sqlite:a.db?mode=rwc", "a.db"] {
        assert!(problems(&[("DATABASE_URL", url)])[0].starts_with("DATABASE_URL:"));
    }
}

#[test]
fn the_database_is_named_by_db_name_else_by_the_url() {
    for (variables, expected) in [
        (&[("DATABASE_URL", "mongodb://h/ops?w=1")][..], "ops"),
        (&[("DATABASE_URL", "mongodb://h/ops"), ("DB_NAME", "mine")], "mine"),
        (&[("DATABASE_URL", "mongodb+srv://u:p%40@cluster.example.net")], "orchestrator"),
        (&[("MONGO_HOST", "h"), ("DB_NAME", "mine")], "mine"),
    ] {
        let settings = load(variables).unwrap();
        assert!(
            matches!(&settings.store.target, StoreTarget::Mongodb { database, .. } if database == expected)
        );
    }
}

#[test]
fn mongo_hosts_may_be_several_and_bring_their_own_ports() {
    for (host, hosts) in [
        ("mongo", "mongo:27018"),
        ("a,b:1, c", "a:27018,b:1,c:27018"),
        ("::1", "[::1]:27018"),
        ("[::1]:5", "[::1]:5"),
    ] {
        let settings = load(&[("MONGO_HOST", host), ("MONGO_PORT", "27018")]).unwrap();
        let StoreTarget::Mongodb { uri, .. } = &settings.store.target else { panic!("{host}") };
        assert_eq!(uri.expose_secret(), format!("mongodb://{hosts}/"));
    }
    for host in ["a/b", "u:p@h", "h:port", ",", "mongodb://h"] {
        assert!(problems(&[("MONGO_HOST", host)])[0].starts_with("MONGO_HOST:"), "{host}");
    }
}

#[test]
fn half_of_mongodbs_credentials_is_a_problem() {
    for (variables, name) in [
        (&[("MONGO_HOST", "h"), ("MONGO_USERNAME", "u")][..], "MONGO_PASSWORD:"),
        (&[("MONGO_HOST", "h"), ("MONGO_PASSWORD", "p")], "MONGO_USERNAME:"),
        (&[("MONGO_USER", "u"), ("MONGO_PASSWORD", "p")], "MONGO_HOST:"),
    ] {
        assert!(problems(variables)[0].starts_with(name));
    }
}

proptest! {
    #[test]
    fn any_mongodb_user_and_password_arrive_as_they_are(user in "[^\0 \t\n]{1,20}", password in "\\PC{1,20}") {
        prop_assume!(!user.trim().is_empty() && user.trim() == user && !password.trim().is_empty());
        let settings = load(&[
            ("MONGO_HOST", "mongo"),
            ("MONGO_USER", &user),
            ("MONGO_PASSWORD", &password),
        ]).unwrap();
        let (parsed, _) = mongodb(&settings);
        let credential = parsed.credential.unwrap();
        prop_assert_eq!(credential.username, Some(user));
        prop_assert_eq!(credential.password, Some(password));
        prop_assert_eq!(credential.source.as_deref(), Some("admin"));
    }
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
fn one_api_key_is_an_admin_key() {
    let settings = load(&[("API_KEY", LONG[0])]).unwrap();
    let [key] = &settings.api_keys[..] else { panic!() };
    assert_eq!((key.label.as_str(), key.role, key.active), ("api-key", Role::Admin, true));
}

#[test]
fn a_rotation_list_replaces_the_one_key() {
    let list = r#"[
        {"key":"k-one-k-one","label":"old","roles":["viewer","operator"],"version":1,"createdAt":"2026-01-01","expiresAt":"2026-12-31T12:00:00Z"},
        {"key":"k-two-k-two","label":"new","roles":["admin"],"version":"2b","active":false}
    ]"#;
    let settings = load(&[("API_KEY", LONG[0]), ("API_KEY_ROTATION", list)]).unwrap();
    let [old, new] = &settings.api_keys[..] else { panic!() };
    assert_eq!((old.role, old.active, old.version.as_deref()), (Role::Operator, true, Some("1")));
    assert_eq!(old.created_at, Time::parse("2026-01-01T00:00:00Z"));
    assert_eq!(old.expires_at, Time::parse("2026-12-31T12:00:00Z"));
    assert_eq!((new.role, new.active, new.version.as_deref()), (Role::Admin, false, Some("2b")));
    assert!(settings.warnings.iter().any(|w| w.starts_with("API_KEY is ignored")));
}

#[test]
fn each_wrong_field_of_a_rotation_list_is_named_without_its_content() {
    let list = r#"[
        {"key":" ","label":"","roles":[],"version":[],"createdAt":"yesterday","expiresAt":5,"active":"hunter2"},
        {"roles":["hunter2"]},
        {"key":"a-key-a-key","label":"x","roles":["viewer"],"createdAt":"2026-02-02","expiresAt":"2026-01-01"},
        {"key":"b-key-b-key","label":"x","roles":["viewer"]},
        "hunter2"
    ]"#;
    let problems = problems(&[("API_KEY_ROTATION", list)]).join("\n");
    for field in [
        "[0].key",
        "[0].label",
        "[0].roles",
        "[0].version",
        "[0].createdAt",
        "[0].expiresAt",
        "[0].active",
        "[1].key",
        "[1].label",
        "[1].roles",
        "[2].expiresAt",
        "[4]:",
    ] {
        assert!(problems.contains(&format!("API_KEY_ROTATION{field}")), "{field}: {problems}");
    }
    assert!(!problems.contains("hunter2") && !problems.contains("yesterday"));
}

#[test]
fn labels_are_unique_and_the_list_is_not_empty() {
    let twice = r#"[{"key":"a-key-a-key","label":"x","roles":["viewer"]},{"key":"b-key-b-key","label":"x","roles":["viewer"]}]"#;
    assert_eq!(
        problems(&[("API_KEY_ROTATION", twice)]),
        ["API_KEY_ROTATION: two keys have the same label"]
    );
    for list in ["[]", "{}", "null"] {
        assert_eq!(problems(&[("API_KEY_ROTATION", list)]).len(), 1);
    }
}

#[test]
fn production_accepts_real_secrets_and_refuses_missing_ones() {
    assert!(load(&production(&[])).is_ok());
    assert!(load(&production(&[("WEBHOOK_SECRET", ""), ("WEBHOOK_TOKEN", LONG[2])])).is_ok());
    assert!(problems(&production(&[("API_KEY", "")]))[0].starts_with("API_KEY:"));
    assert!(problems(&production(&[("WEBHOOK_SECRET", "")]))[0].starts_with("WEBHOOK_SECRET:"));
}

#[test]
fn production_refuses_short_and_placeholder_secrets_and_development_warns() {
    for (name, value) in [
        ("API_KEY", "short-9f8e7d6c"),
        ("WEBHOOK_SECRET", "changeme"),
        ("WEBHOOK_TOKEN", "your-webhook-token-goes-in-here-please"),
        ("WEBHOOK_SECRET_PREVIOUS", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("API_KEY_ROTATION", r#"[{"key":"short-9f8e7d6c","label":"x","roles":["admin"]}]"#),
        ("DATABASE_URL", "mongodb://u:changeme@h/db"),
        ("REDIS_PASSWORD", "ChangeMe"),
    ] {
        let redis = [("REDIS_URL", "redis://h")];
        let more =
            [&[(name, value)][..], if name.starts_with("REDIS") { &redis } else { &[] }].concat();
        let refused = problems(&production(&more)).join("\n");
        assert!(refused.starts_with(name), "{refused}");
        let mut mild = production(&more);
        mild[0] = ("ORCHESTRATOR_ENV", "development");
        mild.retain(|(name, _)| *name != "ORCHESTRATOR_ENV");
        let settings = load(&mild).unwrap();
        assert!(settings.warnings.iter().any(|w| w.starts_with(name)), "{:?}", settings.warnings);
    }
}

#[test]
fn one_secret_opens_one_door() {
    let problems = problems(&[("API_KEY", LONG[0]), ("WEBHOOK_TOKEN", LONG[0])]);
    assert_eq!(problems, ["API_KEY, WEBHOOK_TOKEN: must be different secrets, but are the same"]);
}

#[test]
fn a_key_that_fits_no_header_is_a_problem() {
    for key in ["schlüssel-schlüssel", "two words", "end\n"] {
        assert!(problems(&[("API_KEY", key)])[0].starts_with("API_KEY:"));
    }
    assert!(load(&[("WEBHOOK_SECRET", "two wörds")]).is_ok());
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
fn a_misspelt_variable_is_warned_about_and_others_variables_are_not() {
    for name in ["WEBHOOK_SECERT", "API_KEYS", "RATE_LIMIT_WEBHOKS", "MONGO_URI", "RATE_LIMIT_ALL"]
    {
        let settings = load(&[(name, "x")]).unwrap();
        assert!(settings.warnings.iter().any(|w| w.starts_with(name)), "{name}");
    }
    for name in ["HOSTNAME", "PATH", "TZ", "MONGO_INITDB_ROOT_USERNAME", "GRAFANA_TOKEN", "POST"] {
        assert_eq!(load(&[(name, "x")]).unwrap().warnings, Vec::<String>::new());
    }
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
    let (host, port) = address(&env, directory.path()).unwrap();
    assert_eq!((host.to_string().as_str(), port), ("127.0.0.1", 8080));
}
