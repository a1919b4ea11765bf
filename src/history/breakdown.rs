//! The alerts of a period day by day, and which fired most: what a person looks at first.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use serde::Serialize;

use crate::{
    model::{DayAlerts, Time, severity_key},
    store::{AlertCounts, Issue},
};

/// Alert names of a breakdown at most.
const TOP_MOST: usize = 100;

/// The alerts that were first received on one local day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertDay {
    /// The day, `YYYY-MM-DD`.
    pub date: String,
    /// When it begins.
    #[schema(value_type = String)]
    pub timestamp: Time,
    /// How many.
    pub total: u64,
    /// The same by severity label.
    pub by_severity: BTreeMap<String, u64>,
}

/// The alerts of one name in a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopAlert {
    /// The label `alertname`.
    pub name: String,
    /// How many instances.
    pub count: u64,
    /// How many of them are resolved.
    pub resolved: u64,
    /// How long the resolved ones fired on average, in milliseconds, where that is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_time_to_resolve_ms: Option<i64>,
}

/// The alerts of a period, broken down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breakdown {
    /// Days on which there were any, the earliest first.
    pub days: Vec<AlertDay>,
    /// The most frequent first.
    pub top: Vec<TopAlert>,
}

/// What of a day that is summed up counts: all, or the alerts of one name.
pub fn of_day(day: &DayAlerts, name: Option<&str>) -> AlertCounts {
    let named = name.map(|name| day.of_name(name));
    let (total, by_severity) = match &named {
        Some(named) => (named.count, &named.by_severity),
        None => (day.total, &day.by_severity),
    };
    let mut counts = AlertCounts { total, ..AlertCounts::default() };
    for (severity, alerts) in by_severity {
        *counts.by_severity.entry(severity_key(severity).to_owned()).or_default() += alerts;
    }
    counts
}

/// Counts of alert names, from days that are summed up and from what is kept.
#[derive(Debug, Default)]
pub struct Names(HashMap<String, Tally>);

#[derive(Debug, Default)]
struct Tally {
    count: u64,
    resolved: u64,
    /// Of how many of the resolved it is known how long they fired, and for how long in all.
    timed: u64,
    fired_ms: i128,
}

impl Names {
    /// Counts a day that is summed up. How long alerts fired is kept of its top issues only.
    pub fn add_day(&mut self, day: &DayAlerts) {
        let known_by_issues = day.by_name.is_empty();
        for named in &day.by_name {
            let tally = self.0.entry(named.name.clone()).or_default();
            tally.count += named.count;
            tally.resolved += named.resolved;
        }
        for issue in &day.top_issues {
            let tally = self.0.entry(issue.name.clone()).or_default();
            if known_by_issues {
                tally.count += issue.count;
                tally.resolved += issue.resolved;
            }
            if let Some(mean) = issue.mean_time_to_resolve_ms {
                tally.timed += issue.resolved;
                tally.fired_ms += i128::from(mean) * i128::from(issue.resolved);
            }
        }
    }

    /// Counts alerts that are kept.
    pub fn add_issues(&mut self, issues: Vec<Issue>) {
        for issue in issues {
            let tally = self.0.entry(issue.name).or_default();
            tally.count += issue.count;
            tally.resolved += issue.resolved;
            tally.timed += issue.resolved;
            tally.fired_ms += i128::from(issue.resolve_ms);
        }
    }

    /// The most frequent names, or the one that is asked for.
    pub fn top(self, name: Option<&str>) -> Vec<TopAlert> {
        let wanted = |known: &String| name.is_none_or(|name| known == name);
        let named = self.0.into_iter().filter(|(known, _)| wanted(known));
        let mut top: Vec<TopAlert> = named.map(|(name, tally)| tally.of(name)).collect();
        top.sort_by(|a, b| (Reverse(a.count), &a.name).cmp(&(Reverse(b.count), &b.name)));
        top.truncate(TOP_MOST);
        top
    }
}

impl Tally {
    fn of(self, name: String) -> TopAlert {
        let mean = self.fired_ms.checked_div(i128::from(self.timed));
        TopAlert {
            name,
            count: self.count,
            resolved: self.resolved,
            mean_time_to_resolve_ms: mean.and_then(|mean| i64::try_from(mean).ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DayName, TopIssue};

    fn issue(name: &str, count: u64, resolved: u64, mean: i64) -> Issue {
        let (name, resolve_ms) = (name.to_owned(), mean * resolved as i64);
        Issue { name, count, resolved, resolve_ms, ..Issue::default() }
    }

    #[test]
    fn the_mean_time_is_of_the_alerts_whose_time_is_known() {
        let day = DayAlerts {
            by_name: vec![
                DayName { name: "Disk".into(), count: 6, resolved: 4, ..DayName::default() },
                DayName { name: "Rare".into(), count: 1, resolved: 1, ..DayName::default() },
            ],
            top_issues: vec![TopIssue {
                name: "Disk".into(),
                count: 6,
                resolved: 4,
                mean_time_to_resolve_ms: Some(100),
                ..TopIssue::default()
            }],
            ..DayAlerts::default()
        };
        let mut names = Names::default();
        names.add_day(&day);
        names.add_issues(vec![issue("Disk", 3, 1, 600), issue("New", 6, 0, 0)]);
        let top = names.top(None);
        let rows: Vec<_> =
            top.iter().map(|t| (t.name.as_str(), t.count, t.mean_time_to_resolve_ms)).collect();
        assert_eq!(rows, [("Disk", 9, Some(200)), ("New", 6, None), ("Rare", 1, None)]);
    }

    #[test]
    fn a_day_from_before_names_were_kept_counts_by_its_issues() {
        let issue = TopIssue { name: "Disk".into(), count: 5, resolved: 2, ..TopIssue::default() };
        let day = DayAlerts { total: 7, top_issues: vec![issue], ..DayAlerts::default() };
        let mut names = Names::default();
        names.add_day(&day);
        assert_eq!((names.top(Some("Disk"))[0].count, of_day(&day, None).total), (5, 7));
        assert_eq!(of_day(&day, Some("Disk")).total, 5);
    }
}
