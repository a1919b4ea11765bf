//! Slow and non-reading clients all at once: the short form of `benches/attack.rs`.

use std::time::Duration;

use crate::harness::{Place, attackers, eventually, free_port};

/// The limits with `REQUEST_TIMEOUT_SECONDS=1`, and a machine's own delays.
const GONE_WITHIN: Duration = Duration::from_secs(15);
/// On a machine that is busy with other tests, a probe may take this long whatever it does.
const NOISE: Duration = Duration::from_millis(250);

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_hold_connections_are_gone_in_time_and_others_do_not_notice() {
    let place = Place::sqlite();
    let metrics_port = free_port().to_string();
    let set = [("REQUEST_TIMEOUT_SECONDS", "1"), ("METRICS_PORT", metrics_port.as_str())];
    let process = place.spawn(&set).await;
    let address = process.address();
    let quiet = attackers::p95(address, Duration::from_secs(1)).await;
    let mut crowd = attackers::crowd(100, 4, address);
    let busy = attackers::p95(address, Duration::from_secs(2)).await;
    assert!(busy <= (3 * quiet).max(NOISE), "{busy:?} instead of {quiet:?}");
    while let Some(held) = crowd.join_next().await {
        let (way, held) = held.unwrap();
        assert!(held < GONE_WITHIN, "{way:?} was held for {held:?}");
    }
    let metrics = process.actors().at(([127, 0, 0, 1], metrics_port.parse().unwrap()).into());
    eventually("no connection is left", async || {
        let text = metrics.get("/metrics").await.text();
        text.contains("connections{listener=\"main\"} 0").then_some(())
    })
    .await;
}
