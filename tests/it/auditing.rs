//! The audit log and the log under fire: what strangers send is bounded and harmless in both, a
//! flood fills neither, and a place that takes nothing stops nobody.

use std::{fs, os::unix::fs::symlink};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Place, Process, Raw, TOKEN, eventually, keys, payload};

/// Sends one request with these header lines, which may be no text, and reads the answer's head.
async fn ask(process: &Process, request: &[u8]) -> String {
    let mut connection = Raw::open(process.address()).await;
    connection.send(request).await;
    connection.read_until("\r\n\r\n").await
}

fn log_path(place: &Place) -> std::path::PathBuf {
    place.directory().join("logs/security.jsonl")
}

/// No character that could act on a terminal, in either form.
fn assert_harmless(text: &str) {
    let harmful = |c: char| c != '\n' && (c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
    assert!(!text.contains(harmful), "{text:?}");
    for line in text.lines() {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(!object.to_string().contains("\\u001b"), "{object}");
    }
}

#[tokio::test]
async fn what_a_stranger_sends_is_bounded_and_harmless_wherever_it_is_written() {
    let place = Place::sqlite();
    let mut process = place.spawn(&[]).await;
    // The cut after 200 bytes would be within a character.
    let mut origin =
        format!("GET /api/auth/me HTTP/1.1\r\nhost: x\r\norigin: http://{}", "a".repeat(191))
            .into_bytes();
    origin.extend([0xFF; 60_000]);
    origin.extend(b"\r\nconnection: close\r\n\r\n");
    for _ in 0..20 {
        assert!(ask(&process, &origin).await.starts_with("HTTP/1.1 401 "));
    }
    let path = format!("/api/knowledge/entries/{}", "%E2%80%AE%1B%5B2J".repeat(3_000));
    process.actors().anonymous().get(&path).await.expect(401);
    let escape = "origin: x\u{202e}\u{9b}2J";
    let request =
        format!("GET /health HTTP/1.1\r\nhost: x\r\n{escape}\r\nconnection: close\r\n\r\n");
    ask(&process, request.as_bytes()).await;
    let labels = json!({"alerts": [{"status": "firing", "labels": {"\u{202e}\u{1b}[2J": 1}}]});
    process.alertmanager().notify(&labels).await.expect(400);
    process.terminate();
    assert_eq!(process.exit_code().await, 0);
    let (audited, logged) = (fs::read_to_string(log_path(&place)).unwrap(), process.output().await);
    for text in [&audited, &logged] {
        assert_harmless(text);
        assert!(text.len() < 16_000, "{} bytes", text.len());
        assert!(text.contains("http://aaa"), "{text}");
    }
}

#[tokio::test]
async fn a_flood_of_refusals_is_a_few_lines_and_each_of_them_counts() {
    const EACH: u64 = 400;
    let place = Place::sqlite();
    let mut process = place.spawn(&[]).await;
    let (stranger, wrong) =
        (process.actors().anonymous(), process.actors().bearer("wrong-key-value"));
    for n in 0..EACH {
        wrong.get("/api/auth/me").await.expect(401);
        stranger.get(&format!("/api/knowledge/entries/{n}")).await.expect(401);
        stranger.get(&format!("/nowhere/{n}")).await.expect(404);
        stranger.notify(&payload([])).await.expect(401);
    }
    process.terminate();
    assert_eq!(process.exit_code().await, 0);
    let audited = fs::read_to_string(log_path(&place)).unwrap();
    let logged = process.output().await;
    assert!(audited.lines().count() < 50 && audited.len() < 20_000, "{audited}");
    assert!(logged.lines().count() < 400 && logged.len() < 120_000, "{} bytes", logged.len());
    for (event, expected) in [("auth_failure", 2 * EACH), ("webhook_auth_failure", EACH)] {
        let count = |line: &Value| line.get("count").map_or(1, |count| count.as_u64().unwrap());
        assert_eq!(place.audited(event).iter().map(count).sum::<u64>(), expected, "{event}");
    }
    let last: Value = serde_json::from_str(audited.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "shutdown");
}

#[tokio::test]
async fn a_log_line_has_the_requests_id_once_and_details_as_an_object() {
    let place = Place::sqlite();
    let mut process = place.spawn(&[]).await;
    let stranger = process.actors().anonymous().with("x-request-id", "r-here");
    stranger.get("/api/auth/me").await.expect(401);
    let mut line_with = async |text: &str| -> Value {
        serde_json::from_str(&process.line_with(text).await).unwrap()
    };
    let (event, refused) = (line_with("security event").await, line_with("refused").await);
    // The start is the first event, and no reason to look.
    let event = match event["event"] == "auth_failure" {
        true => event,
        false => {
            assert_eq!((&event["event"], &event["level"]), (&json!("startup"), &json!("INFO")));
            line_with("auth_failure").await
        }
    };
    assert_eq!((&event["requestId"], &event["level"]), (&json!("r-here"), &json!("WARN")));
    assert_eq!(event["details"]["path"], "/api/auth/me");
    assert_eq!(refused["requestId"], "r-here");
}

/// Both streams full, and both closed: webhooks are taken, and the process lives.
#[tokio::test]
async fn a_log_that_takes_nothing_stops_nobody() {
    for to in ["/dev/full", "closed"] {
        let mut place = Place::sqlite();
        let port = crate::harness::free_port().to_string();
        place.set("PORT", &port);
        let mut command = place.command(&[]);
        match to {
            "closed" => {
                let (reader, writer) = std::io::pipe().unwrap();
                drop(reader);
                command.stderr(writer.try_clone().unwrap()).stdout(writer);
            }
            full => {
                let full = fs::OpenOptions::new().write(true).open(full).unwrap();
                command.stderr(full.try_clone().unwrap()).stdout(full);
            }
        }
        let mut process = Process::silent(command, port.parse().unwrap());
        let actors = process.actors();
        let stranger = actors.anonymous();
        let ready = || stranger.try_send(stranger.request(Method::GET, "/ready", b""));
        eventually("it serves", async || ready().await.ok()).await;
        for _ in 0..20 {
            actors.anonymous().notify(&payload([])).await.expect(401);
            actors.alertmanager().notify(&payload([])).await.expect(200);
        }
        process.terminate();
        assert_eq!(process.exit_code().await, 0, "{to}");
    }
}

/// A stopped log driver: the pipe is full, and nobody reads.
#[tokio::test]
async fn a_log_that_nobody_reads_makes_no_request_wait() {
    let mut place = Place::sqlite();
    let port = crate::harness::free_port().to_string();
    place.set("PORT", &port);
    // Every request is a line, and none is left out.
    place.set("LOG_LEVEL", "debug");
    let (_unread, writer) = std::io::pipe().unwrap();
    let mut command = place.command(&[]);
    command.stdout(std::process::Stdio::null()).stderr(writer);
    let mut process = Process::silent(command, port.parse().unwrap());
    let stranger = process.actors().anonymous();
    let ready = || stranger.try_send(stranger.request(Method::GET, "/ready", b""));
    eventually("it serves", async || ready().await.ok()).await;
    // A pipe holds 64 KiB.
    for _ in 0..500 {
        stranger.get("/health").await.expect(200);
    }
    process.terminate();
    assert_eq!(process.exit_code().await, 0);
}

#[tokio::test]
async fn an_export_that_cannot_be_audited_is_refused() {
    let place = Place::sqlite();
    fs::create_dir(place.directory().join("logs")).unwrap();
    symlink("/dev/full", log_path(&place)).unwrap();
    let service = place.start().await;
    for path in ["/api/persistence/export", "/api/knowledge/export"] {
        let answer = service.admin().get(path).await.expect(503);
        assert_eq!(answer.error(), "The audit log cannot be written", "{path}");
    }
    // What takes nothing out goes on.
    service.alertmanager().notify(&payload([])).await.expect(200);
    let failures = service.sample("audit_write_failures_total").await;
    assert!(failures >= 2.0, "{failures}");
    service.stop().await.unwrap();
    let refused = place.command(&["export"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stdout.is_empty());
}

#[tokio::test]
async fn reads_are_audited_where_that_is_asked_for() {
    let place = Place::sqlite();
    let service = place.start().await;
    service.viewer().get("/api/persistence/historical").await.expect(200);
    service.stop().await.unwrap();
    assert!(place.audited("data_read").is_empty(), "off where not set");
    let service = place.start_with(&[("AUDIT_READS", "all")]).await;
    service.viewer().get("/api/persistence/historical").await.expect(200);
    service.operator().post("/api/knowledge/query", &json!({"query": "disk"})).await.expect(200);
    service.anonymous().get("/api/auth/me").await.expect(401);
    service.anonymous().get("/api/knowledge/summary").await.expect(200);
    service.admin().get("/api/persistence/export").await.expect(200);
    service.stop().await.unwrap();
    let reads = place.audited("data_read");
    let details: Vec<&Value> = reads.iter().map(|line| &line["details"]).collect();
    let read =
        |key: &str, method: &str, path: &str| json!({"key": key, "method": method, "path": path});
    let expected = [
        &read("viewer", "GET", "/api/persistence/historical"),
        &read("operator", "POST", "/api/knowledge/query"),
    ];
    assert_eq!(details, expected);
    assert_eq!(place.audited("data_export").len(), 1);
}

#[tokio::test]
async fn a_request_says_once_which_host_it_is_for() {
    let place = Place::sqlite();
    let process = place.spawn(&[]).await;
    for (lines, status) in [
        ("host: x\r\n", "200"),
        ("", "400"),
        ("host: x\r\nhost: x\r\n", "400"),
        ("host: x y\r\n", "400"),
    ] {
        let request = format!("GET /health HTTP/1.1\r\n{lines}connection: close\r\n\r\n");
        let answer = ask(&process, request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{lines:?}: {answer}");
    }
}

#[tokio::test]
async fn no_400_names_a_type_of_the_program() {
    let place = Place::sqlite();
    let service = place.start().await;
    let paths = [
        ("/webhook/alerts", service.alertmanager()),
        ("/api/knowledge/query", service.operator()),
        ("/api/knowledge/entries", service.operator()),
    ];
    for (path, caller) in &paths {
        for body in
            ["[]", "[{}]", "\"x\"", "1", "null", "{", "{\"alerts\":[1],\"filter\":1,\"title\":{}}"]
        {
            let answer = caller.call(Method::POST, path, body.as_bytes()).await.expect(400);
            let text = answer.text();
            for word in ["struct", "expected u", "expected i", "map", "sequence", "Payload", "Body"]
            {
                assert!(!text.contains(word), "{path} {body}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn a_second_service_on_one_database_file_is_refused_and_commands_are_not() {
    let place = Place::sqlite();
    let mut first = place.spawn(&[]).await;
    let second = place.command(&[]).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("another service uses this database"), "{said}");
    for args in
        [&["retention"][..], &["export", "--output", "all.ndjson"], &["import", "all.ndjson"]]
    {
        let output = place.command(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // Its lock ends with the process, however that ends.
    first.kill();
    place.spawn(&[]).await;
}

#[tokio::test]
async fn no_secret_reaches_log_or_audit_log() {
    let place = Place::sqlite();
    let mut process = place.spawn(&[("LOG_LEVEL", "debug"), ("AUDIT_READS", "all")]).await;
    for actor in [process.admin(), process.alertmanager(), process.actors().signer()] {
        actor.get("/api/persistence/export").await;
        actor.get(&format!("/api/auth/me?key={}", keys::ADMIN)).await;
        actor.notify(&payload([])).await;
    }
    process.terminate();
    process.exit_code().await;
    let text = process.output().await + fs::read_to_string(log_path(&place)).unwrap().as_str();
    for secret in [TOKEN, keys::SECRET, keys::ADMIN] {
        assert!(!text.contains(secret));
    }
}
