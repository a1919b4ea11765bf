//! `POST /mcp`: assistants use the service by the protocol's own client.

use rmcp::{
    RoleClient, ServiceExt,
    model::{CallToolRequestParams, CallToolResult},
    service::RunningService,
    transport::{
        StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde_json::{Value, json};

use crate::harness::{Alert, Place, Running, keys, on_each_store, payload};

on_each_store![an_assistant_asks_reads_counts_and_notes];

type Client = RunningService<RoleClient, ()>;

/// The official client, with this key.
async fn assistant(service: &Running, key: &str) -> Client {
    let uri = format!("http://{}/mcp", service.address());
    let config = StreamableHttpClientTransportConfig::with_uri(uri).auth_header(key);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let transport = StreamableHttpClientTransport::with_client(client, config);
    ().serve(transport).await.unwrap()
}

async fn tools(client: &Client) -> Vec<String> {
    let tools = client.list_all_tools().await.unwrap();
    tools.into_iter().map(|tool| tool.name.into_owned()).collect()
}

async fn call(client: &Client, tool: &'static str, arguments: Value) -> (bool, Value) {
    let arguments = arguments.as_object().cloned().unwrap();
    let call = CallToolRequestParams::new(tool).with_arguments(arguments);
    let result: CallToolResult = client.call_tool(call).await.unwrap();
    let text = &result.content[0].as_text().unwrap().text;
    (result.is_error != Some(true), serde_json::from_str(text).unwrap())
}

/// What the tool gave.
async fn used(client: &Client, tool: &'static str, arguments: Value) -> Value {
    let (good, answer) = call(client, tool, arguments).await;
    assert!(good, "{tool}: {answer}");
    answer
}

async fn an_assistant_asks_reads_counts_and_notes(place: &Place) {
    let service = place.start().await;
    let alert = Alert::firing("DiskFull", "db-1");
    service.alertmanager().notify(&payload([alert])).await.expect(200);
    let client = assistant(&service, keys::OPERATOR).await;
    assert_eq!(tools(&client).await, ["ask", "list_alerts", "get_entry", "history", "add_note"]);

    let answer = used(&client, "ask", json!({ "query": "disk full" })).await;
    assert_eq!(answer["results"]["solutions"][0], "Restart the agent and look at its queue.");
    let listed = used(&client, "list_alerts", json!({ "status": "firing", "limit": 5 })).await;
    let id = listed["alerts"][0]["entryId"].clone();
    assert_eq!(answer["sources"][0], id);
    used(&client, "add_note", json!({ "id": id, "text": "Was the backup" })).await;
    let entry = used(&client, "get_entry", json!({ "id": id })).await;
    assert_eq!(entry["notes"][0]["text"], "Was the backup");
    let read = service.viewer().entry(id.as_str().unwrap()).await;
    assert_eq!(entry, read, "a tool and its route answer the same");
    let counted = used(&client, "history", json!({ "days": 1, "alertname": "DiskFull" })).await;
    assert_eq!(counted["alertsCount"], 1);
}

#[tokio::test]
async fn a_viewers_assistant_has_a_viewers_tools() {
    let place = Place::sqlite();
    let service = place.start().await;
    let client = assistant(&service, keys::VIEWER).await;
    assert_eq!(tools(&client).await, ["list_alerts", "get_entry", "history"]);
    let (good, answer) = call(&client, "add_note", json!({ "id": "x", "text": "y" })).await;
    assert!(!good);
    assert_eq!(answer["requiredRole"], "operator", "{answer}");
    service.stop().await.unwrap();
    let denied = &place.audited("role_denied")[0]["details"];
    assert_eq!(denied["path"], "/api/knowledge/entries/x/notes");
}

#[tokio::test]
async fn what_a_route_refuses_its_tool_refuses_in_the_same_words() {
    let place = Place::sqlite();
    let service = place.start().await;
    let client = assistant(&service, keys::OPERATOR).await;
    let (good, answer) = call(&client, "list_alerts", json!({ "limit": 5000, "colour": 1 })).await;
    assert!(!good);
    let refused = service.viewer().get("/api/alerts?colour=1&limit=5000").await.expect(400).json();
    assert_eq!(answer["details"], refused["details"]);
    assert_eq!(service.sample(r#"validation_failures_total{route="/api/alerts"}"#).await, 2.0);
    let (good, answer) = call(&client, "get_entry", json!({ "id": "../export" })).await;
    assert_eq!((good, &answer["error"]), (false, &json!("Not found")));
}

#[tokio::test]
async fn a_message_counts_once_against_the_bucket_of_its_key() {
    let place = Place::sqlite();
    let service = place.start_with(&[("RATE_LIMIT_API", "3")]).await;
    let call = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "list_alerts", "arguments": {} },
    });
    for remaining in ["2", "1", "0"] {
        let answer = service.viewer().post("/mcp", &call).await.expect(200);
        assert_eq!(answer.header("ratelimit-remaining"), remaining);
    }
    service.viewer().post("/mcp", &call).await.expect(429);
    service.viewer().get("/api/alerts").await.expect(429);
    service.operator().get("/api/alerts").await.expect(200);
}

#[tokio::test]
async fn tools_are_audited_as_their_routes() {
    let place = Place::sqlite();
    let service = place.start_with(&[("AUDIT_READS", "all")]).await;
    let client = assistant(&service, keys::OPERATOR).await;
    let made = service.operator().write(&json!({ "title": "t" })).await;
    let id = made["id"].clone();
    used(&client, "list_alerts", json!({})).await;
    used(&client, "add_note", json!({ "id": id, "text": "y" })).await;
    service.stop().await.unwrap();
    let reads = place.audited("data_read");
    assert!(reads.iter().any(|read| read["details"]["path"] == "/api/alerts"), "{reads:?}");
    let changes = place.audited("knowledge_changed");
    let note = changes.iter().find(|change| change["details"]["action"] == "note").unwrap();
    assert_eq!(note["details"]["entry"], id);
}

#[tokio::test]
async fn strangers_foreign_pages_and_what_is_no_message_are_refused_in_the_usual_form() {
    let place = Place::sqlite();
    let service = place.start().await;
    let ping = &json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    service.anonymous().post("/mcp", ping).await.expect(401);
    service.alertmanager().post("/mcp", ping).await.expect(401);
    let foreign = service.admin().with("origin", "https://evil.example.org");
    let refused = foreign.post("/mcp", ping).await.expect(403).json();
    assert!(refused["error"].as_str().unwrap().contains("origin"), "{refused}");
    for no_message in ["", "x", "[]", "{}", r#"{"jsonrpc":"2.0","id":1}"#] {
        let refused = service.admin().post_bytes("/mcp", no_message.as_bytes()).await.expect(400);
        assert!(!refused.json()["error"].is_null(), "{no_message}: {}", refused.text());
    }
    let refused = service.admin().get("/mcp").await.expect(405);
    assert_eq!(refused.header("allow"), "POST");
}
