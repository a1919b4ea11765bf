//! Alerts listed: filtered, in order, in pages that stay as they are under new arrivals.

use orchestrator::{
    model::{Alert, ReceivedAlert, Status, Time},
    store::{AlertFilter, Buckets, ListPosition, Store},
};

use super::{
    each_backend,
    samples::{at, firing, record, resolved},
};

each_backend![Migrated:
    the_newest_alert_comes_first_and_each_is_listed_once,
    pages_stay_as_they_are_under_new_arrivals,
    every_filter_admits_what_it_says,
    instances_of_a_fingerprint_are_listed_the_latest_start_first,
    a_position_of_another_list_is_refused,
    a_page_that_finds_nothing_soon_enough_says_where_to_go_on,
    counts_of_any_period_are_those_of_the_alerts,
    alerts_of_one_name_are_counted_in_buckets,
];

fn received(alert: ReceivedAlert, minute: i64) -> ReceivedAlert {
    ReceivedAlert { received_at: at(minute), ..alert }
}

fn with(fingerprint: &str, name: &str, severity: &str) -> ReceivedAlert {
    let mut alert = firing(fingerprint);
    alert.labels.insert("alertname".into(), name.into());
    ReceivedAlert { name: name.into(), severity: severity.into(), ..alert }
}

/// All pages of this length.
async fn pages(store: &dyn Store, filter: &AlertFilter, limit: usize) -> Vec<Vec<Alert>> {
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = store.list_alerts(filter.clone(), after, limit).await.unwrap().unwrap();
        pages.push(page.alerts);
        after = page.next;
        if after.is_none() {
            return pages;
        }
    }
}

async fn listed(store: &dyn Store, filter: AlertFilter) -> Vec<String> {
    let alerts = pages(store, &filter, 1_000).await.concat();
    alerts.into_iter().map(|alert| alert.fingerprint).collect()
}

async fn the_newest_alert_comes_first_and_each_is_listed_once(store: &dyn Store) {
    for minute in 1..=10 {
        // Several of one moment, too.
        let group = (0..7).map(|n| received(firing(&format!("{minute:02}-{n}")), minute));
        record(store, group.collect()).await;
    }
    for limit in [1, 3, 7, 69, 70, 71] {
        let pages = pages(store, &AlertFilter::default(), limit).await;
        assert!(pages.iter().all(|page| page.len() <= limit));
        assert_eq!(pages.len(), 70usize.div_ceil(limit), "no page after the last alert");
        let mut alerts = pages.concat();
        assert!(alerts.is_sorted_by_key(|alert| std::cmp::Reverse(alert.first_received)));
        alerts.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
        alerts.dedup_by(|a, b| a.fingerprint == b.fingerprint);
        assert_eq!(alerts.len(), 70);
    }
}

async fn pages_stay_as_they_are_under_new_arrivals(store: &dyn Store) {
    record(store, (0..6).map(|n| received(firing(&format!("a{n}")), n)).collect()).await;
    let filter = AlertFilter { name: Some("DiskFull".into()), ..AlertFilter::default() };
    let first = store.list_alerts(filter.clone(), None, 3).await.unwrap().unwrap();
    let group = (0..3).map(|n| received(firing(&format!("b{n}")), 20)).collect();
    record(store, group).await;
    // A repeat and a resolution are no new alerts.
    record(store, vec![received(firing("a1"), 21), received(resolved("a2"), 22)]).await;
    let second = store.list_alerts(filter, first.next, 3).await.unwrap().unwrap();
    let names = |alerts: Vec<Alert>| alerts.into_iter().map(|a| a.fingerprint).collect::<Vec<_>>();
    assert_eq!(names(first.alerts), ["a5", "a4", "a3"]);
    assert_eq!(names(second.alerts), ["a2", "a1", "a0"]);
    assert_eq!(second.next, None);
}

