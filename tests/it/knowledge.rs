//! From alerts to answers: what is learned, what is asked, and what is not known yet.

use std::sync::Arc;

use insta::{assert_json_snapshot, dynamic_redaction, internals::Content};
use orchestrator::model::{ManualClock, Time};
use serde_json::{Value, json};

use crate::harness::{Alert, Place, Running, on_each_store, payload};

on_each_store![
    what_an_alert_taught_answers_a_question,
    what_was_learned_outlives_a_restart,
    resolutions_teach_how_long_and_how_often_it_went_well,
    counters_go_on_over_repeats_reopenings_and_restarts,
    each_new_instance_counts_and_no_repeat_does,
    the_highest_severity_seen_is_kept,
    a_question_without_an_answer_is_remembered_once,
    open_questions_never_answer,
    a_question_closes_once_it_has_an_answer_to_show,
];

const NOW: &str = "2026-11-24T07:10:00.000Z";

async fn start(place: &Place) -> Running {
    place.start_at(Arc::new(ManualClock::new(Time::parse(NOW).unwrap()))).await
}

async fn learn(service: &Running, alerts: impl IntoIterator<Item = Alert>) {
    service.alertmanager().notify(&payload(alerts)).await.expect(200);
}

fn disk_full(instance: &str) -> Alert {
    Alert::firing("DiskFull", instance)
        .label("cause", "logs")
        .label("severity", "warning")
        .without("annotations")
        .with("annotations", json!({"description": "The filesystem has no space left"}))
}

