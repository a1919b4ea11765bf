//! The store is read again, to see what other processes changed, while this one changes it too:
//! nothing counts twice, and nothing is forgotten.

use std::sync::atomic::{AtomicI64, Ordering};

use orchestrator::{
    knowledge::{Question, QuestionFilter},
    model::pattern_id,
};

use crate::harness::{Place, World, on_each_store};

on_each_store![
    what_is_read_again_while_it_is_recorded_counts_once,
    what_is_read_again_while_it_is_asked_is_not_forgotten,
];

async fn what_is_read_again_while_it_is_recorded_counts_once(place: &Place) {
    const ALERTS: i64 = 200;
    let world = World::at("2026-11-24T12:00:00Z", place).await;
    let id = pattern_id("DiskFull", "");
    let known = async || world.base.entry(&id).await.map_or(0, |entry| entry.occurrences());
    let sent = AtomicI64::new(0);
    let receiving = async {
        for n in 1..=ALERTS {
            sent.store(n, Ordering::Relaxed);
            world.receive(vec![world.firing(&n.to_string())]).await;
        }
    };
    let following = async {
        loop {
            world.base.reload().await.unwrap();
            let (known, sent) = (known().await, sent.load(Ordering::Relaxed));
            assert!(known == sent || known + 1 == sent, "{known} of {sent}");
        }
    };
    tokio::select! {
        () = receiving => {}
        never = following => never,
    }
    assert_eq!(known().await, ALERTS);
}

async fn what_is_read_again_while_it_is_asked_is_not_forgotten(place: &Place) {
    let world = World::at("2026-11-24T12:00:00Z", place).await;
    let question = || Question {
        text: "zebra stampede".to_owned(),
        limit: 10,
        filter: QuestionFilter::default(),
    };
    let asking = async {
        for n in 1..=100 {
            let gap = world.base.ask(question()).await.unwrap().gap.expect("no answer");
            assert_eq!(gap.occurrences, n);
        }
    };
    let following = async {
        loop {
            world.base.follow().await.unwrap();
            world.base.reload().await.unwrap();
        }
    };
    tokio::select! {
        () = asking => {}
        never = following => never,
    }
}