async fn every_filter_admits_what_it_says(store: &dyn Store) {
    let labelled = {
        let mut alert = received(with("d", "Latency", "page"), 4);
        alert.labels.insert("team".into(), "db=1 ü".into());
        alert
    };
    record(
        store,
        vec![
            received(with("a", "Disk", "page"), 1),
            received(with("b", "Disk", "warning"), 2),
            received(
                ReceivedAlert {
                    ends_at: Some(at(3)),
                    status: Status::Resolved,
                    ..with("c", "Disk", "page")
                },
                3,
            ),
            labelled,
        ],
    )
    .await;
    let all = AlertFilter::default;
    let (disk, page) = (Some("Disk".to_owned()), Some("page".to_owned()));
    let (fires, over) = (Some(Status::Firing), Some(Status::Resolved));
    let label = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    for (filter, expected) in [
        (all(), "dcba"),
        (AlertFilter { status: fires, ..all() }, "dba"),
        (AlertFilter { status: over, ..all() }, "c"),
        (AlertFilter { name: disk.clone(), ..all() }, "cba"),
        (AlertFilter { name: disk.clone(), status: fires, ..all() }, "ba"),
        (AlertFilter { severity: page.clone(), ..all() }, "dca"),
        (AlertFilter { severity: page.clone(), status: fires, ..all() }, "da"),
        (AlertFilter { name: disk.clone(), severity: page.clone(), ..all() }, "ca"),
        (AlertFilter { name: Some("disk".into()), ..all() }, ""),
        (AlertFilter { labels: label("team", "db=1 ü"), ..all() }, "d"),
        (AlertFilter { labels: label("team", "db"), ..all() }, ""),
        (
            AlertFilter {
                labels: [label("alertname", "Disk"), label("dotted.name", "x")].concat(),
                ..all()
            },
            "",
        ),
        (AlertFilter { fingerprint: Some("b".into()), ..all() }, "b"),
        (AlertFilter { fingerprint: Some("b".into()), status: over, ..all() }, ""),
        (AlertFilter { fingerprint: Some("b".into()), from: Some(at(3)), ..all() }, ""),
        (AlertFilter { from: Some(at(2)), until: Some(at(4)), ..all() }, "cb"),
        (AlertFilter { from: Some(at(2)), name: disk, status: fires, ..all() }, "b"),
        (AlertFilter { until: Some(at(4)), severity: page, ..all() }, "ca"),
        (AlertFilter { from: Some(at(9)), status: fires, ..all() }, ""),
    ] {
        let context = format!("{filter:?}");
        assert_eq!(listed(store, filter).await.concat(), expected, "{context}");
    }
    let found = pages(store, &AlertFilter { fingerprint: Some("d".into()), ..all() }, 1).await;
    assert_eq!(found[0][0].labels["team"], "db=1 ü");
}

async fn instances_of_a_fingerprint_are_listed_the_latest_start_first(store: &dyn Store) {
    for start in [5, 1, 9, 3] {
        let alert = ReceivedAlert { starts_at: Some(at(start)), ..firing("a") };
        record(store, vec![received(alert, start), firing("b")]).await;
    }
    let filter = AlertFilter { fingerprint: Some("a".into()), ..AlertFilter::default() };
    let starts: Vec<Time> =
        pages(store, &filter, 1).await.concat().into_iter().map(|alert| alert.starts_at).collect();
    assert_eq!(starts, [at(9), at(5), at(3), at(1)]);
}

async fn a_position_of_another_list_is_refused(store: &dyn Store) {
    record(store, vec![firing("a"), firing("b")]).await;
    let of_one = AlertFilter { fingerprint: Some("a".into()), ..AlertFilter::default() };
    let by_receipt = store.list_alerts(AlertFilter::default(), None, 1).await.unwrap().unwrap();
    assert_eq!(store.list_alerts(of_one, by_receipt.next, 1).await.unwrap(), None);
    let by_start = ListPosition { at: at(0), tie: String::new() };
    let listed = store.list_alerts(AlertFilter::default(), Some(by_start), 1).await.unwrap();
    assert_eq!(listed, None);
}

