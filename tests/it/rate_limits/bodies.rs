//! How large bodies may be, and how many bytes of them are held at a time.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{Actor, Alert, Place, Raw, Running, TOKEN, payload};

const MIB: usize = 1 << 20;

/// A notification of a thousand alerts of nodes, `bytes` long.
fn notification(bytes: usize) -> Vec<u8> {
    notification_of("node", bytes)
}

/// A notification of a thousand alerts of instances of that kind, `bytes` long.
fn notification_of(kind: &str, bytes: usize) -> Vec<u8> {
    let alerts = |text: &str| {
        let alert = |n: usize| {
            Alert::firing("Wide", &format!("{kind}{n}:9100"))
                .with("annotations", json!({ "summary": "Wide", "description": text }))
        };
        payload((0..1000).map(alert)).to_string().into_bytes()
    };
    let spare = bytes - alerts("").len();
    let mut body = alerts(&"d".repeat(spare / 1000));
    body.resize(bytes, b' ');
    body
}

#[tokio::test]
async fn four_mib_are_taken_by_token_and_one_by_signature() {
    let place = Place::sqlite();
    let service = place.start().await;
    let largest = notification(4 * MIB);
    let answer = service.alertmanager().post_bytes("/webhook/alerts", &largest).await.expect(200);
    assert_eq!(answer.json()["received"], 1000);
    let over = [&largest[..], b" "].concat();
    let answer = service.alertmanager().post_bytes("/webhook/alerts", &over).await.expect(413);
    assert!(answer.error().contains("4194304"));
    let signed = notification(MIB);
    service.signer().post_bytes("/webhook/alerts", &signed).await.expect(200);
    let over = [&signed[..], b" "].concat();
    let answer = service.signer().post_bytes("/webhook/alerts", &over).await.expect(413);
    assert!(answer.error().contains("1048576"));
}

#[tokio::test]
async fn the_head_of_a_signature_is_judged_before_its_body_is_waited_for() {
    let place = Place::sqlite();
    let service = place.start().await;
    for (name, value) in [("x-webhook-signature", "00"), ("authorization", "Bearer wrong")] {
        let mut connection = Raw::open(service.address()).await;
        let head = format!(
            "POST /webhook/alerts HTTP/1.1\r\nhost: x\r\n{name}: {value}\r\ncontent-length: 9\r\n"
        );
        connection.send(format!("{head}\r\n")).await;
        let answer = connection.read_until("requestId").await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
}

/// A sender who begins a body and does not end it.
async fn dawdler(service: &Running, proof: &str, announced: usize, sent: usize) -> Raw {
    let mut connection = Raw::open(service.address()).await;
    let head = format!(
        "POST /webhook/alerts HTTP/1.1\r\nhost: x\r\n{proof}\r\ncontent-length: {announced}\r\n\
         expect: 100-continue\r\n\r\n"
    );
    connection.send(head).await;
    connection.read_until("HTTP/1.1 100 ").await;
    connection.send(vec![b' '; sent]).await;
    connection
}

#[tokio::test]
async fn the_sum_of_bodies_is_bounded_and_one_too_many_is_told_to_retry() {
    let place = Place::sqlite();
    let service = place.start().await;
    let proof = format!("authorization: Bearer {TOKEN}");
    let mut dawdlers = Vec::new();
    for _ in 0..12 {
        dawdlers.push(dawdler(&service, &proof, 4 * MIB, 1).await);
    }
    let refused = service.alertmanager().notify(&payload([])).await.expect(503);
    assert_eq!(refused.header("retry-after"), "5");
    refused.error();
    // Who signs is held apart.
    service.signer().notify(&payload([])).await.expect(200);
    dawdlers.pop();
    crate::harness::eventually("the room is free again", async || {
        let answer = service.alertmanager().notify(&payload([])).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn slow_strangers_keep_no_honest_sender_out() {
    let place = Place::sqlite();
    let service = place.start().await;
    let proof = format!("x-webhook-signature: {}", "0".repeat(64));
    let mut dawdlers = Vec::new();
    for _ in 0..16 {
        dawdlers.push(dawdler(&service, &proof, MIB, MIB - 1).await);
    }
    // More than there is room for: the first of them gives way.
    dawdlers.push(dawdler(&service, &proof, MIB, MIB - 1).await);
    let answer = dawdlers[0].read_until("requestId").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("retry-after: 5"), "{answer}");
    for _ in 0..3 {
        let large = notification(MIB);
        service.signer().post_bytes("/webhook/alerts", &large).await.expect(200);
    }
}

/// A figure of a process' memory, in MB.
fn memory_mb(process: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let figure = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    figure.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

/// The most memory that a process had at a time, in MB.
fn peak_mb(process: u32) -> f64 {
    memory_mb(process, "VmHWM:")
}

/// Has the peak begin anew.
fn forget_peak(process: u32) {
    fs::write(format!("/proc/{process}/clear_refs"), "5").unwrap();
}

/// The memory of a process that has nothing to do, in MB: what it has once that did not get less for a
/// second, as what was freed is given back a little later.
async fn memory_at_rest_mb(process: u32) -> f64 {
    let (mut least, mut since) = (f64::INFINITY, Instant::now());
    while since.elapsed() < Duration::from_secs(1) {
        let now = memory_mb(process, "VmRSS:");
        if now < least {
            (least, since) = (now, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    least
}

/// Has done what is done once: code is loaded, and the store's caches are as large as they get.
async fn work_in(sender: &Actor) {
    for n in 0..24 {
        let body = notification(MIB - n * 1_000);
        sender.post_bytes("/webhook/alerts", &body).await.expect(200);
    }
    for kind in ["pump", "pipe"] {
        let body = notification_of(kind, 4 * MIB);
        sender.post_bytes("/webhook/alerts", &body).await.expect(200);
    }
}

#[tokio::test]
async fn a_body_of_4_mib_costs_at_most_thrice_its_size() {
    let place = Place::sqlite();
    let service = place.spawn(&[]).await;
    let (process, sender) = (service.id(), service.alertmanager());
    work_in(&sender).await;
    // Of instances that are stored, and of some that are not.
    for kind in ["node", "disk"] {
        let body = notification_of(kind, 4 * MIB);
        let rest = memory_at_rest_mb(process).await;
        forget_peak(process);
        sender.post_bytes("/webhook/alerts", &body).await.expect(200);
        let more = peak_mb(process) - rest;
        println!("{rest:.0} MB at rest, {more:.1} MB more for one of 4 MiB");
        assert!(more <= 3.0 * 4.0, "{more} MB");
    }
}

#[tokio::test]
async fn of_ten_bodies_at_once_each_costs_at_most_thrice_its_size_and_all_stay_under_200_mb() {
    let place = Place::sqlite();
    let service = place.spawn(&[]).await;
    let (process, sender) = (service.id(), service.alertmanager());
    work_in(&sender).await;
    let body = notification(4 * MIB);
    let rest = memory_at_rest_mb(process).await;
    forget_peak(process);
    let sending = (0..10).map(|_| sender.post_bytes("/webhook/alerts", &body));
    for answer in futures::future::join_all(sending).await {
        let answer: Value = answer.expect(200).json();
        assert_eq!(answer["received"], 1000);
    }
    let ten = peak_mb(process);
    let each = (ten - rest) / 10.0;
    println!("{rest:.0} MB at rest, {ten:.0} MB for ten of 4 MiB, {each:.1} MB each");
    assert!(each <= 3.0 * 4.0, "{each} MB");
    assert!(ten < 200.0, "{ten} MB");
}
