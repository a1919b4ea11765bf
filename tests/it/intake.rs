//! Alerts in: what is counted, what is stored, and that nothing is there twice.

use std::sync::Arc;

use futures::{StreamExt, stream::FuturesUnordered};
use insta::assert_json_snapshot;
use orchestrator::{
    knowledge::{ChangeError, Receipt},
    model::{ManualClock, Time},
};
use serde_json::{Value, json};

mod cases;

use crate::harness::{Alert, Place, Running, World, on_each_store, payload};

on_each_store![
    a_real_notification_is_stored_with_all_that_it_says,
    an_alert_is_new_then_a_duplicate_then_updated,
    a_resolved_alert_that_fires_again_is_open_again,
    a_resolution_of_an_unknown_alert_is_new,
    an_alert_without_a_start_joins_the_open_one,
    a_thousand_alerts_are_taken_at_once,
    times_are_equal_if_they_are_to_the_millisecond,
    notifications_at_the_same_time_count_each_alert_once,
    an_empty_notification_is_fine,
];

const FIRING: &str = include_str!("intake/firing-v0.25.json");

async fn counts(service: &Running, alerts: impl IntoIterator<Item = Alert>) -> [u64; 4] {
    counted(&service.signer().notify(&payload(alerts)).await.expect(200).json())
}

fn counted(answer: &Value) -> [u64; 4] {
    assert_eq!(answer["status"], "ok");
    ["received", "new", "updated", "duplicates"].map(|name| answer[name].as_u64().unwrap())
}

async fn a_real_notification_is_stored_with_all_that_it_says(place: &Place) {
    let clock = Arc::new(ManualClock::new(Time::parse("2026-11-24T07:00:30.123Z").unwrap()));
    let service = place.start_at(clock.clone()).await;
    let answer = service.alertmanager().post_bytes("/webhook/alerts", FIRING.as_bytes()).await;
    assert_json_snapshot!("webhook_answer", answer.expect(200).json());
    let mut stored = service.stored("alerts").await;
    stored.sort_by_key(|alert| alert["startsAt"].as_str().map(str::to_owned));
    assert_json_snapshot!("stored_alerts", stored);

    clock.advance_millis(4 * 3_600_000);
    let again = service.alertmanager().post_bytes("/webhook/alerts", FIRING.as_bytes()).await;
    assert_eq!(counted(&again.expect(200).json()), [2, 0, 0, 2]);
    for alert in service.stored("alerts").await {
        assert_eq!(alert["timestamp"], "2026-11-24T11:00:30.123Z");
    }
}

