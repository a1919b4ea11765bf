//! The one invariant that everything leans on: an alert that was answered 200 is in the store,
//! once, whatever happens to the process a moment later.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    documents::is_there,
    harness::{
        Actor, Alert, PATIENCE, Place, faults::Disk, on_lone_mongodb, on_mongodb, on_sqlite,
        payload,
    },
};

const KILLS: usize = 10;
const SENDERS: usize = 8;
/// Answers of 200 in each life of the process before it is killed.
const ANSWERS: usize = 30;

/// Sends alerts of its own one after the other until nobody answers: those that were answered
/// 200, and the one that was not.
async fn send(
    alertmanager: Actor,
    mut next: Vec<String>,
    numbers: Arc<AtomicUsize>,
    answers: Arc<tokio::sync::Semaphore>,
) -> (Vec<String>, String) {
    let mut answered = Vec::new();
    loop {
        let instance = next
            .pop()
            .unwrap_or_else(|| format!("node{}", numbers.fetch_add(1, Ordering::Relaxed)));
        let body = payload([Alert::firing("HighErrorRate", &instance)]).to_string();
        let request =
            alertmanager.request(reqwest::Method::POST, "/webhook/alerts", body.as_bytes());
        match alertmanager.try_send(request.body(body)).await {
            Ok(answer) if answer.status == 200 => {
                answered.push(instance);
                answers.add_permits(1);
            }
            // Alertmanager tries again what gets a 5xx.
            Ok(answer) => {
                assert_eq!(answer.status, 503, "{}", answer.text());
                next.push(instance);
            }
            Err(_) => return (answered, instance),
        }
    }
}

async fn nothing_answered_is_lost_or_counted_twice(place: &Place) {
    nothing_is_lost_when_it(place, &[], || {}).await;
}

/// The process is killed again and again, and `dead` is what happens to its files then.
async fn nothing_is_lost_when_it(place: &Place, set: &[(&str, &str)], dead: impl Fn()) {
    let numbers = Arc::new(AtomicUsize::new(0));
    let mut answered = HashSet::new();
    // What got no answer is sent again, as Alertmanager does: it may be stored already.
    let mut unanswered: Vec<String> = Vec::new();
    for _ in 0..KILLS {
        let mut process = place.spawn(set).await;
        let answers = Arc::new(tokio::sync::Semaphore::new(0));
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                let again = unanswered.pop().into_iter().collect();
                tokio::spawn(send(process.alertmanager(), again, numbers.clone(), answers.clone()))
            })
            .collect();
        let enough = tokio::time::timeout(PATIENCE, answers.acquire_many(ANSWERS as u32)).await;
        process.kill();
        dead();
        assert!(enough.is_ok(), "too few alerts were answered before the kill");
        for sender in senders {
            let (own, last) = sender.await.unwrap();
            answered.extend(own);
            unanswered.push(last);
        }
    }
    assert!(answered.len() >= KILLS * ANSWERS);

    let process = place.spawn(&[]).await;
    let mut stored: HashMap<String, usize> = HashMap::new();
    for alert in process.admin().stored("alerts").await {
        let instance = alert["labels"]["instance"].as_str().unwrap().to_owned();
        *stored.entry(instance).or_default() += 1;
    }
    for instance in &answered {
        assert_eq!(stored.get(instance), Some(&1), "{instance} was answered 200");
    }
    assert!(stored.values().all(|count| *count == 1));
    let entries = process.admin().stored("knowledge_base").await;
    assert_eq!(entries.len(), 1);
    let learned = |counter: &str| entries[0][counter].as_u64().unwrap() as usize;
    assert_eq!([learned("occurrences"), learned("firing")], [stored.len(); 2]);
}

#[tokio::test]
async fn sqlite_has_every_answered_alert_once_after_ten_kills() {
    on_sqlite(nothing_answered_is_lost_or_counted_twice).await;
}

#[tokio::test]
async fn sqlite_has_every_answered_alert_once_after_ten_power_cuts() {
    if !is_there("cc") {
        return;
    }
    let place = Place::sqlite();
    let disk = Disk::build(place.directory()).unwrap();
    let database = place.directory().join("data/orchestrator.db");
    nothing_is_lost_when_it(&place, &disk.variables_for_a_cut(), || disk.cut_power(&database))
        .await;
}

#[tokio::test]
async fn mongodb_has_every_answered_alert_once_after_ten_kills() {
    on_mongodb(nothing_answered_is_lost_or_counted_twice).await;
}

#[tokio::test]
async fn a_lone_mongodb_has_every_answered_alert_once_after_ten_kills() {
    on_lone_mongodb(nothing_answered_is_lost_or_counted_twice).await;
}