async fn a_page_that_finds_nothing_soon_enough_says_where_to_go_on(store: &dyn Store) {
    let mut wanted = received(firing("wanted"), 0);
    wanted.labels.insert("team".into(), "db".into());
    record(store, vec![wanted]).await;
    for batch in 0..11 {
        let group = (0..1_000).map(|n| received(firing(&format!("{batch}-{n}")), batch + 1));
        record(store, group.collect()).await;
    }
    let labels = vec![("team".to_owned(), "db".to_owned())];
    let filter = AlertFilter { labels, ..AlertFilter::default() };
    let pages = pages(store, &filter, 10).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1]);
}

async fn counts_of_any_period_are_those_of_the_alerts(store: &dyn Store) {
    // Across hours, with changes of severity, resolutions, and deletions.
    let minutes = [0, 1, 58, 59, 60, 61, 119, 180, 181, 600];
    for minute in minutes {
        let of = |n: i64, severity: &str| {
            received(with(&format!("{minute}-{n}"), "Disk", severity), minute)
        };
        record(store, vec![of(0, "page"), of(1, "info"), of(2, "page")]).await;
        record(store, vec![received(with(&format!("{minute}-2"), "Disk", "P1"), minute + 1)]).await;
    }
    let batch = orchestrator::store::ExpiryBatch { before: at(1), limit: 2, now: at(700) };
    assert_eq!(store.expire_alerts(batch).await.unwrap().deleted, 2);
    let alerts = pages(store, &AlertFilter::default(), 1_000).await.concat();
    for from in [0, 1, 59, 60, 61, 180, 181, 9_000] {
        for until in [0, 1, 2, 59, 60, 62, 181, 601, 10_000] {
            let (from, until) = (at(from), at(until));
            let mut expected = std::collections::BTreeMap::new();
            for alert in &alerts {
                if from <= alert.first_received && alert.first_received < until {
                    let key = orchestrator::model::severity_key(&alert.severity);
                    *expected.entry(key.to_owned()).or_insert(0) += 1;
                }
            }
            let counted = store.received_counts(from, until).await.unwrap();
            assert_eq!(counted.by_severity, expected, "{from}..{until}");
            assert_eq!(counted.total, expected.values().sum::<u64>());
            let named = store.received_counts_of("Disk", from, until).await.unwrap();
            assert_eq!(named, counted);
        }
    }
    assert_eq!(store.received_counts_of("Other", at(0), at(900)).await.unwrap().total, 0);
}

async fn alerts_of_one_name_are_counted_in_buckets(store: &dyn Store) {
    record(
        store,
        vec![received(firing("a"), 0), received(firing("b"), 1), received(firing("c"), 60)],
    )
    .await;
    record(store, vec![received(resolved("a"), 30), received(with("d", "Other", "page"), 0)]).await;
    let hour = Buckets { from: at(0), until: at(61), width_ms: 3_600_000, offset_ms: 0 };
    let number = at(0).millis() / 3_600_000;
    let buckets = async |name: &str, buckets, limit| {
        let found = store.alert_buckets(name, buckets, limit).await.unwrap();
        found.into_iter().map(|b| (b.number - number, b.fired, b.resolved)).collect::<Vec<_>>()
    };
    assert_eq!(buckets("DiskFull", hour, 9).await, [(1, 1, 0), (0, 2, 1)]);
    assert_eq!(buckets("DiskFull", hour, 1).await, [(1, 1, 0)]);
    assert_eq!(buckets("DiskFull", Buckets { until: at(60), ..hour }, 9).await, [(0, 2, 1)]);
    assert_eq!(
        buckets("DiskFull", Buckets { from: at(1), ..hour }, 9).await,
        [(1, 1, 0), (0, 1, 0)]
    );
    assert_eq!(buckets("Other", hour, 9).await, [(0, 1, 0)]);
}
