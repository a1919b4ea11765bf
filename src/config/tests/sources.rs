//! Where a value comes from: the environment, the file, a file of a secret.

use super::*;

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
fn a_misspelt_variable_is_warned_about_and_others_variables_are_not() {
    for name in ["WEBHOOK_SECERT", "API_KEYS", "RATE_LIMIT_WEBHOKS", "MONGO_URI", "RATE_LIMIT_ALL"]
    {
        let settings = load(&[(name, "x")]).unwrap();
        assert!(settings.warnings.iter().any(|w| w.starts_with(name)), "{name}");
    }
    for name in ["HOSTNAME", "PATH", "MONGO_INITDB_ROOT_USERNAME", "GRAFANA_TOKEN", "POST"] {
        assert_eq!(load(&[(name, "x")]).unwrap().warnings, Vec::<String>::new());
    }
}
