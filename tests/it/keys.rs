//! API keys: their roles, their end, and who is told of it.

use std::sync::Arc;

use orchestrator::model::{ManualClock, Time};
use serde_json::{Value, json};

use crate::harness::{Place, Running};

const NOW: &str = "2026-03-01T00:00:00Z";
const MINUTE_MS: i64 = 60_000;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Time::parse(NOW).unwrap()))
}

fn place(keys: &Value) -> Place {
    let mut place = Place::sqlite();
    place.set("API_KEY_ROTATION", &keys.to_string());
    place
}

async fn me(service: &Running, key: &str) -> Value {
    service.bearer(key).get("/api/auth/me").await.expect(200).json()
}

#[tokio::test]
async fn a_key_of_several_roles_has_the_highest() {
    let place = place(&json!([
        {"key": "first-key-000000", "label": "grafana", "roles": ["viewer"]},
        {"key": "second-key-00000", "label": "ci", "roles": ["viewer", "operator"], "version": 3},
    ]));
    let service = place.start().await;
    insta::assert_json_snapshot!("me", me(&service, "second-key-00000").await);
    assert_eq!(me(&service, "first-key-000000").await["roles"], json!(["viewer"]));
    let query = json!({"query": "up"});
    service.bearer("second-key-00000").post("/api/knowledge/query", &query).await.expect(200);
    service.bearer("first-key-000000").post("/api/knowledge/query", &query).await.expect(403);
}

#[tokio::test]
async fn api_key_alone_is_an_admins() {
    let mut place = Place::sqlite();
    place.set("API_KEY_ROTATION", "");
    place.set("API_KEY", "the-only-key-there-is");
    let service = place.start().await;
    assert_eq!(me(&service, "the-only-key-there-is").await["role"], "admin");
    service.bearer("the-only-key-there-is").get("/api/persistence/export").await.expect(200);
}

#[tokio::test]
async fn an_inactive_key_opens_nothing() {
    let place = place(&json!([
        {"key": "key-switched-off", "label": "old", "roles": ["admin"], "active": false},
        {"key": "key-switched-on0", "label": "new", "roles": ["admin"], "active": true},
    ]));
    let service = place.start().await;
    let refused = service.bearer("key-switched-off").get("/api/auth/me").await.expect(401);
    assert!(!refused.text().contains("old"), "the label is the audit log's: {}", refused.text());
    service.bearer("key-switched-on0").get("/api/auth/me").await.expect(200);
}

#[tokio::test]
async fn a_key_ends_at_its_moment_and_every_answer_before_says_when() {
    let end = "2026-03-01T00:01:00.000Z";
    let place = place(&json!([
        {"key": "key-that-ends-00", "label": "ends", "roles": ["operator"], "expiresAt": end},
        {"key": "key-without-end0", "label": "stays", "roles": ["viewer"]},
    ]));
    let clock = clock();
    let service = place.start_at(clock.clone()).await;
    let ending = service.bearer("key-that-ends-00");
    for answer in [
        ending.get("/api/auth/me").await.expect(200),
        ending.post_bytes("/api/knowledge/query", b"{").await.expect(400),
    ] {
        assert_eq!(answer.header("x-api-key-expires"), end);
    }
    clock.advance_millis(MINUTE_MS);
    let refused = ending.get("/api/auth/me").await.expect(401);
    assert_eq!(refused.error(), "Unauthorized: API key expired");
    let endless = service.bearer("key-without-end0").get("/api/auth/me").await.expect(200);
    assert_eq!(endless.header("x-api-key-expires"), "");
}

#[tokio::test]
async fn an_ending_key_is_told_of_at_the_start_by_its_label() {
    let place = place(&json!([
        {"key": "soon-key-0000000", "label": "soon", "roles": ["viewer"], "expiresAt": "2026-03-14"},
        {"key": "late-key-0000000", "label": "late", "roles": ["viewer"], "expiresAt": "2026-03-16"},
    ]));
    let service = place.start_at(clock()).await;
    service.stop().await.unwrap();
    let log = std::fs::read_to_string(place.directory().join("logs/security.jsonl")).unwrap();
    let told: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["event"] == "api_key_expiring")
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["details"]["key"], "soon");
    assert!(!log.contains("soon-key-0000000"));
}
