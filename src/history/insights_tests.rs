//! Each rule, on a day made for it.

use super::*;
use std::sync::Arc;

use crate::model::{Consolidation, DayAlerts, DayMetrics, EntryText, Severity, Time};

const DAY_MS: i64 = 86_400_000;
const GAUGE: &str = "alerts_firing";

/// A day with nothing on it; what a test is about is set over it.
fn facts<'a>(
    entries: &'a [Entry],
    metrics: &'a BTreeMap<String, MetricDay>,
    before: &'a [Consolidation],
) -> DayFacts<'a> {
    DayFacts {
        date: "2026-11-23".into(),
        from: Time::from_millis(20 * DAY_MS),
        until: Time::from_millis(21 * DAY_MS),
        alerts: 0,
        issues: &[],
        metrics,
        entries,
        before,
    }
}

fn top(name: &str, count: u64, mean: Option<i64>) -> TopIssue {
    TopIssue {
        name: name.into(),
        count,
        resolved: mean.map_or(0, |_| count),
        mean_time_to_resolve_ms: mean,
        ..TopIssue::default()
    }
}

fn entry(title: &str, category: Category, day: i64) -> Entry {
    let at = Time::from_millis(day * DAY_MS);
    Entry::new(title.to_lowercase(), EntryText::new(title, category, Severity::High), at)
}

fn days(values: &[(u64, f64)]) -> Vec<Consolidation> {
    let day = |(n, (alerts, gauge)): (usize, &(u64, f64))| Consolidation {
        date: format!("2026-11-{:02}", n + 1),
        timestamp: Time::from_millis(n as i64 * DAY_MS),
        alerts: DayAlerts { total: *alerts, ..DayAlerts::default() },
        metrics: DayMetrics {
            total: 1,
            by_name: BTreeMap::from([
                (GAUGE.to_owned(), metric(*gauge)),
                ("requests_total".to_owned(), metric(*gauge)),
            ]),
        },
        summary: String::new(),
        insights: Vec::new(),
        recommendations: Vec::new(),
        kb_entries_generated: 0,
    };
    values.iter().enumerate().map(day).collect()
}

fn metric(avg: f64) -> MetricDay {
    MetricDay { count: 1, min: avg, max: avg, avg }
}

#[test]
fn what_fired_most_is_advised_on_only_when_it_dominates() {
    let metrics = BTreeMap::new();
    let quiet = DayFacts { alerts: 8, ..facts(&[], &metrics, &[]) };
    assert_eq!(fired_most(&quiet, &[]), None);
    let found = fired_most(&quiet, &[top("Disk", 8, None)]).unwrap();
    assert_eq!(found.insight, "Disk fired most: 8 of 8 alerts (100 %).");
    assert_eq!(found.recommendation, None);
    let busy = DayFacts { alerts: 40, ..quiet };
    let found = fired_most(&busy, &[top("Disk", 19, None)]).unwrap();
    assert_eq!(found.recommendation, None);
    assert!(fired_most(&busy, &[top("Disk", 20, None)]).unwrap().recommendation.is_some());
}

#[test]
fn a_day_is_busier_than_usual_only_beyond_three_deviations_of_a_week() {
    let metrics = BTreeMap::new();
    let week = days(&[(8, 0.0), (12, 0.0), (8, 0.0), (12, 0.0), (8, 0.0), (12, 0.0), (10, 0.0)]);
    let of =
        |alerts, before| busier_than_usual(&DayFacts { alerts, ..facts(&[], &metrics, before) });
    assert_eq!(of(15, &week), None);
    let found = of(16, &week).unwrap();
    assert_eq!(
        found.insight,
        "Busier than usual: 16 alerts, in the 7 days before 10 a day on average."
    );
    assert_eq!(of(0, &week), None, "quieter is no reason to worry");
    assert_eq!(of(100, &week[..6]), None, "six days tell nothing");
}

#[test]
fn new_patterns_are_those_first_seen_that_day_the_worst_first() {
    let mut entries = vec![
        entry("Old", Category::AlertPattern, 19),
        entry("B", Category::AlertPattern, 20),
        entry("A", Category::AlertPattern, 20),
        entry("Worst", Category::AlertPattern, 20),
        entry("Z", Category::AlertPattern, 20),
        entry("Next", Category::AlertPattern, 21),
        entry("How?", Category::Question, 20),
    ];
    Arc::make_mut(&mut entries[3].text).severity = Severity::Critical;
    Arc::make_mut(&mut entries[3].text).solution = "restart".into();
    let metrics = BTreeMap::new();
    let found = new_patterns(&facts(&entries, &metrics, &[])).unwrap();
    assert_eq!(found.insight, "Seen for the first time: Worst, A, B and 1 more.");
    assert_eq!(found.recommendation.unwrap(), "Write down what helps against A, B, Z.");
    assert_eq!(new_patterns(&facts(&entries[..1], &metrics, &[])), None);
}

