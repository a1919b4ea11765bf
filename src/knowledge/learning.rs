//! What alerts teach: which pattern they are of, and how its counters change.

use std::{collections::HashMap, sync::Arc};

use sha2::{Digest, Sha256};

use crate::model::{
    AlertState, Category, Entry, Learning, Provenance, ReceivedAlert, Recorded, SourceType, Status,
};

/// Labels whose values say what a pattern is about and of which there are few; a label such as
/// `instance` or `pod` would make an entry grow with every machine.
const TAG_LABELS: [&str; 9] =
    ["alertname", "cause", "job", "service", "component", "team", "namespace", "cluster", "agent"];
const MAX_TAG_CHARS: usize = 50;
/// Annotations in which rule authors write what helps, the usual one first.
const SOLUTION_ANNOTATIONS: [&str; 5] =
    ["solution", "resolution", "mitigation", "remediation", "action"];

/// The id of the pattern that alerts of this name and cause belong to.
pub fn pattern_id(alertname: &str, cause: &str) -> String {
    let digest = Sha256::new().chain_update(alertname).chain_update([0]).chain_update(cause);
    format!("kb-alert-{}", hex::encode(&digest.finalize()[..8]))
}

/// What recording a group taught, one [`Learning`] an entry; repeats teach nothing.
pub fn learn_from_alerts(group: &[ReceivedAlert], outcomes: &[Recorded]) -> Vec<Learning> {
    let mut learnings: HashMap<(&str, &str), Learning> = HashMap::new();
    for (alert, recorded) in group.iter().zip(outcomes) {
        if recorded.before == Some(recorded.after) {
            continue;
        }
        let cause = alert.cause.as_deref().unwrap_or_default();
        let learning = learnings
            .entry((alert.name.as_str(), cause))
            .or_insert_with(|| Learning::none(Arc::new(pattern(alert, cause))));
        count(learning, alert, recorded);
    }
    let mut learnings: Vec<_> = learnings.into_values().collect();
    // One order for all writers, so that two transactions cannot wait for each other in a ring.
    learnings.sort_by(|a, b| a.seed.id.cmp(&b.seed.id));
    learnings
}

fn count(learning: &mut Learning, alert: &ReceivedAlert, recorded: &Recorded) {
    let resolved = |state: AlertState| i64::from(state.status == Status::Resolved);
    let firing = |state: AlertState| i64::from(state.status == Status::Firing);
    let duration = |state: AlertState| state.duration.unwrap_or(0);
    let step = |measure: fn(AlertState) -> i64| {
        measure(recorded.after) - recorded.before.map_or(0, measure)
    };
    learning.occurrences += i64::from(recorded.before.is_none());
    learning.resolutions += step(resolved);
    learning.firing += step(firing);
    learning.resolve_ms += step(duration);
    learning.severity = learning.severity.max(alert.entry_severity);
    learning.seen = learning.seen.max(alert.received_at);
}

/// The entry as the first alert of its kind makes it; its counters are still zero.
fn pattern(alert: &ReceivedAlert, cause: &str) -> Entry {
    let id = pattern_id(&alert.name, cause);
    let title = match cause {
        "" => alert.name.clone(),
        cause => format!("{}: {cause}", alert.name),
    };
    let annotation = |names: &[&str]| {
        let found = names.iter().find_map(|name| alert.annotations.get(*name));
        found.filter(|text| !text.trim().is_empty()).cloned()
    };
    let evidence_date = alert.received_at.to_string().get(..10).map(str::to_owned);
    Entry {
        description: annotation(&["description", "summary", "message"]).unwrap_or_default(),
        root_cause: Some(cause.to_owned()).filter(|cause| !cause.is_empty()),
        solution: annotation(&SOLUTION_ANNOTATIONS).unwrap_or_default(),
        runbook_url: annotation(&["runbook_url", "runbook"]),
        tags: tags(alert),
        provenance: Provenance {
            source_type: SourceType::AlertPattern,
            source_model: "alertmanager".into(),
            derived_from: vec![alert.fingerprint.clone()],
            evidence_date,
        },
        firing: Some(0),
        ..Entry::new(id, title, Category::AlertPattern, alert.entry_severity, alert.received_at)
    }
}

