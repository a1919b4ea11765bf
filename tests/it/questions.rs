//! Open questions: asked again, crowded out, answered at last. That they are remembered at all is
//! shown in `knowledge`.

use std::sync::Arc;

use orchestrator::model::{ManualClock, Time};
use serde_json::{Value, json};

use crate::harness::{Alert, Place, Running, eventually, on_each_store, payload};

on_each_store![
    askings_of_one_text_are_one_question,
    an_entry_by_hand_closes_what_it_answers,
    a_changed_entry_closes_what_it_answers,
    what_is_learned_closes_what_it_answers,
    the_five_most_asked_stand_in_the_summary,
    the_least_recently_asked_leave_first,
];

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Time::parse("2026-11-24T07:10:00.000Z").unwrap()))
}

async fn start(place: &Place, clock: &Arc<ManualClock>) -> Running {
    place.start_at(Arc::clone(clock) as Arc<_>).await
}

/// Asks what nothing is known about: the id of the open question.
async fn gap(service: &Running, query: &str) -> Value {
    let gap = service.operator().ask(query).await["gap"]["id"].take();
    assert!(gap.is_string(), "{query} has an answer");
    gap
}

async fn askings_of_one_text_are_one_question(place: &Place) {
    let clock = clock();
    let service = start(place, &clock).await;
    let id = gap(&service, "Why is the moon wet?").await;
    for again in ["why is the moon wet", "  WHY   is\tthe moon\nwet?! "] {
        assert_eq!(gap(&service, again).await, id);
    }
    assert_ne!(gap(&service, "Why is the moon wetter?").await, id);
    let page = service.summary().await;
    assert_eq!(page["stats"]["openQuestions"], 2);
    let first = &page["openQuestions"][0];
    assert_eq!(
        (&first["query"], &first["occurrences"]),
        (&json!("Why is the moon wet?"), &json!(3))
    );
    let entry = service.viewer().entry(id.as_str().unwrap()).await;
    assert_eq!((&entry["category"], &entry["occurrences"]), (&json!("question"), &json!(3)));
    assert_eq!(entry["provenance"]["sourceType"], "query");
}

/// Waits until `entry` tells that it answered `questions`, and checks that no question is open.
async fn closed(service: &Running, entry: &Value, questions: &[&Value]) {
    let id = entry["id"].as_str().unwrap();
    eventually("the questions are closed", async || {
        let sources = service.viewer().entry(id).await["provenance"]["derivedFrom"].take();
        let sources = sources.as_array().unwrap().clone();
        questions.iter().all(|question| sources.contains(question)).then_some(())
    })
    .await;
    let page = service.summary().await;
    assert_eq!((&page["stats"]["openQuestions"], &page["openQuestions"]), (&json!(0), &json!([])));
    for question in questions {
        let path = format!("/api/knowledge/entries/{}", question.as_str().unwrap());
        service.viewer().get(&path).await.expect(404);
    }
}

async fn an_entry_by_hand_closes_what_it_answers(place: &Place) {
    let clock = clock();
    let service = start(place, &clock).await;
    let wet = gap(&service, "Why is the moon wet?").await;
    let zebra = gap(&service, "zebra stampede").await;
    clock.advance_millis(1_000);
    // It answers neither.
    service.operator().write(&json!({"title": "Kafka consumers lag"})).await;
    assert_eq!(service.summary().await["stats"]["openQuestions"], 2);
    let text = json!({"title": "Zebras stampede", "solution": "Because the moon is wet."});
    let entry = service.operator().write(&text).await;
    closed(&service, &entry, &[&wet, &zebra]).await;

    // So it stays.
    let stored = service.viewer().entry(entry["id"].as_str().unwrap()).await;
    assert_eq!(stored["provenance"]["sourceType"], "manual");
    service.stop().await.unwrap();
    let service = start(place, &clock).await;
    closed(&service, &entry, &[&wet, &zebra]).await;
    assert_eq!(service.viewer().entry(entry["id"].as_str().unwrap()).await, stored);
}

async fn a_changed_entry_closes_what_it_answers(place: &Place) {
    let clock = clock();
    let service = start(place, &clock).await;
    let entry = service.operator().write(&json!({"title": "Kafka consumers lag"})).await;
    let zebra = gap(&service, "zebra stampede").await;
    let path = format!("/api/knowledge/entries/{}", entry["id"].as_str().unwrap());
    let text = json!({"title": "Kafka consumers lag", "rootCause": "A zebra stampede."});
    service.operator().put(&path, &text).await.expect(200);
    closed(&service, &entry, &[&zebra]).await;
    service.stop().await.unwrap();
    closed(&start(place, &clock).await, &entry, &[&zebra]).await;
}

async fn what_is_learned_closes_what_it_answers(place: &Place) {
    let clock = clock();
    let service = start(place, &clock).await;
    let asked = gap(&service, "zebra stampede").await;
    let alert = Alert::firing("ZebraStampede", "node1");
    service.alertmanager().notify(&payload([alert])).await.expect(200);
    let pattern = service.summary().await["topIssues"][0].take();
    closed(&service, &pattern, &[&asked]).await;
    // What the pattern was learned from is told as before.
    let entry = service.viewer().entry(pattern["id"].as_str().unwrap()).await;
    assert_eq!(entry["provenance"]["derivedFrom"].as_array().unwrap().len(), 2);
    assert_eq!((&entry["occurrences"], &entry["firing"]), (&json!(1), &json!(1)));
    service.stop().await.unwrap();
    closed(&start(place, &clock).await, &pattern, &[&asked]).await;
}

