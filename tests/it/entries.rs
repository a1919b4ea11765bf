//! Entries by hand: made, read, replaced and taken away over HTTP.

use std::sync::Arc;

use orchestrator::model::{ManualClock, Time};
use serde_json::{Value, json};
use sha2::Digest;

use crate::{
    harness::{Alert, Place, Running, eventually, on_each_store, on_mongodb, on_sqlite, payload},
    outage::Store,
};

on_each_store![
    an_entry_is_made_and_read,
    an_entry_is_replaced_and_keeps_what_it_is,
    an_entry_is_taken_away,
    entries_by_hand_outlive_a_restart,
    a_solution_by_hand_outlives_further_alerts,
    a_pattern_keeps_its_kind_when_its_text_is_replaced,
];

const NOW: &str = "2026-11-24T07:10:00.000Z";
const ENTRIES: &str = "/api/knowledge/entries";

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Time::parse(NOW).unwrap()))
}

fn at(id: &str) -> String {
    format!("{ENTRIES}/{id}")
}

fn id(entry: &Value) -> String {
    entry["id"].as_str().expect("an id").to_owned()
}

/// An entry with everything in it.
fn whole() -> Value {
    json!({
        "title": "Kafka consumers lag behind", "category": "optimization", "severity": "high",
        "description": "Messages wait in the topic.", "rootCause": "Too few partitions.",
        "solution": "Add partitions.", "prerequisites": ["Access to the broker"],
        "steps": ["Look at the lag.", "Add partitions."], "expectedOutcome": "No lag.",
        "tags": ["kafka", "lag"], "relatedEntries": ["kb-alert-0"],
        "runbookUrl": "https://runbooks.example.org/lag",
    })
}

async fn an_entry_is_made_and_read(place: &Place) {
    let service = place.start_at(clock()).await;
    let made = service.operator().post(ENTRIES, &whole()).await.expect(201);
    let entry = made.json();
    assert_eq!(made.header("location"), at(&id(&entry)));
    assert_eq!(made.header("cache-control"), "no-store");
    let mut expected = whole();
    let now = Time::parse(NOW).unwrap().millis();
    for (name, value) in [
        ("id", entry["id"].clone()),
        ("firstSeen", json!(now)),
        ("lastUpdated", json!(now)),
        ("occurrences", json!(1)),
        ("version", json!(1)),
        ("notes", json!([])),
        ("helped", json!(0)),
        ("notHelped", json!(0)),
        (
            "provenance",
            json!({
                "sourceType": "manual", "sourceModel": "operator", "derivedFrom": [],
                "evidenceDate": "2026-11-24",
            }),
        ),
    ] {
        expected[name] = value;
    }
    assert_eq!(entry, expected);
    assert_eq!(service.viewer().entry(&id(&entry)).await, expected);

    // It answers the very next question.
    for query in ["kafka", "partitions", "consumer lag"] {
        let answer = service.operator().ask(query).await;
        assert_eq!(answer["sources"], json!([entry["id"]]), "{query}");
        assert_eq!(answer["results"]["solutions"], json!(["Add partitions."]));
    }

    let bare = service.operator().write(&json!({"title": " Bare ", "tags": ["a", " a "]})).await;
    assert_eq!(
        (&bare["title"], &bare["category"], &bare["severity"], &bare["tags"]),
        (&json!("Bare"), &json!("troubleshooting"), &json!("medium"), &json!(["a"]))
    );
}

