//! History: samples, series, days, and deleting what is old.

use std::collections::BTreeMap;

use orchestrator::{
    model::{
        Alert, Category, Collection, Consolidation, DayAlerts, DayMetrics, DayName, Entry,
        EntryText, MetricDay, Outcome, ReceivedAlert, Sample, Severity, Time, TopIssue, pattern_id,
    },
    store::{Bucket, Buckets, Expired, ExpiryBatch, Store, Stored},
};
use serde_json::json;

use super::{
    each_backend,
    export::documents,
    samples::{
        at, caused, delete, entry, firing, learned, learned_figures, outcomes, record, resolved,
    },
};

each_backend![Migrated:
    an_alert_is_of_its_first_receipt_whatever_moves_the_last_one_on,
    alerts_of_a_period_are_summed_up_by_name_cause_and_severity,
    samples_come_back_as_they_were_put_the_latest_that_fit,
    samples_are_put_into_buckets_from_an_offset,
    samples_of_a_period_are_summed_up_by_name,
    what_is_counted_adds_up_at_each_moment_and_all_else_stands_for_itself,
    consolidations_come_back_as_they_were_put,
    history_starts_with_what_is_kept,
    putting_documents_twice_is_putting_them_once,
    old_alerts_are_deleted_in_batches_the_oldest_first,
    what_is_deleted_stays_in_the_sums_and_fires_no_longer,
    what_is_deleted_of_no_entry_makes_none,
    an_alert_that_comes_back_after_it_was_deleted_counts_once,
    an_alert_that_comes_back_again_and_again_counts_once,
    what_comes_back_with_another_cause_counts_for_that_entry,
    who_was_deleted_is_forgotten_in_time,
    extreme_durations_are_summed_up,
    old_samples_are_deleted_in_batches,
    what_is_old_is_counted_before_it_is_deleted,
    the_last_retention_is_remembered,
];

fn sample(minutes: i64, value: f64) -> Sample {
    Sample {
        name: "alerts_firing".into(),
        value,
        unit: "alerts".into(),
        timestamp: at(minutes),
        labels: BTreeMap::new(),
    }
}

async fn put_samples(store: &dyn Store, samples: &[(i64, f64)]) {
    let samples = samples.iter().map(|(at, value)| Stored::Sample(sample(*at, *value)));
    store.put(samples.collect()).await.unwrap();
}

async fn an_alert_is_of_its_first_receipt_whatever_moves_the_last_one_on(store: &dyn Store) {
    record(store, vec![firing("a")]).await;
    record(store, vec![ReceivedAlert { received_at: at(50), ..firing("a") }]).await;
    record(store, vec![ReceivedAlert { received_at: at(60), ..resolved("a") }]).await;
    let received =
        async |from, until| store.received_counts(at(from), at(until)).await.unwrap().total;
    assert_eq!(received(1, 2).await, 1);
    assert_eq!(received(0, 1).await, 0, "the end is not of the period");
    assert_eq!(received(2, 100).await, 0);
    assert_eq!(store.received_since(at(1)).await.unwrap(), 1);
    assert_eq!(store.received_since(at(2)).await.unwrap(), 0);
    let stored = &documents(store, Collection::Alerts).await[0];
    assert_eq!(stored["firstReceived"], at(1).to_string());
}

async fn alerts_of_a_period_are_summed_up_by_name_cause_and_severity(store: &dyn Store) {
    let other = caused(firing("c"), "logs \"x\"");
    record(store, vec![firing("a"), resolved("b"), other]).await;
    record(store, vec![ReceivedAlert { received_at: at(99), ..firing("late") }]).await;
    let mut issues = store.issues(at(0), at(99)).await.unwrap();
    issues.sort();
    let facts: Vec<_> = issues
        .iter()
        .map(|i| (i.name.as_str(), i.cause.as_str(), i.severity.as_str(), i.count, i.resolved))
        .collect();
    assert_eq!(
        facts,
        [("DiskFull", "", "warning", 2, 1), ("DiskFull", "logs \"x\"", "warning", 1, 0)]
    );
    assert_eq!(issues[0].resolve_ms, 10 * 60_000);
    assert_eq!(store.issues(at(100), at(200)).await.unwrap(), []);
}

