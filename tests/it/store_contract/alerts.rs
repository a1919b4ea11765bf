//! Recording alerts.

use std::sync::Arc;

use orchestrator::{
    model::{Collection, Instance, Outcome, ReceivedAlert, Status},
    store::{Gathering, Store},
};

use super::{
    each_backend,
    export::documents,
    samples::{
        at, caused, entry, firing, group, learned, learned_figures, outcomes, record, resolved,
    },
};

each_backend![Migrated:
    an_alert_is_new_then_a_duplicate_then_updated,
    a_repeat_only_moves_the_time_of_receipt_on,
    a_resolved_alert_that_fires_again_is_reopened,
    a_resolution_of_an_unknown_alert_is_new_and_resolved,
    an_alert_without_a_start_joins_the_open_one,
    an_alert_without_a_start_begins_when_it_is_received,
    an_alert_resolved_without_a_start_again_and_again_is_one_instance,
    alerts_of_one_group_are_taken_in_its_order,
    a_thousand_alerts_are_recorded_in_one_call,
    two_instances_of_one_fingerprint_are_two_alerts_of_which_the_later_is_open,
    an_earlier_instance_that_comes_late_is_superseded_at_once,
    what_is_known_of_a_superseded_instance_later_is_taken,
    an_alert_that_changes_its_cause_changes_its_entry,
    an_alert_is_stored_with_everything_that_came_with_it,
    several_writers_record_each_alert_once,
    alerts_are_counted_by_severity_and_time_of_first_receipt,
    an_empty_group_changes_nothing,
    what_fires_of_an_entry_is_found_the_newest_first,
    what_fires_of_an_entry_is_found_behind_what_fires_of_others,
];

fn state(instance: &Instance) -> (Status, Option<i64>) {
    (instance.status, instance.duration)
}

async fn an_alert_is_new_then_a_duplicate_then_updated(store: &dyn Store) {
    assert_eq!(outcomes(store, vec![firing("a")]).await, [Outcome::New]);
    assert_eq!(outcomes(store, vec![firing("a")]).await, [Outcome::Duplicate]);
    let recorded = record(store, vec![resolved("a")]).await;
    assert_eq!(recorded.outcomes, [Outcome::Updated]);
    assert_eq!(recorded.changes.len(), 1);
    let before = recorded.changes[0].before.as_ref().unwrap();
    assert_eq!(state(before), (Status::Firing, None));
    let after = recorded.changes[0].after.as_ref().unwrap();
    assert_eq!(state(after), (Status::Resolved, Some(10 * 60_000)));
    assert_eq!((&before.entry_id, &after.entry_id), (&learned(), &learned()));
    assert_eq!(outcomes(store, vec![resolved("a")]).await, [Outcome::Duplicate]);
    assert_eq!(store.firing_alerts().await.unwrap(), 0);
}

async fn a_repeat_only_moves_the_time_of_receipt_on(store: &dyn Store) {
    record(store, vec![firing("a")]).await;
    let later = ReceivedAlert { received_at: at(60), receiver: None, ..firing("a") };
    let recorded = record(store, vec![later]).await;
    assert_eq!(
        (&recorded.outcomes[..], &recorded.changes[..]),
        (&[Outcome::Duplicate][..], &[][..])
    );
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
    assert_eq!(learned_figures(store).await, (1, 1, Some(0.0), None));
}

async fn a_resolution_of_an_unknown_alert_is_new_and_resolved(store: &dyn Store) {
    let recorded = record(store, vec![resolved("a")]).await;
    assert_eq!((recorded.outcomes[0], &recorded.changes[0].before), (Outcome::New, &None));
    assert_eq!(recorded.changes[0].after.as_ref().unwrap().duration, Some(10 * 60_000));
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
    assert_eq!(learned_figures(store).await, (2, 2, Some(0.0), None));
}

async fn a_thousand_alerts_are_recorded_in_one_call(store: &dyn Store) {
    let group: Vec<_> = (0..1000).map(|n| firing(&format!("{n:016x}"))).collect();
    assert_eq!(outcomes(store, group.clone()).await, vec![Outcome::New; 1000]);
    assert_eq!(outcomes(store, group).await, vec![Outcome::Duplicate; 1000]);
    assert_eq!(store.firing_alerts().await.unwrap(), 1000);
    assert_eq!(learned_figures(store).await, (1000, 1000, Some(0.0), None));
}