async fn an_entry_is_replaced_and_keeps_what_it_is(place: &Place) {
    let clock = clock();
    let service = place.start_at(Arc::clone(&clock) as Arc<_>).await;
    let made = service.operator().write(&whole()).await;
    let place = at(&id(&made));
    clock.advance_millis(60_000);
    let text = json!({
        "title": "Zookeeper is gone", "category": "troubleshooting", "severity": "low",
        "solution": "Restart it.",
    });
    let replaced = service.admin().put(&place, &text).await.expect(200).json();
    for name in ["id", "firstSeen", "occurrences"] {
        assert_eq!(replaced[name], made[name], "{name}");
    }
    // Who wrote what is told field by field.
    assert_eq!(
        (&replaced["version"], &replaced["provenance"]["sourceModel"]),
        (&json!(2), &json!("operator"))
    );
    assert_eq!(replaced["provenance"]["texts"]["solution"]["name"], "admin");
    assert_eq!(replaced["lastUpdated"], made["firstSeen"].as_i64().unwrap() + 60_000);
    for (name, value) in text.as_object().unwrap() {
        assert_eq!(&replaced[name], value);
    }
    // What is not told any more has gone.
    assert_eq!((&replaced["tags"], &replaced["description"]), (&json!([]), &json!("")));
    assert!(replaced.get("rootCause").is_none() && replaced.get("runbookUrl").is_none());
    assert_eq!(service.viewer().entry(&id(&made)).await, replaced);
    assert_eq!(service.operator().ask("zookeeper").await["sources"], json!([made["id"]]));
    assert_eq!(service.operator().ask("kafka").await["sources"], json!([]));

    let answer = service.operator().put(&at("kb-none"), &text).await.expect(404);
    assert_eq!(answer.error(), "Not found");
}

async fn an_entry_is_taken_away(place: &Place) {
    let service = place.start_at(clock()).await;
    let made = service.operator().write(&whole()).await;
    let gone = service.operator().delete(&at(&id(&made))).await.expect(204);
    assert_eq!(gone.body.len(), 0);
    service.viewer().get(&at(&id(&made))).await.expect(404).error();
    service.operator().delete(&at(&id(&made))).await.expect(404).error();
    service.operator().put(&at(&id(&made)), &whole()).await.expect(404).error();
    assert_eq!(service.operator().ask("kafka").await["sources"], json!([]));
    service.stop().await.unwrap();
    let service = place.start_at(clock()).await;
    service.viewer().get(&at(&id(&made))).await.expect(404);
}

async fn entries_by_hand_outlive_a_restart(place: &Place) {
    let clock = clock();
    let service = place.start_at(Arc::clone(&clock) as Arc<_>).await;
    let kept = service.operator().write(&whole()).await;
    let changed = service.operator().write(&json!({"title": "Old name"})).await;
    clock.advance_millis(1_000);
    let text = json!({"title": "New name", "steps": ["Zażółć gęślą jaźń", ""]});
    let changed = service.operator().put(&at(&id(&changed)), &text).await.expect(200).json();
    let page = service.summary().await;
    service.stop().await.unwrap();
    let service = place.start_at(clock).await;
    assert_eq!(service.viewer().entry(&id(&kept)).await, kept);
    assert_eq!(service.viewer().entry(&id(&changed)).await, changed);
    assert_eq!(service.summary().await, page);
    let titles = service.operator().titles(&json!({"query": "new name"})).await;
    assert_eq!(titles, ["New name"]);
}

fn disk_full(instance: &str) -> Alert {
    Alert::firing("DiskFull", instance).label("cause", "logs")
}

async fn learn(service: &Running, alerts: impl IntoIterator<Item = Alert>) {
    service.alertmanager().notify(&payload(alerts)).await.expect(200);
}

/// The pattern that these alerts taught.
async fn pattern(service: &Running) -> Value {
    let page = service.summary().await;
    service.viewer().entry(&id(&page["topIssues"][0])).await
}

