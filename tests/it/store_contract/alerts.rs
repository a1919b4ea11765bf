//! Recording alerts.

use std::sync::Arc;

use orchestrator::{
    model::{AlertState, Collection, Outcome, ReceivedAlert, Status},
    store::Store,
};

use super::{
    each_backend,
    export::documents,
    samples::{LEARNED, at, entry, firing, learn, outcomes, record, resolved},
};

each_backend![Migrated:
    an_alert_is_new_then_a_duplicate_then_updated,
    a_repeat_only_moves_the_time_of_receipt_on,
    a_resolved_alert_that_fires_again_is_reopened,
    a_resolution_of_an_unknown_alert_is_new_and_resolved,
    an_alert_without_a_start_joins_the_open_one,
    an_alert_without_a_start_begins_when_it_is_received,
    alerts_of_one_group_are_taken_in_its_order,
    a_thousand_alerts_are_recorded_in_one_call,
    two_instances_of_one_fingerprint_are_two_alerts,
    an_alert_is_stored_with_everything_that_came_with_it,
    several_writers_record_and_learn_each_alert_once,
    alerts_are_counted_by_severity_and_time_of_receipt,
    an_empty_group_changes_nothing,
];

async fn an_alert_is_new_then_a_duplicate_then_updated(store: &dyn Store) {
    assert_eq!(outcomes(store, vec![firing("a")]).await, [Outcome::New]);
    assert_eq!(outcomes(store, vec![firing("a")]).await, [Outcome::Duplicate]);
    let recording = record(store, vec![resolved("a")]).await;
    let recorded = recording.outcomes[0];
    assert_eq!(recorded.outcome, Outcome::Updated);
    assert_eq!(recorded.before, Some(AlertState { status: Status::Firing, duration: None }));
    assert_eq!(
        recorded.after,
        AlertState { status: Status::Resolved, duration: Some(10 * 60_000) }
    );
    assert_eq!(outcomes(store, vec![resolved("a")]).await, [Outcome::Duplicate]);
    assert_eq!(store.firing_alerts().await.unwrap(), 0);
}

async fn a_repeat_only_moves_the_time_of_receipt_on(store: &dyn Store) {
    record(store, vec![firing("a")]).await;
    let later = ReceivedAlert { received_at: at(60), receiver: None, ..firing("a") };
    assert_eq!(outcomes(store, vec![later]).await, [Outcome::Duplicate]);
    // An older notification that comes late does not move it back.
    assert_eq!(outcomes(store, vec![firing("a")]).await, [Outcome::Duplicate]);
    let stored = &documents(store, Collection::Alerts).await[0];
    assert_eq!(stored["timestamp"], at(60).to_string());
    assert_eq!(stored["receiver"], "orchestrator");
}

async fn a_resolved_alert_that_fires_again_is_reopened(store: &dyn Store) {
    record(store, vec![firing("a")]).await;
    record(store, vec![resolved("a")]).await;
    let again = ReceivedAlert { received_at: at(20), ..firing("a") };
    assert_eq!(outcomes(store, vec![again]).await, [Outcome::Updated]);
    let stored = &documents(store, Collection::Alerts).await[0];
    assert_eq!(stored["status"], "firing");
    assert!(stored.get("resolvedAt").is_none() && stored.get("duration").is_none(), "{stored}");
    let learned = entry(store, LEARNED).await.unwrap();
    assert_eq!((learned.occurrences, learned.resolutions, learned.resolve_ms), (1, 0, 0));
    assert_eq!(learned.firing, Some(1));
}

async fn a_resolution_of_an_unknown_alert_is_new_and_resolved(store: &dyn Store) {
    let recorded = record(store, vec![resolved("a")]).await.outcomes[0];
    assert_eq!((recorded.outcome, recorded.before), (Outcome::New, None));
    assert_eq!(recorded.after.duration, Some(10 * 60_000));
    assert_eq!(store.firing_alerts().await.unwrap(), 0);
}

async fn an_alert_without_a_start_joins_the_open_one(store: &dyn Store) {
    record(store, vec![firing("a"), firing("b")]).await;
    let startless = ReceivedAlert { starts_at: None, ..firing("a") };
    assert_eq!(outcomes(store, vec![startless.clone()]).await, [Outcome::Duplicate]);
    let over = ReceivedAlert { starts_at: None, ..resolved("a") };
    assert_eq!(outcomes(store, vec![over]).await, [Outcome::Updated]);
    // It is over, so the next one is another instance.
    assert_eq!(outcomes(store, vec![startless]).await, [Outcome::New]);
}

async fn an_alert_without_a_start_begins_when_it_is_received(store: &dyn Store) {
    let startless = ReceivedAlert { starts_at: None, ..firing("a") };
    let group = vec![startless.clone(), startless];
    assert_eq!(outcomes(store, group).await, [Outcome::New, Outcome::Duplicate]);
    let stored = documents(store, Collection::Alerts).await;
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0]["startsAt"], at(1).to_string());
}