/// The score depends on the ranking, which has tests of its own.
fn score(value: Content, _: insta::internals::ContentPath<'_>) -> &'static str {
    assert!(value.as_f64().is_some_and(|score| score > 0.0), "{value:?}");
    "[score]"
}

fn took(value: Content, _: insta::internals::ContentPath<'_>) -> &'static str {
    assert!(value.as_f64().is_some_and(|ms| ms >= 0.0), "{value:?}");
    "[ms]"
}

async fn what_an_alert_taught_answers_a_question(place: &Place) {
    let service = start(place).await;
    learn(&service, [Alert::firing("HighErrorRate", "node1:9100"), disk_full("node2")]).await;
    let answer = service.operator().ask("HighErrorRate").await;
    assert_json_snapshot!("answer", answer, {
        ".results.entries[].score" => dynamic_redaction(score),
        ".meta.tookMs" => dynamic_redaction(took),
    });
}

async fn what_was_learned_outlives_a_restart(place: &Place) {
    let service = start(place).await;
    learn(&service, [Alert::firing("HighErrorRate", "node1:9100"), disk_full("node2")]).await;
    learn(&service, [disk_full("node2").resolved_after(30)]).await;
    let (before, page) = (entry(&service, "DiskFull").await, service.summary().await);
    service.stop().await.unwrap();
    let service = start(place).await;
    assert_eq!(entry(&service, "DiskFull").await, before);
    assert_eq!(service.summary().await, page);
}

/// The best entry for a question.
async fn entry(service: &Running, query: &str) -> Value {
    let mut entry = service.operator().ask(query).await["results"]["entries"][0].take();
    entry.as_object_mut().expect("an entry").remove("score");
    entry
}

async fn resolutions_teach_how_long_and_how_often_it_went_well(place: &Place) {
    let service = start(place).await;
    let [one, two] = ["node1", "node2"].map(disk_full);
    learn(&service, [one.clone(), two.clone()]).await;
    let open = entry(&service, "DiskFull").await;
    assert_eq!((&open["occurrences"], &open["firing"]), (&json!(2), &json!(2)));
    assert!(open.get("meanTimeToResolveMs").is_none_or(Value::is_null), "{open}");

    learn(&service, [one.clone().resolved_after(60)]).await;
    let half = entry(&service, "DiskFull").await;
    assert_eq!((&half["firing"], &half["successRate"]), (&json!(1), &json!(0.5)));
    assert_eq!(half["meanTimeToResolveMs"], 60_000);

    learn(&service, [two.resolved_after(180)]).await;
    let over = entry(&service, "DiskFull").await;
    assert_eq!((&over["firing"], &over["successRate"]), (&json!(0), &json!(1.0)));
    assert_eq!((&over["meanTimeToResolveMs"], &over["occurrences"]), (&json!(120_000), &json!(2)));

    // Open again: it had not gone well after all.
    learn(&service, [one]).await;
    let again = entry(&service, "DiskFull").await;
    assert_eq!((&again["firing"], &again["successRate"]), (&json!(1), &json!(0.5)));
    assert_eq!(
        (&again["meanTimeToResolveMs"], &again["occurrences"]),
        (&json!(180_000), &json!(2))
    );
}

async fn counters_go_on_over_repeats_reopenings_and_restarts(place: &Place) {
    let [one, two] = ["node1", "node2"].map(disk_full);
    let over = |alert: &Alert, seconds| alert.clone().resolved_after(seconds);
    let steps = [
        (one.clone(), [json!(1), json!(1), json!(0.0), Value::Null]),
        (one.clone(), [json!(1), json!(1), json!(0.0), Value::Null]),
        (over(&one, 60), [json!(1), json!(0), json!(1.0), json!(60_000)]),
        (over(&one, 60), [json!(1), json!(0), json!(1.0), json!(60_000)]),
        (two.clone(), [json!(2), json!(1), json!(0.5), json!(60_000)]),
        // Open again, and over again later.
        (one.clone(), [json!(2), json!(2), json!(0.0), Value::Null]),
        (over(&one, 300), [json!(2), json!(1), json!(0.5), json!(300_000)]),
        // Never seen firing.
        (over(&disk_full("node3"), 100), [json!(3), json!(1), json!(0.667), json!(200_000)]),
        (over(&two, 500), [json!(3), json!(0), json!(1.0), json!(300_000)]),
    ];
    for (alert, expected) in steps {
        // Each step in a process of its own: nothing rests on memory.
        let service = start(place).await;
        learn(&service, [alert.clone()]).await;
        // What was sent twice within one group counts once as well.
        learn(&service, [alert.clone(), alert]).await;
        let counted = entry(&service, "DiskFull").await;
        let rate = counted["successRate"].as_f64().map(|rate| (rate * 1e3).round() / 1e3);
        let counters = [
            counted["occurrences"].clone(),
            counted["firing"].clone(),
            json!(rate),
            counted["meanTimeToResolveMs"].clone(),
        ];
        assert_eq!(counters, expected);
        assert_eq!(service.summary().await["alerts"]["firing"], expected[1]);
        service.stop().await.unwrap();
    }
}

async fn each_new_instance_counts_and_no_repeat_does(place: &Place) {
    let service = start(place).await;
    for _ in 0..3 {
        learn(&service, [disk_full("node1"), disk_full("node2")]).await;
    }
    let later = disk_full("node1").with("startsAt", json!("2026-11-24T07:09:00Z"));
    learn(&service, [later]).await;
    assert_eq!(entry(&service, "DiskFull").await["occurrences"], 3);
    // Another cause is another pattern.
    learn(&service, [disk_full("node1").label("cause", "core dumps")]).await;
    let summary = service.summary().await;
    assert_eq!(summary["stats"]["byCategory"], json!({"alert_pattern": 2}));
}

async fn the_highest_severity_seen_is_kept(place: &Place) {
    let service = start(place).await;
    for (n, (severity, expected)) in [
        ("info", "low"),
        ("warning", "medium"),
        ("page", "high"),
        ("warning", "high"),
        ("critical", "critical"),
        ("none", "critical"),
    ]
    .into_iter()
    .enumerate()
    {
        learn(&service, [disk_full(&format!("node{n}")).label("severity", severity)]).await;
        assert_eq!(entry(&service, "DiskFull").await["severity"], expected, "{severity}");
    }
}

async fn a_question_without_an_answer_is_remembered_once(place: &Place) {
    let service = start(place).await;
    let first = service.operator().ask("Why is the moon wet?").await;
    assert_eq!(first["gap"]["occurrences"], 1);
    assert_eq!((&first["results"]["entries"], &first["sources"]), (&json!([]), &json!([])));
    assert_eq!(service.summary().await["stats"]["total"], 1);
    service.stop().await.unwrap();

    let service = start(place).await;
    assert_eq!(service.summary().await["stats"]["total"], 1);
    let again = service.operator().ask("  why IS the moon   wet").await;
    assert_eq!(again["gap"], json!({"id": first["gap"]["id"], "occurrences": 2}));
    let page = service.summary().await;
    assert_eq!((&page["stats"]["total"], &page["stats"]["openQuestions"]), (&json!(1), &json!(1)));
    let asked = json!([
        {"query": "Why is the moon wet?", "occurrences": 2, "lastAsked": NOW},
    ]);
    assert_eq!(page["openQuestions"], asked);
}

async fn open_questions_never_answer(place: &Place) {
    let service = start(place).await;
    for _ in 0..2 {
        let answer = service.operator().ask("zebra stampede").await;
        assert_eq!(answer["results"]["entries"], json!([]));
        assert!(answer["gap"].is_object());
    }
    service.stop().await.unwrap();
    let service = start(place).await;
    assert_eq!(service.operator().ask("zebra").await["results"]["entries"], json!([]));
    let filtered = json!({"query": "zebra stampede", "filter": {"category": "question"}});
    let answer = service.operator().post("/api/knowledge/query", &filtered).await.expect(200);
    assert_eq!(answer.json()["results"]["entries"], json!([]));
    let page = service.summary().await;
    for list in ["topIssues", "recentLearnings"] {
        assert_eq!(page[list], json!([]), "{list}");
    }
}

async fn a_question_closes_once_it_has_an_answer_to_show(place: &Place) {
    let service = start(place).await;
    assert!(service.operator().ask("DiskFull").await["gap"].is_object());
    learn(&service, [disk_full("node1")]).await;
    let answer = service.operator().ask("DiskFull").await;
    assert_eq!((&answer["gap"], answer["sources"].as_array().unwrap().len()), (&Value::Null, 1));
}

#[tokio::test]
async fn filters_choose_among_the_entries() {
    let place = Place::sqlite();
    let service = start(&place).await;
    learn(&service, [Alert::firing("HighErrorRate", "node1"), disk_full("node2")]).await;
    let found = async |filter: Value| {
        let query = json!({"query": "DiskFull HighErrorRate", "filter": filter});
        let answer = service.operator().post("/api/knowledge/query", &query).await.expect(200);
        let entries = answer.json()["results"]["entries"].as_array().unwrap().clone();
        let mut titles: Vec<_> =
            entries.iter().map(|entry| entry["title"].as_str().unwrap().to_owned()).collect();
        titles.sort();
        titles
    };
    let (disk, rate) = ("DiskFull: logs", "HighErrorRate: timeout");
    assert_eq!(found(json!({})).await, [disk, rate]);
    assert_eq!(found(json!({"severity": "medium"})).await, [disk]);
    assert_eq!(found(json!({"category": "alert_pattern"})).await, [disk, rate]);
    assert_eq!(found(json!({"tag": "TIMEOUT"})).await, [rate]);
    assert_eq!(found(json!({"tag": "timeout", "severity": "medium"})).await, [""; 0]);
    let one = json!({"query": "DiskFull HighErrorRate", "limit": 1});
    let answer = service.operator().post("/api/knowledge/query", &one).await.expect(200);
    assert_eq!(answer.json()["sources"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_summary_shows_an_empty_base_and_then_what_was_learned() {
    let place = Place::sqlite();
    let service = start(&place).await;
    assert_json_snapshot!("summary_of_nothing", service.summary().await);
    learn(&service, [Alert::firing("HighErrorRate", "node1"), disk_full("node2")]).await;
    service.operator().ask("zebra").await;
    assert_json_snapshot!("summary", service.summary().await);
}

#[tokio::test]
async fn the_public_page_tells_no_cause_description_or_solution() {
    let place = Place::sqlite();
    let service = start(&place).await;
    learn(&service, [Alert::firing("HighErrorRate", "node1:9100")]).await;
    let page = service.anonymous().get("/api/knowledge/summary").await.expect(200).text();
    assert!(page.contains("HighErrorRate"));
    for secret in ["Error rate is 7.1%", "Restart the agent", "runbooks.example.org", "rootCause"] {
        assert!(!page.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn the_summary_is_sent_once_per_change() {
    let place = Place::sqlite();
    let service = start(&place).await;
    let page = async |known: &str| {
        let caller = service.anonymous().with("if-none-match", known);
        caller.get("/api/knowledge/summary").await
    };
    let first = page("\"other\"").await.expect(200);
    let etag = first.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.len() > 10, "a strong validator: {etag}");
    for known in [etag.as_str(), &format!("W/{etag}"), &format!("\"a\", {etag}"), "*"] {
        let unchanged = page(known).await.expect(304);
        assert_eq!((unchanged.body.len(), unchanged.header("etag")), (0, etag.as_str()));
    }
    learn(&service, [disk_full("node1")]).await;
    let second = page(&etag).await.expect(200);
    assert_ne!(second.header("etag"), etag);
    let changed = second.header("etag").to_owned();
    // A repeat teaches nothing.
    learn(&service, [disk_full("node1")]).await;
    page(&changed).await.expect(304);
}

#[tokio::test]
async fn the_summary_counts_what_fires() {
    let place = Place::sqlite();
    let service = start(&place).await;
    learn(&service, [disk_full("node1"), disk_full("node2"), disk_full("node3")]).await;
    learn(&service, [disk_full("node2").resolved_after(60)]).await;
    assert_eq!(service.summary().await["alerts"], json!({"firing": 2, "last24Hours": 3}));
    service.stop().await.unwrap();
    let service = start(&place).await;
    assert_eq!(service.summary().await["alerts"], json!({"firing": 2, "last24Hours": 3}));
}

#[tokio::test]
async fn answers_and_gaps_are_counted() {
    let place = Place::sqlite();
    let service = start(&place).await;
    learn(&service, [disk_full("node1")]).await;
    for query in ["DiskFull", "zebra", "zebra"] {
        service.operator().ask(query).await;
    }
    for (outcome, count) in [("answered", 1.0), ("gap", 2.0)] {
        let series = format!(r#"knowledge_queries_total{{outcome="{outcome}"}}"#);
        assert_eq!(service.sample(&series).await, count);
    }
    for (category, count) in [("alert_pattern", 1.0), ("question", 1.0), ("runbook", 0.0)] {
        let series = format!(r#"knowledge_entries{{category="{category}"}}"#);
        assert_eq!(service.sample(&series).await, count);
    }
}