async fn samples_come_back_as_they_were_put_the_latest_that_fit(store: &dyn Store) {
    let labelled = Sample {
        labels: BTreeMap::from([("severity".to_owned(), "pa\"ge.$".to_owned())]),
        ..sample(2, 0.1)
    };
    let other = Sample { name: "other".into(), ..sample(2, 9.0) };
    store.put([labelled.clone(), other].map(Stored::Sample).into()).await.unwrap();
    put_samples(store, &[(3, -5.0), (1, 2.5), (4, 1e300)]).await;
    let read = async |from, until, limit| {
        store.samples("alerts_firing", at(from), at(until), limit).await.unwrap()
    };
    assert_eq!(
        read(1, 5, 10).await,
        [sample(1, 2.5), labelled.clone(), sample(3, -5.0), sample(4, 1e300)]
    );
    assert_eq!(read(1, 4, 2).await, [labelled, sample(3, -5.0)]);
    assert_eq!(read(5, 9, 10).await, []);
    assert_eq!(
        store.sample_counts(at(2), at(99_999)).await.unwrap().get("alerts_firing"),
        Some(&3)
    );
}

async fn samples_are_put_into_buckets_from_an_offset(store: &dyn Store) {
    put_samples(store, &[(0, 1.0), (59, 3.0), (60, 8.0), (61, 6.0), (300, 5.0)]).await;
    // `at(0)` is 10:00:00.123; with this offset a bucket begins with it.
    let width_ms = 3_600_000;
    let offset_ms = -(at(0).millis() % width_ms);
    let wanted = Buckets { from: at(0), until: at(300), width_ms, offset_ms };
    let first = (at(0).millis() + offset_ms) / width_ms;
    assert_eq!(
        store.sample_buckets("alerts_firing", wanted).await.unwrap(),
        [
            Bucket { number: first, count: 2, min: 1.0, max: 3.0, sum: 4.0, last: 3.0 },
            Bucket { number: first + 1, count: 2, min: 6.0, max: 8.0, sum: 14.0, last: 6.0 },
        ]
    );
    let shifted = Buckets { offset_ms: offset_ms + width_ms / 2, until: at(400), ..wanted };
    let counts: Vec<_> = store.sample_buckets("alerts_firing", shifted).await.unwrap();
    assert_eq!(counts.iter().map(|bucket| bucket.count).collect::<Vec<_>>(), [1, 3, 1]);
    assert_eq!(store.sample_buckets("unknown", wanted).await.unwrap(), []);
}

async fn what_is_counted_adds_up_at_each_moment_and_all_else_stands_for_itself(store: &dyn Store) {
    let of = |name: &str, unit: &str, value: f64, instance: &str| {
        let labels = BTreeMap::from([("instance".to_owned(), instance.to_owned())]);
        let (name, unit) = (name.to_owned(), unit.to_owned());
        Stored::Sample(Sample { name, unit, labels, ..sample(1, value) })
    };
    let put = vec![
        of("asked", "requests", 3.0, "one"),
        of("asked", "requests", 4.0, "two"),
        of("took", "seconds", 0.5, "one"),
        of("took", "seconds", 0.25, "two"),
    ];
    store.put(put).await.unwrap();
    let wanted = Buckets { from: at(0), until: at(9), width_ms: 86_400_000, offset_ms: 0 };
    let bucket = async |name| store.sample_buckets(name, wanted).await.unwrap().remove(0);
    let asked = bucket("asked").await;
    assert_eq!((asked.count, asked.min, asked.max, asked.sum), (1, 7.0, 7.0, 7.0));
    let took = bucket("took").await;
    assert_eq!((took.count, took.min, took.max, took.sum), (2, 0.25, 0.5, 0.75));
    let days = store.sample_days(at(0), at(9)).await.unwrap();
    let asked = MetricDay { count: 2, min: 7.0, max: 7.0, avg: 7.0 };
    let took = MetricDay { count: 2, min: 0.25, max: 0.5, avg: 0.375 };
    assert_eq!(days, BTreeMap::from([("asked".to_owned(), asked), ("took".to_owned(), took)]));
}

async fn samples_of_a_period_are_summed_up_by_name(store: &dyn Store) {
    put_samples(store, &[(0, 1.0), (1, 2.0), (2, 6.0), (3, 100.0)]).await;
    let days = store.sample_days(at(0), at(3)).await.unwrap();
    let day = MetricDay { count: 3, min: 1.0, max: 6.0, avg: 3.0 };
    assert_eq!(days, BTreeMap::from([("alerts_firing".to_owned(), day)]));
    assert!(store.sample_days(at(4), at(9)).await.unwrap().is_empty());
}

