//! 100,000 hostile requests, and as many again: no failure that is not documented, no panic, little
//! in the logs, and no more memory the second time.

use std::{path::Path, time::Instant};

use tokio::task::JoinSet;

use super::{
    hostile::{Hostile, exchange, failures},
    service::{SECRETS, Service, client, emitted, verdict},
};

const REQUESTS: usize = 100_000;
const WORKERS: usize = 32;
const SEED: u64 = 0xa77ac;
/// Of the log and the audit log together, in MB.
const LOGS_MOST: f64 = 10.0;
/// How much more memory as many again may take: what they taught is kept, and no more.
const MORE_MB: f64 = 24.0;

/// Whether all of that holds.
pub async fn run(folder: &Path) -> bool {
    println!("flood: {REQUESTS} hostile requests on every route, twice");
    let service = Service::start(folder, &[]).await;
    let begun = Instant::now();
    let first = round(&service, 0).await;
    let middle = service.memory_mb();
    let second = round(&service, WORKERS).await;
    let (last, took) = (service.memory_mb(), begun.elapsed());
    let echoed = first.echoed + second.echoed;
    let metrics = service.scrape().await;
    let failed = failures(&metrics);
    let ready = service.status("/ready").await == 200 && service.notify("after", "").await == 200;
    let stopped = service.stop();
    let text = emitted(folder);
    let megabytes = text.len() as f64 / 1e6;
    let panicked = memchr::memmem::find(&text, b"panicked").is_some();
    println!("  in {took:.1?}; answers by hundreds: {:?}", first.and(&second.statuses));
    verdict(failed.is_empty(), &format!("no 5xx {failed:?}"))
        & verdict(!panicked && stopped, "no panic, and an orderly end")
        & verdict(ready, "ready afterwards, and takes alerts")
        & verdict(last - middle < MORE_MB, &format!("memory {middle:.0} MB, then {last:.0} MB"))
        & verdict(megabytes < LOGS_MOST, &format!("log and audit log: {megabytes:.2} MB"))
        & verdict(echoed == 0, "no secret in any answer")
}

/// What came back.
#[derive(Default)]
struct Answers {
    /// By their first digit; those that nothing readable came for at 0.
    statuses: [usize; 6],
    echoed: usize,
}

impl Answers {
    fn and(&self, others: &[usize; 6]) -> [usize; 6] {
        std::array::from_fn(|at| self.statuses[at] + others[at])
    }
}

async fn round(service: &Service, first: usize) -> Answers {
    let address = service.address;
    let mut workers = JoinSet::new();
    for worker in first..first + WORKERS {
        workers.spawn(async move {
            let mut hostile = Hostile::of(SEED + worker as u64, SECRETS);
            let mut answers = Answers::default();
            for _ in 0..REQUESTS / WORKERS {
                let reply = exchange(client(worker), address, &hostile.request()).await;
                let hundreds = reply.status().map_or(0, |status| usize::from(status / 100));
                answers.statuses[hundreds.min(5)] += 1;
                answers.echoed += usize::from(SECRETS.found_in(&reply.0).is_some());
            }
            answers
        });
    }
    workers.join_all().await.into_iter().fold(Answers::default(), |all, one| Answers {
        statuses: all.and(&one.statuses),
        echoed: all.echoed + one.echoed,
    })
}
