//! Faults at random under load, and what must hold after each: what was acknowledged is stored,
//! once; what each replica shows is the fold of what is stored; limits hold for all together.
//!
//! Each run prints its seed; `REPLICAS_SEED` runs one again, `REPLICAS_ROUNDS` sets how long.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use mongodb::bson::{DateTime, Document, doc};
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::Method;
use tokio::{sync::RwLock, task::JoinSet};

use super::{fleet::Fleet, on_each_topology};
use crate::harness::{Actor, Alert, Topology, payload};

on_each_topology![faults_at_random_break_no_promise];

/// On each topology, so that both together are 30.
const ROUNDS: u64 = 15;
const SENDERS: usize = 4;
/// Longer than any fault, with what comes after it.
const DELIVERED_WITHIN: Duration = Duration::from_secs(60);
const NAMES: [&str; 4] = ["DiskFull", "PodDown", "QueueLong", "CertOld"];

/// What may happen.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Kill,
    Pause,
    RestartRedis,
    StallRedis,
    RestartStore,
    StallStore,
    CutOff,
    Silence,
    SlowDown,
}

const FAULTS: [Fault; 9] = [
    Fault::Kill,
    Fault::Pause,
    Fault::RestartRedis,
    Fault::StallRedis,
    Fault::RestartStore,
    Fault::StallStore,
    Fault::CutOff,
    Fault::Silence,
    Fault::SlowDown,
];

/// A variable that a person sets to look into a failure.
#[allow(clippy::disallowed_methods)]
fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What Alertmanager knows: which alerts it sent, and how each stood when it was acknowledged.
#[derive(Default)]
struct Sent {
    number: AtomicUsize,
    acknowledged: Mutex<HashMap<String, &'static str>>,
    /// Held while a notification is on its way; taken whole when nothing is to be.
    gate: RwLock<()>,
}