async fn alerts_of_one_group_are_taken_in_its_order(store: &dyn Store) {
    let group = vec![firing("a"), resolved("a"), firing("b"), firing("a"), firing("a")];
    assert_eq!(
        outcomes(store, group).await,
        [Outcome::New, Outcome::Updated, Outcome::New, Outcome::Updated, Outcome::Duplicate]
    );
    assert_eq!(store.firing_alerts().await.unwrap(), 2);
    let learned = entry(store, LEARNED).await.unwrap();
    assert_eq!((learned.occurrences, learned.resolutions, learned.firing), (2, 0, Some(2)));
}

async fn a_thousand_alerts_are_recorded_in_one_call(store: &dyn Store) {
    let group: Vec<_> = (0..1000).map(|n| firing(&format!("{n:016x}"))).collect();
    assert_eq!(outcomes(store, group.clone()).await, vec![Outcome::New; 1000]);
    assert_eq!(outcomes(store, group).await, vec![Outcome::Duplicate; 1000]);
    assert_eq!(store.firing_alerts().await.unwrap(), 1000);
    assert_eq!(entry(store, LEARNED).await.unwrap().occurrences, 1000);
}

async fn two_instances_of_one_fingerprint_are_two_alerts(store: &dyn Store) {
    let other = ReceivedAlert { starts_at: Some(at(0).plus_millis(1)), ..firing("a") };
    assert_eq!(outcomes(store, vec![firing("a"), other]).await, [Outcome::New, Outcome::New]);
    assert_eq!(store.firing_alerts().await.unwrap(), 2);
}

async fn an_alert_is_stored_with_everything_that_came_with_it(store: &dyn Store) {
    record(store, vec![firing("a"), resolved("b")]).await;
    let mut stored = documents(store, Collection::Alerts).await;
    stored.sort_by_key(|alert| alert["fingerprint"].to_string());
    let common = serde_json::json!({
        "fingerprint": "a", "startsAt": "2026-11-24T10:00:00.123Z", "name": "DiskFull",
        "severity": "warning", "status": "firing", "message": "the disk of db-1 is full",
        "timestamp": "2026-11-24T10:01:00.123Z", "firstReceived": "2026-11-24T10:01:00.123Z",
        "labels": {"alertname": "DiskFull", "dotted.name": "Füllstand 100 % $x"},
        "annotations": {"summary": "the disk is full"},
        "generatorURL": "http://prometheus/graph", "receiver": "orchestrator",
    });
    assert_eq!(stored[0], common);
    let mut over = common;
    over["fingerprint"] = "b".into();
    over["status"] = "resolved".into();
    over["timestamp"] = "2026-11-24T10:10:00.123Z".into();
    over["firstReceived"] = "2026-11-24T10:10:00.123Z".into();
    over["resolvedAt"] = "2026-11-24T10:10:00.123Z".into();
    over["duration"] = 600_000.into();
    assert_eq!(stored[1], over);
}

async fn several_writers_record_and_learn_each_alert_once(store: &dyn Store) {
    let group: Arc<[ReceivedAlert]> = (0..20).map(|n| firing(&n.to_string())).collect();
    let writers = (0..6).map(|_| store.record(group.clone(), learn()));
    let recordings = futures::future::try_join_all(writers).await.unwrap();
    let new = recordings.iter().flat_map(|recording| &recording.outcomes);
    assert_eq!(new.filter(|recorded| recorded.outcome == Outcome::New).count(), 20);
    let learned = entry(store, LEARNED).await.unwrap();
    assert_eq!((learned.occurrences, learned.firing), (20, Some(20)));
}

async fn alerts_are_counted_by_severity_and_time_of_receipt(store: &dyn Store) {
    let of = |fingerprint: &str, severity: &str, received: i64| ReceivedAlert {
        severity: severity.to_owned(),
        received_at: at(received),
        ..firing(fingerprint)
    };
    let group =
        vec![of("a", "page", 1), of("b", "page", 5), of("c", "none", 5), of("d", "page", 9)];
    record(store, group).await;
    let counts = store.alert_counts(at(5)).await.unwrap();
    assert_eq!(counts.total, 3);
    assert_eq!(
        counts.by_severity.into_iter().collect::<Vec<_>>(),
        [("none".to_owned(), 1), ("page".to_owned(), 2)]
    );
    assert_eq!(store.alert_counts(at(10)).await.unwrap().total, 0);
}

async fn an_empty_group_changes_nothing(store: &dyn Store) {
    assert!(outcomes(store, Vec::new()).await.is_empty());
    assert!(store.entries(None).await.unwrap().is_empty());
}
