//! A day summed up in one document, from what is known of it.
//!
//! Pure: the same facts give the same document. An alert is of the day of its first receipt and
//! of no other, so that consolidations can be added up.

use std::{cmp::Reverse, collections::BTreeMap};

use super::insights::{self, findings, severities, title};
use crate::{
    model::{
        Category, Consolidation, DayAlerts, DayMetrics, DayName, Entry, MetricDay, Severity, Time,
        TopIssue, severity_key,
    },
    store::Issue,
};

/// Issues that a consolidation names.
const TOP_ISSUES: usize = 10;

/// Alert names of which a consolidation keeps the counts, the most frequent ones.
const NAMES: usize = 1_000;

/// What is known of a day.
#[derive(Clone, Debug)]
pub struct DayFacts<'a> {
    /// `YYYY-MM-DD`.
    pub date: String,
    /// Its first instant.
    pub from: Time,
    /// The first instant after it.
    pub until: Time,
    /// How many alerts were first received on it.
    pub alerts: u64,
    /// The same by name, cause and severity.
    pub issues: &'a [Issue],
    /// Its samples.
    pub metrics: &'a BTreeMap<String, MetricDay>,
    /// All entries of the knowledge base.
    pub entries: &'a [Entry],
    /// The days before it, at most [`insights::USUAL_DAYS`].
    pub before: &'a [Consolidation],
}

impl DayFacts<'_> {
    /// Whether `time` is of this day.
    pub fn contains(&self, time: Time) -> bool {
        self.from <= time && time < self.until
    }

    /// Entries first seen on this day; open questions are not knowledge yet.
    pub fn new_entries(&self) -> impl Iterator<Item = &Entry> {
        let known = self.entries.iter().filter(|entry| entry.category != Category::Question);
        known.filter(|entry| self.contains(entry.first_seen))
    }
}

/// Sums up a day.
pub fn consolidate(facts: &DayFacts<'_>) -> Consolidation {
    let issues = by_name_and_cause(facts.issues);
    let mut by_severity = BTreeMap::new();
    for issue in facts.issues {
        *by_severity.entry(severity_key(&issue.severity).to_owned()).or_default() += issue.count;
    }
    let findings = findings(facts, &issues);
    let kb_entries_generated = facts.new_entries().count() as u64;
    let summary = summary(facts, &by_severity, &issues, kb_entries_generated);
    let metrics = DayMetrics {
        total: facts.metrics.values().map(|day| day.count).sum(),
        by_name: facts.metrics.clone(),
    };
    Consolidation {
        date: facts.date.clone(),
        timestamp: facts.until,
        alerts: DayAlerts {
            total: facts.alerts,
            by_severity,
            top_issues: issues.into_iter().take(TOP_ISSUES).collect(),
            by_name: by_name(facts.issues),
        },
        metrics,
        summary,
        insights: findings.iter().map(|finding| finding.insight.clone()).collect(),
        recommendations: findings.into_iter().filter_map(|f| f.recommendation).collect(),
        kb_entries_generated,
    }
}

fn by_name(issues: &[Issue]) -> Vec<DayName> {
    let mut names: BTreeMap<&str, DayName> = BTreeMap::new();
    for issue in issues {
        let day = names.entry(&issue.name).or_default();
        day.name.clone_from(&issue.name);
        day.count += issue.count;
        day.resolved += issue.resolved;
        *day.by_severity.entry(severity_key(&issue.severity).to_owned()).or_default() +=
            issue.count;
    }
    let mut names: Vec<DayName> = names.into_values().collect();
    names.sort_by_key(|day| Reverse(day.count));
    names.truncate(NAMES);
    names
}

/// The most frequent first; of equals the one whose name comes first.
fn by_name_and_cause(issues: &[Issue]) -> Vec<TopIssue> {
    let mut groups: BTreeMap<(&str, &str), Vec<&Issue>> = BTreeMap::new();
    for issue in issues {
        groups.entry((&issue.name, &issue.cause)).or_default().push(issue);
    }
    let mut top: Vec<TopIssue> =
        groups.into_values().filter_map(|group| top_issue(&group)).collect();
    top.sort_by_key(|issue| Reverse(issue.count));
    top
}