fn consolidation(day: i64) -> Consolidation {
    Consolidation {
        date: format!("2026-11-{day:02}"),
        timestamp: Time::parse(&format!("2026-11-{:02}T00:00:00Z", day + 1)).unwrap(),
        alerts: DayAlerts {
            total: 3,
            by_severity: BTreeMap::from([("page".to_owned(), 3)]),
            top_issues: vec![TopIssue {
                name: "Disk".into(),
                severity: "page".into(),
                count: 3,
                resolved: 1,
                mean_time_to_resolve_ms: Some(5),
                cause: None,
            }],
            by_name: vec![DayName {
                name: "Disk".into(),
                count: 3,
                resolved: 1,
                by_severity: BTreeMap::from([("page".to_owned(), 3)]),
            }],
        },
        metrics: DayMetrics {
            total: 2,
            by_name: BTreeMap::from([(
                "alerts.firing".to_owned(),
                MetricDay { count: 2, min: -1.0, max: 2.0, avg: 0.5 },
            )]),
        },
        summary: "quiet “day”".into(),
        insights: vec!["a".into(), "b".into()],
        recommendations: Vec::new(),
        kb_entries_generated: 1,
    }
}

async fn consolidations_come_back_as_they_were_put(store: &dyn Store) {
    let days = [consolidation(3), consolidation(1), consolidation(2)];
    let put = days.clone().map(|day| Stored::Consolidation(Box::new(day)));
    store.put(put.into()).await.unwrap();
    let after = async |time| store.consolidations_after(time).await.unwrap();
    assert_eq!(after(days[1].timestamp).await, [consolidation(2), consolidation(3)]);
    let again = Consolidation { summary: "rewritten".into(), ..consolidation(2) };
    store.put(vec![Stored::Consolidation(Box::new(again.clone()))]).await.unwrap();
    assert_eq!(after(Time::from_millis(0)).await, [consolidation(1), again, consolidation(3)]);
    let exported = documents(store, Collection::Consolidations).await;
    assert_eq!(exported.len(), 3);
    assert!(exported.contains(&serde_json::to_value(consolidation(1)).unwrap()), "{exported:?}");
}

async fn history_starts_with_what_is_kept(store: &dyn Store) {
    assert_eq!(store.history_start().await.unwrap(), None);
    put_samples(store, &[(7, 1.0)]).await;
    assert_eq!(store.history_start().await.unwrap(), Some(at(7)));
    record(store, vec![firing("a")]).await;
    record(store, vec![ReceivedAlert { received_at: at(50), ..firing("a") }]).await;
    assert_eq!(store.history_start().await.unwrap(), Some(at(1)));
}

fn alert(fingerprint: &str) -> Alert {
    serde_json::from_value(json!({
        "fingerprint": fingerprint, "startsAt": at(0), "name": "DiskFull", "severity": "page",
        "entryId": learned(), "changedAt": at(3),
        "status": "resolved", "message": "voll ü", "labels": {"alertname": "DiskFull"},
        "timestamp": at(5), "firstReceived": at(2), "resolvedAt": at(4), "duration": 240_000,
        "annotations": {}, "receiver": "r",
    }))
    .unwrap()
}

async fn putting_documents_twice_is_putting_them_once(store: &dyn Store) {
    let text = EntryText {
        steps: vec!["df".into()],
        ..EntryText::new("t", Category::Runbook, Severity::High)
    };
    let known = Entry::new("kb".into(), text, at(0));
    let state = json!({"key": "lastRun", "value": {"n": 1}}).as_object().unwrap().clone();
    let all = vec![
        Stored::Alert(alert("a")),
        Stored::Sample(sample(1, 2.0)),
        Stored::Entry(Box::new(known.clone())),
        Stored::Consolidation(Box::new(consolidation(1))),
        Stored::State("lastRun".into(), state.clone()),
    ];
    let mut seen = Vec::new();
    for _ in 0..2 {
        store.put(all.clone()).await.unwrap();
        let mut now = Vec::new();
        for collection in Collection::ALL {
            now.push(documents(store, collection).await);
        }
        seen.push(now);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0][0], [serde_json::to_value(alert("a")).unwrap()]);
    assert_eq!(seen[0][1], [serde_json::to_value(sample(1, 2.0)).unwrap()]);
    assert_eq!(entry(store, "kb").await, Some(known));
    assert!(seen[0][4].contains(&serde_json::Value::Object(state)), "{:?}", seen[0][4]);
    // What is put again replaces all of it.
    let reopened: Alert = Alert {
        status: orchestrator::model::Status::Firing,
        resolved_at: None,
        duration: None,
        receiver: None,
        ..alert("a")
    };
    store.put(vec![Stored::Alert(reopened.clone()), Stored::Sample(sample(1, 3.0))]).await.unwrap();
    let alerts = documents(store, Collection::Alerts).await;
    assert_eq!(alerts, [serde_json::to_value(reopened).unwrap()]);
    assert_eq!(store.samples("alerts_firing", at(0), at(9), 9).await.unwrap(), [sample(1, 3.0)]);
    // And the service goes on with it as with its own.
    assert_eq!(
        outcomes(store, vec![firing("a")]).await.len()
            + store.firing_alerts().await.unwrap() as usize,
        2
    );
}

