//! Severities that were learned when a word had another meaning.

use orchestrator::model::{Time, pattern_id};
use orchestrator::store::sqlite::SqliteStore;
use orchestrator::store::{Edit, Group, Store, mongodb::MongoStore};
use serde_json::json;

use crate::harness::{Alert, Place, Running, on_each_store, payload};

on_each_store![
    what_was_learned_as_low_is_raised_at_the_next_start,
    what_a_person_has_set_stays,
    a_word_that_the_settings_give_a_meaning_raises_what_it_taught,
];

const WORDS: [(&str, &str); 6] = [
    ("P1", "critical"),
    ("disaster", "critical"),
    ("fatal", "critical"),
    ("crit", "critical"),
    ("major", "high"),
    ("whatever", "low"),
];

async fn receive(service: &Running, name: &str, severity: &str) {
    let alert = Alert::firing(name, "n1").label("severity", severity);
    service.alertmanager().notify(&payload([alert])).await.expect(200);
}

fn entry(name: &str) -> String {
    pattern_id(name, "timeout")
}

async fn severity(service: &Running, name: &str) -> String {
    let entry = service.viewer().entry(&entry(name)).await;
    entry["severity"].as_str().unwrap().to_owned()
}

async fn open(place: &Place) -> Box<dyn Store> {
    match place.server() {
        Some(server) => Box::new(MongoStore::open(&server.uri, &server.database).await.unwrap()),
        None => {
            let file = place.directory().join("data/orchestrator.db");
            Box::new(SqliteStore::open(&file).await.unwrap())
        }
    }
}

/// As a version of before had learned it: everything low, and no meaning noted.
async fn make_all_low(place: &Place) {
    let store = open(place).await;
    let entries = store.entries().await.unwrap();
    let edits = entries.into_iter().map(|mut entry| {
        let expected = Some(entry.version);
        entry.version += 1;
        entry.written = Time::parse("2026-11-24T07:00:00Z").unwrap();
        std::sync::Arc::make_mut(&mut entry.text).severity = orchestrator::model::Severity::Low;
        Edit::Write { entry: entry.into(), expected }
    });
    let group = Group { edits: edits.collect(), ..Group::default() };
    store.commit(std::sync::Arc::new(group.into())).await.unwrap();
    store.note_severity_words("of another version").await.unwrap();
    store.close().await;
}

async fn what_was_learned_as_low_is_raised_at_the_next_start(place: &Place) {
    let service = place.start().await;
    for (word, _) in WORDS {
        receive(&service, &format!("Alert-{word}"), word).await;
    }
    // Several words of one pattern: the highest.
    receive(&service, "Several", "warn").await;
    let second = Alert::firing("Several", "n2").label("severity", "error");
    service.alertmanager().notify(&payload([second])).await.expect(200);
    // No severity, but a priority.
    let alert = Alert::firing("Priority", "n1").without_label("severity").label("priority", "P2");
    service.alertmanager().notify(&payload([alert])).await.expect(200);
    service.stop().await.unwrap();
    make_all_low(place).await;

    let service = place.start().await;
    for (word, meant) in WORDS {
        assert_eq!(severity(&service, &format!("Alert-{word}")).await, meant, "{word}");
    }
    assert_eq!(severity(&service, "Several").await, "high");
    assert_eq!(severity(&service, "Priority").await, "high");
    let summary = service.summary().await;
    assert_eq!(summary["stats"]["bySeverity"]["critical"], 4, "{summary}");
    service.stop().await.unwrap();
}

async fn what_a_person_has_set_stays(place: &Place) {
    let service = place.start().await;
    receive(&service, "Noisy", "critical").await;
    let path = format!("/api/knowledge/entries/{}", entry("Noisy"));
    let patch = json!({"severity": "low"}).to_string();
    let answer = service.operator().call(reqwest::Method::PATCH, &path, patch.as_bytes()).await;
    answer.expect(200);
    receive(&service, "Noisy", "disaster").await;
    assert_eq!(severity(&service, "Noisy").await, "low");
    service.stop().await.unwrap();
    make_all_low(place).await;
    let service = place.start().await;
    assert_eq!(severity(&service, "Noisy").await, "low");
    service.stop().await.unwrap();
}

async fn a_word_that_the_settings_give_a_meaning_raises_what_it_taught(place: &Place) {
    let service = place.start().await;
    receive(&service, "Zabbix", "5").await;
    receive(&service, "Known", "critical").await;
    assert_eq!(severity(&service, "Zabbix").await, "low");
    service.stop().await.unwrap();
    let service = place.start_with(&[("SEVERITY_MAP", "5=critical,critical=low")]).await;
    assert_eq!(severity(&service, "Zabbix").await, "critical");
    assert_eq!(severity(&service, "Known").await, "critical", "none is lowered");
    let version = service.viewer().entry(&entry("Zabbix")).await["version"].clone();
    service.stop().await.unwrap();
    let service = place.start_with(&[("SEVERITY_MAP", "5=critical,critical=low")]).await;
    assert_eq!(service.viewer().entry(&entry("Zabbix")).await["version"], version, "once");
    service.stop().await.unwrap();
}
