//! The command line as scripts see it: the built binary, its output and its exit codes.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};

use serde_json::json;

use crate::harness::{Alert, Place, keys, payload};

/// The binary in `directory` with these variables and no others.
fn orchestrator(directory: &Path, variables: &[(&str, &str)], args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrator"));
    command.current_dir(directory).env_clear().envs(variables.iter().copied()).args(args);
    command
}

fn run(variables: &[(&str, &str)], args: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    orchestrator(directory.path(), variables, args).output().unwrap()
}

fn with_input(mut command: Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn help_documents_each_command_and_the_exit_codes() {
    let help = run(&[], &["--help"]);
    assert_eq!(code(&help), 0);
    let text = stdout(&help);
    for word in ["serve", "migrate", "keygen", "sign", "healthcheck", "check-config", "64", "78"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    for command in ["serve", "migrate", "keygen", "sign", "healthcheck", "check-config"] {
        let help = run(&[], &[command, "--help"]);
        assert_eq!(code(&help), 0);
        assert!(stdout(&help).contains("Exit codes: 0"), "{command}");
    }
    let version = run(&[], &["--version"]);
    assert_eq!(
        (code(&version), stdout(&version)),
        (0, concat!("orchestrator ", env!("CARGO_PKG_VERSION"), "\n"))
    );
}

#[test]
fn wrong_usage_exits_64() {
    for args in
        [&["nonsense"][..], &["--nonsense"], &["keygen", "--bytes", "1"], &["migrate", "down"]]
    {
        let output = run(&[], args);
        assert_eq!((code(&output), stdout(&output)), (64, ""), "{args:?}");
    }
}

#[test]
fn wrong_settings_exit_78_with_every_problem() {
    let output = run(&[("PORT", "x"), ("LOG_FORMAT", "y"), ("API_KEY", " ")], &["check-config"]);
    assert_eq!((code(&output), stdout(&output)), (78, ""));
    for name in ["PORT:", "LOG_FORMAT:", "API_KEY:"] {
        assert!(stderr(&output).contains(name), "{}", stderr(&output));
    }
}

#[test]
fn production_without_keys_exits_78() {
    let output = run(&[("ORCHESTRATOR_ENV", "production")], &["check-config"]);
    assert_eq!(code(&output), 78);
    assert!(stderr(&output).contains("API_KEY") && stderr(&output).contains("WEBHOOK_SECRET"));
}

#[test]
fn check_config_shows_settings_and_warnings_but_no_secret_and_makes_no_file() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".env"), "PORT=3333\n").unwrap();
    let variables = [("API_KEY", "hunter2hunter2"), ("HOST", "0.0.0.0")];
    let output = orchestrator(directory.path(), &variables, &["check-config"]).output().unwrap();
    let text = stdout(&output);
    assert_eq!(code(&output), 0);
    assert!(text.lines().any(|l| l.split_whitespace().eq(["PORT", "3333", ".env"])), "{text}");
    assert!(text.contains("<set, 14 characters>") && text.contains("warning: HOST"), "{text}");
    assert!(!text.contains("hunter2"));
    let bare = orchestrator(directory.path(), &[], &["check-config"]).output().unwrap();
    assert!(stdout(&bare).contains("data/dev-credentials.env"));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn keygen_makes_lines_that_production_accepts() {
    let keys = run(&[], &["keygen"]);
    let variables: Vec<_> = stdout(&keys).lines().map(|l| l.split_once('=').unwrap()).collect();
    let names: Vec<_> = variables.iter().map(|(name, _)| *name).collect();
    let demanded = "WEBHOOK_REQUIRE_TIMESTAMP";
    assert_eq!(names, ["API_KEY", "WEBHOOK_SECRET", "WEBHOOK_TOKEN", demanded]);
    assert_eq!(variables[3].1, "true");
    let production = [variables, vec![("ORCHESTRATOR_ENV", "production")]].concat();
    assert_eq!(code(&run(&production, &["check-config"])), 0);
}

#[test]
fn keygen_makes_one_bare_key_of_the_wanted_length_and_never_the_same() {
    let keys = [(); 2].map(|()| run(&[], &["keygen", "--bare", "--bytes", "20"]));
    let [one, other] = keys.each_ref().map(|key| stdout(key).trim_end());
    assert!(one.len() == 40 && one.bytes().all(|b| b.is_ascii_hexdigit()));
    assert_ne!(one, other);
}

