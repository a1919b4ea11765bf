//! Alertmanager's payloads, as its version 0.25 sends them.

use serde_json::{Map, Value, json};

/// An alert of a payload, to be changed before it is sent.
#[derive(Clone)]
pub struct Alert(pub Map<String, Value>);

pub const START: &str = "2026-11-24T07:00:27.468043282Z";

impl Alert {
    /// A firing alert of this name on this instance.
    pub fn firing(name: &str, instance: &str) -> Self {
        let Value::Object(fields) = json!({
            "status": "firing",
            "labels": {
                "agent": "summarization-agent", "alertname": name, "cause": "timeout",
                "instance": instance, "job": "orchestrator", "severity": "critical",
            },
            "annotations": {
                "description": format!("Error rate is 7.1% on {instance}"),
                "runbook_url": "https://runbooks.example.org/high-error-rate",
                "summary": "High error rate detected (> 5%)",
                "solution": "Restart the agent and look at its queue.",
            },
            "startsAt": START,
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example.org:9090/graph?g0.expr=up",
        }) else {
            unreachable!()
        };
        Self(fields)
    }

    /// The same, over after `seconds`.
    pub fn resolved_after(self, seconds: i64) -> Self {
        let start: jiff::Timestamp = self.0["startsAt"].as_str().unwrap().parse().unwrap();
        let end = start + jiff::SignedDuration::from_secs(seconds);
        self.with("status", json!("resolved")).with("endsAt", json!(end.to_string()))
    }

    /// With another field.
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.0.insert(name.into(), value);
        self
    }

    /// Without a field.
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// Without a label.
    pub fn without_label(mut self, name: &str) -> Self {
        if let Some(labels) = self.0["labels"].as_object_mut() {
            labels.remove(name);
        }
        self
    }

    /// With another label.
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.0["labels"][name] = json!(value);
        self
    }
}

/// The notification of one group.
pub fn payload(alerts: impl IntoIterator<Item = Alert>) -> Value {
    let alerts: Vec<Value> = alerts.into_iter().map(|alert| Value::Object(alert.0)).collect();
    json!({
        "receiver": "orchestrator", "status": "firing", "alerts": alerts,
        "groupLabels": {"alertname": "HighErrorRate"}, "commonLabels": {"job": "orchestrator"},
        "commonAnnotations": {}, "externalURL": "http://alertmanager.example.org:9093",
        "version": "4", "groupKey": "{}:{alertname=\"HighErrorRate\"}", "truncatedAlerts": 0,
    })
}
