//! The life of the process: how it starts, how it ends, and with which exit code.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use serde_json::Value;

use crate::harness::{
    Alert, Place, Process, Raw, Stopwatch, TOKEN, hmac_hex, on_lone_mongodb, on_mongodb, on_sqlite,
    payload,
};

/// A webhook that the service has begun to read and whose body is not all there yet.
async fn request_under_way(process: &Process, body: &str) -> Raw {
    let mut connection = Raw::open(process.address()).await;
    let length = body.len();
    let head = format!(
        "POST /webhook/alerts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\
         content-length: {length}\r\nexpect: 100-continue\r\n\r\n"
    );
    connection.send(head).await;
    // Said when the body is asked for: the handler waits for it.
    connection.read_until("100 Continue").await;
    connection.send(&body[..length / 2]).await;
    connection
}

fn one_alert() -> String {
    payload([Alert::firing("HighErrorRate", "node1:9100")]).to_string()
}

#[tokio::test]
async fn a_request_under_way_is_finished_before_the_end() {
    let place = Place::sqlite();
    let mut process = place.spawn(&[]).await;
    let body = one_alert();
    let mut request = request_under_way(&process, &body).await;
    process.terminate();
    process.line_with("stopping").await;
    request.send(&body[body.len() / 2..]).await;
    let answer = request.read_to_end().await;
    assert!(answer.contains("HTTP/1.1 200 ") && answer.contains(r#""new":1"#), "{answer}");
    assert_eq!(process.exit_code().await, 0);
    let next = place.spawn(&[]).await;
    assert_eq!(next.admin().stored("alerts").await.len(), 1);
}

#[tokio::test]
async fn while_it_drains_nobody_new_is_let_in() {
    let place = Place::sqlite();
    let mut process = place.spawn(&[]).await;
    let body = one_alert();
    let mut request = request_under_way(&process, &body).await;
    let address = process.address();
    process.terminate();
    process.line_with("stopping").await;
    crate::harness::eventually("the listener closes", async || {
        tokio::net::TcpStream::connect(address).await.err()
    })
    .await;
    request.send(&body[body.len() / 2..]).await;
    request.read_to_end().await;
    assert_eq!(process.exit_code().await, 0);
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let place = Place::sqlite();
    let mut process = place.spawn(&[]).await;
    let _request = request_under_way(&process, &one_alert()).await;
    process.terminate();
    process.line_with("stopping").await;
    let told = Stopwatch::start();
    process.terminate();
    assert_eq!(process.exit_code().await, 1);
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
}

#[tokio::test]
async fn what_is_not_finished_in_time_makes_the_end_a_failure() {
    let place = Place::sqlite();
    let mut process = place.spawn(&[("SHUTDOWN_TIMEOUT_SECONDS", "1")]).await;
    let _request = request_under_way(&process, &one_alert()).await;
    process.terminate();
    assert_eq!(process.exit_code().await, 1);
}

#[tokio::test]
async fn silent_connections_do_not_hold_the_end_up() {
    let place = Place::sqlite();
    let mut process = place.spawn(&[]).await;
    let address = process.address();
    let _silent = [Raw::open(address).await, Raw::open(address).await];
    let mut in_a_head = Raw::open(address).await;
    in_a_head.send("GET /health HTTP/1.1\r\nhost:").await;
    let mut in_a_word = Raw::open(address).await;
    in_a_word.send("PRI * HT").await;
    let mut idle = Raw::open(address).await;
    idle.send("GET /ready HTTP/1.1\r\nhost: x\r\n\r\n").await;
    idle.read_until("ready").await;
    process.terminate();
    let told = Stopwatch::start();
    assert_eq!(process.exit_code().await, 0);
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
}

async fn with_nothing_to_do_it_ends_at_once(place: &Place) {
    let mut process = place.spawn(&[]).await;
    process.terminate();
    let told = Stopwatch::start();
    assert_eq!(process.exit_code().await, 0);
    assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
}

#[tokio::test]
async fn with_nothing_to_do_it_ends_at_once_on_each_store() {
    on_sqlite(with_nothing_to_do_it_ends_at_once).await;
    on_mongodb(with_nothing_to_do_it_ends_at_once).await;
    on_lone_mongodb(with_nothing_to_do_it_ends_at_once).await;
}

#[tokio::test]
async fn sigint_ends_it_like_sigterm() {
    let place = Place::sqlite();
    let mut process = place.spawn(&[]).await;
    process.interrupt();
    assert_eq!(process.exit_code().await, 0);
    let log = fs::read_to_string(place.directory().join("logs/security.jsonl")).unwrap();
    let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "shutdown");
}

/// Runs the binary until it ends by itself: its exit code and what it said.
async fn run(directory: &Path, variables: &BTreeMap<String, String>) -> (i32, String) {
    let mut process = Process::spawn(directory, variables);
    (process.exit_code().await, process.output().await)
}

#[tokio::test]
async fn wrong_settings_end_it_with_78_and_a_list_of_all_that_is_wrong() {
    let place = Place::sqlite();
    let wrong = [
        ("PORT", "http"),
        ("DATABASE_URL", "postgres://db"),
        ("TRUSTED_PROXIES", "proxy.example.org"),
        ("API_KEY_ROTATION", "[]"),
        ("RATE_LIMIT_API", "-1"),
    ];
    let (code, said) = run(place.directory(), &place.variables(&wrong)).await;
    assert_eq!(code, 78);
    for (name, _) in wrong {
        assert!(said.contains(name), "{name} is not in {said}");
    }
    assert_eq!(fs::read_dir(place.directory()).unwrap().count(), 0, "nothing was made");
}

#[tokio::test]
async fn a_file_that_is_no_database_ends_it_and_stays_as_it_is() {
    let place = Place::sqlite();
    let file = place.directory().join("data/orchestrator.db");
    fs::create_dir(place.directory().join("data")).unwrap();
    let garbage = b"This was a database once. ".repeat(500);
    fs::write(&file, &garbage).unwrap();
    let (code, said) = run(place.directory(), &place.variables(&[])).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("could not be opened"), "{said}");
    assert_eq!(fs::read(&file).unwrap(), garbage);
}