async fn an_alert_resolved_without_a_start_again_and_again_is_one_instance(store: &dyn Store) {
    for (minutes, outcome) in [(3, Outcome::New), (5, Outcome::Duplicate), (9, Outcome::Duplicate)]
    {
        let received_at = at(minutes);
        let over = ReceivedAlert { starts_at: None, ends_at: None, received_at, ..resolved("a") };
        assert_eq!(outcomes(store, vec![over]).await, [outcome]);
    }
    assert_eq!(learned_figures(store).await, (1, 0, Some(1.0), Some(0)));
}

/// The second start of [`firing`], a minute after the first.
fn later(alert: ReceivedAlert) -> ReceivedAlert {
    let received_at = alert.received_at.plus_millis(60_000);
    ReceivedAlert { starts_at: Some(at(1)), received_at, ..alert }
}

async fn statuses(store: &dyn Store) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let stored = documents(store, Collection::Alerts).await;
    let mut stored: Vec<_> =
        stored.iter().map(|alert| (text(&alert["startsAt"]), text(&alert["status"]))).collect();
    stored.sort();
    stored
}

async fn two_instances_of_one_fingerprint_are_two_alerts_of_which_the_later_is_open(
    store: &dyn Store,
) {
    record(store, vec![firing("a")]).await;
    let recorded = record(store, vec![later(firing("a"))]).await;
    assert_eq!(recorded.outcomes, [Outcome::New]);
    assert_eq!(recorded.changes.len(), 2, "the earlier one is superseded");
    let expected = [(at(0).to_string(), "superseded".into()), (at(1).to_string(), "firing".into())];
    assert_eq!(statuses(store).await, expected);
    assert_eq!(store.firing_alerts().await.unwrap(), 1);
    // What became of the first is not known: it is neither resolved nor open.
    assert_eq!(learned_figures(store).await, (2, 1, Some(0.0), None));
    record(store, vec![later(resolved("a"))]).await;
    assert_eq!(learned_figures(store).await, (2, 0, Some(1.0), Some(9 * 60_000)));
}

async fn an_earlier_instance_that_comes_late_is_superseded_at_once(store: &dyn Store) {
    record(store, vec![later(firing("a"))]).await;
    assert_eq!(outcomes(store, vec![firing("a")]).await, [Outcome::New]);
    let expected = [(at(0).to_string(), "superseded".into()), (at(1).to_string(), "firing".into())];
    assert_eq!(statuses(store).await, expected);
    // In one group, in either order, it is the same.
    for (name, group) in
        [("b", vec![firing("b"), later(firing("b"))]), ("c", vec![later(firing("c")), firing("c")])]
    {
        record(store, group).await;
        assert_eq!(outcomes(store, vec![firing(name)]).await, [Outcome::Duplicate], "{name}");
    }
    assert_eq!(learned_figures(store).await, (6, 3, Some(0.0), None));
}

async fn what_is_known_of_a_superseded_instance_later_is_taken(store: &dyn Store) {
    record(store, vec![firing("a"), later(firing("a"))]).await;
    assert_eq!(outcomes(store, vec![resolved("a")]).await, [Outcome::Updated]);
    assert_eq!(learned_figures(store).await, (2, 1, Some(0.5), Some(10 * 60_000)));
    // It was sent before the later one began: it does not open again.
    record(store, vec![ReceivedAlert { received_at: at(30), ..firing("a") }]).await;
    assert_eq!(learned_figures(store).await, (2, 1, Some(0.5), Some(10 * 60_000)));
}

async fn an_alert_that_changes_its_cause_changes_its_entry(store: &dyn Store) {
    record(store, vec![caused(firing("a"), "logs")]).await;
    let [logs, dumps] =
        ["logs", "dumps"].map(|cause| super::samples::pattern(&caused(firing(""), cause)).id);
    assert_eq!(entry(store, &logs).await.unwrap().firing(), Some(1));
    assert_eq!(outcomes(store, vec![caused(firing("a"), "dumps")]).await, [Outcome::Updated]);
    assert_eq!(super::samples::shown(&entry(store, &logs).await.unwrap()), (0, 0, None, None));
    let moved = super::samples::shown(&entry(store, &dumps).await.unwrap());
    assert_eq!(moved, (1, 1, Some(0.0), None));
    record(store, vec![caused(resolved("a"), "dumps")]).await;
    assert_eq!(store.firing_alerts().await.unwrap(), 0);
    let over = super::samples::shown(&entry(store, &dumps).await.unwrap());
    assert_eq!(over, (1, 0, Some(1.0), Some(10 * 60_000)));
}