fn tags(alert: &ReceivedAlert) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for name in TAG_LABELS {
        let Some(value) = alert.labels.get(name) else { continue };
        let fits = !value.is_empty() && value.chars().count() <= MAX_TAG_CHARS;
        if fits && !tags.contains(value) {
            tags.push(value.clone());
        }
    }
    tags
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        model::{Severity, Time},
        store::recording::fold,
    };

    fn alert(n: u8, status: Status, at: i64) -> ReceivedAlert {
        ReceivedAlert {
            fingerprint: format!("{n}"),
            starts_at: Some(Time::from_millis(0)),
            ends_at: Some(Time::from_millis(at)).filter(|_| status == Status::Resolved),
            status,
            name: "HighErrorRate".into(),
            cause: None,
            severity: "warning".into(),
            entry_severity: Severity::Medium,
            message: String::new(),
            labels: [("instance".to_owned(), format!("node{n}"))].into(),
            annotations: [].into(),
            generator_url: None,
            receiver: None,
            received_at: Time::from_millis(at),
        }
    }

    fn learned(groups: &[Vec<ReceivedAlert>]) -> Entry {
        let mut stored = Vec::new();
        let mut entry = None;
        for group in groups {
            let fold = fold(stored.clone(), group);
            for learning in learn_from_alerts(group, &fold.outcomes) {
                learning.apply_to(entry.get_or_insert_with(|| Entry::clone(&learning.seed)));
            }
            for write in fold.writes {
                use crate::store::recording::Write::{Insert, Replace, Touch};
                match write {
                    Insert(alert) | Replace(alert) => {
                        stored.retain(|old: &crate::model::Alert| old.key() != alert.key());
                        stored.push(alert);
                    }
                    Touch(..) => {}
                }
            }
        }
        entry.unwrap()
    }

    #[test]
    fn a_repeated_alert_is_counted_once_and_a_reopened_one_is_firing_again() {
        use Status::{Firing, Resolved};
        let entry = learned(&[
            vec![alert(1, Firing, 10), alert(2, Firing, 10)],
            vec![alert(1, Firing, 20)],
            vec![alert(1, Resolved, 30)],
            vec![alert(1, Resolved, 30), alert(1, Firing, 40)],
        ]);
        assert_eq!((entry.occurrences, entry.firing, entry.resolutions), (2, Some(2), 0));
        assert_eq!(entry.tags, Vec::<String>::new());
        let entry = learned(&[
            vec![alert(1, Firing, 10), alert(1, Resolved, 30)],
            vec![alert(2, Resolved, 50)],
        ]);
        assert_eq!((entry.success_rate, entry.mean_time_to_resolve_ms), (Some(1.0), Some(40)));
    }

    proptest! {
        /// However notifications are cut into groups, the same is learned.
        #[test]
        fn grouping_changes_nothing(
            steps in prop::collection::vec((0u8..4, any::<bool>()), 1..40),
            cuts in prop::collection::vec(any::<bool>(), 40),
        ) {
            let alerts: Vec<_> = steps.iter().enumerate().map(|(i, (n, firing))| {
                let status = if *firing { Status::Firing } else { Status::Resolved };
                alert(*n, status, 10 * i as i64 + 10)
            }).collect();
            let mut groups = vec![Vec::new()];
            for (alert, cut) in alerts.iter().zip(cuts) {
                if cut { groups.push(Vec::new()); }
                groups.last_mut().unwrap().push(alert.clone());
            }
            let single: Vec<_> = alerts.iter().map(|alert| vec![alert.clone()]).collect();
            let (whole, single) = (learned(&groups), learned(&single));
            prop_assert_eq!(&whole, &single);
            let instances: std::collections::HashSet<_> = steps.iter().map(|(n, _)| n).collect();
            prop_assert_eq!(whole.occurrences, instances.len() as i64);
            prop_assert_eq!(whole.firing.unwrap() + whole.resolutions, whole.occurrences);
        }
    }
}