#[test]
fn sign_prints_the_headers_to_send() {
    let directory = tempfile::tempdir().unwrap();
    let secret = [("WEBHOOK_SECRET", "s3cr3t")];
    let sign =
        |args: &[&str]| with_input(orchestrator(directory.path(), &secret, args), b"{\"a\":1}");
    // printf '{"a":1}' | openssl dgst -sha256 -hmac s3cr3t
    let plain = "sha256=d42927434049e0b8c73ce887062238cc1c6bb6644bfe66e66d8dd0f30b85679e";
    let output = sign(&["sign", "--no-timestamp"]);
    assert_eq!(stdout(&output), format!("X-Webhook-Signature: {plain}\n"));
    let output = sign(&["sign", "--no-timestamp", "--curl"]);
    assert_eq!(stdout(&output), format!("-H X-Webhook-Signature:{plain}\n"));
    let output = sign(&["sign"]);
    let names: Vec<_> = stdout(&output).lines().map(|l| l.split_once(": ").unwrap().0).collect();
    assert_eq!(names, ["X-Webhook-Timestamp", "X-Webhook-Signature"]);
    assert!(!stdout(&output).contains(plain));
}

#[test]
fn sign_takes_the_secret_of_the_services_own_credentials() {
    let directory = tempfile::tempdir().unwrap();
    let sign = || {
        with_input(orchestrator(directory.path(), &[], &["sign", "--no-timestamp"]), b"{\"a\":1}")
    };
    let without = sign();
    assert_eq!(code(&without), 78);
    assert!(stderr(&without).contains("WEBHOOK_SECRET"));
    fs::create_dir(directory.path().join("data")).unwrap();
    let credentials = "API_KEY=one\nWEBHOOK_SECRET=s3cr3t\nWEBHOOK_TOKEN=three\n";
    fs::write(directory.path().join("data/dev-credentials.env"), credentials).unwrap();
    assert_eq!(
        stdout(&sign()),
        "X-Webhook-Signature: sha256=d42927434049e0b8c73ce887062238cc1c6bb6644bfe66e66d8dd0f30b85679e\n"
    );
}

/// Answers one request with `status` and returns what was asked.
fn answer_once(listener: TcpListener, status: &'static str) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        stream
            .write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes())
            .unwrap();
        String::from_utf8(request).unwrap()
    })
}

#[test]
fn healthcheck_exits_0_only_for_200() {
    for (args, status, expected) in [
        (&["healthcheck"][..], "200 OK", ("GET /health ", 0)),
        (&["healthcheck", "--ready"], "200 OK", ("GET /ready ", 0)),
        (&["healthcheck", "--ready"], "503 Service Unavailable", ("GET /ready ", 1)),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let asked = answer_once(listener, status);
        let output = run(&[("PORT", &port), ("HOST", "0.0.0.0")], args);
        assert_eq!(code(&output), expected.1, "{}", stderr(&output));
        assert!(asked.join().unwrap().starts_with(expected.0));
    }
}

#[test]
fn healthcheck_exits_1_where_nobody_answers() {
    // Bound and dropped: nobody listens there now.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    assert_eq!(code(&run(&[("PORT", &port)], &["healthcheck"])), 1);
    assert_eq!(code(&run(&[("PORT", "0")], &["healthcheck"])), 1);
    assert_eq!(code(&run(&[("PORT", "x")], &["healthcheck"])), 78);
}

#[test]
fn a_closed_output_is_no_failure() {
    let directory = tempfile::tempdir().unwrap();
    for args in [&["check-config"][..], &["keygen"], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = orchestrator(directory.path(), &[], args).stdout(writer).output().unwrap();
        assert_eq!((code(&output), stderr(&output)), (0, ""), "{args:?}");
    }
}

#[test]
fn an_output_that_takes_nothing_is_a_failure_and_says_so_by_its_code() {
    let directory = tempfile::tempdir().unwrap();
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for args in
        [&["check-config"][..], &["keygen"], &["--help"], &["--version"], &["keygen", "--help"]]
    {
        let mut command = orchestrator(directory.path(), &[], args);
        let status = command.stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(status.code(), Some(1), "{args:?}");
    }
    // What is wrong is still what is wrong.
    for (variables, args, expected) in [
        (&[("PORT", "x")][..], &["check-config"][..], 78),
        (&[], &["nonsense"], 64),
        (&[], &["import", "nowhere.ndjson"], 1),
    ] {
        let mut command = orchestrator(directory.path(), variables, args);
        let status = command.stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(status.code(), Some(expected), "{args:?}");
    }
}

