//! Alerts and what a test learns from them.

use std::{collections::BTreeMap, sync::Arc};

use orchestrator::{
    model::{
        AlertState, Category, Entry, Learning, Outcome, ReceivedAlert, Recorded, Severity, Status,
        Time,
    },
    store::{Learn, Recording, Store},
};

/// Some moment of a test; `minutes` later than all other tests' beginning.
pub fn at(minutes: i64) -> Time {
    Time::parse("2026-11-24T10:00:00.123Z").unwrap().plus_millis(minutes * 60_000)
}

/// A firing alert that began at `at(0)` and is received at `at(1)`.
pub fn firing(fingerprint: &str) -> ReceivedAlert {
    ReceivedAlert {
        fingerprint: fingerprint.to_owned(),
        starts_at: Some(at(0)),
        ends_at: None,
        status: Status::Firing,
        name: "DiskFull".to_owned(),
        cause: None,
        severity: "warning".to_owned(),
        entry_severity: Severity::Medium,
        message: "the disk of db-1 is full".to_owned(),
        labels: BTreeMap::from([
            ("alertname".to_owned(), "DiskFull".to_owned()),
            ("dotted.name".to_owned(), "Füllstand 100 % $x".to_owned()),
        ]),
        annotations: BTreeMap::from([("summary".to_owned(), "the disk is full".to_owned())]),
        generator_url: Some("http://prometheus/graph".to_owned()),
        receiver: Some("orchestrator".to_owned()),
        received_at: at(1),
    }
}

/// The same, resolved after ten minutes and received then.
pub fn resolved(fingerprint: &str) -> ReceivedAlert {
    ReceivedAlert {
        status: Status::Resolved,
        ends_at: Some(at(10)),
        received_at: at(10),
        ..firing(fingerprint)
    }
}

/// The id of the entry that [`learn`] learns about.
pub const LEARNED: &str = "kb-alert-DiskFull";

/// Counts as the service does, one learning an entry.
pub fn learn() -> Learn {
    Arc::new(|group, outcomes| {
        let mut learned: BTreeMap<String, Learning> = BTreeMap::new();
        for one in group.iter().zip(outcomes).map(learning) {
            let id = one.seed.id.clone();
            match learned.get_mut(&id) {
                None => drop(learned.insert(id, one)),
                Some(all) => {
                    all.severity = all.severity.max(one.severity);
                    all.seen = all.seen.max(one.seen);
                    all.occurrences += one.occurrences;
                    all.resolutions += one.resolutions;
                    all.resolve_ms += one.resolve_ms;
                    all.firing += one.firing;
                }
            }
        }
        learned.into_values().collect()
    })
}

fn learning((alert, recorded): (&ReceivedAlert, &Recorded)) -> Learning {
    let severity = Severity::of_alert(&alert.severity);
    let mut seed = Entry::new(
        format!("kb-alert-{}", alert.name),
        alert.name.clone(),
        Category::AlertPattern,
        severity,
        alert.received_at,
    );
    seed.tags = vec!["learned".to_owned()];
    let count = |status: Status| {
        let is = |state: &AlertState| i64::from(state.status == status);
        is(&recorded.after) - recorded.before.as_ref().map_or(0, is)
    };
    let duration = |state: &AlertState| state.duration.unwrap_or(0);
    Learning {
        occurrences: i64::from(recorded.before.is_none()),
        resolutions: count(Status::Resolved),
        resolve_ms: duration(&recorded.after) - recorded.before.as_ref().map_or(0, duration),
        firing: count(Status::Firing),
        seen: alert.received_at,
        severity,
        ..Learning::none(Arc::new(seed))
    }
}

pub async fn record(store: &dyn Store, group: Vec<ReceivedAlert>) -> Recording {
    let recording = store.record(group.into(), learn()).await.unwrap();
    assert!(recording.learned || store.backend().as_str() == "mongodb");
    recording
}

pub async fn outcomes(store: &dyn Store, group: Vec<ReceivedAlert>) -> Vec<Outcome> {
    record(store, group).await.outcomes.into_iter().map(|recorded| recorded.outcome).collect()
}

pub async fn entry(store: &dyn Store, id: &str) -> Option<Entry> {
    store.entries(None).await.unwrap().into_iter().find(|entry| entry.id == id)
}