#[tokio::test]
async fn a_damaged_knowledge_base_is_never_taken_for_an_empty_one() {
    let place = Place::sqlite();
    let service = place.start().await;
    let alerts = payload([Alert::firing("HighErrorRate", "node1:9100")]);
    service.alertmanager().notify(&alerts).await.expect(200);
    service.stop().await.unwrap();
    let file = place.directory().join("data/orchestrator.db");
    let mut bytes = fs::read(&file).unwrap();
    // All pages but the first, which holds the header and the schema.
    bytes[4096..].fill(0xA5);
    fs::write(&file, &bytes).unwrap();
    let (code, said) = run(place.directory(), &place.variables(&[])).await;
    assert_eq!(code, 1, "{said}");
    assert!(fs::read(&file).unwrap()[4096..].iter().all(|byte| *byte == 0xA5));
}

#[tokio::test]
async fn a_newer_database_is_refused_whether_it_would_be_migrated_or_not() {
    let place = Place::sqlite();
    place.start().await.stop().await.unwrap();
    let database =
        rusqlite::Connection::open(place.directory().join("data/orchestrator.db")).unwrap();
    let newer = "UPDATE system_state SET value = '9999' WHERE key = 'schema_version'";
    assert_eq!(database.execute(newer, []).unwrap(), 1);
    drop(database);
    for migrate in ["true", "false"] {
        let variables = place.variables(&[("MIGRATE_ON_START", migrate)]);
        let (code, said) = run(place.directory(), &variables).await;
        assert_eq!(code, 1, "MIGRATE_ON_START={migrate}: {said}");
        assert!(said.contains("newer than this binary"), "{said}");
    }
}