async fn a_solution_by_hand_outlives_further_alerts(place: &Place) {
    let service = place.start_at(clock()).await;
    learn(&service, [disk_full("node1"), disk_full("node2")]).await;
    learn(&service, [disk_full("node2").resolved_after(60)]).await;
    let learned = pattern(&service).await;
    let text = json!({
        "title": learned["title"], "category": "alert_pattern", "severity": learned["severity"],
        "rootCause": "logs", "solution": "Rotate the logs by hand.", "tags": learned["tags"],
    });
    let replaced = service.operator().put(&at(&id(&learned)), &text).await.expect(200).json();
    let counters = ["occurrences", "firing", "successRate", "meanTimeToResolveMs", "firstSeen"];
    for name in counters {
        assert_eq!(replaced[name], learned[name], "{name}");
    }
    let source = &replaced["provenance"]["texts"]["solution"];
    assert_eq!((&source["by"], &source["name"]), (&json!("person"), &json!("operator")));

    learn(&service, [disk_full("node3"), disk_full("node1").resolved_after(120)]).await;
    let counted = |entry: &Value| counters[..4].iter().map(|n| entry[*n].clone()).collect();
    let expected: Vec<Value> = vec![json!(3), json!(1), json!(2.0 / 3.0), json!(90_000)];
    let after = pattern(&service).await;
    assert_eq!(after["solution"], "Rotate the logs by hand.");
    assert_eq!(after["description"], "", "the first alert's annotations are not back");
    let now: Vec<Value> = counted(&after);
    assert_eq!(now, expected);

    service.stop().await.unwrap();
    let service = place.start_at(clock()).await;
    assert_eq!(pattern(&service).await, after);
}

async fn a_pattern_keeps_its_kind_when_its_text_is_replaced(place: &Place) {
    let service = place.start_at(clock()).await;
    learn(&service, [disk_full("node1")]).await;
    let learned = pattern(&service).await;
    let text = json!({"title": learned["title"], "solution": "Rotate the logs by hand."});
    let replaced = service.operator().put(&at(&id(&learned)), &text).await.expect(200).json();
    assert_eq!(
        (&replaced["category"], &replaced["severity"]),
        (&json!("alert_pattern"), &json!("critical"))
    );
    learn(&service, [disk_full("node2")]).await;
    let after = pattern(&service).await;
    assert_eq!((&after["occurrences"], &after["firing"]), (&json!(2), &json!(2)));
}

#[tokio::test]
async fn viewers_read_and_do_not_write() {
    let place = Place::sqlite();
    let service = place.start().await;
    let made = service.operator().write(&whole()).await;
    let path = at(&id(&made));
    let viewer = service.viewer();
    for refused in [
        viewer.post(ENTRIES, &whole()).await,
        viewer.put(&path, &whole()).await,
        viewer.delete(&path).await,
    ] {
        let refused = refused.expect(403);
        refused.error();
        assert_eq!(refused.json()["requiredRole"], "operator");
    }
    assert_eq!(viewer.entry(&id(&made)).await, made);
    service.anonymous().get(&path).await.expect(401);
    service.operator().get("/api/knowledge/export").await.expect(403);
}

#[tokio::test]
async fn the_limits_of_an_entry_are_told_with_every_problem() {
    let place = Place::sqlite();
    let service = place.start().await;
    let tags = |n: usize, length: usize| -> Vec<String> {
        (0..n).map(|i| format!("{i:0>length$}")).collect()
    };
    let mut largest = whole();
    largest["title"] = "ж".repeat(500).into();
    largest["description"] = "ж".repeat(50_000).into();
    largest["solution"] = "ж".repeat(50_000).into();
    largest["tags"] = tags(20, 50).into();
    let made = service.operator().write(&largest).await;
    assert_eq!(service.viewer().entry(&id(&made)).await["solution"], largest["solution"]);

    let mut wrong = whole();
    wrong["title"] = "ж".repeat(501).into();
    wrong["description"] = "ж".repeat(50_001).into();
    wrong["solution"] = json!(7);
    wrong["tags"] = tags(21, 5).into();
    wrong["category"] = "question".into();
    wrong["severity"] = "page".into();
    wrong["steps"] = json!(["one", 2]);
    wrong["runbookUrl"] = "file:///etc/passwd".into();
    let expected =
        ["category", "description", "runbookUrl", "severity", "solution", "steps", "tags", "title"];
    let posted = service.operator().post(ENTRIES, &wrong).await.expect(400);
    assert_eq!(posted.problem_paths(), expected);
    let put = service.operator().put(&at(&id(&made)), &wrong).await.expect(400);
    assert_eq!(put.problem_paths(), expected);

    for (name, value) in [
        ("title", json!("")),
        ("title", json!(" \n")),
        ("title", Value::Null),
        ("tags", json!(tags(1, 51))),
        ("tags", json!([""])),
    ] {
        let mut entry = whole();
        entry[name] = value;
        let refused = service.operator().post(ENTRIES, &entry).await.expect(400);
        assert_eq!(refused.problem_paths(), [name]);
    }
    for malformed in ["", "{", "[]", "7", "\"title\""] {
        service.operator().post_bytes(ENTRIES, malformed.as_bytes()).await.expect(400).error();
    }
    assert_eq!(service.summary().await["stats"]["total"], 1);
}

