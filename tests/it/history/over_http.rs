//! Exports over HTTP.

use std::{collections::BTreeMap, io::Read, sync::Arc};

use orchestrator::{config::Settings, model::SystemClock, service::Service, shutdown::Phase};
use reqwest::{Response, StatusCode, header};
use serde_json::{Value, json};

const KEY: &str = "an-api-key-for-this-test-0123456789abcdef";
const TOKEN: &str = "a-webhook-token-for-this-test-0123456789";

/// A service on a directory of its own.
struct Running {
    url: String,
    client: reqwest::Client,
    phase: Phase,
    ended: tokio::task::JoinHandle<()>,
    folder: tempfile::TempDir,
}

impl Running {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let variables = [
            ("PORT", "0"),
            ("METRICS_PORT", "0"),
            ("API_KEY", KEY),
            ("WEBHOOK_TOKEN", TOKEN),
            ("RATE_LIMIT_EXPORT", "0"),
        ];
        let variables: BTreeMap<String, String> =
            variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let settings = Settings::load(&variables, folder.path()).unwrap();
        let phase = Phase::default();
        let service =
            Service::start(&settings, Arc::new(SystemClock), phase.clone()).await.unwrap();
        let url = format!("http://{}", service.address());
        let ended = tokio::spawn(async move { service.run().await.unwrap() });
        let client = reqwest::Client::builder().no_gzip().build().unwrap();
        Self { url, client, phase, ended, folder }
    }

    async fn receive(&self, alerts: Value) {
        let url = format!("{}/webhook/alerts", self.url);
        let body = json!({ "alerts": alerts }).to_string();
        let answer = self.client.post(url).bearer_auth(TOKEN).body(body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }

    async fn export(&self, query: &str, accept: &str) -> Response {
        let url = format!("{}/api/persistence/export?{query}", self.url);
        let request = self.client.get(url).bearer_auth(KEY).header(header::ACCEPT_ENCODING, accept);
        request.send().await.unwrap()
    }

    async fn stop(self) {
        self.phase.drain();
        self.ended.await.unwrap();
    }
}

fn alert(n: usize) -> Value {
    json!({
        "status": "firing", "startsAt": "2026-11-24T10:00:00Z",
        "labels": {"alertname": "=cmd|' /C calc'!A0", "n": n.to_string()},
    })
}

#[tokio::test]
async fn ndjson_has_a_header_a_document_a_line_and_an_end_that_counts() {
    let service = Running::start().await;
    service.receive(json!([alert(1), alert(2)])).await;
    let answer = service.export("format=ndjson&collection=alerts", "").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/x-ndjson");
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    let text = answer.text().await.unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0]["collections"], json!({"alerts": 2}));
    assert_eq!(lines[0]["backend"], "sqlite");
    assert_eq!(lines[1]["collection"], "alerts");
    assert_eq!(lines[1]["document"]["status"], "firing");
    assert_eq!(lines[3], json!({"end": true, "documents": 2}));
    service.stop().await;
}

#[tokio::test]
async fn json_holds_the_data_of_every_collection() {
    let service = Running::start().await;
    service.receive(json!([alert(1)])).await;
    let answer = service.export("", "").await;
    let export: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(export["data"]["alerts"].as_array().unwrap().len(), 1);
    assert_eq!(export["data"]["consolidations"], json!([]));
    assert!(export["databaseSizeBytes"].as_u64().unwrap() > 0);
    service.stop().await;
}

#[tokio::test]
async fn csv_is_a_table_of_one_collection_in_which_nothing_is_a_formula() {
    let service = Running::start().await;
    service.receive(json!([alert(1)])).await;
    for query in ["format=csv", "format=csv&collection=alerts&collection=metrics"] {
        let answer = service.export(query, "").await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{query}");
        let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(problem["details"][0]["path"], "collection");
    }
    let answer = service.export("format=csv&collection=alerts", "").await;
    let kind = answer.headers()[header::CONTENT_TYPE].to_str().unwrap();
    assert!(kind.starts_with("text/csv"), "{kind}");
    let text = answer.text().await.unwrap();
    let mut table = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(&table.headers().unwrap()[2], "name");
    let row = table.records().next().unwrap().unwrap();
    assert_eq!(&row[2], "'=cmd|' /C calc'!A0");
    assert_eq!(serde_json::from_str::<Value>(&row[10]).unwrap()["n"], "1");
    service.stop().await;
}

#[tokio::test]
async fn an_export_is_compressed_for_who_takes_gzip() {
    let service = Running::start().await;
    service.receive((0..500).map(alert).collect()).await;
    let plain = service.export("format=ndjson&collection=alerts", "br").await;
    assert!(plain.headers().get(header::CONTENT_ENCODING).is_none());
    let plain = plain.text().await.unwrap();
    let zipped = service.export("format=ndjson&collection=alerts", "gzip").await;
    assert_eq!(zipped.headers()[header::CONTENT_ENCODING], "gzip");
    let zipped = zipped.bytes().await.unwrap();
    assert!(zipped.len() < plain.len() / 3);
    let mut text = String::new();
    flate2::read::GzDecoder::new(&zipped[..]).read_to_string(&mut text).unwrap();
    let data = |text: &str| text.split_once('\n').unwrap().1.to_owned();
    assert_eq!(data(&text), data(&plain));
    service.stop().await;
}

#[tokio::test]
async fn a_third_export_at_a_time_is_told_to_come_again() {
    let service = Running::start().await;
    // More than sockets hold, so that an export that is not read stays under way.
    let long = "x".repeat(16_000);
    for batch in 0..20 {
        let alerts: Vec<Value> = (0..50)
            .map(|n| {
                let mut alert = alert(batch * 50 + n);
                alert["annotations"] = json!({"summary": long});
                alert
            })
            .collect();
        service.receive(Value::Array(alerts)).await;
    }
    let first = service.export("", "").await;
    let second = service.export("format=ndjson", "").await;
    let third = service.export("", "").await;
    assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(third.headers().contains_key(header::RETRY_AFTER));
    // Whoever goes away makes room, and so does whoever is done.
    drop(first);
    assert!(second.text().await.unwrap().contains("\"end\":true"));
    assert_eq!(service.export("collection=metrics", "").await.status(), StatusCode::OK);
    let log = std::fs::read_to_string(service.folder.path().join("logs/security.jsonl")).unwrap();
    let exports = log.lines().filter(|line| line.contains("data_export")).count();
    assert_eq!(exports, 3, "the refused one took nothing out");
    service.stop().await;
}