#[tokio::test]
async fn a_store_that_is_away_for_too_long_ends_the_start() {
    let place = Place::sqlite();
    let away = [
        // Nobody listens on port 1.
        ("DATABASE_URL", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100"),
        ("STORE_CONNECT_TIMEOUT_SECONDS", "1"),
    ];
    let (code, said) = run(place.directory(), &place.variables(&away)).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("could not be opened"), "{said}");
}

#[tokio::test]
async fn a_start_waits_for_a_store_that_is_away_for_a_while() {
    let place = Place::sqlite();
    let folder = place.directory().join("data");
    fs::write(&folder, "a file where the folder should be").unwrap();
    let mut process = Process::spawn(place.directory(), &place.variables(&[]));
    process.line_with("trying again").await;
    fs::remove_file(&folder).unwrap();
    process.serving().await;
}

#[tokio::test]
async fn a_first_start_makes_keys_says_where_and_the_next_uses_them() {
    let directory = tempfile::tempdir().unwrap();
    // No setting but free ports.
    let variables: BTreeMap<String, String> =
        [("PORT", "0"), ("METRICS_PORT", "0")].map(|(k, v)| (k.into(), v.into())).into();
    let mut first = Process::spawn(directory.path(), &variables);
    let told = first.line_with("dev-credentials.env").await;
    first.serving().await;
    let file = directory.path().join("data/dev-credentials.env");
    let made = fs::read_to_string(&file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let value = |name: &str| {
        let line = made.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{name} is not in the file")).to_owned()
    };
    let [key, token, secret] = ["API_KEY", "WEBHOOK_TOKEN", "WEBHOOK_SECRET"].map(value);
    assert!(![&key, &token, &secret].iter().any(|secret| told.contains(*secret)));
    // New senders sign with a time; who has set otherwise has it so.
    let body = payload([]).to_string();
    let signed = async |process: &Process| {
        let signature = hmac_hex(&secret, body.as_bytes());
        let sender = process.actors().anonymous().with("x-webhook-signature", &signature);
        sender.post_bytes("/webhook/alerts", body.as_bytes()).await.status
    };
    assert_eq!(signed(&first).await, 401);
    let open = async |process: &Process| {
        process.actors().bearer(&key).get("/api/persistence/export").await.expect(200);
        process.actors().anonymous().get("/api/persistence/export").await.expect(401);
        process.actors().bearer(&token).notify(&payload([])).await.expect(200);
    };
    open(&first).await;
    first.terminate();
    assert_eq!(first.exit_code().await, 0);
    let mut mild = variables.clone();
    mild.insert("WEBHOOK_REQUIRE_TIMESTAMP".into(), "false".into());
    let mut second = Process::spawn(directory.path(), &mild);
    second.serving().await;
    open(&second).await;
    assert_eq!(signed(&second).await, 200);
    assert_eq!(fs::read_to_string(&file).unwrap(), made);
    second.terminate();
    assert_eq!(second.exit_code().await, 0);
    // A file that was made before is good as it is.
    let before: String = made
        .lines()
        .filter(|line| !line.contains("TIMESTAMP"))
        .fold(String::new(), |text, line| text + line + "\n");
    fs::write(&file, before).unwrap();
    let mut third = Process::spawn(directory.path(), &variables);
    third.serving().await;
    assert_eq!(signed(&third).await, 200);
}

#[tokio::test]
async fn an_address_in_use_ends_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let place = Place::sqlite();
    let (code, said) = run(place.directory(), &place.variables(&[("PORT", &port)])).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("cannot listen on"), "{said}");
}

#[tokio::test]
async fn the_audit_log_is_opened_again_when_it_was_rotated() {
    let place = Place::sqlite();
    let process = place.spawn(&[]).await;
    let (log, rotated) = (
        place.directory().join("logs/security.jsonl"),
        place.directory().join("logs/security.jsonl.1"),
    );
    fs::rename(&log, &rotated).unwrap();
    process.hang_up();
    crate::harness::eventually("the file is made again", async || fs::metadata(&log).ok()).await;
    process.actors().anonymous().get("/api/auth/me").await.expect(401);
    place.audited_soon("auth_failure").await;
}