/// Words that no other of them is one edit away from.
const TOPICS: [&str; 6] = ["zebra", "quagga", "walrus", "ostrich", "mongoose", "pelican"];

fn asked_in(page: &Value) -> Vec<String> {
    let list = page["openQuestions"].as_array().unwrap().iter();
    list.map(|asked| format!("{} {}", asked["occurrences"], asked["query"].as_str().unwrap()))
        .collect()
}

async fn the_five_most_asked_stand_in_the_summary(place: &Place) {
    let clock = clock();
    let service = start(place, &clock).await;
    for (times, topic) in TOPICS.iter().enumerate() {
        for _ in 0..=times {
            gap(&service, topic).await;
        }
    }
    let expected = ["6 pelican", "5 mongoose", "4 ostrich", "3 walrus", "2 quagga"];
    let page = service.summary().await;
    assert_eq!(
        (asked_in(&page), &page["stats"]["openQuestions"]),
        (expected.map(str::to_owned).to_vec(), &json!(6))
    );
    service.stop().await.unwrap();
    let service = start(place, &clock).await;
    assert_eq!(service.summary().await, page);
}

async fn the_least_recently_asked_leave_first(place: &Place) {
    let clock = clock();
    let settings = place.settings(&[("KNOWLEDGE_MAX_QUESTIONS", "2")]);
    let start = async || {
        Running::start(&settings, Arc::clone(&clock) as Arc<_>).await.expect("the service starts")
    };
    let service = start().await;
    for query in ["zebra", "walrus", "zebra", "ostrich"] {
        clock.advance_millis(1_000);
        gap(&service, query).await;
    }
    let page = service.summary().await;
    assert_eq!(asked_in(&page), ["2 zebra", "1 ostrich"]);
    assert_eq!(page["stats"]["total"], 2);
    service.stop().await.unwrap();
    let service = start().await;
    assert_eq!(service.summary().await, page);
    clock.advance_millis(1_000);
    // Asked anew, it begins anew, and the zebra leaves.
    gap(&service, "walrus").await;
    assert_eq!(asked_in(&service.summary().await).len(), 2);
    service.written().await;
    assert_eq!(service.stored("knowledge_base").await.len(), 2);
}

/// A question within a filter has not been asked of everything that is known.
#[tokio::test]
async fn a_question_within_a_filter_stays_open_over_a_restart() {
    let place = Place::sqlite();
    let clock = clock();
    let service = start(&place, &clock).await;
    let entry = service.operator().write(&json!({"title": "Zebra stampede"})).await;
    let query = json!({"query": "zebra", "filter": {"category": "runbook"}});
    let answer = service.operator().post("/api/knowledge/query", &query).await.expect(200);
    assert!(answer.json()["gap"].is_object());
    service.stop().await.unwrap();
    let service = start(&place, &clock).await;
    // What is written now is asked; by then so would be everything that is old.
    let other = service.operator().write(&json!({"title": "Zebra runbook"})).await;
    eventually("the question is closed", async || {
        (service.summary().await["stats"]["openQuestions"] == 0).then_some(())
    })
    .await;
    let sources = |entry: Value| entry["provenance"]["derivedFrom"].as_array().unwrap().len();
    let id = |entry: &Value| entry["id"].as_str().unwrap().to_owned();
    assert_eq!(sources(service.viewer().entry(&id(&entry)).await), 0);
    assert_eq!(sources(service.viewer().entry(&id(&other)).await), 1);

    // Asked of everything, it has an answer and is closed.
    let query = json!({"query": "stampede", "filter": {"category": "runbook"}});
    service.operator().post("/api/knowledge/query", &query).await.expect(200);
    assert_eq!(service.summary().await["stats"]["openQuestions"], 1);
    service.operator().ask("Stampede?").await;
    assert_eq!(service.summary().await["stats"]["openQuestions"], 0);
    assert_eq!(sources(service.viewer().entry(&id(&entry)).await), 1);
}

#[tokio::test]
async fn a_weak_answer_is_given_and_the_question_stays_open() {
    let place = Place::sqlite();
    let clock = clock();
    let service = start(&place, &clock).await;
    let weak = json!({"title": "Kafka consumers lag", "solution": "Add consumers, slowly."});
    service.operator().write(&weak).await;
    let question = "the walrus in the office eats consumers of herring and mackerel";
    let answer = service.operator().ask(question).await;
    assert_eq!(answer["results"]["entries"][0]["confidence"], "low");
    assert_eq!(answer["gap"]["occurrences"], 1);
    let id = answer["gap"]["id"].clone();

    // Another weak one does not close it; one that answers it does.
    service.operator().write(&json!({"title": "Office hours", "solution": "None."})).await;
    assert_eq!(service.summary().await["stats"]["openQuestions"], 1);
    let answer =
        json!({"title": "A walrus in the office", "solution": "Offer it mackerel and herring."});
    let entry = service.operator().write(&answer).await;
    closed(&service, &entry, &[&id]).await;
}
