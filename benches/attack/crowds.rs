//! 500 slow and 500 non-reading clients, over HTTP/1 and HTTP/2, from several addresses, from one,
//! and more than there is room for; and exports that nobody reads.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use tokio::time::{sleep, timeout};

use super::{
    attackers,
    service::{REQUEST, Service, verdict},
};

const CLIENTS: usize = 1000;
/// The longest of the limits: a connection without a request. And how exactly it is kept.
const LONGEST: Duration = Duration::from_secs(2 * REQUEST.as_secs() + 3);
/// Below this a p95 says more about the machine than about the service.
const NOISE: Duration = Duration::from_millis(3);

/// Whether others did not notice, and all were gone in time.
pub async fn run(folder: &Path) -> bool {
    let service = Service::start(folder, &[]).await;
    let rounds = [
        round(&service, "several addresses", CLIENTS, 8).await,
        round(&service, "one address", CLIENTS, 1).await,
        round(&service, "more than there is room for", CLIENTS * 3 / 2, 12).await,
        exports(&service).await,
    ];
    for reason in ["max_connections", "max_connections_per_client", "too_slow"] {
        let series = format!(r#"connections_refused_total{{reason="{reason}"}}"#);
        println!("  {series} {}", service.sample(&series).await);
    }
    rounds.into_iter().all(|good| good)
}

async fn round(service: &Service, name: &str, clients: usize, addresses: u8) -> bool {
    println!("crowd: {clients} clients from {addresses} addresses ({name})");
    let quiet = attackers::p95(service.address, Duration::from_secs(3)).await;
    let begun = Instant::now();
    let mut crowd = attackers::crowd(clients, addresses, service.address);
    let busy = attackers::p95(service.address, Duration::from_secs(8)).await;
    let mut longest: BTreeMap<String, Duration> = BTreeMap::new();
    let all = timeout(3 * LONGEST, async {
        while let Some(held) = crowd.join_next().await {
            let (way, held) = held.unwrap();
            let most = longest.entry(format!("{way:?}")).or_default();
            *most = held.max(*most);
        }
    });
    let ended = all.await.is_ok();
    let in_time = ended && longest.values().all(|held| *held <= LONGEST);
    let unnoticed = busy <= (3 * quiet).max(NOISE);
    let took = begun.elapsed();
    sleep(Duration::from_secs(1)).await;
    let left = service.sample(r#"connections{listener="main"}"#).await;
    verdict(unnoticed, &format!("/health p95 {busy:.2?}, quiet {quiet:.2?}"))
        & verdict(in_time, &format!("held at most {longest:.1?}; all in {took:.1?}"))
        & verdict(left == 0.0, &format!("{left} connections are left"))
}

/// Two exports that are not read: whether a third one is given within the limits.
async fn exports(service: &Service) -> bool {
    println!("exports: two that nobody reads");
    let summary = "x".repeat(16_000);
    for number in 0..1000 {
        assert_eq!(service.notify(&number.to_string(), &summary).await, 200);
    }
    let (_first, _second) = (service.export().await, service.export().await);
    let begun = Instant::now();
    while service.export().await.status() != 200 && begun.elapsed() < 3 * LONGEST {
        sleep(Duration::from_millis(500)).await;
    }
    let waited = begun.elapsed();
    verdict(waited < Duration::from_secs(20), &format!("they held their places for {waited:.1?}"))
}