async fn an_alert_is_new_then_a_duplicate_then_updated(place: &Place) {
    let service = place.start().await;
    let firing = Alert::firing("HighErrorRate", "node1:9100");
    assert_eq!(counts(&service, [firing.clone()]).await, [1, 1, 0, 0]);
    assert_eq!(counts(&service, [firing.clone()]).await, [1, 0, 0, 1]);
    let resolved = firing.clone().resolved_after(90);
    let other = Alert::firing("HighErrorRate", "node2:9100");
    assert_eq!(counts(&service, [resolved.clone(), other.clone()]).await, [2, 1, 1, 0]);
    assert_eq!(counts(&service, [resolved, other]).await, [2, 0, 0, 2]);
    let stored = service.stored("alerts").await;
    let alert = stored.iter().find(|a| a["labels"]["instance"] == "node1:9100").unwrap();
    assert_eq!(alert["status"], "resolved");
    assert_eq!(alert["resolvedAt"], "2026-11-24T07:01:57.468Z");
    assert_eq!(alert["duration"], 90_000);
    assert_eq!(stored.len(), 2);
    for (outcome, count) in [("new", 2.0), ("updated", 1.0), ("duplicate", 3.0)] {
        let series = format!(r#"alerts_stored_total{{outcome="{outcome}"}}"#);
        assert_eq!(service.sample(&series).await, count, "{outcome}");
    }
}

async fn a_resolved_alert_that_fires_again_is_open_again(place: &Place) {
    let service = place.start().await;
    let firing = Alert::firing("HighErrorRate", "node1:9100");
    counts(&service, [firing.clone()]).await;
    counts(&service, [firing.clone().resolved_after(60)]).await;
    assert_eq!(counts(&service, [firing]).await, [1, 0, 1, 0]);
    let stored = service.stored("alerts").await;
    assert_eq!((stored.len(), &stored[0]["status"]), (1, &json!("firing")));
    assert!(stored[0].get("resolvedAt").is_none() && stored[0].get("duration").is_none());
}

async fn a_resolution_of_an_unknown_alert_is_new(place: &Place) {
    let service = place.start().await;
    let resolved = Alert::firing("HighErrorRate", "node1:9100").resolved_after(7);
    assert_eq!(counts(&service, [resolved]).await, [1, 1, 0, 0]);
    let stored = service.stored("alerts").await;
    assert_eq!((&stored[0]["status"], &stored[0]["duration"]), (&json!("resolved"), &json!(7000)));
}

async fn an_alert_without_a_start_joins_the_open_one(place: &Place) {
    let now = Time::parse("2026-11-24T08:00:00Z").unwrap();
    let service = place.start_at(Arc::new(ManualClock::new(now))).await;
    let startless = Alert::firing("HighErrorRate", "node1:9100").without("startsAt");
    assert_eq!(counts(&service, [startless.clone()]).await, [1, 1, 0, 0]);
    assert_eq!(counts(&service, [startless.clone()]).await, [1, 0, 0, 1]);
    let zero = startless.with("startsAt", json!("0001-01-01T00:00:00Z"));
    assert_eq!(counts(&service, [zero]).await, [1, 0, 0, 1]);
    let stored = service.stored("alerts").await;
    assert_eq!((stored.len(), &stored[0]["startsAt"]), (1, &json!(now.to_string())));
}

async fn a_thousand_alerts_are_taken_at_once(place: &Place) {
    let service = place.start().await;
    let alerts =
        || (0..1000).map(|n| Alert::firing("HighErrorRate", "node").label("n", &n.to_string()));
    assert_eq!(counts(&service, alerts()).await, [1000, 1000, 0, 0]);
    assert_eq!(counts(&service, alerts()).await, [1000, 0, 0, 1000]);
    assert_eq!(service.stored("alerts").await.len(), 1000);
    // One payload is one operation of the store.
    let records = r#"store_operation_duration_seconds_count{operation="commit"}"#;
    assert_eq!(service.sample(records).await, 2.0);
}

async fn times_are_equal_if_they_are_to_the_millisecond(place: &Place) {
    let service = place.start().await;
    let at = |start: &str| Alert::firing("A", "node").with("startsAt", json!(start));
    assert_eq!(counts(&service, [at("2026-11-24T07:00:27.468043282Z")]).await, [1, 1, 0, 0]);
    assert_eq!(counts(&service, [at("2026-11-24T07:00:27.468999Z")]).await, [1, 0, 0, 1]);
    assert_eq!(counts(&service, [at("2026-11-24T08:00:27.468+01:00")]).await, [1, 0, 0, 1]);
    assert_eq!(counts(&service, [at("2026-11-24T07:00:27.469Z")]).await, [1, 1, 0, 0]);
}

async fn notifications_at_the_same_time_count_each_alert_once(place: &Place) {
    let service = place.start().await;
    let signer = service.signer();
    let all = payload((0..5).map(|n| Alert::firing("HighErrorRate", &format!("node{n}:9100"))));
    let answers = futures::future::join_all((0..16).map(|_| signer.notify(&all))).await;
    let mut sum = [0; 4];
    for answer in answers {
        let counts = counted(&answer.expect(200).json());
        assert_eq!(counts[0], 5);
        sum = std::array::from_fn(|i| sum[i] + counts[i]);
    }
    assert_eq!(sum, [80, 5, 0, 75]);
    assert_eq!(service.stored("alerts").await.len(), 5);
    assert_eq!(service.stored("knowledge_base").await[0]["occurrences"], 5);
}

async fn an_empty_notification_is_fine(place: &Place) {
    let service = place.start().await;
    assert_eq!(counts(&service, []).await, [0, 0, 0, 0]);
}

#[tokio::test]
async fn alerts_that_alertmanager_left_out_are_counted() {
    let place = Place::sqlite();
    let service = place.start().await;
    let mut body = payload([Alert::firing("HighErrorRate", "node1:9100")]);
    body["truncatedAlerts"] = json!(7);
    service.signer().notify(&body).await.expect(200);
    assert_eq!(service.sample("alerts_truncated_total").await, 7.0);
}

/// Grafana's own payload: Alertmanager's with fields of its own at every level.
#[tokio::test]
async fn grafanas_payload_is_taken() {
    let place = Place::sqlite();
    let service = place.start().await;
    let body = json!({
        "receiver": "orchestrator", "status": "firing", "orgId": 1, "version": "1",
        "title": "[FIRING:1] DiskFull", "state": "alerting", "message": "**Firing**",
        "groupKey": "{}:{alertname=\"DiskFull\"}", "truncatedAlerts": 0, "appVersion": "12.0.0",
        "groupLabels": {"alertname": "DiskFull"}, "commonLabels": {"alertname": "DiskFull"},
        "commonAnnotations": {}, "externalURL": "https://grafana.example.org/",
        "alerts": [{
            "status": "firing",
            "labels": {"alertname": "DiskFull", "grafana_folder": "Ops", "severity": "high"},
            "annotations": {"summary": "The disk of db1 is 97% full"},
            "startsAt": "2026-11-24T10:12:00+01:00", "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "https://grafana.example.org/alerting/grafana/abc/view?orgId=1",
            "fingerprint": "57c6d9296de2ad39", "silenceURL": "https://grafana.example.org/silence",
            "dashboardURL": "", "panelURL": "", "values": {"B": 97.1, "C": 1}, "valueString": "[]",
            "orgId": 1, "imageURL": null,
        }],
    });
    let answer = service.signer().notify(&body).await.expect(200);
    assert_eq!(counted(&answer.json()), [1, 1, 0, 0]);
    let stored = service.stored("alerts").await;
    assert_eq!(stored[0]["startsAt"], "2026-11-24T09:12:00.000Z");
    assert_eq!(stored[0]["message"], "The disk of db1 is 97% full");
    let received = service.sample(r#"alerts_received_total{severity="high",status="firing"}"#);
    assert_eq!(received.await, 1.0);
}

/// Fingerprints of Alertmanager 0.25 for label sets without one in the payload.
#[tokio::test]
async fn a_missing_fingerprint_is_prometheus_own() {
    let place = Place::sqlite();
    let service = place.start().await;
    let labels = json!({
        "agent": "content-agent", "alertname": "HighErrorRate", "cause": "timeout",
        "instance": "node2:9100", "job": "orchestrator", "severity": "critical",
    });
    let alert = json!({"status": "firing", "labels": labels});
    service.signer().notify(&json!({"alerts": [alert]})).await.expect(200);
    assert_eq!(service.stored("alerts").await[0]["fingerprint"], "6603445b771b1c30");
}

/// More requests than the writer holds are refused at once, and none of the others is lost when it
/// finishes.
#[tokio::test]
async fn what_waits_is_bounded_and_stored_before_the_end() {
    const MOST: usize = 4_096;
    let place = Place::sqlite();
    let world = World::at("2026-11-24T12:00:00Z", &place).await;
    // While another holds the file, the first group of requests does not end.
    let mut files = std::fs::read_dir(place.directory()).unwrap().map(|file| file.unwrap().path());
    let file = files.find(|file| file.extension().is_some_and(|end| end == "db")).unwrap();
    let other = rusqlite::Connection::open(file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let send = |n: usize| world.base.receive(vec![world.firing(&n.to_string())]);
    let mut answers: FuturesUnordered<_> = (0..2 * MOST).map(send).collect();
    let early = answers.next().await.unwrap().unwrap_err();
    assert!(matches!(early, ChangeError::Overloaded), "{early}");
    other.execute_batch("ROLLBACK").unwrap();
    let (mut taken, mut refused) = (0, 1);
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(receipt) => {
                assert_eq!(receipt, Receipt { new: 1, updated: 0, duplicates: 0 });
                taken += 1;
            }
            Err(ChangeError::Overloaded) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(taken >= MOST && refused > 0, "{taken} taken, {refused} refused");
    assert_eq!(world.alerts().await, taken as u64);
    let (last, left) = tokio::join!(send(0), world.base.finish());
    assert_eq!((last.unwrap().duplicates, left), (1, 0));
    assert!(matches!(send(1).await.unwrap_err(), ChangeError::Closed));
}
