//! The summary right after each change: the network of concepts and the lists of entries.

use std::sync::Arc;

use orchestrator::model::{ManualClock, Time};
use serde_json::{Value, json};

use crate::harness::{Alert, Place, Running, on_each_store, payload};

on_each_store![
    the_network_follows_each_change,
    the_lists_follow_each_change,
    provenance_and_severities_are_counted,
];

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Time::parse("2026-11-24T07:10:00.000Z").unwrap()))
}

async fn start(place: &Place, clock: &Arc<ManualClock>) -> Running {
    place.start_at(Arc::clone(clock) as Arc<_>).await
}

fn path(entry: &Value) -> String {
    format!("/api/knowledge/entries/{}", entry["id"].as_str().unwrap())
}

async fn network(service: &Running) -> Value {
    service.summary().await["networkStats"].take()
}

fn connected(network: &Value) -> Vec<(&str, i64)> {
    let most = network["mostConnected"].as_array().unwrap().iter();
    most.map(|c| (c["name"].as_str().unwrap(), c["connections"].as_i64().unwrap())).collect()
}

fn sizes(network: &Value) -> (&Value, &Value, &Value) {
    (&network["totalConcepts"], &network["totalLinks"], &network["avgConnectivity"])
}

async fn the_network_follows_each_change(place: &Place) {
    let clock = clock();
    let service = start(place, &clock).await;
    let empty = network(&service).await;
    assert_eq!(sizes(&empty), (&json!(0), &json!(0), &json!(0.0)));
    let write =
        async |tags: Value| service.operator().write(&json!({"title": "t", "tags": tags})).await;
    let first = write(json!(["disk", "node", "linux"])).await;
    let second = write(json!(["disk", "node"])).await;
    let third = write(json!(["disk", "etcd"])).await;
    let all = network(&service).await;
    assert_eq!(sizes(&all), (&json!(4), &json!(4), &json!(2.0)));
    assert_eq!(connected(&all), [("disk", 3), ("linux", 2), ("node", 2), ("etcd", 1)]);
    let page = service.summary().await;
    assert_eq!(page["stats"]["byTag"], json!({"disk": 3, "etcd": 1, "linux": 1, "node": 2}));

    service.operator().delete(&path(&first)).await.expect(204);
    let less = network(&service).await;
    assert_eq!(sizes(&less), (&json!(3), &json!(2), &json!(1.33)));
    assert_eq!(connected(&less), [("disk", 2), ("etcd", 1), ("node", 1)]);

    let text = json!({"title": "t", "tags": ["etcd", "raft"]});
    service.operator().put(&path(&second), &text).await.expect(200);
    let changed = network(&service).await;
    assert_eq!(connected(&changed), [("etcd", 2), ("disk", 1), ("raft", 1)]);

    // What alerts bring is linked too, and a repeat changes nothing.
    let labels = json!({"alertname": "DiskFull", "job": "disk"});
    let alert = Alert::firing("DiskFull", "node1").with("labels", labels);
    for _ in 0..2 {
        service.alertmanager().notify(&payload([alert.clone()])).await.expect(200);
        let learned = network(&service).await;
        assert_eq!(connected(&learned), [("disk", 2), ("etcd", 2), ("DiskFull", 1), ("raft", 1)]);
    }
    let before = service.summary().await;
    service.stop().await.unwrap();
    let service = start(place, &clock).await;
    assert_eq!(service.summary().await, before);
    service.operator().delete(&path(&second)).await.expect(204);
    service.operator().delete(&path(&third)).await.expect(204);
    assert_eq!(connected(&network(&service).await), [("DiskFull", 1), ("disk", 1)]);
}

fn titles(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|brief| brief["title"].as_str().unwrap()).collect()
}

