//! What is kept of a day when its single alerts were deleted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Time, severity_key};

/// One day summed up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Consolidation {
    /// The local day, `YYYY-MM-DD`; there is one consolidation a day.
    pub date: String,
    /// When the day ended: the first instant that is not of it.
    pub timestamp: Time,
    /// Its alerts.
    pub alerts: DayAlerts,
    /// Its metric samples.
    pub metrics: DayMetrics,
    /// The day in a sentence.
    #[serde(default)]
    pub summary: String,
    /// What was remarkable, one sentence each.
    #[serde(default)]
    pub insights: Vec<String>,
    /// What to do about it, one sentence each.
    #[serde(default)]
    pub recommendations: Vec<String>,
    /// Entries that the knowledge base gained.
    #[serde(default)]
    pub kb_entries_generated: u64,
}

/// The alerts of a day: those that were first received on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DayAlerts {
    /// All.
    pub total: u64,
    /// The same by severity label.
    pub by_severity: BTreeMap<String, u64>,
    /// What fired most, the most frequent first.
    pub top_issues: Vec<TopIssue>,
    /// The same by alert name, the most frequent first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_name: Vec<DayName>,
}

/// The alerts of one name on one day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DayName {
    /// The label `alertname`.
    pub name: String,
    /// How many instances.
    pub count: u64,
    /// How many of them were resolved when the day was summed up.
    pub resolved: u64,
    /// All by severity label.
    pub by_severity: BTreeMap<String, u64>,
}

impl DayAlerts {
    /// The alerts of one name; of a day that was summed up before names were, those of its top
    /// issues.
    pub fn of_name(&self, name: &str) -> DayName {
        if let Some(day) = self.by_name.iter().find(|day| day.name == name) {
            return day.clone();
        }
        let mut day = DayName { name: name.to_owned(), ..DayName::default() };
        let known_by_issues = self.by_name.is_empty();
        for issue in self.top_issues.iter().filter(|issue| known_by_issues && issue.name == name) {
            day.count += issue.count;
            day.resolved += issue.resolved;
            *day.by_severity.entry(severity_key(&issue.severity).to_owned()).or_default() +=
                issue.count;
        }
        day
    }
}

/// Alerts of one name and cause.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopIssue {
    /// The label `alertname`.
    pub name: String,
    /// The label `cause`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The highest severity label among them.
    pub severity: String,
    /// How many instances.
    pub count: u64,
    /// How many of them were resolved when the day was summed up.
    pub resolved: u64,
    /// How long the resolved ones fired on average, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_time_to_resolve_ms: Option<i64>,
}

/// The samples of a day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DayMetrics {
    /// All.
    pub total: u64,
    /// The same by name.
    pub by_name: BTreeMap<String, MetricDay>,
}

/// The samples of one name on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MetricDay {
    /// How many.
    pub count: u64,
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// Their mean.
    pub avg: f64,
}

/// The consolidation in `document`; `None` if it does not say its day.
///
/// Whatever else is missing or of another shape, as in a database of the old orchestrator, is
/// taken to be empty. `date` may be a day or a time, `timestamp` defaults to the end of the UTC
/// day.
pub fn consolidation_from_json(document: &Value) -> Option<Consolidation> {
    if let Ok(consolidation) = serde_json::from_value(document.clone()) {
        return Some(consolidation);
    }
    let fields = document.as_object()?;
    let date = fields.get("date")?.as_str()?.get(..10)?.to_owned();
    let day_end = Time::parse(&format!("{date}T00:00:00Z"))?.plus_millis(86_400_000);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let texts = |name: &str| {
        let list = fields.get(name).and_then(Value::as_array);
        list.map(|list| list.iter().filter_map(text).collect()).unwrap_or_default()
    };
    let alerts = fields.get("alerts");
    let total = |value: Option<&Value>| {
        value.and_then(|value| value.get("total")).and_then(Value::as_u64).unwrap_or(0)
    };
    let by_severity = alerts.and_then(|alerts| alerts.get("bySeverity")).and_then(Value::as_object);
    let by_severity = by_severity.map(|counts| {
        counts.iter().filter_map(|(name, n)| Some((name.clone(), n.as_u64()?))).collect()
    });
    Some(Consolidation {
        date,
        timestamp: fields
            .get("timestamp")
            .and_then(Value::as_str)
            .and_then(Time::parse)
            .unwrap_or(day_end),
        alerts: DayAlerts {
            total: total(alerts),
            by_severity: by_severity.unwrap_or_default(),
            top_issues: Vec::new(),
            by_name: Vec::new(),
        },
        metrics: DayMetrics { total: total(fields.get("metrics")), by_name: BTreeMap::new() },
        summary: fields.get("summary").and_then(text).unwrap_or_default(),
        insights: texts("insights"),
        recommendations: texts("recommendations"),
        kb_entries_generated: fields.get("kbEntriesGenerated").and_then(Value::as_u64).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_consolidation_of_the_old_orchestrator_is_read() {
        let old = json!({
            "date": "2026-02-01T00:00:00.000Z", "alerts": {"total": 7, "bySeverity": {"page": 7},
            "topIssues": ["disk"]}, "metrics": {"total": 3, "averages": []}, "insights": ["a", 1],
        });
        let read = consolidation_from_json(&old).unwrap();
        assert_eq!(
            (read.date.as_str(), read.alerts.total, read.metrics.total),
            ("2026-02-01", 7, 3)
        );
        assert_eq!(read.timestamp, Time::parse("2026-02-02T00:00:00Z").unwrap());
        assert_eq!(read.insights, ["a"]);
        assert_eq!(consolidation_from_json(&json!({"alerts": {}})), None);
    }
}
