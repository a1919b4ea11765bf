//! What was remarkable about a day. Each rule is a function with a name and says something that
//! can be checked against the data; no rule reads a clock.

use std::{cmp::Reverse, collections::BTreeMap};

use super::consolidation::DayFacts;
use crate::model::{Category, Entry, MetricDay, TopIssue};

/// A remarkable thing, and what to do about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// What is so.
    pub insight: String,
    /// What to do, where there is something to do.
    pub recommendation: Option<String>,
}

/// Days that show what is usual, and how many it takes.
pub const USUAL_DAYS: usize = 14;
const USUAL_DAYS_LEAST: usize = 7;
/// A value is unusual that many standard deviations away from the mean…
const DEVIATIONS: f64 = 3.0;
/// …and at least this part of the mean, so that a value that never varies may vary a little.
const LEAST_CHANGE: f64 = 0.1;
/// One issue dominates a day of at least this many alerts with at least this share of them.
const DOMINANT_FROM: u64 = 10;
const DOMINANT_PERCENT: u64 = 50;
/// Resolving is slow from one hour on.
const SLOW_MS: i64 = 3_600_000;
/// Names that one sentence lists.
const NAMED: usize = 3;

/// All rules, in the order in which their findings are told.
pub fn findings(facts: &DayFacts<'_>, issues: &[TopIssue]) -> Vec<Finding> {
    let single = [
        fired_most(facts, issues),
        busier_than_usual(facts),
        new_patterns(facts),
        resolved_slowest(facts, issues),
        asked_most(facts),
    ];
    single.into_iter().flatten().chain(unusual_metrics(facts)).collect()
}

/// What fired most; advice if it is at least half of ten or more alerts.
pub fn fired_most(facts: &DayFacts<'_>, issues: &[TopIssue]) -> Option<Finding> {
    let top = issues.first()?;
    let percent = top.count * 100 / facts.alerts.max(1);
    let name = title(&top.name, top.cause.as_deref());
    let dominant = facts.alerts >= DOMINANT_FROM && percent >= DOMINANT_PERCENT;
    Some(Finding {
        insight: format!(
            "{name} fired most: {} of {} alerts ({percent} %).",
            top.count, facts.alerts
        ),
        recommendation: dominant.then(|| {
            format!("Look at {name} first: fix its cause, or its rule if it fires without need.")
        }),
    })
}

/// The day's alerts lie above the usual range of the days before.
pub fn busier_than_usual(facts: &DayFacts<'_>) -> Option<Finding> {
    let usual = usual(facts.before.iter().map(|day| day.alerts.total as f64))?;
    let today = facts.alerts as f64;
    (today > usual.mean && usual.excludes(today)).then(|| Finding {
        insight: format!(
            "Busier than usual: {} alerts, in the {} days before {:.0} a day on average.",
            facts.alerts, usual.days, usual.mean
        ),
        recommendation: None,
    })
}

/// Patterns that the knowledge base had not known; advice for those without a solution.
pub fn new_patterns(facts: &DayFacts<'_>) -> Option<Finding> {
    let mut new: Vec<&Entry> =
        facts.new_entries().filter(|entry| entry.category == Category::AlertPattern).collect();
    new.sort_by(|a, b| (Reverse(a.severity), &a.title).cmp(&(Reverse(b.severity), &b.title)));
    if new.is_empty() {
        return None;
    }
    let helpless: Vec<_> = new.iter().copied().filter(|entry| !helps(entry)).collect();
    let titles = |entries: &[&Entry]| list(entries.iter().map(|entry| entry.title.as_str()));
    Some(Finding {
        insight: format!("Seen for the first time: {}.", titles(&new)),
        recommendation: (!helpless.is_empty())
            .then(|| format!("Write down what helps against {}.", titles(&helpless))),
    })
}

/// What took longest on average until it was resolved; advice from one hour on.
pub fn resolved_slowest(facts: &DayFacts<'_>, issues: &[TopIssue]) -> Option<Finding> {
    let mean = |issue: &&TopIssue| issue.mean_time_to_resolve_ms;
    let slowest = issues.iter().filter(|issue| mean(issue).is_some()).max_by_key(mean)?;
    let ms = slowest.mean_time_to_resolve_ms.filter(|ms| *ms > 0)?;
    let name = title(&slowest.name, slowest.cause.as_deref());
    let known = facts.entries.iter().any(|entry| entry.title == name && helps(entry));
    Some(Finding {
        insight: format!(
            "{name} took longest to resolve: {} on average over {}.",
            duration(ms),
            slowest.resolved
        ),
        recommendation: (ms >= SLOW_MS && !known)
            .then(|| format!("Give {name} a runbook: nothing says yet what helps.")),
    })
}

