//! Days that are not good ones: what is lost, late, moved, sent twice, deleted in between, or sent
//! to fill the machine. Each was seen to put a figure or a text off.

use std::sync::Arc;

use orchestrator::history::HistoryFilter;
use orchestrator::model::{ManualClock, ReceivedAlert, Severity, Status, Time, pattern_id};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    Actor, Alert, Answer, Place, Running, eventually, on_each_store, payload,
    world::{World, utc},
};

on_each_store![
    an_import_stays_when_a_question_is_closed_after_it,
    an_edit_names_the_version_that_it_saw,
    what_a_rule_gains_later_arrives,
    a_storm_of_other_descriptions_is_indexed_once_a_minute,
    resolved_without_a_start_three_times_is_one_instance,
    of_four_starts_whose_ends_were_lost_the_last_one_fires,
    a_start_that_moved_does_not_spoil_the_success_rate,
    another_name_under_one_fingerprint_leaves_nothing_firing,
    another_cause_under_one_fingerprint_leaves_nothing_firing,
    an_entry_deleted_while_its_alert_fires_counts_it_once_resolved,
    an_entry_deleted_and_made_anew_has_the_mean_of_what_is_stored,
    what_comes_back_every_five_days_is_counted_once,
    extreme_durations_do_not_stop_retention,
    a_severity_with_a_null_byte_does_not_stop_retention,
    severities_of_senders_are_counted_as_other,
    entries_are_listed_by_filters_and_page_by_page,
    notes_and_feedback_are_added_to_what_is_there,
];

/// Between replicas, which a SQLite file cannot have.
mod replicas {
    use crate::harness::{on_lone_mongodb, on_mongodb};

    #[tokio::test]
    async fn of_an_edit_and_a_deletion_at_once_one_wins() {
        on_mongodb(super::of_an_edit_and_a_deletion_at_once_by_two_replicas_one_wins).await;
        on_lone_mongodb(super::of_an_edit_and_a_deletion_at_once_by_two_replicas_one_wins).await;
    }

    #[tokio::test]
    async fn a_later_edit_does_not_overwrite_one_it_did_not_see() {
        on_mongodb(super::a_later_edit_does_not_overwrite_one_it_did_not_see).await;
        on_lone_mongodb(super::a_later_edit_does_not_overwrite_one_it_did_not_see).await;
    }
}

const START: &str = "2026-11-24T08:00:00Z";

async fn start(place: &Place) -> Running {
    let clock = ManualClock::new(Time::parse("2026-11-24T09:00:00.000Z").unwrap());
    place.start_at(Arc::new(clock)).await
}

fn alert(name: &str) -> Alert {
    Alert::firing(name, "node1").with("startsAt", json!(START)).label("cause", "logs")
}

async fn notify(service: &Running, alerts: impl IntoIterator<Item = Alert>) {
    service.alertmanager().notify(&payload(alerts)).await.expect(200);
}

fn path(id: &str) -> String {
    format!("/api/knowledge/entries/{id}")
}

async fn pattern(service: &Running, name: &str) -> Value {
    service.viewer().entry(&pattern_id(name, "logs")).await
}

/// Occurrences, firing, success rate and mean of an entry.
fn figures(entry: &Value) -> [Value; 4] {
    ["occurrences", "firing", "successRate", "meanTimeToResolveMs"].map(|n| entry[n].clone())
}

async fn patch(actor: &Actor, id: &str, fields: &Value) -> Answer {
    actor.call(Method::PATCH, &path(id), fields.to_string().as_bytes()).await
}