/// Deletes up to `limit` alerts last received before that minute.
async fn expire(store: &dyn Store, before: i64, limit: u32) -> Expired {
    let batch = ExpiryBatch { before: at(before), limit, now: at(before) };
    store.expire_alerts(batch).await.unwrap()
}

async fn old_alerts_are_deleted_in_batches_the_oldest_first(store: &dyn Store) {
    let received = |n: i64| ReceivedAlert { received_at: at(n), ..resolved(&format!("f{n}")) };
    record(store, (1..=7).map(received).collect()).await;
    let before = learned_figures(store).await;
    assert_eq!(expire(store, 1, 10).await.deleted, 0, "what is exactly as old as allowed is kept");
    let expired = expire(store, 7, 4).await;
    assert_eq!((expired.deleted, expired.changes.len(), expired.set_aside), (4, 4, 0));
    let left = documents(store, Collection::Alerts).await;
    let mut left: Vec<_> =
        left.iter().map(|alert| alert["fingerprint"].as_str().unwrap()).collect();
    left.sort_unstable();
    assert_eq!(left, ["f5", "f6", "f7"]);
    assert_eq!(expire(store, 7, 4).await.deleted, 2);
    assert_eq!(expire(store, 7, 4).await.deleted, 0);
    assert_eq!(learned_figures(store).await, before, "each batch is summed up once");
    assert!(entry(store, &learned()).await.unwrap().summed_up.batch > 0);
}

async fn what_is_deleted_stays_in_the_sums_and_fires_no_longer(store: &dyn Store) {
    record(store, vec![firing("a"), firing("b"), firing("c"), resolved("d")]).await;
    record(store, vec![ReceivedAlert { received_at: at(60), ..firing("c") }]).await;
    assert_eq!(learned_figures(store).await, (4, 3, Some(0.25), Some(600_000)));
    let expired = expire(store, 30, 100).await;
    assert_eq!(expired.deleted, 3);
    let (_, sums) = expired.sums[&learned()];
    assert_eq!((sums.tally.occurrences, sums.tally.resolved), (3, 1));
    assert_eq!(learned_figures(store).await, (4, 1, Some(0.25), Some(600_000)));
    let known = entry(store, &learned()).await.unwrap();
    assert_eq!((known.last_fired(), known.last_updated()), (Some(at(0)), at(10)));
    assert_eq!(store.firing_alerts().await.unwrap(), 1);
}

async fn what_is_deleted_of_no_entry_makes_none(store: &dyn Store) {
    record(store, vec![firing("a")]).await;
    delete(store, &learned()).await;
    assert_eq!(expire(store, 99, 100).await.deleted, 1);
    assert_eq!(store.entries().await.unwrap(), []);
    assert!(store.figures(vec![learned()]).await.unwrap().is_empty());
}

async fn an_alert_that_comes_back_after_it_was_deleted_counts_once(store: &dyn Store) {
    record(store, vec![firing("a"), firing("b")]).await;
    assert_eq!(expire(store, 30, 100).await.deleted, 2);
    assert_eq!(learned_figures(store).await, (2, 0, Some(0.0), None));
    let back = ReceivedAlert { received_at: at(40), ..firing("a") };
    assert_eq!(outcomes(store, vec![back]).await, [Outcome::Updated]);
    assert_eq!(learned_figures(store).await, (2, 1, Some(0.0), None));
    // It is of the day of its first receipt still.
    let stored = &documents(store, Collection::Alerts).await[0];
    assert_eq!(stored["firstReceived"], at(1).to_string());
    let over = ReceivedAlert { received_at: at(50), ..resolved("a") };
    record(store, vec![over]).await;
    assert_eq!(learned_figures(store).await, (2, 0, Some(0.5), Some(600_000)));
    // Summed up again, with what changed since.
    assert_eq!(expire(store, 90, 100).await.deleted, 1);
    assert_eq!(learned_figures(store).await, (2, 0, Some(0.5), Some(600_000)));
    assert!(store.figures(vec![learned()]).await.unwrap().is_empty());
}

