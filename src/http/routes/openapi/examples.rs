//! Examples: bodies that the service takes as they stand, and what it answers.

use serde_json::{Value, json};

/// Adds an example to the bodies and failures that people write clients for.
pub fn add(document: &mut Value) {
    for (path, method, body) in bodies() {
        document["paths"][path][method]["requestBody"]["content"]["application/json"]["example"] =
            body;
    }
    for (name, body) in failures() {
        document["components"]["responses"][name]["content"]["application/json"]["example"] = body;
    }
}

fn bodies() -> [(&'static str, &'static str, Value); 8] {
    let entry = json!({
        "title": "Payments: queue is growing", "category": "troubleshooting", "severity": "high",
        "description": "The consumers do not keep up.",
        "solution": "Scale the consumers to six, then look for the slow message.",
        "steps": ["kubectl scale deploy/payments --replicas=6"], "tags": ["payments", "queue"],
        "runbookUrl": "https://runbooks.example.org/payments#queue",
    });
    let alert = json!({
        "status": "firing", "startsAt": "2026-11-25T08:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
        "labels": { "alertname": "DiskFull", "severity": "critical", "instance": "db-1:9100" },
        "annotations": { "summary": "The disk of db-1 is full", "solution": "Delete old logs" },
        "generatorURL": "http://prometheus.example.org/graph", "fingerprint": "c1a2b3d4e5f60718",
    });
    let question = json!({
        "query": "disk full on db-1", "limit": 5, "filter": { "severity": "critical" },
    });
    let message = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "list_alerts", "arguments": { "status": "firing", "limit": 5 } },
    });
    [
        ("/mcp", "post", message),
        ("/api/knowledge/entries/{id}/feedback", "post", json!({ "helped": true })),
        ("/webhook/alerts", "post", json!({ "receiver": "orchestrator", "alerts": [alert] })),
        ("/api/knowledge/query", "post", question),
        ("/api/knowledge/entries", "post", entry.clone()),
        ("/api/knowledge/entries/{id}", "put", entry),
        ("/api/knowledge/entries/{id}", "patch", json!({ "severity": "low", "rootCause": null })),
        (
            "/api/knowledge/entries/{id}/notes",
            "post",
            json!({ "text": "Was the log of the backup, see INC-4711" }),
        ),
    ]
}

fn failures() -> [(&'static str, Value); 4] {
    const ID: &str = "4f9c1e2a-6a2b-4a54-9d8b-3a7a3f0f7c11";
    let problem = json!({ "path": "alerts.0.status", "message": "is required" });
    [
        (
            "BadRequest",
            json!({ "error": "Validation failed", "details": [problem], "requestId": ID }),
        ),
        (
            "Unauthorized",
            json!({ "error": "Unauthorized: this key is not known", "requestId": ID }),
        ),
        (
            "Forbidden",
            json!({
                "error": "Forbidden: this needs the role operator", "requiredRole": "operator",
                "requestId": ID,
            }),
        ),
        (
            "TooManyRequests",
            json!({
                "error": "Too many requests, please retry after a minute",
                "retryAfterSeconds": 42, "requestId": ID,
            }),
        ),
    ]
}
