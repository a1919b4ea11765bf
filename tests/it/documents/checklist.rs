//! HARDENING.md: each line of the checklist names the command that shows it, and those commands
//! tell a hardened service from one that is not.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use serde_json::json;

use super::{
    is_there,
    markdown::{code_spans, section},
    path, read,
};
use crate::harness::{Place, eventually, hmac_hex, keys};

fn lines() -> Vec<String> {
    items(section(&read("HARDENING.md"), "## Checklist"))
}

/// The items of a list to tick off.
fn items(list: &str) -> Vec<String> {
    list.split("\n- [ ] ").skip(1).map(str::to_owned).collect()
}

/// The commands of all lines that ask the configuration.
fn commands() -> Vec<String> {
    let lines = lines();
    let spans = lines.iter().flat_map(|line| code_spans(line));
    spans.filter(|span| span.starts_with("orchestrator check-config")).map(str::to_owned).collect()
}

fn holds(command: &str, directory: &Path, variables: &[(&str, &str)]) -> bool {
    shell(command, directory, variables).status.success()
}

#[allow(clippy::disallowed_methods)]
fn shell(command: &str, directory: &Path, variables: &[(&str, &str)]) -> Output {
    let binaries = Path::new(env!("CARGO_BIN_EXE_orchestrator")).parent().unwrap().to_owned();
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let paths = [binaries].into_iter().chain(std::env::split_paths(&paths));
    let mut shell = Command::new("bash");
    shell.current_dir(directory).env_clear().envs(variables.iter().copied());
    shell.env("PATH", std::env::join_paths(paths).unwrap());
    shell.args(["-o", "pipefail", "-c", command]).output().unwrap()
}

#[test]
fn every_line_names_what_shows_it() {
    let (hardening, go_live) = (lines(), items(&read("ops/GO-LIVE.md")));
    assert!(hardening.len() > 15 && go_live.len() > 20);
    for line in hardening.into_iter().chain(go_live) {
        let script = |span: &str| span.starts_with("ops/") && span.ends_with(".sh");
        let command = |span: &str| {
            script(span) || (span.contains(' ') && span.starts_with(char::is_lowercase))
        };
        assert!(code_spans(&line).any(command), "{line}");
    }
}

/// Scripts, benches and modules of tests that the list to go live names.
#[test]
fn what_go_live_runs_is_there() {
    let document = read("ops/GO-LIVE.md");
    for span in code_spans(&document) {
        let words: Vec<&str> = span.split(' ').collect();
        match words[..] {
            [script, ..] if script.starts_with("ops/") => {
                assert!(path(script).is_file(), "{script}");
            }
            ["cargo", "bench", "--bench", bench, ..] => {
                assert!(path("benches").join(format!("{bench}.rs")).is_file(), "{bench}");
            }
            ["cargo", "test", "--test", "it", filter] => {
                let module =
                    path("tests/it").join(filter.trim_end_matches("::").replace("::", "/"));
                let found = ["rs", ""].iter().any(|end| module.with_extension(end).exists());
                assert!(found, "{filter}");
            }
            _ => {}
        }
    }
}

#[test]
fn the_commands_hold_for_a_hardened_service_and_not_for_one_that_is_not() {
    if !is_there("bash") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let secret = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    };
    let key = hmac_hex("key", b"");
    secret("keys", &json!([{"key": key, "label": "a", "roles": ["viewer"]}]).to_string());
    secret("secret", &hmac_hex("secret", b""));
    let hardened = [
        ("ORCHESTRATOR_ENV", "production"),
        ("API_KEY_ROTATION_FILE", "keys"),
        ("WEBHOOK_SECRET_FILE", "secret"),
        ("WEBHOOK_REQUIRE_TIMESTAMP", "true"),
    ];
    let soft = [
        ("HOST", "0.0.0.0"),
        ("METRICS_HOST", "0.0.0.0"),
        ("API_KEY", keys::ADMIN),
        ("WEBHOOK_SIGNATURE_COMPAT", "canonical-json"),
        ("RATE_LIMIT_API", "0"),
        ("ORCHESTRATOR_CORS_ALLOWED_ORIGINS", "*"),
    ];
    for command in commands() {
        assert!(holds(&command, directory.path(), &hardened), "{command}");
        let only_shows = ["'^TRUSTED_PROXIES", "'^WEBHOOK_(SECRET", "'^AUDIT_READS"];
        if !only_shows.iter().any(|part| command.contains(part)) {
            assert!(!holds(&command, directory.path(), &soft), "{command}");
        }
    }
}

/// The command of the checklist that begins so, for a service at this address.
fn command(beginning: &str, address: &str) -> String {
    let lines = lines();
    let mut spans = lines.iter().flat_map(|line| code_spans(line));
    let found = spans.find(|span| span.starts_with(beginning));
    let found = found.unwrap_or_else(|| panic!("no command begins with {beginning:?}"));
    found
        .replace("localhost:3000", address)
        .replace("https://<proxy>", &format!("http://{address}"))
}

#[tokio::test]
async fn the_commands_that_ask_a_running_service_show_what_they_say() {
    if !is_there("bash") || !is_there("curl") {
        return;
    }
    let place = Place::sqlite();
    let process = place.spawn(&[]).await;
    let address = process.address().to_string();
    let variables = place.variables(&[("KEY", keys::VIEWER)]);
    let variables: Vec<_> =
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let run = |beginning: &str| {
        let command = command(beginning, &address);
        let output = shell(&command, place.directory(), &variables);
        let printed = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), printed, errors)
    };
    let (done, printed, errors) = run("curl -H \"Authorization");
    assert!(done && printed.contains("\"viewer\""), "{printed}{errors}");
    assert!(run("curl -H 'Origin").0);
    let seen = async || run("grep look").1.contains("127.0.0.1").then_some(());
    eventually("the audit log names the client", seen).await;
    let (done, printed, errors) = run("orchestrator migrate status");
    assert!(done && printed.contains("applied"), "{printed}{errors}");
    let open_to_others = || run("find data logs");
    assert_eq!(open_to_others(), (true, String::new(), String::new()));
    let database = place.directory().join("data/orchestrator.db");
    fs::set_permissions(database, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(open_to_others().1.contains("orchestrator.db"));
}