fn top_issue(group: &[&Issue]) -> Option<TopIssue> {
    let worst = group.iter().max_by_key(|issue| {
        (Severity::of_alert(&issue.severity), issue.count, Reverse(&issue.severity))
    })?;
    let resolved: u64 = group.iter().map(|issue| issue.resolved).sum();
    let resolve_ms = group.iter().fold(0i64, |sum, issue| sum.saturating_add(issue.resolve_ms));
    Some(TopIssue {
        name: worst.name.clone(),
        cause: Some(worst.cause.clone()).filter(|cause| !cause.is_empty()),
        severity: worst.severity.clone(),
        count: group.iter().map(|issue| issue.count).sum(),
        resolved,
        mean_time_to_resolve_ms: i64::try_from(resolved)
            .ok()
            .filter(|resolved| *resolved > 0)
            .map(|resolved| resolve_ms / resolved),
    })
}

fn summary(
    facts: &DayFacts<'_>,
    by_severity: &BTreeMap<String, u64>,
    issues: &[TopIssue],
    new_entries: u64,
) -> String {
    let date = &facts.date;
    let Some(top) = issues.first() else {
        return format!("{date}: no alerts, {new_entries} new entries.");
    };
    let resolved: u64 = issues.iter().map(|issue| issue.resolved).sum();
    format!(
        "{date}: {} alerts ({}), {resolved} of them resolved, most often {} ({}); {new_entries} \
         new entries.",
        facts.alerts,
        severities(by_severity),
        title(&top.name, top.cause.as_deref()),
        top.count,
    )
}

/// The last days that show what is usual.
pub fn usual_days(before: &[Consolidation]) -> &[Consolidation] {
    &before[before.len().saturating_sub(insights::USUAL_DAYS)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(name: &str, cause: &str, severity: &str, count: u64) -> Issue {
        Issue {
            name: name.into(),
            cause: cause.into(),
            severity: severity.into(),
            count,
            resolved: count / 2,
            resolve_ms: 60_000 * (count / 2) as i64,
        }
    }

    #[test]
    fn issues_of_one_name_and_cause_are_one_under_the_highest_severity() {
        let issues = [
            issue("Disk", "", "warning", 4),
            issue("Disk", "", "critical", 2),
            issue("Disk", "logs", "warning", 5),
            issue("Net", "", "page", 6),
        ];
        let metrics = BTreeMap::from([(
            "alerts_firing".to_owned(),
            MetricDay { count: 3, min: 0.0, max: 2.0, avg: 1.0 },
        )]);
        let facts = DayFacts {
            date: "2026-11-23".into(),
            from: Time::from_millis(0),
            until: Time::from_millis(86_400_000),
            alerts: 17,
            issues: &issues,
            metrics: &metrics,
            entries: &[],
            before: &[],
        };
        let day = consolidate(&facts);
        assert_eq!(day, consolidate(&facts), "the same facts, the same document");
        let top: Vec<_> =
            day.alerts.top_issues.iter().map(|t| (t.name.as_str(), t.count)).collect();
        assert_eq!(top, [("Disk", 6), ("Net", 6), ("Disk", 5)]);
        assert_eq!(day.alerts.top_issues[0].severity, "critical");
        assert_eq!(day.alerts.top_issues[0].mean_time_to_resolve_ms, Some(60_000));
        assert_eq!(day.alerts.by_severity["warning"], 9);
        assert_eq!((day.metrics.total, day.timestamp), (3, facts.until));
        assert_eq!(
            day.summary,
            "2026-11-23: 17 alerts (9 warning, 6 page, 2 critical), 8 of them resolved, most \
             often Disk (6); 0 new entries."
        );
    }
}