async fn the_lists_follow_each_change(place: &Place) {
    let clock = clock();
    let service = start(place, &clock).await;
    let mut written = Vec::new();
    for n in 1..=6 {
        clock.advance_millis(1_000);
        let severity = if n % 2 == 0 { "critical" } else { "low" };
        let entry = json!({"title": format!("e{n}"), "severity": severity});
        written.push(service.operator().write(&entry).await);
    }
    let page = service.summary().await;
    assert_eq!(titles(&page["recentLearnings"]), ["e6", "e5", "e4", "e3", "e2"]);
    assert_eq!(titles(&page["stats"]["recentUpdates"]), ["e6", "e5", "e4", "e3", "e2"]);
    assert_eq!(titles(&page["stats"]["criticalEntries"]), ["e6", "e4", "e2"]);
    assert_eq!(page["topIssues"], json!([]), "only alerts are issues");
    let brief =
        ["category", "firstSeen", "id", "lastUpdated", "occurrences", "severity", "tags", "title"];
    let names: Vec<_> = page["recentLearnings"][0].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, brief);

    clock.advance_millis(1_000);
    let text = json!({"title": "e1 anew", "severity": "critical"});
    service.operator().put(&path(&written[0]), &text).await.expect(200);
    service.operator().delete(&path(&written[5])).await.expect(204);
    let page = service.summary().await;
    assert_eq!(titles(&page["recentLearnings"]), ["e5", "e4", "e3", "e2", "e1 anew"]);
    assert_eq!(titles(&page["stats"]["recentUpdates"]), ["e1 anew", "e5", "e4", "e3", "e2"]);
    assert_eq!(titles(&page["stats"]["criticalEntries"]), ["e1 anew", "e4", "e2"]);
    assert_eq!(page["stats"]["total"], 5);

    // Issues are those that occur most; each instance counts, no repeat does.
    clock.advance_millis(1_000);
    for (name, instances) in [("Once", 1), ("Thrice", 3), ("Twice", 2)] {
        let alerts =
            (0..instances).map(|n| Alert::firing(name, &format!("node{n}")).label("cause", ""));
        let alerts = payload(alerts);
        service.alertmanager().notify(&alerts).await.expect(200);
        service.alertmanager().notify(&alerts).await.expect(200);
    }
    let page = service.summary().await;
    assert_eq!(titles(&page["topIssues"]), ["Thrice", "Twice", "Once"]);
    assert_eq!(page["topIssues"][0]["occurrences"], 3);
    service.stop().await.unwrap();
    assert_eq!(start(place, &clock).await.summary().await, page);
}

async fn provenance_and_severities_are_counted(place: &Place) {
    let service = start(place, &clock()).await;
    service.operator().write(&json!({"title": "a", "severity": "low"})).await;
    service.admin().write(&json!({"title": "b", "severity": "low"})).await;
    let gone = service.operator().write(&json!({"title": "c", "severity": "high"})).await;
    service.operator().delete(&path(&gone)).await.expect(204);
    service.alertmanager().notify(&payload([Alert::firing("Disk", "a")])).await.expect(200);
    service.operator().ask("zebra").await;
    let page = service.summary().await;
    let stats = &page["stats"];
    assert_eq!(stats["bySeverity"], json!({"critical": 1, "low": 3}));
    assert_eq!(
        stats["byCategory"],
        json!({"alert_pattern": 1, "question": 1, "troubleshooting": 2})
    );
    let provenance = &page["diagnostics"]["provenance"];
    assert_eq!(provenance["bySourceType"], json!({"alert-pattern": 1, "manual": 2, "query": 1}));
    // Kinds only: the page is public, and a key's label or a file's name is nobody's business.
    assert_eq!(provenance["bySourceModel"], json!({"alertmanager": 1, "operator": 1, "person": 2}));
    assert_eq!(provenance["derivedFrom"], json!({"alert": 1}));
    assert_eq!(
        (&provenance["totalEntries"], &provenance["unknownProvenanceCount"]),
        (&json!(4), &json!(0))
    );
    let freshness = &page["diagnostics"]["freshness"];
    assert_eq!((&freshness["status"], &freshness["freshEntries"]), (&json!("fresh"), &json!(4)));
}