fn import(place: &Place, text: &str) {
    std::fs::write(place.directory().join("ZebraCrossing.md"), text).unwrap();
    let output = place.command(&["knowledge", "import", "ZebraCrossing.md"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

async fn an_import_stays_when_a_question_is_closed_after_it(place: &Place) {
    import(place, "# Zebra crossing\n\nThe first text.\n");
    let service = start(place).await;
    let asked = json!({"query": "zebra crossing", "filter": {"category": "optimization"}});
    let answer = service.operator().post("/api/knowledge/query", &asked).await.expect(200);
    assert!(answer.json()["gap"].is_object());
    import(place, "# Zebra crossing\n\nThe second text.\n");
    service.operator().ask("zebra crossing").await;
    let text = |entry: &Value| entry.to_string().contains("The second text.");
    eventually("the question is closed and the text is the second", async || {
        let open = service.summary().await["stats"]["openQuestions"] != 0;
        let stored = service.stored("knowledge_base").await;
        let entry = service.operator().ask("zebra crossing").await;
        (!open && stored.len() == 1 && text(&stored[0]) && text(&entry)).then_some(())
    })
    .await;
}

async fn of_an_edit_and_a_deletion_at_once_by_two_replicas_one_wins(place: &Place) {
    let (one, other) = (start(place).await, start(place).await);
    for n in 0..10 {
        let made = one.operator().write(&json!({"title": format!("Kafka {n}")})).await;
        let id = made["id"].as_str().unwrap().to_owned();
        other.viewer().entry(&id).await;
        let text = json!({"title": "Kafka", "solution": "Add partitions."});
        let (putter, deleter) = (one.operator(), other.operator());
        let place = path(&id);
        let (put, deleted) = tokio::join!(putter.put(&place, &text), deleter.delete(&place));
        let stored = one.stored("knowledge_base").await;
        let stored = stored.iter().any(|entry| entry["id"] == id.as_str());
        match (put.status, deleted.status) {
            // It was changed first, and what was deleted after that was the changed one.
            (200, 204) | (404 | 409, 204) => assert!(!stored),
            (200, 404 | 409) => assert!(stored),
            statuses => panic!("{statuses:?}"),
        }
    }
}

async fn an_edit_names_the_version_that_it_saw(place: &Place) {
    let service = start(place).await;
    let made = service.operator().post("/api/knowledge/entries", &json!({"title": "A"})).await;
    let first = made.expect(201);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(first.header("etag"), "\"1\"");
    let seen = |etag: &str| service.operator().with("if-match", etag);
    let text = json!({"title": "B"});
    let second = seen("\"1\"").put(&path(&id), &text).await.expect(200);
    assert_eq!((second.header("etag"), &second.json()["version"]), ("\"2\"", &json!(2)));
    for nonsense in ["nonsense", "1", "\"open"] {
        let refused = seen(nonsense).put(&path(&id), &text).await.expect(400);
        assert_eq!(refused.problem_paths(), ["If-Match"], "{nonsense}");
    }
    for stale in ["\"1\"", "\"nonsense\"", "W/\"2\"", "\"7\", \"8\""] {
        for answer in [
            seen(stale).put(&path(&id), &text).await,
            patch(&seen(stale), &id, &text).await,
            seen(stale).delete(&path(&id)).await,
        ] {
            // With the entry as it is.
            let answer = answer.expect(412);
            assert_eq!(answer.header("etag"), "\"2\"", "{stale}: {}", answer.text());
        }
    }
    patch(&seen("*"), &id, &json!({"solution": "C"})).await.expect(200);
    seen("\"2\", \"3\"").delete(&path(&id)).await.expect(204);
    seen("*").put(&path(&id), &text).await.expect(404);
}

async fn a_later_edit_does_not_overwrite_one_it_did_not_see(place: &Place) {
    let (one, other) = (start(place).await, start(place).await);
    let made = one.operator().write(&json!({"title": "A"})).await;
    let id = made["id"].as_str().unwrap();
    other.viewer().entry(id).await;
    one.operator().put(&path(id), &json!({"title": "B"})).await.expect(200);
    let late = other.operator().put(&path(id), &json!({"title": "C"})).await;
    match late.status {
        409 => assert_eq!(other.viewer().entry(id).await["title"], "B"),
        // It had followed in between.
        200 => assert_eq!(late.json()["version"], 3),
        status => panic!("{status}: {}", late.text()),
    }
}

async fn what_a_rule_gains_later_arrives(place: &Place) {
    let service = start(place).await;
    notify(&service, [alert("DiskFull").with("annotations", json!({"summary": "full"}))]).await;
    let first = pattern(&service, "DiskFull").await;
    assert_eq!((&first["solution"], first.get("runbookUrl")), (&json!(""), None));
    let later = json!({
        "summary": "full", "solution": "Rotate the logs.", "runbook_url": "https://r.example.org/d",
    });
    // A repeat with another annotation is enough.
    notify(&service, [alert("DiskFull").with("annotations", later.clone())]).await;
    let second = pattern(&service, "DiskFull").await;
    assert_eq!(second["solution"], "Rotate the logs.");
    assert_eq!(second["runbookUrl"], "https://r.example.org/d");
    let source = &second["provenance"]["texts"]["solution"];
    assert_eq!((&source["by"], &second["version"]), (&json!("alert"), &json!(2)));
    assert_eq!(second["occurrences"], 1);
    // What a person has written stays, field by field; no other scheme than the web's is taken.
    let id = pattern_id("DiskFull", "logs");
    patch(&service.operator(), &id, &json!({"solution": "Buy disks."})).await.expect(200);
    let mut last = later;
    last["solution"] = "Wipe it.".into();
    last["description"] = "Quite full".into();
    last["runbook_url"] = "javascript:alert(1)".into();
    notify(&service, [alert("DiskFull").with("annotations", last)]).await;
    let third = pattern(&service, "DiskFull").await;
    assert_eq!(
        (&third["solution"], &third["description"], &third["runbookUrl"]),
        (&json!("Buy disks."), &json!("Quite full"), &json!("https://r.example.org/d"))
    );
}

async fn resolved_without_a_start_three_times_is_one_instance(place: &Place) {
    let clock = Arc::new(ManualClock::new(utc("2026-11-24T09:00:00Z")));
    let service = place.start_at(Arc::clone(&clock) as Arc<_>).await;
    for _ in 0..3 {
        let over = alert("DiskFull").without("startsAt").with("status", json!("resolved"));
        notify(&service, [over.without("endsAt")]).await;
        clock.advance_millis(60_000);
    }
    let known = pattern(&service, "DiskFull").await;
    assert_eq!(figures(&known), [json!(1), json!(0), json!(1.0), json!(0)]);
}

/// Every instance says something else, and whoever asks meanwhile has it all committed.
async fn a_storm_of_other_descriptions_is_indexed_once_a_minute(place: &Place) {
    let (service, patterns, rounds) = (start(place).await, 5, 12);
    for round in 0..rounds {
        let said = |n| {
            let began = json!(format!("2026-11-24T08:{round:02}:00Z"));
            let description = json!({ "description": format!("volume {round} of rack {n}") });
            alert(&format!("Storm{n}"))
                .with("startsAt", began)
                .with("annotations", description)
                .with("fingerprint", json!(format!("{n:08x}{round:08x}")))
        };
        notify(&service, (0..patterns).map(said)).await;
        service.operator().ask("Storm1").await;
    }
    let known = pattern(&service, "Storm1").await;
    assert_eq!(known["description"], format!("volume {} of rack 1", rounds - 1));
    // A slow run may go into a second minute, and not into a twelfth.
    let indexed = service.sample("knowledge_indexed_texts_total").await;
    let patterns = patterns as f64;
    assert!((patterns..=3.0 * patterns).contains(&indexed), "{indexed}");
}

async fn of_four_starts_whose_ends_were_lost_the_last_one_fires(place: &Place) {
    let service = start(place).await;
    for minute in 0..4 {
        let starts_at = json!(format!("2026-11-24T08:0{minute}:00Z"));
        notify(&service, [alert("DiskFull").with("startsAt", starts_at)]).await;
    }
    assert_eq!(figures(&pattern(&service, "DiskFull").await)[..2], [json!(4), json!(1)]);
    assert_eq!(service.summary().await["alerts"]["firing"], 1);
    assert_eq!(service.sample("alerts_superseded_total").await, 3.0);
}

async fn a_start_that_moved_does_not_spoil_the_success_rate(place: &Place) {
    let service = start(place).await;
    let moved = alert("DiskFull").with("startsAt", json!("2026-11-24T08:30:00Z"));
    notify(&service, [alert("DiskFull")]).await;
    notify(&service, [moved.clone()]).await;
    assert_eq!(pattern(&service, "DiskFull").await["firing"], 1);
    notify(&service, [moved.resolved_after(60)]).await;
    let known = pattern(&service, "DiskFull").await;
    assert_eq!(figures(&known), [json!(2), json!(0), json!(1.0), json!(60_000)]);
}

async fn another_name_under_one_fingerprint_leaves_nothing_firing(place: &Place) {
    let service = start(place).await;
    let sent = |name: &str| {
        let labels = json!({"alertname": name, "cause": "logs"});
        alert(name).with("labels", labels).with("fingerprint", json!("dddddddddddddddd"))
    };
    notify(&service, [sent("D1")]).await;
    notify(&service, [sent("D2")]).await;
    notify(&service, [sent("D2").resolved_after(3600)]).await;
    let [one, two] = [pattern(&service, "D1").await, pattern(&service, "D2").await];
    assert_eq!(figures(&one)[..2], [json!(0), json!(0)]);
    assert_eq!(figures(&two), [json!(1), json!(0), json!(1.0), json!(3_600_000)]);
    assert_eq!(service.summary().await["alerts"]["firing"], 0);
}

async fn another_cause_under_one_fingerprint_leaves_nothing_firing(place: &Place) {
    let service = start(place).await;
    let sent = |cause: &str| alert("Disk").label("cause", cause).with("fingerprint", json!("f"));
    notify(&service, [sent("logs")]).await;
    notify(&service, [sent("dumps")]).await;
    notify(&service, [sent("dumps").resolved_after(60)]).await;
    assert_eq!(figures(&pattern(&service, "Disk").await)[..2], [json!(0), json!(0)]);
    let other = service.viewer().entry(&pattern_id("Disk", "dumps")).await;
    assert_eq!(figures(&other), [json!(1), json!(0), json!(1.0), json!(60_000)]);
}

async fn delete(service: &Running, name: &str) {
    service.operator().delete(&path(&pattern_id(name, "logs"))).await.expect(204);
}

async fn an_entry_deleted_while_its_alert_fires_counts_it_once_resolved(place: &Place) {
    let service = start(place).await;
    notify(&service, [alert("DiskFull")]).await;
    delete(&service, "DiskFull").await;
    notify(&service, [alert("DiskFull").resolved_after(60)]).await;
    let known = pattern(&service, "DiskFull").await;
    assert_eq!(figures(&known), [json!(1), json!(0), json!(1.0), json!(60_000)]);
}

async fn an_entry_deleted_and_made_anew_has_the_mean_of_what_is_stored(place: &Place) {
    let service = start(place).await;
    let on = |n: i64| alert("DiskFull").label("instance", &format!("node{n}"));
    notify(&service, (0..3).map(on)).await;
    delete(&service, "DiskFull").await;
    notify(&service, (0..3).map(on)).await;
    for n in 0..3 {
        notify(&service, [on(n).resolved_after(60)]).await;
    }
    let known = pattern(&service, "DiskFull").await;
    assert_eq!(figures(&known), [json!(3), json!(0), json!(1.0), json!(60_000)]);
}

async fn what_comes_back_every_five_days_is_counted_once(place: &Place) {
    let world = World::at("2026-11-01T12:00:00Z", place).await;
    let first = world.firing("a");
    for _ in 0..7 {
        let received_at = world.now();
        world.receive(vec![ReceivedAlert { received_at, ..first.clone() }]).await;
        world.clock.advance_millis(5 * 24 * 3_600_000);
        assert_eq!(world.retain().await.unwrap().alerts, 1);
        let known = world.base.entry(&pattern_id("DiskFull", "")).await.unwrap();
        assert_eq!((known.occurrences(), known.firing()), (1, Some(0)));
    }
    let counted = world.totals().of_last(60, HistoryFilter::default()).await.unwrap();
    assert_eq!(counted.alerts_count, 1);
}

async fn extreme_durations_do_not_stop_retention(place: &Place) {
    let world = World::at("2026-11-01T12:00:00Z", place).await;
    let extreme = |n: i64| ReceivedAlert {
        status: Status::Resolved,
        starts_at: Some(Time::from_millis(i64::MIN)),
        ends_at: Some(Time::from_millis(i64::MAX)),
        ..world.firing(&n.to_string())
    };
    world.receive((0..100).map(extreme).collect()).await;
    world.set("2026-11-05T12:00:00Z");
    let report = world.retain().await.unwrap();
    assert_eq!((report.alerts, report.set_aside, report.consolidated.len()), (100, 0, 1));
    let known = world.base.entry(&pattern_id("DiskFull", "")).await.unwrap();
    let longest = Time::from_millis(i64::MAX).since(Time::from_millis(i64::MIN));
    assert_eq!(known.mean_time_to_resolve_ms(), Some(longest));
}

async fn a_severity_with_a_null_byte_does_not_stop_retention(place: &Place) {
    let world = World::at("2026-11-01T12:00:00Z", place).await;
    let odd = ReceivedAlert {
        severity: "pa\0ge.$x".to_owned(),
        entry_severity: Severity::Low,
        ..world.firing("a")
    };
    world.receive(vec![odd, world.firing("b")]).await;
    world.set("2026-11-05T12:00:00Z");
    let report = world.retain().await.unwrap();
    assert_eq!((report.alerts, report.set_aside, report.consolidated.len()), (2, 0, 1));
    assert_eq!(world.totals().of_last(30, HistoryFilter::default()).await.unwrap().alerts_count, 2);
}

async fn severities_of_senders_are_counted_as_other(place: &Place) {
    let service = start(place).await;
    let made_up = |n: i64| alert("DiskFull").label("severity", &format!("made-up-{n}"));
    notify(&service, (0..500).map(made_up).chain([alert("Other").label("severity", "page")])).await;
    let counted = service.viewer().get("/api/persistence/historical").await.expect(200).json();
    let by_severity = counted["alertsBySeverity"].as_object().unwrap();
    assert_eq!(counted["alertsCount"], 501);
    assert!(by_severity.len() <= 20, "{} keys", by_severity.len());
    assert_eq!(by_severity["other"], 500);
}

async fn list(service: &Running, query: &str) -> Vec<String> {
    let page = service.viewer().get(&format!("/api/knowledge/entries?{query}")).await;
    let page = page.expect(200).json();
    let entries = page["entries"].as_array().unwrap().clone();
    entries.iter().map(|entry| entry["title"].as_str().unwrap().to_owned()).collect()
}

async fn entries_are_listed_by_filters_and_page_by_page(place: &Place) {
    let service = start(place).await;
    notify(&service, [alert("Disk"), alert("Disk").label("instance", "node2")]).await;
    notify(&service, [alert("Cpu").label("severity", "warning").resolved_after(60)]).await;
    service.operator().write(&json!({"title": "Kafka lags", "tags": ["Kafka"]})).await;
    service.operator().ask("zebra").await;
    for (query, titles) in [
        ("sort=title", &["Cpu: logs", "Disk: logs", "Kafka lags"][..]),
        ("sort=occurrences&limit=1", &["Disk: logs"]),
        ("category=alert_pattern&sort=title", &["Cpu: logs", "Disk: logs"]),
        ("category=question", &["zebra"]),
        ("severity=critical", &["Disk: logs"]),
        ("tag=kafka", &["Kafka lags"]),
        ("alertname=Cpu", &["Cpu: logs"]),
        ("firing=true", &["Disk: logs"]),
        ("category=alert_pattern&firing=false", &["Cpu: logs"]),
        ("alertname=none", &[]),
    ] {
        assert_eq!(list(&service, query).await, titles, "{query}");
    }
    for order in ["title", "occurrences", "lastUpdated"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let query = format!("/api/knowledge/entries?sort={order}&limit=1{cursor}");
            let page = service.viewer().get(&query).await.expect(200).json();
            seen.push(page["entries"][0]["id"].as_str().unwrap().to_owned());
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!((count, seen.len()), (3, 3), "{order}");
    }
    for wrong in ["sort=size", "limit=0", "cursor=zz", "category=x", "firing=1"] {
        let path = format!("/api/knowledge/entries?{wrong}");
        let name = wrong.split('=').next().unwrap();
        let answer = service.viewer().get(&path).await;
        assert_eq!(answer.status, 400, "{wrong}");
        assert_eq!(answer.problem_paths(), [name]);
    }
}

async fn notes_and_feedback_are_added_to_what_is_there(place: &Place) {
    let service = start(place).await;
    notify(&service, [alert("DiskFull")]).await;
    let id = pattern_id("DiskFull", "logs");
    let (notes, feedback) = (format!("{}/notes", path(&id)), format!("{}/feedback", path(&id)));
    let (operator, admin) = (service.operator(), service.admin());
    // At once, by several: all are there in the end.
    let (one, two) = (json!({"text": "Look at db-1."}), json!({"text": "And at db-2."}));
    let (yes, no) = (json!({"helped": true}), json!({"helped": false}));
    let answers = tokio::join!(
        operator.post(&notes, &one),
        admin.post(&notes, &two),
        operator.post(&feedback, &yes),
        operator.post(&feedback, &yes),
        admin.post(&feedback, &no),
    );
    for answer in [answers.0, answers.1, answers.2, answers.3, answers.4] {
        answer.expect(200);
    }
    let known = pattern(&service, "DiskFull").await;
    assert_eq!((&known["helped"], &known["notHelped"]), (&json!(2), &json!(1)));
    let mut authors: Vec<_> =
        known["notes"].as_array().unwrap().iter().map(|note| note["author"].clone()).collect();
    authors.sort_by_key(Value::to_string);
    assert_eq!(authors, ["admin", "operator"]);
    assert_eq!(known["notes"][0]["at"], utc("2026-11-24T09:00:00Z").millis());
    for (path, body) in [
        (&notes, json!({})),
        (&notes, json!({"text": " "})),
        (&notes, json!({"text": "x".repeat(5_001)})),
        (&feedback, json!({"helped": "yes"})),
        (&feedback, json!({})),
    ] {
        operator.post(path, &body).await.expect(400);
    }
    service.viewer().post(&notes, &one).await.expect(403);
    operator.post("/api/knowledge/entries/kb-none/notes", &one).await.expect(404);
    // They outlive a restart, and a text that is replaced.
    operator.put(&path(&id), &json!({"title": "Disk"})).await.expect(200);
    service.stop().await.unwrap();
    let service = start(place).await;
    let again = pattern(&service, "DiskFull").await;
    assert_eq!((&again["notes"], &again["helped"]), (&known["notes"], &json!(2)));
    let changes = place.audited("knowledge_changed");
    let actions: Vec<_> = changes.iter().map(|line| &line["details"]["action"]).collect();
    assert_eq!(actions.iter().filter(|action| **action == "note").count(), 2);
    assert!(changes.iter().all(|line| line["details"]["sha256Before"].is_string()));
}

/// Names that senders make up stay within the bound, with a metric, and are all counted.
#[tokio::test]
async fn made_up_names_stay_within_the_bound_on_patterns() {
    let place = Place::sqlite();
    let service = place.start_with(&[("KNOWLEDGE_MAX_PATTERNS", "100")]).await;
    for batch in 0..5 {
        let made_up = |n: i64| alert(&format!("Made-{batch}-{n}"));
        notify(&service, (0..200).map(made_up)).await;
    }
    let page = service.summary().await;
    assert!(page["stats"]["total"].as_u64().unwrap() <= 101, "{}", page["stats"]["total"]);
    assert_eq!(page["alerts"]["firing"], 1000);
    assert!(service.sample("knowledge_patterns_limited_total").await >= 890.0);
    let occurred = async |service: &Running| -> i64 {
        let stored = service.stored("knowledge_base").await;
        stored.iter().map(|entry| entry["occurrences"].as_i64().unwrap()).sum()
    };
    assert_eq!(occurred(&service).await, 1000);
    service.stop().await.unwrap();
    let service = place.start_with(&[("KNOWLEDGE_MAX_PATTERNS", "100")]).await;
    assert_eq!(occurred(&service).await, 1000);
}

/// Causes of one name: at most a hundred, the others share a pattern.
#[tokio::test]
async fn causes_of_a_name_stay_within_their_bound() {
    let place = Place::sqlite();
    let service = start(&place).await;
    notify(&service, (0..150).map(|n| alert("Disk").label("cause", &format!("c{n}")))).await;
    assert_eq!(service.summary().await["stats"]["total"], 101);
    let shared = service.viewer().entry(&pattern_id("Disk", "(other causes)")).await;
    assert_eq!(
        (&shared["title"], &shared["occurrences"]),
        (&json!("Disk: (other causes)"), &json!(50))
    );
    assert_eq!(service.sample("knowledge_patterns_limited_total").await, 50.0);
}

/// A runbook of a thousand patterns shows some of its links.
#[tokio::test]
async fn an_entry_of_many_links_shows_some_of_them() {
    let place = Place::sqlite();
    std::fs::write(place.directory().join("Disk.md"), "# Disk\n\nLook.\n").unwrap();
    let output = place.command(&["knowledge", "import", "Disk.md"]).output().unwrap();
    assert!(output.status.success());
    let service = start(&place).await;
    notify(&service, (0..150).map(|n| alert("Disk").label("cause", &format!("c{n}")))).await;
    let stored = service.stored("knowledge_base").await;
    let runbook = stored.iter().find(|entry| entry["category"] == "runbook").unwrap();
    let shown = service.viewer().entry(runbook["id"].as_str().unwrap()).await;
    assert_eq!(shown["relatedEntries"].as_array().unwrap().len(), 50);
}

/// What was asked and could not be written is no clean end.
#[tokio::test]
async fn a_stop_that_cannot_write_what_was_asked_is_a_failure() {
    let place = Place::sqlite();
    let mut process = place.spawn(&[]).await;
    let file = place.directory().join("data/orchestrator.db");
    let other = rusqlite::Connection::open(file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    process.actors().operator().ask("zebra stampede").await;
    process.terminate();
    assert_eq!(process.exit_code().await, 1);
    other.execute_batch("ROLLBACK").unwrap();
}
