//! A process that was stopped in the middle of its work, and wakes up when another has done it.

use std::time::Duration;

use mongodb::bson::{Bson, DateTime, Document, doc};

use super::{
    fleet::{Fleet, Replica},
    on_each_topology,
};
use crate::harness::{Process, Topology, eventually};

on_each_topology![a_retention_that_was_paused_across_its_lease_changes_nothing_when_it_wakes,];

/// Enough for several batches, of which the first has 200.
const OLD: i64 = 240;
const DAY_MS: i64 = 86_400_000;

fn ago(days: i64) -> DateTime {
    DateTime::from_millis(DateTime::now().timestamp_millis() - days * DAY_MS)
}

/// Alerts and samples that retention sums up and deletes.
async fn put_old_data(fleet: &Fleet) {
    let began = ago(5);
    let alerts = (0..OLD).map(|n| {
        let id = format!("{n:016x}:{}", began.timestamp_millis());
        doc! {
            "_id": id, "fingerprint": format!("{n:016x}"), "startsAt": began, "name": "Old",
            "severity": "warning", "status": "firing", "message": "old", "entryId": "kb-old",
            "labels": {}, "annotations": {}, "timestamp": ago(4), "firstReceived": began,
            "changedAt": began, "revision": 1_i64,
        }
    });
    let alerts: Vec<Document> = alerts.collect();
    fleet.raw().collection("alerts").insert_many(alerts).await.unwrap();
    let samples =
        (0..OLD).map(|n| doc! { "name": "old", "value": n as f64, "timestamp": ago(100) });
    let samples: Vec<Document> = samples.collect();
    fleet.raw().collection("metrics").insert_many(samples).await.unwrap();
    let entry = doc! {
        "_id": "kb-old", "id": "kb-old", "title": "Old", "category": "alert_pattern",
        "severity": "low", "firstSeen": ago(5), "lastUpdated": ago(5), "version": 1_i64,
        "summedUp": { "batch": 0_i64 },
    };
    fleet.raw().collection::<Document>("knowledge_base").insert_one(entry).await.unwrap();
}

/// All that retention may change.
async fn everything(fleet: &Fleet) -> Vec<Vec<Document>> {
    let mut all = Vec::new();
    for collection in ["alerts", "alert_identities", "consolidations", "knowledge_base", "metrics"]
    {
        let mut documents = fleet.stored(collection, doc! {}).await;
        // Samples are taken all the while.
        documents.retain(|document| {
            collection != "metrics" || document.get_str("name").is_ok_and(|name| name == "old")
        });
        // A write that was on its way may announce once more what was done.
        for document in &mut documents {
            document.remove("changedBy");
            document.remove("syncedAt");
        }
        documents.sort_by_key(|document| document.get("_id").map(Bson::to_string));
        all.push(documents);
    }
    let state = fleet.stored("system_state", doc! {}).await;
    let kept = ["last_retention", "retention_batch"];
    all.push(
        state
            .into_iter()
            .filter(|document| document.get_str("_id").is_ok_and(|id| kept.contains(&id)))
            .collect(),
    );
    all
}

async fn lease(fleet: &Fleet) -> Option<Document> {
    let state = fleet.raw().collection::<Document>("system_state");
    state.find_one(doc! { "_id": "lease:retention" }).await.unwrap()
}

fn holder(lease: &Document) -> &str {
    lease.get_str("holder").unwrap_or_default()
}

/// What a command says when a server with a core for itself and twenty tests answered a driver's
/// probe too late: that is an outage, after which whoever runs a command runs it again.
const OUTAGE: &str = "server monitor timeout";

fn retention(replica: &Replica) -> Process {
    Process::of(replica.place().command(&["retention"]))
}

/// Runs it to its end.
async fn run_retention(replica: &Replica) -> String {
    for _ in 0..5 {
        let mut process = retention(replica);
        let code = process.exit_code().await;
        let said = process.output().await;
        if code == 0 {
            return said;
        }
        assert!(said.contains(OUTAGE), "{said}");
    }
    panic!("the server answered none of five runs in time");
}

/// Pauses it once it has deleted some alerts and before it has deleted all; nothing if it ended before,
/// as it may: by its work, or by an outage.
async fn pause_in_the_middle(fleet: &Fleet, process: &mut Process) -> Option<()> {
    let ended = eventually("it is in the middle", async || {
        let left = fleet.stored("alerts", doc! { "_id": 1 }).await.len() as i64;
        match process.ended() {
            Some(status) => Some(Some(status)),
            None => (left < OLD).then_some(None),
        }
    })
    .await;
    let Some(status) = ended else {
        process.pause();
        return Some(());
    };
    let said = process.output().await;
    assert!(status.success() || said.contains(OUTAGE), "{said}");
    None
}

async fn a_retention_that_was_paused_across_its_lease_changes_nothing_when_it_wakes(
    topology: Topology,
) {
    for _ in 0..5 {
        let Some(fleet) = Fleet::start(topology).await else { return };
        if a_paused_retention_changes_nothing(&fleet).await.is_some() {
            return;
        }
    }
    panic!("a run ended before it was paused, or met an outage, five times");
}

/// Nothing if the run to be paused ended too soon or met an outage.
async fn a_paused_retention_changes_nothing(fleet: &Fleet) -> Option<()> {
    eventually("the replicas' own first run is over", async || {
        lease(fleet).await.filter(|lease| holder(lease).is_empty())
    })
    .await;
    put_old_data(fleet).await;
    let mut first = retention(&fleet.replicas[0]);
    pause_in_the_middle(fleet, &mut first).await?;
    let held = lease(fleet).await.filter(|lease| !holder(lease).is_empty())?;
    assert!(holder(&held).starts_with("replica-0 "), "{held}");
    // Its minute is over.
    let state = fleet.raw().collection::<Document>("system_state");
    let over = doc! { "$set": { "expiresAt": ago(1) } };
    state.update_one(doc! { "_id": "lease:retention" }, over).await.unwrap();

    let said = run_retention(&fleet.replicas[1]).await;
    let taken = lease(fleet).await.unwrap();
    assert!(taken.get_i64("fence").unwrap() > held.get_i64("fence").unwrap());
    let done = everything(fleet).await;
    assert!(done[0].is_empty() && done[4].is_empty(), "all that was old is deleted");
    let entry =
        done[3].iter().find(|entry| entry.get_str("id").is_ok_and(|id| id == "kb-old")).unwrap();
    let sums = entry.get_document("summedUp").unwrap().get_document("tally").unwrap();
    let remembered = done[1].len();
    assert_eq!(sums.get_i64("occurrences").unwrap(), OLD, "{sums}, {remembered}, {said}");

    first.resume();
    assert_eq!(first.exit_code().await, 1);
    let said = first.output().await;
    // Time for what it had sent before its end and the server had not taken yet.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(everything(fleet).await, done);
    if said.contains(OUTAGE) {
        return None;
    }
    assert!(said.contains("the lease of retention was lost to another process"), "{said}");
    Some(())
}