#[test]
fn the_slowest_to_resolve_wants_a_runbook_unless_it_has_one() {
    let metrics = BTreeMap::new();
    let issues =
        [top("Fast", 5, Some(60_000)), top("Slow", 2, Some(7_500_000)), top("On", 9, None)];
    let found = resolved_slowest(&facts(&[], &metrics, &[]), &issues).unwrap();
    assert_eq!(found.insight, "Slow took longest to resolve: 2 h 5 min on average over 2.");
    assert!(found.recommendation.is_some());
    let mut known = entry("Slow", Category::AlertPattern, 1);
    Arc::make_mut(&mut known.text).runbook_url = Some("https://runbooks/slow".into());
    let found = resolved_slowest(&facts(&[known], &metrics, &[]), &issues).unwrap();
    assert_eq!(found.recommendation, None);
    let found = resolved_slowest(&facts(&[], &metrics, &[]), &issues[..1]).unwrap();
    assert_eq!(found.recommendation, None, "a minute is not slow");
    assert_eq!(resolved_slowest(&facts(&[], &metrics, &[]), &issues[2..]), None);
}

#[test]
fn open_questions_of_the_day_are_told_by_how_often_they_were_asked() {
    let mut entries = vec![
        entry("once", Category::Question, 20),
        entry("often", Category::Question, 20),
        entry("long ago", Category::Question, 10),
    ];
    for (entry, asked) in entries.iter_mut().zip([1, 7, 99]) {
        entry.summed_up.tally.occurrences = asked;
    }
    let metrics = BTreeMap::new();
    let found = asked_most(&facts(&entries, &metrics, &[])).unwrap();
    assert_eq!(
        found.insight,
        "Asked without an answer, and how often so far: “often” (7), “once” (1)."
    );
    assert_eq!(found.recommendation.unwrap(), "Add an entry that answers “often”.");
    assert_eq!(asked_most(&facts(&entries[2..], &metrics, &[])), None);
}

#[test]
fn a_metric_leaves_its_usual_range_up_or_down_and_counters_have_none() {
    let week = days(&[(0, 2.0), (0, 2.0), (0, 2.2), (0, 1.8), (0, 2.0), (0, 2.0), (0, 2.0)]);
    let of = |avg: f64| {
        let metrics =
            ["new", GAUGE, "requests_total"].map(|name| (name.to_owned(), metric(avg))).into();
        unusual_metrics(&facts(&[], &metrics, &week))
    };
    assert_eq!(of(2.3), [], "within three deviations of 0.107");
    let found = of(31.0);
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].insight,
        "alerts_firing was above its usual range: 31 on average, in the 7 days before 1.8 to 2.2."
    );
    assert!(of(0.0)[0].insight.contains("below its usual range: 0 on average"));
}

#[test]
fn a_value_that_never_varied_may_vary_by_a_tenth() {
    let week = days(&[(0, 10.0); 7]);
    let of = |avg: f64| {
        let metrics = BTreeMap::from([(GAUGE.to_owned(), metric(avg))]);
        unusual_metrics(&facts(&[], &metrics, &week)).len()
    };
    assert_eq!((of(10.9), of(11.1)), (0, 1));
}

#[test]
fn findings_keep_the_order_of_the_rules() {
    let entries = [entry("New", Category::AlertPattern, 20), entry("Q", Category::Question, 20)];
    let metrics = BTreeMap::new();
    let day = DayFacts { alerts: 1, ..facts(&entries, &metrics, &[]) };
    let insights: Vec<_> =
        findings(&day, &[top("New", 1, Some(5_000))]).into_iter().map(|f| f.insight).collect();
    let begins = ["New fired most", "Seen for", "New took longest to resolve: 5 s", "Asked"];
    assert_eq!(insights.len(), begins.len());
    for (insight, begin) in insights.iter().zip(begins) {
        assert!(insight.starts_with(begin), "{insight}");
    }
}

#[test]
fn figures_have_three_digits() {
    let figures = [0.0, 1234.0, 12.34, 0.001_234, -2.5].map(figure);
    assert_eq!(figures, ["0", "1234", "12.3", "0.00123", "-2.5"]);
}
