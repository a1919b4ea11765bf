//! What replicas promise while all is well.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use mongodb::bson::{Document, doc};
use serde_json::{Value, json};

use super::{
    fleet::{Fleet, Replica},
    on_each_topology,
};
use crate::harness::{Actor, Alert, Stopwatch, Topology, eventually, payload};

on_each_topology![
    three_replicas_behave_as_one,
    a_rolling_restart_behind_the_balancer_fails_no_webhook,
    writes_go_on_within_two_seconds_of_the_servers_return,
];

/// How far behind a replica may be.
const IN_STEP: Duration = Duration::from_secs(1);
/// How long the store is away.
const OUTAGE: Duration = Duration::from_millis(2_500);
/// How soon after it writes go on.
const BACK_WITHIN: Duration = Duration::from_secs(2);

/// All of it on one fleet, which takes a while to start.
async fn three_replicas_behave_as_one(topology: Topology) {
    let Some(mut fleet) = Fleet::start(topology).await else { return };
    what_one_learns_all_show_within_a_second(&fleet).await;
    what_one_makes_is_there_at_once_by_its_id(&fleet).await;
    a_group_that_comes_to_two_at_once_counts_once(&fleet).await;
    a_question_asked_on_all_is_one(&fleet).await;
    of_edits_at_once_one_is_done_and_none_is_lost(&fleet).await;
    samples_say_whose_they_are(&fleet).await;
    fleet.limits_hold().await;
    fleet.shows_what_is_stored().await;
}

/// Waits until each of these shows it: how long it took after `since`.
async fn seen(replicas: &[Replica], since: Stopwatch, shows: impl AsyncFn(&Replica) -> bool) {
    for replica in replicas {
        eventually("a replica follows", async || shows(replica).await.then_some(())).await;
    }
    let took = since.elapsed();
    println!("in step after {took:?}");
    assert!(took < IN_STEP, "{took:?}");
}

async fn firing(replica: &Replica) -> i64 {
    let summary = replica.anonymous().get("/api/knowledge/summary").await.expect(200).json();
    summary["alerts"]["firing"].as_i64().unwrap()
}

async fn what_one_learns_all_show_within_a_second(fleet: &Fleet) {
    let (one, others) = fleet.replicas.split_first().unwrap();
    let disks: Vec<_> = (0..20).map(|n| Alert::firing("DiskFull", &format!("disk{n}"))).collect();
    one.alertmanager().notify(&payload(disks.clone())).await.expect(200);
    seen(others, Stopwatch::start(), async |replica| firing(replica).await == 20).await;
    let over = disks.into_iter().map(|alert| alert.resolved_after(60));
    one.alertmanager().notify(&payload(over)).await.expect(200);
    seen(others, Stopwatch::start(), async |replica| firing(replica).await == 0).await;

    let made = one.operator().write(&json!({"title": "Zookeeper is gone"})).await;
    let made = made["id"].as_str().unwrap().to_owned();
    seen(others, Stopwatch::start(), async |replica| {
        replica.admin().entry_titles().await.contains("Zookeeper is gone")
    })
    .await;
    let path = format!("/api/knowledge/entries/{made}");
    let patch = json!({"title": "Zookeeper is lost"}).to_string();
    let patched = one.operator().call(reqwest::Method::PATCH, &path, patch.as_bytes()).await;
    patched.expect(200);
    seen(others, Stopwatch::start(), async |replica| {
        replica.admin().entry_titles().await.contains("Zookeeper is lost")
    })
    .await;
    one.operator().delete(&path).await;
    seen(others, Stopwatch::start(), async |replica| {
        !replica.admin().entry_titles().await.contains("Zookeeper is lost")
    })
    .await;
}

async fn what_one_makes_is_there_at_once_by_its_id(fleet: &Fleet) {
    let made = fleet.replicas[0].operator().write(&json!({"title": "Read it at once"})).await;
    for replica in &fleet.replicas {
        let found = replica.operator().entry(made["id"].as_str().unwrap()).await;
        assert_eq!(found["title"], "Read it at once");
    }
}