async fn an_alert_is_stored_with_everything_that_came_with_it(store: &dyn Store) {
    record(store, vec![firing("a"), caused(resolved("b"), "logs")]).await;
    let mut stored = documents(store, Collection::Alerts).await;
    stored.sort_by_key(|alert| alert["fingerprint"].to_string());
    let common = serde_json::json!({
        "fingerprint": "a", "startsAt": "2026-11-24T10:00:00.123Z", "name": "DiskFull",
        "entryId": learned(), "changedAt": "2026-11-24T10:01:00.123Z", "severity": "warning",
        "status": "firing", "message": "the disk of db-1 is full",
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
    over["changedAt"] = "2026-11-24T10:10:00.123Z".into();
    over["cause"] = "logs".into();
    over["labels"]["cause"] = "logs".into();
    over["entryId"] = orchestrator::model::pattern_id("DiskFull", "logs").into();
    over["resolvedAt"] = "2026-11-24T10:10:00.123Z".into();
    over["duration"] = 600_000.into();
    assert_eq!(stored[1], over);
}

async fn several_writers_record_each_alert_once(store: &dyn Store) {
    let group: Arc<Gathering> =
        Arc::new(group((0..20).map(|n| firing(&n.to_string())).collect()).into());
    let writers = (0..6).map(|_| store.commit(Arc::clone(&group)));
    let committed = futures::future::try_join_all(writers).await.unwrap();
    let outcomes = committed.iter().flat_map(|committed| &committed.outcomes);
    assert_eq!(outcomes.filter(|outcome| **outcome == Outcome::New).count(), 20);
    let changes: usize = committed.iter().map(|committed| committed.changes.len()).sum();
    assert_eq!(changes, 20);
    assert_eq!(learned_figures(store).await, (20, 20, Some(0.0), None));
}

async fn alerts_are_counted_by_severity_and_time_of_first_receipt(store: &dyn Store) {
    let of = |fingerprint: &str, severity: &str, received: i64| ReceivedAlert {
        severity: severity.to_owned(),
        received_at: at(received),
        ..firing(fingerprint)
    };
    let group =
        vec![of("a", "page", 1), of("b", "page", 5), of("c", "none", 5), of("d", "page", 9)];
    record(store, group).await;
    let counts = store.received_counts(at(5), at(99)).await.unwrap();
    assert_eq!(counts.total, 3);
    assert_eq!(
        counts.by_severity.into_iter().collect::<Vec<_>>(),
        [("none".to_owned(), 1), ("page".to_owned(), 2)]
    );
    assert_eq!(store.received_counts(at(10), at(99)).await.unwrap().total, 0);
    let since = [at(1), at(5), at(10)].map(|since| store.received_since(since));
    assert_eq!(futures::future::try_join_all(since).await.unwrap(), [4, 3, 0]);
}

async fn an_empty_group_changes_nothing(store: &dyn Store) {
    assert!(outcomes(store, Vec::new()).await.is_empty());
    assert!(store.entries().await.unwrap().is_empty());
}

async fn what_fires_of_an_entry_is_found_the_newest_first(store: &dyn Store) {
    let began = |fingerprint: &str, minute: i64| ReceivedAlert {
        starts_at: Some(at(minute)),
        ..firing(fingerprint)
    };
    for alert in [began("a", 1), began("c", 2), began("b", 3), caused(firing("d"), "other")] {
        record(store, vec![alert]).await;
    }
    record(store, vec![resolved("e")]).await;
    assert_eq!(firing_of_learned(store, 5).await, ["b", "c", "a"]);
    assert_eq!(firing_of_learned(store, 2).await, ["b", "c"]);
    assert!(store.firing_of(Vec::new()).await.unwrap().is_empty());
}

async fn what_fires_of_an_entry_is_found_behind_what_fires_of_others(store: &dyn Store) {
    // Of another name, as where many share an entry, and under many of another cause.
    let named = ReceivedAlert { name: "Memory".to_owned(), ..firing("a") };
    let mut shared = group(vec![named]);
    shared.alerts[0].entry_id = learned();
    store.commit(Arc::new(shared.into())).await.unwrap();
    record(store, vec![firing("b")]).await;
    let other = |n| caused(firing(&format!("other-{n}")), "other");
    record(store, (0..300).map(other).collect()).await;
    let mut found = firing_of_learned(store, 2).await;
    found.sort();
    assert_eq!(found, ["a", "b"]);
}

/// The fingerprints of what fires of [`learned`], so many at most.
async fn firing_of_learned(store: &dyn Store, most: usize) -> Vec<String> {
    let wanted = vec![(learned(), most), ("kb-alert-none".to_owned(), most)];
    let alerts = store.firing_of(wanted).await.unwrap();
    alerts.into_iter().map(|alert| alert.fingerprint).collect()
}
