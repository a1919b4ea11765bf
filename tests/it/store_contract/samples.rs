//! Alerts and entries as a test records them, and what is read of them.

use std::{collections::BTreeSet, sync::Arc};

use orchestrator::{
    model::{
        AlertPattern, Category, Entry, EntryText, Outcome, ReceivedAlert, Severity, Status,
        TextMap, Time, pattern_id, pattern_title,
    },
    store::{AssignedAlert, Committed, Edit, Edited, Group, Pattern, Store},
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
        labels: TextMap::from([
            ("alertname".to_owned(), "DiskFull".to_owned()),
            ("dotted.name".to_owned(), "Füllstand 100 % $x".to_owned()),
        ]),
        annotations: TextMap::from([("summary".to_owned(), "the disk is full".to_owned())]),
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

/// An alert with this cause.
pub fn caused(alert: ReceivedAlert, cause: &str) -> ReceivedAlert {
    let mut alert = ReceivedAlert { cause: Some(cause.to_owned()), ..alert };
    alert.labels.insert("cause".to_owned(), cause.to_owned());
    alert
}

/// The id of the entry that these alerts belong to.
pub fn learned() -> String {
    pattern_id("DiskFull", "")
}

/// The pattern that an alert belongs to, as it is made of it.
pub fn pattern(alert: &ReceivedAlert) -> Entry {
    let cause = alert.cause.clone().unwrap_or_default();
    let of = AlertPattern { alertname: alert.name.clone(), cause };
    let text = EntryText {
        tags: vec!["learned".to_owned()],
        ..EntryText::new(
            pattern_title(&of.alertname, &of.cause),
            Category::AlertPattern,
            alert.entry_severity,
        )
    };
    let id = pattern_id(&of.alertname, &of.cause);
    Entry { pattern: Some(Arc::new(of)), ..Entry::new(id, text, alert.received_at) }
}

/// A group that records these alerts, each with its pattern.
pub fn group(alerts: Vec<ReceivedAlert>) -> Group {
    let mut made = BTreeSet::new();
    let pattern = |alert: &ReceivedAlert| {
        let cause = alert.cause.clone().unwrap_or_default();
        let of = AlertPattern { alertname: alert.name.clone(), cause };
        let id = pattern_id(&of.alertname, &of.cause);
        Pattern { id, of, known: false, learn: |_, first, _| pattern(first) }
    };
    let patterns = alerts.iter().map(pattern);
    let patterns = patterns.filter(|pattern| made.insert(pattern.id.clone())).collect();
    let assign = |alert: ReceivedAlert| {
        let entry_id = pattern_id(&alert.name, alert.cause.as_deref().unwrap_or_default());
        AssignedAlert { alert, entry_id }
    };
    Group { patterns, alerts: alerts.into_iter().map(assign).collect(), ..Group::default() }
}

/// Records these alerts.
pub async fn record(store: &dyn Store, alerts: Vec<ReceivedAlert>) -> Committed {
    store.commit(Arc::new(group(alerts).into())).await.unwrap()
}

/// What recording these alerts changed.
pub async fn outcomes(store: &dyn Store, alerts: Vec<ReceivedAlert>) -> Vec<Outcome> {
    record(store, alerts).await.outcomes
}

/// Makes these changes of entries.
pub async fn edit(store: &dyn Store, edits: Vec<Edit>) -> Vec<Edited> {
    let group = Group { edits, ..Group::default() };
    store.commit(Arc::new(group.into())).await.unwrap().edits
}

/// Makes an entry that is not there.
pub async fn make(store: &dyn Store, entry: Entry) {
    let edits = vec![Edit::Write { entry: Arc::new(entry), expected: None }];
    assert_eq!(edit(store, edits).await, [Edited::Done]);
}

/// Deletes an entry that is there, whatever its version.
pub async fn delete(store: &dyn Store, id: &str) {
    let edits = vec![Edit::Delete { id: id.to_owned(), expected: None }];
    assert_eq!(edit(store, edits).await, [Edited::Done]);
}

/// The entry of this id with the figures of its stored instances. All ways to read it agree.
pub async fn entry(store: &dyn Store, id: &str) -> Option<Entry> {
    let figures = store.figures(vec![id.to_owned()]).await.unwrap();
    let loaded = store.load().await.unwrap();
    assert_eq!(figures.get(id), loaded.figures.get(id), "the figures of {id}");
    let entry = store.entry(id).await.unwrap();
    assert_eq!(entry.as_ref(), loaded.entries.iter().find(|entry| entry.id == id));
    Some(Entry { figures: figures.get(id).copied().unwrap_or_default(), ..entry? })
}

/// What an entry shows: occurrences, firing, success rate and mean time to resolve.
pub fn shown(entry: &Entry) -> (i64, i64, Option<f64>, Option<i64>) {
    let firing = entry.firing().unwrap_or(0);
    (entry.occurrences(), firing, entry.success_rate(), entry.mean_time_to_resolve_ms())
}

/// What the entry of [`learned`] shows.
pub async fn learned_figures(store: &dyn Store) -> (i64, i64, Option<f64>, Option<i64>) {
    shown(&entry(store, &learned()).await.expect("the pattern"))
}