async fn a_group_that_comes_to_two_at_once_counts_once(fleet: &Fleet) {
    for round in 0..10 {
        let pods = (0..10).map(|n| Alert::firing("PodDown", &format!("pod{round}-{n}")));
        let group = payload(pods);
        let (one, other) = (fleet.replicas[0].alertmanager(), fleet.replicas[1].alertmanager());
        let (one, other) = tokio::join!(one.notify(&group), other.notify(&group));
        let receipts = [one.expect(200).json(), other.expect(200).json()];
        let sum =
            |of: &str| receipts.iter().map(|receipt| receipt[of].as_i64().unwrap()).sum::<i64>();
        assert_eq!((sum("new"), sum("received")), (10, 20), "{receipts:?}");
    }
    let pods = fleet.raw().collection::<mongodb::bson::Document>("alerts");
    assert_eq!(pods.count_documents(doc! { "name": "PodDown" }).await.unwrap(), 100);
    fleet.shows_what_is_stored().await;
}

async fn a_question_asked_on_all_is_one(fleet: &Fleet) {
    let operators: Vec<Actor> = fleet.replicas.iter().map(Replica::operator).collect();
    let asked = operators.iter().map(|operator| operator.ask("zebra stampede in the server room"));
    futures::future::join_all(asked).await;
    for replica in &fleet.replicas {
        eventually("all three are one question", async || {
            let summary = replica.anonymous().get("/api/knowledge/summary").await.json();
            let open = &summary["openQuestions"];
            (open.as_array().unwrap().len() == 1 && open[0]["occurrences"] == 3).then_some(())
        })
        .await;
    }
}

async fn of_edits_at_once_one_is_done_and_none_is_lost(fleet: &Fleet) {
    let made = fleet.replicas[0].operator().write(&json!({"title": "Edited by many"})).await;
    let id = made["id"].as_str().unwrap();
    let path = format!("/api/knowledge/entries/{id}");
    for round in 0..5 {
        let version = fleet.replicas[0].operator().get(&path).await.header("etag").to_owned();
        let edits = fleet.replicas.iter().enumerate().map(|(n, replica)| {
            let (path, actor) = (&path, replica.operator().with("if-match", &version));
            let body = json!({"solution": format!("round {round} of {n}")}).to_string();
            async move { actor.call(reqwest::Method::PATCH, path, body.as_bytes()).await }
        });
        let answers = futures::future::join_all(edits).await;
        let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert!(
            statuses[0] == 200 && statuses[1..].iter().all(|s| [409, 412].contains(s)),
            "{statuses:?}"
        );
        let done = answers.iter().position(|answer| answer.status == 200).unwrap();
        let stored = fleet.replicas[done].operator().entry(id).await;
        assert_eq!(stored["solution"], format!("round {round} of {done}"));
    }
    // Notes are right whatever the version: all of them stay.
    let notes = fleet.replicas.iter().map(|replica| {
        let path = format!("{path}/notes");
        async move { replica.operator().post(&path, &json!({"text": "seen"})).await.status }
    });
    let statuses = futures::future::join_all(notes).await;
    assert!(statuses.iter().all(|status| [200, 201].contains(status)), "{statuses:?}");
    let entries = fleet.raw().collection::<mongodb::bson::Document>("knowledge_base");
    let stored = entries.find_one(doc! { "id": id }).await.unwrap().unwrap();
    assert_eq!(stored.get_array("notes").unwrap().len(), 3);
}

