//! Disks that fail under the built binary: what was acknowledged is stored, nothing else is
//! acknowledged, and readiness is true within five seconds, both ways.

use std::time::Duration;

use crate::{
    documents::is_there,
    harness::{
        Actor, Alert, Place,
        faults::{Disk, Fault},
        payload, within,
    },
};

/// The contract's, and a machine's own delays.
const IN_TIME: Duration = Duration::from_millis(5_500);

async fn notify(alertmanager: &Actor, instance: &str) -> u16 {
    alertmanager.notify(&payload([Alert::firing("DiskFull", instance)])).await.status
}

/// Waits until `/ready` answers this.
async fn turns(stranger: &Actor, status: u16, fault: Fault) {
    let what = format!("{fault:?}: /ready is {status}");
    let is = async || (stranger.get("/ready").await.status == status).then_some(());
    within(IN_TIME, &what, is).await;
}

async fn holds_for(fault: Fault) {
    if !is_there("cc") {
        return;
    }
    let place = Place::sqlite();
    let disk = Disk::build(place.directory()).unwrap();
    let mut process = place.spawn(&disk.variables()).await;
    let (alertmanager, stranger) = (process.alertmanager(), process.actors().anonymous());
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    let mut send = async |number: usize| {
        let instance = format!("node{number}");
        match notify(&alertmanager, &instance).await {
            200 => acknowledged.push(instance),
            status => {
                assert_eq!(status, 503, "{fault:?}");
                refused += 1;
            }
        }
    };
    for number in 0..10 {
        send(number).await;
    }
    disk.fail(fault);
    for number in 10..20 {
        send(number).await;
    }
    turns(&stranger, 503, fault).await;
    let health = stranger.get("/health").await.expect(200).json();
    assert_eq!(health["status"], "degraded", "{fault:?}");
    disk.cure();
    turns(&stranger, 200, fault).await;
    for number in 20..30 {
        send(number).await;
    }
    assert_eq!((acknowledged.len(), refused), (20, 10), "{fault:?}");
    process.kill();

    let process = place.spawn(&[]).await;
    let stored = process.admin().stored("alerts").await;
    for instance in &acknowledged {
        let found = stored.iter().filter(|alert| alert["labels"]["instance"] == **instance);
        assert_eq!(found.count(), 1, "{fault:?}: {instance}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_disk_does_only_what_is_stored_is_acknowledged() {
    futures::future::join_all(Fault::ALL.map(holds_for)).await;
}

/// A system takes what a disk did not take for written, so that a later sync succeeds without it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_after_a_failed_sync_outlives_a_power_cut() {
    if !is_there("cc") {
        return;
    }
    let place = Place::sqlite();
    let disk = Disk::build(place.directory()).unwrap();
    let variables = [disk.variables(), disk.variables_for_a_cut()].concat();
    let mut process = place.spawn(&variables).await;
    let (alertmanager, stranger) = (process.alertmanager(), process.actors().anonymous());
    assert_eq!(notify(&alertmanager, "before").await, 200);
    disk.fail(Fault::Sync);
    assert_eq!(notify(&alertmanager, "meanwhile").await, 503);
    disk.cure();
    turns(&stranger, 200, Fault::Sync).await;
    assert_eq!(notify(&alertmanager, "after").await, 200);
    process.kill();
    disk.cut_power(&place.directory().join("data/orchestrator.db"));

    let process = place.spawn(&[]).await;
    let stored = process.admin().stored("alerts").await;
    let is_stored =
        |instance: &str| stored.iter().any(|alert| alert["labels"]["instance"] == instance);
    assert!(is_stored("before") && is_stored("after"), "{stored:?}");
}
