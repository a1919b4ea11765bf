//! What is kept: is it well, what happened, and all of it.

use std::sync::Arc;

use insta::{
    assert_json_snapshot, dynamic_redaction,
    internals::{Content, ContentPath},
};
use orchestrator::model::{ManualClock, Time};
use serde_json::{Value, json};

use crate::harness::{Alert, Place, Running, eventually, on_each_store, payload, require};

on_each_store![
    the_health_of_what_is_kept_is_told,
    an_export_holds_what_was_stored,
    an_export_holds_the_collections_that_were_asked_for,
    what_happened_is_counted_by_the_time_of_receipt,
];

const NOW: &str = "2026-11-24T07:10:00.000Z";
const DAY_MS: i64 = 86_400_000;

async fn start(place: &Place) -> Running {
    place.start_at(Arc::new(ManualClock::new(Time::parse(NOW).unwrap()))).await
}

fn backend(place: &Place) -> &'static str {
    if place.server().is_some() { "mongodb" } else { "sqlite" }
}

fn size(value: Content, _: ContentPath<'_>) -> &'static str {
    assert!(value.as_u64().is_some(), "{value:?}");
    "[bytes]"
}

fn megabytes(value: Content, _: ContentPath<'_>) -> &'static str {
    let text = value.as_str().expect("a text");
    let (_, decimals) = text.split_once('.').expect("a point");
    assert!(text.parse::<f64>().is_ok() && decimals.len() == 2, "{text}");
    "[x.xx]"
}

async fn persistence_health(service: &Running) -> Value {
    service.anonymous().get("/api/persistence/health").await.expect(200).json()
}

async fn the_health_of_what_is_kept_is_told(place: &Place) {
    let service = start(place).await;
    let mut health = persistence_health(&service).await;
    assert_eq!(health["backend"].take(), backend(place));
    assert_eq!(
        f64::from(health["schemaVersion"].as_u64().unwrap() as u32),
        service.sample("schema_version").await
    );
    assert_json_snapshot!("persistence_health", health, { ".schemaVersion" => "[n]" });
}

async fn export(service: &Running, query: &str) -> Value {
    service.admin().get(&format!("/api/persistence/export{query}")).await.expect(200).json()
}

async fn learn_something(service: &Running) {
    let alerts = [
        Alert::firing("HighErrorRate", "node1:9100"),
        Alert::firing("HighErrorRate", "node2:9100").resolved_after(60),
    ];
    service.alertmanager().notify(&payload(alerts)).await.expect(200);
    service.operator().ask("zebra stampede").await;
    service.written().await;
}

async fn an_export_holds_what_was_stored(place: &Place) {
    let service = start(place).await;
    learn_something(&service).await;
    // The first run of retention writes down that it ran, and SecantusDB's snapshots see what comes
    // between their reads.
    eventually("retention runs at the start", async || {
        let state = export(&service, "?collection=system_state").await.to_string();
        state.contains("last_retention").then_some(())
    })
    .await;
    let mut export = export(&service, "").await;
    assert_eq!(export["backend"].take(), backend(place));
    for (collection, count) in export["collections"].as_object().unwrap() {
        let documents = export["data"][collection].as_array().unwrap();
        assert_eq!(documents.len() as u64, count.as_u64().unwrap(), "{collection}");
    }
    let state = export["data"]["system_state"].take();
    let version = json!({"key": "schema_version", "value": export["schemaVersion"]});
    assert!(state.as_array().unwrap().contains(&version), "{state}");
    for (collection, by) in [("alerts", "fingerprint"), ("knowledge_base", "id")] {
        let documents = export["data"][collection].as_array_mut().unwrap();
        documents.sort_by_key(|document| document[by].as_str().map(str::to_owned));
    }
    assert_json_snapshot!("export", export, {
        ".schemaVersion" => "[n]",
        ".collections.system_state" => "[n]",
        ".databaseSizeBytes" => dynamic_redaction(size),
        ".databaseSizeMB" => dynamic_redaction(megabytes),
    });
}

async fn an_export_holds_the_collections_that_were_asked_for(place: &Place) {
    let service = start(place).await;
    learn_something(&service).await;
    let one = export(&service, "?collection=alerts").await;
    assert_eq!(one["collections"], json!({"alerts": 2}));
    assert_eq!(one["data"].as_object().unwrap().len(), 1);
    let two = export(&service, "?collection=metrics&collection=knowledge_base&format=json").await;
    assert_eq!(two["collections"], json!({"metrics": 0, "knowledge_base": 2}));
    assert_eq!(two["data"]["metrics"], json!([]));
    assert_eq!(two["data"]["knowledge_base"].as_array().unwrap().len(), 2);
}

async fn what_happened_is_counted_by_the_time_of_receipt(place: &Place) {
    let clock = Arc::new(ManualClock::new(Time::parse(NOW).unwrap()));
    let service = place.start_at(clock.clone()).await;
    learn_something(&service).await;
    clock.advance_millis(10 * DAY_MS);
    let late = Alert::firing("HighErrorRate", "node3:9100").label("severity", "warning");
    service.alertmanager().notify(&payload([late])).await.expect(200);
    let of_last = async |days: u32| {
        let path = format!("/api/persistence/historical?days={days}");
        service.viewer().get(&path).await.expect(200).json()
    };
    assert_json_snapshot!("historical", of_last(30).await);
    let week = of_last(7).await;
    assert_eq!(week["alertsBySeverity"], json!({"warning": 1}));
    let default = service.viewer().get("/api/persistence/historical").await.expect(200).json();
    assert_eq!(default["period"]["days"], 30);
}

#[tokio::test]
async fn a_redis_that_is_away_is_told_and_harms_nothing() {
    let mut place = Place::sqlite();
    // Nobody listens on port 1.
    place.set("REDIS_URL", "redis://127.0.0.1:1/");
    let service = start(&place).await;
    let health = persistence_health(&service).await;
    assert_eq!((&health["status"], &health["database"]), (&json!("degraded"), &json!(true)));
    let coordination = &health["coordination"];
    assert_eq!(coordination["redisConfigured"], true);
    assert_eq!(
        (&coordination["redisReachable"], &coordination["store"]),
        (&json!(false), &json!("memory"))
    );
    learn_something(&service).await;
    service.anonymous().get("/ready").await.expect(200);
    let health = service.anonymous().get("/health").await.expect(200);
    assert_eq!(health.json()["status"], "healthy");
}

#[tokio::test]
async fn a_redis_that_answers_is_told() {
    let Some(url) = require("TEST_REDIS_URL") else { return };
    let mut place = Place::sqlite();
    place.set("REDIS_URL", &url);
    let service = start(&place).await;
    let health = persistence_health(&service).await;
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["coordination"]["redisConfigured"], true);
    assert_eq!(health["coordination"]["redisReachable"], true);
    assert!(!health.to_string().contains("redis://"), "{health}");
}

#[tokio::test]
async fn an_export_is_told_to_the_audit_log() {
    let place = Place::sqlite();
    let service = start(&place).await;
    export(&service, "?collection=alerts").await;
    let log = std::fs::read_to_string(place.directory().join("logs/security.jsonl")).unwrap();
    let line: Value = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .find(|line: &Value| line["event"] == "data_export")
        .expect("the event");
    assert_eq!(
        line["details"],
        json!({"key": "admin", "format": "json", "collections": ["alerts"]})
    );
}

#[tokio::test]
async fn health_names_addresses_that_answer() {
    let place = Place::sqlite();
    let service = start(&place).await;
    let health = service.anonymous().get("/health").await.expect(200).json();
    assert_json_snapshot!("health", health, {
        ".version" => "[version]", ".uptimeSeconds" => "[n]", ".metrics" => "[url]", ".knowledge" => "[url]", ".persistence" => "[url]",
    });
    for name in ["metrics", "knowledge", "persistence"] {
        let url = health[name].as_str().unwrap();
        let response = reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await;
        assert_eq!(response.unwrap().status(), 200, "{url}");
    }
}