async fn an_alert_that_comes_back_again_and_again_counts_once(store: &dyn Store) {
    for n in 0..6 {
        let (sent, end) = (n * 100 + 10, Some(at(n + 1)));
        let over = ReceivedAlert { received_at: at(sent), ends_at: end, ..resolved("a") };
        record(store, vec![ReceivedAlert { received_at: at(sent), ..firing("a") }]).await;
        assert_eq!(learned_figures(store).await, (1, 1, Some(0.0), None), "time {n}");
        record(store, vec![over]).await;
        let expected = (1, 0, Some(1.0), Some((n + 1) * 60_000));
        assert_eq!(learned_figures(store).await, expected, "time {n}");
        assert_eq!(expire(store, sent + 1, 100).await.deleted, 1);
        assert_eq!(learned_figures(store).await, expected, "time {n}");
    }
}

async fn what_comes_back_with_another_cause_counts_for_that_entry(store: &dyn Store) {
    record(store, vec![caused(resolved("a"), "logs")]).await;
    expire(store, 30, 100).await;
    let back = ReceivedAlert { received_at: at(40), ..caused(resolved("a"), "dumps") };
    record(store, vec![back]).await;
    let occurred = async |cause: &str| {
        entry(store, &pattern_id("DiskFull", cause)).await.unwrap().occurrences()
    };
    assert_eq!((occurred("logs").await, occurred("dumps").await), (0, 1));
    expire(store, 90, 100).await;
    assert_eq!((occurred("logs").await, occurred("dumps").await), (0, 1));
}

async fn who_was_deleted_is_forgotten_in_time(store: &dyn Store) {
    record(store, vec![resolved("a"), resolved("b"), resolved("c")]).await;
    expire(store, 30, 100).await;
    assert_eq!(store.forget_alerts(at(30), 100).await.unwrap(), 0);
    assert_eq!(store.forget_alerts(at(31), 2).await.unwrap(), 2);
    assert_eq!(store.forget_alerts(at(31), 2).await.unwrap(), 1);
    // Who comes back after that is another.
    let back = ReceivedAlert { received_at: at(40), ..resolved("a") };
    assert_eq!(outcomes(store, vec![back]).await, [Outcome::New]);
    assert_eq!(learned_figures(store).await, (4, 0, Some(1.0), Some(600_000)));
}

/// Their sum is more than 64 bits hold: it stays at the most that they do.
async fn extreme_durations_are_summed_up(store: &dyn Store) {
    let longest = |fingerprint: &str| {
        let alert = Alert { duration: Some(i64::MAX), ..alert(fingerprint) };
        Stored::Alert(alert)
    };
    record(store, vec![resolved("a")]).await;
    store.put(vec![longest("b"), longest("c"), longest("d")]).await.unwrap();
    let mean = Some(i64::MAX / 4);
    assert_eq!(learned_figures(store).await, (4, 0, Some(1.0), mean));
    let issues = store.issues(at(0), at(99)).await.unwrap();
    assert!(issues.iter().any(|issue| issue.count == 3 && issue.resolve_ms == i64::MAX));
    assert_eq!(expire(store, 99, 2).await.deleted, 2);
    assert_eq!(expire(store, 99, 9).await.deleted, 2);
    assert_eq!(learned_figures(store).await, (4, 0, Some(1.0), mean));
}

async fn old_samples_are_deleted_in_batches(store: &dyn Store) {
    put_samples(store, &[(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]).await;
    assert_eq!(store.expire_samples(at(4), 2).await.unwrap(), 2);
    assert_eq!(store.expire_samples(at(4), 2).await.unwrap(), 1);
    assert_eq!(store.expire_samples(at(4), 2).await.unwrap(), 0);
    assert_eq!(store.samples("alerts_firing", at(0), at(9), 9).await.unwrap(), [sample(4, 4.0)]);
}

async fn what_is_old_is_counted_before_it_is_deleted(store: &dyn Store) {
    record(store, vec![firing("a"), resolved("b")]).await;
    put_samples(store, &[(1, 1.0), (2, 2.0)]).await;
    assert_eq!(store.expired_counts(at(10), at(3)).await.unwrap(), (1, 2));
    assert_eq!(store.expired_counts(at(11), at(2)).await.unwrap(), (2, 1));
}

async fn the_last_retention_is_remembered(store: &dyn Store) {
    assert_eq!(store.last_retention().await.unwrap(), None);
    for time in [at(1), at(2)] {
        store.note_retention(time).await.unwrap();
        assert_eq!(store.last_retention().await.unwrap(), Some(time));
    }
}
