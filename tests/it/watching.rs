//! What those who look after the service see: metrics and the audit log.

use std::{collections::BTreeSet, os::unix::fs::PermissionsExt};

use reqwest::Method;
use serde_json::json;

use crate::harness::{Alert, Place, TOKEN, keys, payload};

const FAMILIES: [&str; 31] = [
    "http_requests_total",
    "http_request_duration_seconds",
    "http_requests_in_flight",
    "connections",
    "connections_refused_total",
    "alerts_received_total",
    "alerts_stored_total",
    "alerts_truncated_total",
    "alerts_superseded_total",
    "knowledge_patterns_limited_total",
    "alerts_trimmed_total",
    "alerts_rejected_total",
    "webhook_auth_total",
    "auth_failures_total",
    "rate_limited_total",
    "validation_failures_total",
    "knowledge_entries",
    "knowledge_queries_total",
    "knowledge_unpersisted_entries",
    "knowledge_embeddings",
    "mongodb_collection_count",
    "store_operation_duration_seconds",
    "store_errors_total",
    "store_up",
    "retention_deleted_total",
    "retention_last_success_timestamp_seconds",
    "schema_version",
    "security_events_total",
    "audit_write_failures_total",
    "build_info",
    "process_resident_memory_bytes",
];

#[tokio::test]
async fn every_metric_of_the_contract_is_there() {
    let place = Place::sqlite();
    let service = place.start().await;
    let alerts = payload([Alert::firing("HighErrorRate", "node1:9100")]);
    service.alertmanager().notify(&alerts).await.expect(200);
    let text = service.scrape().await;
    let families: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    // Errors of the store have no sample before the first one.
    for family in FAMILIES.into_iter().filter(|family| *family != "store_errors_total") {
        assert!(families.contains(family), "{family} is not among {families:?}");
    }
    let received = service.sample(r#"alerts_received_total{severity="critical",status="firing"}"#);
    assert_eq!(received.await, 1.0);
    assert_eq!(service.sample("store_up").await, 1.0);
}

#[tokio::test]
async fn metrics_are_on_a_listener_of_their_own() {
    let place = Place::sqlite();
    let service = place.start().await;
    service.admin().get("/metrics").await.expect(404);
    let metrics = format!("http://{}", service.metrics_address());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client.get(format!("{metrics}/metrics")).send().await.unwrap();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    for path in ["/health", "/api/knowledge/summary", "/"] {
        assert_eq!(client.get(format!("{metrics}{path}")).send().await.unwrap().status(), 404);
    }
}

#[tokio::test]
async fn a_route_is_counted_by_its_template_and_a_wrong_path_by_none() {
    let place = Place::sqlite();
    let service = place.start().await;
    service.viewer().get("/api/persistence/historical?days=7&metric=of_a_client").await.expect(200);
    service.anonymous().get("/no/such/of_a_client").await.expect(404);
    service
        .anonymous()
        .call(Method::from_bytes(b"BREW").unwrap(), "/health", b"")
        .await
        .expect(405);
    let text = service.scrape().await;
    let historical =
        r#"http_requests_total{method="GET",route="/api/persistence/historical",status="200"} 1"#;
    assert!(text.contains(historical), "{text}");
    assert!(!text.contains("of_a_client") && !text.contains("BREW"));
    let paths: BTreeSet<&str> =
        orchestrator::http::routes().iter().map(|route| route.path).collect();
    for line in text.lines().filter(|line| line.starts_with("http_requests_total{")) {
        let (_, rest) = line.split_once("route=\"").unwrap();
        let (route, _) = rest.split_once('"').unwrap();
        assert!(paths.contains(route) || route == "unmatched", "{line}");
    }
}

#[tokio::test]
async fn what_was_refused_is_in_the_audit_log_under_the_requests_id() {
    let mut place = Place::sqlite();
    place.set("RATE_LIMIT_EXPORT", "1");
    place.set("BODY_LIMIT_BYTES", "1000");
    let service = place.start().await;
    let named = |actor: crate::harness::Actor, id: &str| actor.with("x-request-id", id);
    named(service.bearer("wrong-key-value"), "r-auth").get("/api/auth/me").await.expect(401);
    named(service.anonymous(), "r-hook").notify(&payload([])).await.expect(401);
    named(service.viewer(), "r-role").get("/api/persistence/export").await.expect(403);
    service.admin().get("/api/persistence/export").await.expect(200);
    named(service.admin(), "r-limit").get("/api/persistence/export").await.expect(429);
    let query = json!({"query": "<"});
    named(service.operator(), "r-bad").post("/api/knowledge/query", &query).await.expect(400);
    let long = json!({"query": "x".repeat(1000)});
    named(service.operator(), "r-big").post("/api/knowledge/query", &long).await.expect(413);
    let foreign = service.anonymous().with("origin", "https://evil.example.org");
    named(foreign, "r-cors").get("/health").await.expect(200);
    for (event, id) in [
        ("auth_failure", "r-auth"),
        ("webhook_auth_failure", "r-hook"),
        ("role_denied", "r-role"),
        ("rate_limited", "r-limit"),
        ("validation_failure", "r-bad"),
        ("payload_too_large", "r-big"),
        ("cors_denied", "r-cors"),
    ] {
        let lines = place.audited_soon(event).await;
        assert_eq!(lines.len(), 1, "{event}: {lines:?}");
        assert_eq!(
            (&lines[0]["requestId"], &lines[0]["clientIp"]),
            (&json!(id), &json!("127.0.0.1"))
        );
        assert!(lines[0]["timestamp"].is_string() && lines[0]["details"].is_object());
        let series = format!(r#"security_events_total{{event="{event}"}}"#);
        assert_eq!(service.sample(&series).await, 1.0, "{event}");
    }
    assert_eq!(place.audited("role_denied")[0]["details"]["key"], "viewer");
    for event in ["startup", "migration_applied"] {
        assert!(!place.audited(event).is_empty(), "{event}");
    }
    service.stop().await.unwrap();
    assert_eq!(place.audited("shutdown").len(), 1);
}

#[tokio::test]
async fn no_secret_is_in_the_audit_log_and_only_its_owner_reads_it() {
    let place = Place::sqlite();
    let service = place.start().await;
    for actor in [service.viewer(), service.alertmanager(), service.bearer("wrong-key-value")] {
        actor.get("/api/persistence/export").await;
        actor.notify(&payload([])).await;
    }
    service.stop().await.unwrap();
    let path = place.directory().join("logs/security.jsonl");
    let log = std::fs::read_to_string(&path).unwrap();
    for secret in
        [TOKEN, keys::SECRET, keys::VIEWER, keys::OPERATOR, keys::ADMIN, "wrong-key-value"]
    {
        assert!(!log.contains(secret));
    }
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn the_interface_is_described_route_by_route() {
    let place = Place::sqlite();
    let service = place.start().await;
    let document = service.anonymous().get("/api/openapi.json").await.expect(200).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    for route in orchestrator::http::routes() {
        let method = route.method.as_str().to_lowercase();
        assert!(document["paths"][route.path][&method].is_object(), "{method} {}", route.path);
    }
}