/// Sends alerts, resolves every third, and repeats what is not acknowledged, as Alertmanager does.
async fn send(alertmanager: Actor, sent: Arc<Sent>) {
    loop {
        let on_its_way = sent.gate.read().await;
        let number = sent.number.fetch_add(1, Ordering::Relaxed);
        let instance = format!("node{number}");
        let alert = Alert::firing(NAMES[number % NAMES.len()], &instance);
        deliver(&alertmanager, &alert).await;
        sent.acknowledged.lock().insert(instance.clone(), "firing");
        if number.is_multiple_of(3) {
            deliver(&alertmanager, &alert.resolved_after(60)).await;
            sent.acknowledged.lock().insert(instance, "resolved");
        }
        drop(on_its_way);
        // The sender's own pace.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn deliver(alertmanager: &Actor, alert: &Alert) {
    let body = payload([alert.clone()]).to_string();
    let deadline = Instant::now() + DELIVERED_WITHIN;
    loop {
        let request = alertmanager.request(Method::POST, "/webhook/alerts", body.as_bytes());
        match alertmanager.try_send(request.body(body.clone())).await {
            Ok(answer) if answer.status == 200 => return,
            Ok(answer) => assert!(answer.status >= 500, "{}", answer.text()),
            Err(_) => {}
        }
        assert!(Instant::now() < deadline, "no alert is taken any more: {body}");
        // The sender's own pace.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn wait(rng: &mut StdRng, ms: std::ops::Range<u64>) {
    tokio::time::sleep(Duration::from_millis(rng.random_range(ms))).await;
}

/// Lets it happen, and puts it right.
async fn happen(fault: Fault, fleet: &mut Fleet, rng: &mut StdRng) {
    let victim = rng.random_range(0..fleet.replicas.len());
    match fault {
        Fault::Kill => fleet.replicas[victim].crash().await,
        Fault::Pause => {
            fleet.replicas[victim].pause();
            wait(rng, 300..1_500).await;
            // The lease that it may have had goes to another.
            let state = fleet.raw().collection::<Document>("system_state");
            let over = doc! { "$set": { "expiresAt": DateTime::from_millis(0) } };
            state.update_one(doc! { "_id": "lease:retention" }, over).await.unwrap();
            wait(rng, 100..500).await;
            fleet.replicas[victim].resume();
        }
        Fault::RestartRedis => {
            fleet.redis.kill();
            wait(rng, 100..800).await;
            fleet.redis.restart().await;
        }
        Fault::StallRedis => {
            fleet.redis.pause();
            wait(rng, 100..800).await;
            fleet.redis.resume();
        }
        Fault::RestartStore => fleet.mongod.restart().await,
        Fault::StallStore => {
            fleet.mongod.pause();
            wait(rng, 200..2_000).await;
            fleet.mongod.resume();
        }
        Fault::CutOff => {
            let replica = &fleet.replicas[victim];
            replica.store.cut();
            replica.redis.cut();
            wait(rng, 200..1_500).await;
            replica.store.open();
            replica.redis.open();
        }
        Fault::Silence => {
            fleet.replicas[victim].store.silence();
            wait(rng, 200..1_500).await;
            fleet.replicas[victim].store.open();
        }
        Fault::SlowDown => {
            let replica = &fleet.replicas[victim];
            replica.store.slow_down(Duration::from_millis(rng.random_range(5..60)));
            wait(rng, 500..1_500).await;
            replica.store.open();
        }
    }
}

async fn faults_at_random_break_no_promise(topology: Topology) {
    let Some(mut fleet) = Fleet::start(topology).await else { return };
    let seed = variable("REPLICAS_SEED").unwrap_or_else(rand::random);
    let rounds = variable("REPLICAS_ROUNDS").unwrap_or(ROUNDS);
    println!("{rounds} rounds; run them again with REPLICAS_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let sent = Arc::new(Sent::default());
    let mut senders = JoinSet::new();
    for _ in 0..SENDERS {
        senders.spawn(send(fleet.balancer.actors().alertmanager(), Arc::clone(&sent)));
    }
    for round in 0..rounds {
        // Each at least once, then any.
        let fault = match FAULTS.get(round as usize) {
            Some(fault) if rounds >= FAULTS.len() as u64 => *fault,
            _ => FAULTS[rng.random_range(0..FAULTS.len())],
        };
        let begun = Instant::now();
        happen(fault, &mut fleet, &mut rng).await;
        let healed = begun.elapsed();
        check(&mut fleet, &sent).await;
        println!(
            "round {round}, {fault:?}: healed after {healed:?}, right after {:?}",
            begun.elapsed()
        );
        assert!(senders.try_join_next().is_none(), "a sender gave up");
    }
    senders.shutdown().await;
    retention_ran_once_a_day(&fleet).await;
}

/// What must hold once all is well again. Nothing is sent meanwhile.
async fn check(fleet: &mut Fleet, sent: &Sent) {
    let _nothing_is_on_its_way = sent.gate.write().await;
    for replica in &fleet.replicas {
        replica.ready().await;
    }
    let acknowledged = sent.acknowledged.lock().clone();
    let mut stored: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for alert in fleet.stored("alerts", doc! { "status": 1, "labels": 1 }).await {
        let labels = alert.get_document("labels").unwrap();
        let instance = labels.get_str("instance").unwrap().to_owned();
        stored.entry(instance).or_default().push(alert.get_str("status").unwrap().to_owned());
    }
    for (instance, status) in &acknowledged {
        let found = stored.get(instance).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(found, [*status], "{instance} was acknowledged");
    }
    assert_eq!(stored.len(), acknowledged.len());
    fleet.shows_what_is_stored().await;
    fleet.limits_hold().await;
}

async fn retention_ran_once_a_day(fleet: &Fleet) {
    let mut days: BTreeMap<String, usize> = BTreeMap::new();
    for day in fleet.stored("consolidations", doc! { "date": 1 }).await {
        *days.entry(day.get_str("date").unwrap().to_owned()).or_default() += 1;
    }
    assert!(days.values().all(|times| *times == 1), "{days:?}");
    let mut runs: BTreeMap<String, usize> = BTreeMap::new();
    for run in fleet.audited("retention_run") {
        let at = run["timestamp"].as_str().unwrap();
        *runs.entry(at[..10].to_owned()).or_default() += 1;
    }
    assert!(runs.values().all(|times| *times == 1), "{runs:?}");
}
