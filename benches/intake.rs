//! The hot path of a webhook without HTTP: parsing a payload, and recording groups of new alerts
//! durably in SQLite.
#![allow(clippy::unwrap_used, missing_docs)] // why: a bench that cannot go on has nothing to tell

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use orchestrator::{
    alerts::AlertBatch,
    model::{SeverityWords, SystemClock, Time, pattern_id},
    store::{AssignedAlert, Gathering, Group, Store, migrate, sqlite::SqliteStore},
};

/// A payload of `count` alerts that nobody has seen, of ten alert names.
fn payload(next: &mut u64, count: usize) -> Vec<u8> {
    let alerts = (0..count).map(|_| {
        *next += 1;
        serde_json::json!({
            "status": "firing",
            "labels": {
                "alertname": format!("BenchAlert{}", *next % 10), "severity": "warning",
                "instance": format!("node{next}:9100"), "job": "node",
            },
            "annotations": {
                "summary": format!("Something is wrong on node {next}"),
                "runbook_url": "https://runbooks.example.org/bench",
            },
            "startsAt": "2026-11-24T07:00:27.468Z", "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus:9090/graph",
        })
    });
    let alerts: Vec<_> = alerts.collect();
    serde_json::json!({"version": "4", "receiver": "bench", "alerts": alerts}).to_string().into()
}

fn parse(body: &[u8]) -> AlertBatch {
    let now = Time::parse("2026-11-24T07:00:30Z").unwrap();
    AlertBatch::parse(body, now, &SeverityWords::default()).unwrap()
}

fn new_alerts(next: &mut u64, count: usize) -> Arc<Gathering> {
    let assign = |alert: orchestrator::model::ReceivedAlert| AssignedAlert {
        entry_id: pattern_id(&alert.name, ""),
        alert,
    };
    let alerts = parse(&payload(next, count)).alerts.into_iter().map(assign).collect();
    Arc::new(Group { alerts, ..Group::default() }.into())
}

fn parsing(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse a payload");
    for count in [1, 1000] {
        let body = payload(&mut 0, count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter(|| parse(black_box(&body)));
        });
    }
}

fn recording(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Beside the build, because a RAM disk would make every sync free.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("bench.db");
    let store = runtime.block_on(async {
        let store = SqliteStore::open(&path).await.unwrap();
        migrate::up(&store, "bench", &SystemClock, false).await.unwrap();
        store
    });
    let mut next = 0;
    let mut group = c.benchmark_group("record new alerts in SQLite");
    group.measurement_time(Duration::from_secs(8)).sample_size(20);
    for count in [1, 32, 1000] {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter_batched(
                || new_alerts(&mut next, count),
                |group| runtime.block_on(store.commit(group)).unwrap(),
                BatchSize::PerIteration,
            );
        });
    }
}

criterion_group!(benches, parsing, recording);
criterion_main!(benches);