async fn samples_say_whose_they_are(fleet: &Fleet) {
    let path = "/api/persistence/historical?days=1&metric=";
    let series = async |metric: &str, aggregation: &str| {
        let path = format!("{path}{metric}&aggregation={aggregation}");
        fleet.replicas[0].admin().get(&path).await.expect(200).json()["series"].clone()
    };
    let own = eventually("all three have sampled", async || {
        let points = series("http_requests_total", "raw").await.as_array().unwrap().clone();
        let of: BTreeSet<String> = points
            .iter()
            .map(|point| point["labels"]["instance"].as_str().expect("whose it is").to_owned())
            .collect();
        (of.len() == 3).then_some(points)
    })
    .await;
    // Taken at the same moments, so that they can be added up.
    let whole = |point: &Value| point["timestamp"].as_str().unwrap().ends_with(":00Z");
    assert!(
        own.iter()
            .all(|point| point["timestamp"].as_str().unwrap().ends_with(".000Z") || whole(point))
    );
    let shared = series("alerts_firing", "raw").await;
    let mut moments: Vec<&str> =
        shared.as_array().unwrap().iter().map(|p| p["timestamp"].as_str().unwrap()).collect();
    let all = moments.len();
    moments.dedup();
    assert_eq!(moments.len(), all, "one sample a moment, whoever took it");
    let hours = series("alerts_firing", "hourly").await;
    let most = hours.as_array().unwrap().iter().map(|hour| hour["max"].as_f64().unwrap());
    assert!(most.fold(0.0, f64::max) <= 100.0, "{hours}");
}

/// Alertmanager at the balancer, until it is stopped: how many webhooks it sent.
async fn webhooks(alertmanager: Actor, sender: usize, stop: Arc<AtomicBool>) -> usize {
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        let alert = Alert::firing("Rolling", &format!("node{sender}-{sent}"));
        alertmanager.notify(&payload([alert])).await.expect(200);
        sent += 1;
    }
    sent
}

async fn a_rolling_restart_behind_the_balancer_fails_no_webhook(topology: Topology) {
    let Some(mut fleet) = Fleet::start(topology).await else { return };
    let stop = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..4)
        .map(|n| {
            let alertmanager = fleet.balancer.actors().alertmanager();
            tokio::spawn(webhooks(alertmanager, n, Arc::clone(&stop)))
        })
        .collect();
    for replica in &mut fleet.replicas {
        replica.roll().await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut sent = 0;
    for sender in senders {
        sent += sender.await.expect("no webhook failed");
    }
    println!("{sent} webhooks while three replicas were restarted");
    let stored = fleet.raw().collection::<mongodb::bson::Document>("alerts");
    assert_eq!(stored.count_documents(doc! {}).await.unwrap(), sent as u64);
    fleet.shows_what_is_stored().await;
}

async fn writes_go_on_within_two_seconds_of_the_servers_return(topology: Topology) {
    let Some(fleet) = Fleet::start(topology).await else { return };
    let store = &fleet.replicas[0].store;
    for fault in ["never away", "cut", "stalled", "silent"] {
        match fault {
            "cut" => store.cut(),
            "stalled" => fleet.mongod.pause(),
            "silent" => store.silence(),
            _ => {}
        }
        if fault != "never away" {
            // Probes have a connection of their own, and health touches no store.
            let asked = Stopwatch::start();
            fleet.replicas[0].anonymous().get("/health").await.expect(200);
            assert!(asked.elapsed() < IN_STEP);
            tokio::time::sleep(OUTAGE).await;
        }
        fleet.mongod.resume();
        store.open();
        // It is back when it takes a write, which its disk may hold up.
        let probes = fleet.raw().collection::<Document>("probes");
        eventually("the server takes a write", async || {
            probes.insert_one(doc! { "after": fault }).await.ok()
        })
        .await;
        let took = takes_alerts_after(&fleet.replicas[0]).await;
        println!("{fault}: {took:?}");
        assert!(took < BACK_WITHIN, "{fault}: {took:?}");
    }
    fleet.shows_what_is_stored().await;
}

/// How long it is until the replica takes an alert.
async fn takes_alerts_after(replica: &Replica) -> Duration {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let begun = Stopwatch::start();
    eventually("a webhook is taken", async || {
        let host = format!("node{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let alert = payload([Alert::firing("Back", &host)]);
        (replica.alertmanager().notify(&alert).await.status == 200).then_some(())
    })
    .await;
    begun.elapsed()
}