#[test]
fn a_misspelt_name_is_told_beside_what_is_missing_because_of_it() {
    let variables =
        [("ORCHESTRATOR_ENV", "production"), ("API_KEY", "b7c1d98e02f4465a93e0aa51cf3b7d64")];
    let misspelt = [variables.as_slice(), &[("WEBHOK_SECRET", "x")]].concat();
    let output = run(&misspelt, &["check-config"]);
    assert_eq!(code(&output), 78);
    let said = stderr(&output);
    assert!(said.contains("WEBHOOK_SECRET: production needs"), "{said}");
    assert!(said.contains("warning: WEBHOK_SECRET is not a variable"), "{said}");
}

#[test]
fn an_unknown_time_zone_stops_the_start() {
    for (zone, expected) in [("Europe/Berlin", 0), ("", 0), ("Europe/Belrin", 78)] {
        let output = run(&[("TZ", zone)], &["check-config"]);
        assert_eq!(code(&output), expected, "{zone}: {}", stderr(&output));
        assert_eq!(stderr(&output).contains("TZ: expected a time zone"), expected == 78);
    }
}

#[test]
fn a_file_with_secrets_that_others_may_touch_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let warnings = |name: &str, content: &str, mode: u32, variables: &[(&str, &str)]| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let output = orchestrator(directory.path(), variables, &["check-config"]).output().unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        stdout(&output).lines().filter(|line| line.contains("other users of this machine")).count()
    };
    for (content, mode, expected) in [
        ("PORT=3333\n", 0o644, 0),
        ("PORT=3333\n", 0o666, 1),
        ("WEBHOOK_TOKEN=t0ken\n", 0o644, 1),
        ("WEBHOOK_TOKEN=t0ken\n", 0o640, 1),
        ("WEBHOOK_TOKEN=t0ken\n", 0o600, 0),
    ] {
        assert_eq!(warnings(".env", content, mode, &[]), expected, "{content} {mode:o}");
    }
    let file = [("API_KEY_FILE", "key")];
    for (mode, expected) in [(0o400, 0), (0o600, 0), (0o604, 1), (0o666, 1)] {
        // An owner's right to write is not the test's.
        let _ = fs::remove_file(directory.path().join("key"));
        assert_eq!(warnings("key", "s3cr3t", mode, &file), expected, "{mode:o}");
    }
}

#[test]
fn commands_that_change_nothing_create_nothing_and_name_the_store() {
    for args in [
        &["migrate", "status"][..],
        &["migrate", "--dry-run"],
        &["retention", "--dry-run"],
        &["export"],
        &["backup", "copy.db"],
    ] {
        let directory = tempfile::tempdir().unwrap();
        let mistyped = [("DATABASE_URL", "sqlite:typo/orchestrator.db")];
        let output = orchestrator(directory.path(), &mistyped, args).output().unwrap();
        assert_eq!((code(&output), stdout(&output)), (1, ""), "{args:?}");
        let told = stderr(&output);
        assert_eq!(told.matches("orchestrator.db").count(), 1, "{told}");
        assert!(told.contains("SQLite at ") && told.contains("No such file"), "{told}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "{args:?}");
    }
    let directory = tempfile::tempdir().unwrap();
    for args in [&["import", "typo.ndjson"][..], &["knowledge", "import", "typo"]] {
        let output = orchestrator(directory.path(), &[], args).output().unwrap();
        assert!(code(&output) == 1 && stderr(&output).contains("typo"), "{}", stderr(&output));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "{args:?}");
    }
}

#[test]
fn a_mongodb_that_is_away_is_named_once_in_plain_words() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("mongodb://user:hunter2@127.0.0.1:{port}");
    let variables = [
        ("DATABASE_URL", url.as_str()),
        ("STORE_CONNECT_TIMEOUT_SECONDS", "1"),
        ("LOG_LEVEL", "off"),
    ];
    let output = run(&variables, &["migrate", "status"]);
    assert_eq!(code(&output), 1);
    let told = stderr(&output);
    assert!(told.contains(&format!("MongoDB at 127.0.0.1:{port}: no server answers")), "{told}");
    for inner in ["Kind:", "Topology", "labels", "hunter2"] {
        assert!(!told.contains(inner), "{told}");
    }
    let output = run(&variables, &["backup", "copy.db"]);
    assert!(code(&output) == 1 && stderr(&output).contains("mongodump"), "{}", stderr(&output));
}