#[tokio::test]
async fn who_changed_which_entry_is_in_the_audit_log() {
    let place = Place::sqlite();
    let service = place.start().await;
    let operator = service.operator().with("x-request-id", "r-made");
    let made = operator.write(&whole()).await;
    let first = service.viewer().get(&at(&id(&made))).await.body;
    let second = service.admin().put(&at(&id(&made)), &whole()).await.expect(200).body;
    service.operator().delete(&at(&id(&made))).await.expect(204);
    // What changed nothing is not told.
    service.operator().delete(&at(&id(&made))).await.expect(404);
    service.operator().post(ENTRIES, &json!({})).await.expect(400);
    service.stop().await.unwrap();
    let lines = place.audited("knowledge_changed");
    let details: Vec<_> = lines.iter().map(|line| line["details"].clone()).collect();
    let hash = |entry: &[u8]| hex::encode(sha2::Sha256::digest(entry));
    let told = |key: &str, action: &str| json!({"key": key, "action": action, "entry": made["id"]});
    let mut expected =
        [told("operator", "create"), told("admin", "replace"), told("operator", "delete")];
    expected[1]["version"] = json!(2);
    expected[2]["version"] = Value::Null;
    // What was overwritten and what was deleted can be told by its hash.
    expected[1]["sha256Before"] = hash(&first).into();
    expected[2]["sha256Before"] = hash(&second).into();
    assert_eq!(details, expected);
    assert_eq!(lines[0]["requestId"], "r-made");
    assert_eq!(lines[0]["clientIp"], "127.0.0.1");
}

async fn nothing_is_changed_while_the_store_is_away(place: &Place) {
    let (service, store) = Store::start(place).await;
    let made = service.operator().write(&whole()).await;
    let path = at(&id(&made));
    store.go_away();
    let other = json!({"title": "Zookeeper is gone"});
    for refused in [
        service.operator().post(ENTRIES, &other).await,
        service.operator().put(&path, &other).await,
        service.operator().delete(&path).await,
    ] {
        let refused = refused.expect(503);
        assert_eq!(refused.error(), "The store is unavailable");
        assert_ne!(refused.header("retry-after"), "");
    }
    assert_eq!(service.viewer().entry(&id(&made)).await, made);
    let titles = service.operator().titles(&json!({"query": "kafka zookeeper"})).await;
    assert_eq!(titles, ["Kafka consumers lag behind"]);
    assert_eq!(service.summary().await["stats"]["total"], 1);

    // What waits to be stored and is taken away waits no more.
    let gap = service.operator().ask("zebra").await["gap"]["id"].take();
    assert_eq!(service.sample("knowledge_unpersisted_entries").await, 1.0);
    store.come_back();
    let question = at(gap.as_str().unwrap());
    eventually("the question is deleted", async || {
        (service.operator().delete(&question).await.status == 204).then_some(())
    })
    .await;
    eventually("nothing waits", async || {
        (service.sample("knowledge_unpersisted_entries").await == 0.0).then_some(())
    })
    .await;
    service.viewer().get(&question).await.expect(404);
    assert_eq!(service.stored("knowledge_base").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_changed_while_sqlite_is_away() {
    on_sqlite(nothing_is_changed_while_the_store_is_away).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_changed_while_mongodb_is_away() {
    on_mongodb(nothing_is_changed_while_the_store_is_away).await;
}
