//! Alerts of the usual size, as a store keeps them.

use orchestrator::model::{Alert, Status, TextMap, Time, pattern_id};

/// An alert as Prometheus sends it, last received at `at`.
pub fn stored_alert(n: u64, at: Time) -> Alert {
    let text = |name: &str, value: String| (name.to_owned(), value);
    Alert {
        fingerprint: format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        starts_at: at.plus_millis(-60_000),
        name: format!("HighErrorRate{}", n % 50),
        cause: None,
        entry_id: pattern_id(&format!("HighErrorRate{}", n % 50), ""),
        severity: ["critical", "warning", "info"][(n % 3) as usize].to_owned(),
        status: if n.is_multiple_of(10) { Status::Firing } else { Status::Resolved },
        message: format!("Error rate of node{n} is above 5 % for 10 minutes"),
        timestamp: at,
        first_received: at,
        changed_at: at,
        resolved_at: (!n.is_multiple_of(10)).then_some(at),
        duration: (!n.is_multiple_of(10)).then_some(60_000),
        labels: TextMap::from([
            text("alertname", format!("HighErrorRate{}", n % 50)),
            text("instance", format!("node{n}.example.org:9100")),
            text("job", "api".into()),
            text("severity", "warning".into()),
            text("cluster", "eu-central-1".into()),
        ]),
        annotations: TextMap::from([
            text("summary", format!("Error rate of node{n} is above 5 %")),
            text("runbook_url", "https://runbooks.example.org/high-error-rate".into()),
        ]),
        generator_url: Some("http://prometheus.example.org:9090/graph?g0.expr=errors".into()),
        receiver: Some("orchestrator".into()),
        carried: None,
    }
}