#[tokio::test]
async fn a_backup_is_whole_while_the_service_writes_and_overwrites_nothing() {
    let mut place = Place::sqlite();
    place.set("DATABASE_URL", "sqlite:orchestrator.db");
    let service = place.start().await;
    let alert = payload([Alert::firing("DiskFull", "db-1")]);
    service.alertmanager().notify(&alert).await.expect(200);
    let writing = async {
        for number in 0..40 {
            let alert = Alert::firing("Later", &format!("db-{number}"));
            service.alertmanager().notify(&payload([alert])).await.expect(200);
        }
    };
    let mut command = place.command(&["backup", "copy.db"]);
    let backing_up = tokio::task::spawn_blocking(move || command.output().unwrap());
    let (output, ()) = tokio::join!(backing_up, writing);
    let output = output.unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).starts_with("backed up ") && stdout(&output).ends_with("copy.db\n"));
    let again = place.command(&["backup", "copy.db"]).output().unwrap();
    assert!(code(&again) == 1 && stderr(&again).contains("copy.db"), "{}", stderr(&again));
    service.stop().await.unwrap();
    let restored = place.start_with(&[("DATABASE_URL", "sqlite:copy.db")]).await;
    let summary = restored.summary().await;
    assert!(summary["alerts"]["firing"].as_i64().unwrap() >= 1, "{summary}");
}

#[tokio::test]
async fn a_question_is_answered_in_a_script_and_nothing_found_exits_1() {
    let place = Place::sqlite();
    let service = place.start().await;
    let entry = json!({"title": "DiskFull", "solution": "Delete logs."});
    service.operator().write(&entry).await;
    let url = format!("http://{}", service.address());
    let ask = async |key: &'static str, text: &'static str| {
        let mut command = place.command(&["query", text]);
        command.envs([("ORCHESTRATOR_URL", url.as_str()), ("ORCHESTRATOR_API_KEY", key)]);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    };
    let found = ask(keys::OPERATOR, "DiskFull").await;
    assert_eq!(code(&found), 0, "{}", stderr(&found));
    let answer: serde_json::Value = serde_json::from_str(stdout(&found)).unwrap();
    assert_eq!(answer["results"]["entries"][0]["title"], "DiskFull");
    let nothing = ask(keys::OPERATOR, "zebra").await;
    assert_eq!(code(&nothing), 1);
    assert!(stderr(&nothing).contains("no answer"), "{}", stderr(&nothing));
    let refused = ask("nobody-knows-this-key", "DiskFull").await;
    assert!(code(&refused) == 1 && stderr(&refused).contains(&url), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("401"), "{}", stderr(&refused));
}

#[test]
fn what_cannot_be_asked_is_told() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let away = run(&[("ORCHESTRATOR_URL", &url), ("ORCHESTRATOR_API_KEY", "k")], &["alerts"]);
    assert_eq!(code(&away), 1);
    assert!(stderr(&away).contains(&format!("{url}: ")) && stderr(&away).contains("refused"));
    // The keys of this machine's service do not leave it.
    let local = [("ORCHESTRATOR_URL", url.as_str()), ("API_KEY", "hunter2-hunter2")];
    let unset = run(&local, &["alerts"]);
    assert!(code(&unset) == 78 && stderr(&unset).contains("ORCHESTRATOR_API_KEY"));
    assert_eq!(code(&run(&[], &["query"])), 64);
}

#[test]
fn alerts_are_asked_for_with_every_filter() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = answer_once(listener, "404 Not Found");
    let variables = [("ORCHESTRATOR_URL", url.as_str()), ("ORCHESTRATOR_API_KEY", "k1")];
    let args =
        ["alerts", "--status", "firing", "--label", "a=b", "--label", "c=d e", "--limit", "7"];
    assert_eq!(code(&run(&variables, &args)), 1);
    let asked = asked.join().unwrap();
    assert!(
        asked.starts_with("GET /api/alerts?status=firing&limit=7&label=a%3Db&label=c%3Dd+e "),
        "{asked}"
    );
    assert!(asked.to_lowercase().contains("authorization: bearer k1"), "{asked}");
}

#[test]
fn completions_and_manual_pages_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&[], &["completions", shell]);
        assert!(code(&output) == 0 && stdout(&output).contains("check-config"), "{shell}");
    }
    let whole = run(&[], &["man"]);
    assert!(code(&whole) == 0 && stdout(&whole).contains(".TH orchestrator"));
    let one = run(&[], &["man", "knowledge", "import"]);
    assert!(code(&one) == 0 && stdout(&one).contains("prune"), "{}", stderr(&one));
    assert_eq!(code(&run(&[], &["man", "nonsense"])), 64);
}