/// Open questions that were asked that day, the most asked first.
pub fn asked_most(facts: &DayFacts<'_>) -> Option<Finding> {
    let mut open: Vec<&Entry> = facts
        .entries
        .iter()
        .filter(|entry| {
            entry.category == Category::Question && facts.contains(entry.last_updated())
        })
        .collect();
    open.sort_by(|a, b| {
        (Reverse(a.occurrences()), &a.title).cmp(&(Reverse(b.occurrences()), &b.title))
    });
    let most = open.first()?;
    let asked = open.iter().take(NAMED);
    let asked: Vec<_> = asked.map(|q| format!("“{}” ({})", q.title, q.occurrences())).collect();
    Some(Finding {
        insight: format!("Asked without an answer, and how often so far: {}.", asked.join(", ")),
        recommendation: Some(format!("Add an entry that answers “{}”.", most.title)),
    })
}

/// Metrics whose average left the usual range of their daily averages. Counters only ever grow
/// and have no usual range.
pub fn unusual_metrics(facts: &DayFacts<'_>) -> Vec<Finding> {
    let gauges = facts.metrics.iter().filter(|(name, _)| !name.ends_with("_total"));
    gauges.filter_map(|(name, today)| unusual_metric(facts, name, today)).collect()
}

fn unusual_metric(facts: &DayFacts<'_>, name: &str, today: &MetricDay) -> Option<Finding> {
    let days = facts.before.iter().filter_map(|day| day.metrics.by_name.get(name));
    let usual = usual(days.map(|day| day.avg))?;
    let side = if today.avg > usual.mean { "above" } else { "below" };
    usual.excludes(today.avg).then(|| Finding {
        insight: format!(
            "{name} was {side} its usual range: {} on average, in the {} days before {} to {}.",
            figure(today.avg),
            usual.days,
            figure(usual.least),
            figure(usual.greatest),
        ),
        recommendation: Some(format!("Find out what changed {name}.")),
    })
}

/// What a value was like on the days before.
struct Usual {
    days: usize,
    mean: f64,
    deviation: f64,
    least: f64,
    greatest: f64,
}

/// `None` with fewer than seven days.
fn usual(values: impl Iterator<Item = f64>) -> Option<Usual> {
    let values: Vec<f64> = values.collect();
    if values.len() < USUAL_DAYS_LEAST {
        return None;
    }
    let days = values.len() as f64;
    let mean = values.iter().sum::<f64>() / days;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / days;
    Some(Usual {
        days: values.len(),
        mean,
        deviation: variance.sqrt(),
        least: values.iter().copied().fold(f64::INFINITY, f64::min),
        greatest: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    })
}

impl Usual {
    fn excludes(&self, value: f64) -> bool {
        let distance = (value - self.mean).abs();
        distance > DEVIATIONS * self.deviation && distance > LEAST_CHANGE * self.mean.abs()
    }
}

fn helps(entry: &Entry) -> bool {
    !entry.solution.trim().is_empty() || !entry.steps.is_empty() || entry.runbook_url.is_some()
}

/// The title of the entry that alerts of this name and cause teach.
pub fn title(name: &str, cause: Option<&str>) -> String {
    match cause {
        Some(cause) => format!("{name}: {cause}"),
        None => name.to_owned(),
    }
}

fn list<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(NAMED);
    let named: Vec<_> = names.take(NAMED).collect();
    match more {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// In its two largest units.
fn duration(ms: i64) -> String {
    let seconds = ms / 1000;
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, h, _, _) => format!("{d} d {h} h"),
    }
}

/// Three significant digits are enough for a sentence.
fn figure(value: f64) -> String {
    let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    let decimals = usize::try_from(2 - magnitude).unwrap_or(0).min(9);
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// How many of each severity, the most first.
pub fn severities(by_severity: &BTreeMap<String, u64>) -> String {
    let mut counts: Vec<_> = by_severity.iter().collect();
    counts.sort_by_key(|(name, count)| (Reverse(**count), *name));
    counts.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "insights_tests.rs"]
mod tests;
