//! What the page is looked at with: a night with several alerts, and what is known about them.

use orchestrator::model::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::harness::{Alert, Place, Process, payload};

/// The built binary with data in it.
pub struct Scene {
    pub service: Process,
    _place: Place,
}

/// An alert that began some minutes ago.
pub fn alert(name: &str, severity: &str, instance: &str, minutes: i64) -> Alert {
    let start = SystemClock.now().plus_millis(-60_000 * minutes);
    Alert::firing(name, instance)
        .label("severity", severity)
        .without_label("cause")
        .with("startsAt", json!(start.to_string()))
        .with("annotations", json!({}))
}

fn annotated(alert: Alert, summary: &str, solution: &str) -> Alert {
    alert.with(
        "annotations",
        json!({
            "summary": summary, "solution": solution,
            "runbook_url": "https://runbooks.example.org/operations",
        }),
    )
}

/// What fires.
fn night() -> Vec<Alert> {
    let disk = |instance, minutes| {
        annotated(
            alert("DiskAlmostFull", "critical", instance, minutes),
            "/var is 96% full",
            "Delete archived WAL, then grow the volume",
        )
    };
    let latency = |instance| {
        annotated(
            alert("HighRequestLatency", "warning", instance, 55),
            "p99 is over 2 s for 10 minutes",
            "Look at the slowest route on the latency board, then drain that pod",
        )
    };
    vec![
        disk("db-1.fra.example.org:9100", 12),
        disk("db-2.fra.example.org:9100", 9),
        disk("db-5.ams.example.org:9100", 4),
        annotated(
            alert("PaymentQueueGrowing", "page", "queue-3:9419", 21),
            "12,000 payments wait, growing by 90 a second",
            "Restart the consumer group, payments are safe in the queue",
        ),
        latency("api-7f9c"),
        latency("api-2d41"),
        annotated(
            alert("CertificateExpiring", "info", "shop.example.org:443", 1_500),
            "The certificate of shop.example.org ends in 6 days",
            "Renew it by the job renew-certificates",
        ),
    ]
}

/// What was over before.
fn past() -> Vec<Alert> {
    let over = |name, severity, instance, minutes, seconds| {
        annotated(alert(name, severity, instance, minutes), "It is over", "Wait")
            .resolved_after(seconds)
    };
    vec![
        over("PodCrashLooping", "warning", "worker-1", 300, 840),
        over("PodCrashLooping", "warning", "worker-2", 290, 660),
        over("HighRequestLatency", "warning", "api-2d41", 620, 1_260),
        over("NodeNotReady", "critical", "node-12", 700, 240),
    ]
}

/// A runbook of the alert that matters, in Markdown.
pub fn runbook() -> Value {
    json!({
        "title": "Disk of a database is full", "category": "runbook", "severity": "critical",
        "tags": ["DiskAlmostFull", "postgres", "storage"],
        "description": "Write-ahead log that nobody archives **fills `/var`** until the database stops.\n\n\
            | Sign | Means |\n|---|---|\n| `pg_wal` grows | archiving is stuck |\n| `base` grows | data grows |\n\n\
            See [the board](https://boards.example.org/disk).",
        "solution": "Free space first, find the cause second.\n\n```sh\ndu -xsh /var/lib/postgresql/*\n```",
        "steps": ["Look which folder grows: `du -xsh /var/*`", "Remove archived WAL older than a day", "Grow the volume by 50 GB", "See that archiving works again"],
        "prerequisites": ["You may log in to the database's machine"],
        "expectedOutcome": "Usage below 80 % within ten minutes",
    })
}

impl Scene {
    /// The service with nothing in it.
    pub async fn empty() -> Self {
        let place = Place::sqlite();
        Self { service: place.spawn(&[]).await, _place: place }
    }

    /// In the middle of the night.
    pub async fn night() -> Self {
        let scene = Self::empty().await;
        scene.notify(past()).await;
        scene.notify(night()).await;
        let operator = scene.service.actors().operator();
        let entry = operator.write(&runbook()).await;
        let note = json!({ "text": "Last time the archive host was down: **check it first**." });
        let path = format!("/api/knowledge/entries/{}/notes", entry["id"].as_str().unwrap());
        operator.post(&path, &note).await.expect(200);
        operator.ask("how do I move the billing cluster to another region").await;
        scene
    }

    /// Alertmanager sends these.
    pub async fn notify(&self, alerts: impl IntoIterator<Item = Alert>) {
        let answer = self.service.alertmanager().notify(&payload(alerts)).await;
        assert_eq!(answer.expect(200).json()["status"], "ok");
    }
}
