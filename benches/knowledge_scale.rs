//! The knowledge base at its size: 100,000 entries learned from alerts, asked by one client.
//!
//! Prints how long the index takes to build, the median and 99th percentile of a query by kind,
//! how long one change takes to become searchable, and what the process holds.
//!
//! `cargo bench --bench knowledge_scale -- [ENTRIES]`

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orchestrator::knowledge::search::{Index, IndexChange, Query};
use orchestrator::model::{Category, Entry, Severity, Time};

const ROUNDS: usize = 200;
const SUBJECTS: [&str; 24] = [
    "KubePod",
    "KubeNode",
    "KubeDeployment",
    "KubeJob",
    "NodeFilesystem",
    "NodeNetwork",
    "Etcd",
    "Prometheus",
    "Alertmanager",
    "Postgres",
    "Redis",
    "Kafka",
    "RabbitMQ",
    "Nginx",
    "HAProxy",
    "Elasticsearch",
    "CoreDNS",
    "Ingress",
    "Certificate",
    "MySQL",
    "Host",
    "Container",
    "Vault",
    "Ceph",
];
const TROUBLES: [&str; 24] = [
    "CrashLooping",
    "NotReady",
    "ReplicasMismatch",
    "AlmostOutOfSpace",
    "ReceiveErrs",
    "Down",
    "HighLatency",
    "TooManyConnections",
    "Flapping",
    "OOMKilled",
    "ReplicationLag",
    "DiskFull",
    "HighErrorRate",
    "QueueGrowing",
    "ExpiresSoon",
    "Unreachable",
    "SlowQueries",
    "CPUThrottling",
    "MemoryPressure",
    "ConfigReloadFailed",
    "BackupMissing",
    "LeaderLost",
    "ClockSkew",
    "Restarted",
];
const CAUSES: [&str; 12] = [
    "no space left on device",
    "connection refused by upstream",
    "certificate has expired",
    "readiness probe failed",
    "too many open files",
    "out of memory",
    "disk is slow",
    "configuration cannot be parsed",
    "node was drained",
    "timeout while waiting for a lock",
    "rate limit exceeded",
    "image cannot be pulled",
];

/// What is asked, by kind; `{}` becomes a number.
const QUESTIONS: [(&str, &[&str]); 6] = [
    ("name", &["KubePodCrashLooping", "etcd leader lost", "node_filesystem_almost_out_of_space"]),
    ("typo", &["certifcate expires", "alertmanger flaping", "postgers replicaton lag"]),
    (
        "symptom",
        &[
            "disk of the machine is nearly full and writes fail",
            "why does my container keep dying and coming back on worker-{}?",
            "database answers slowly and connections pile up",
        ],
    ),
    ("substring", &["lashLoop", "orker-{}.exam", "pace left on dev", "amespace team-{}"]),
    ("common", &["node", "kube pod down", "service namespace team"]),
    ("no hit", &["xylophone", "qzqzqz wvwvwv", "Ω≠∞"]),
];

fn main() -> Result<(), Box<dyn Error>> {
    let argument = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let size: usize = argument.unwrap_or(100_000);
    println!("resident before anything       {:>9.1} MB", resident_mb());
    let index = Index::new()?;
    println!("resident with an empty index   {:>9.1} MB", resident_mb());
    let entries: Vec<Arc<Entry>> = (0..size).map(|n| Arc::new(entry(n))).collect();
    println!("resident with {size} entries {:>9.1} MB", resident_mb());
    let changes: Vec<IndexChange> = entries.iter().cloned().map(IndexChange::Upsert).collect();
    let began = Instant::now();
    index.apply(&changes)?;
    println!("index of {} built in       {:>9.2} s", index.len(), began.elapsed().as_secs_f64());
    drop(changes);
    println!("resident with the index        {:>9.1} MB", resident_mb());
    ask(&index, "after the start");
    change(&index, &entries)?;
    ask(&index, "after 300 changes one by one");
    println!("resident at the end            {:>9.1} MB", resident_mb());
    Ok(())
}

/// A pattern as it is learned from an alert.
fn entry(n: usize) -> Entry {
    let alert = format!("{}{}", SUBJECTS[n % 24], TROUBLES[n / 24 % 24]);
    let cause = format!("{} on worker-{}", CAUSES[n / 576 % 12], n % 997);
    let severity = Severity::ALL[n % 4];
    let id = format!("kb-alert-{n:016x}");
    let mut entry = Entry::new(
        id,
        format!("{alert}: {cause}"),
        Category::AlertPattern,
        severity,
        Time::default(),
    );
    entry.description = format!(
        "{alert} fires for service svc-{} of namespace team-{} since {cause}; instance \
         10.{}.{}.{}:9100 of job node-exporter has been in this state for 15 minutes.",
        n % 4096,
        n % 300,
        n / 65536,
        n / 256 % 256,
        n % 256
    );
    entry.tags = vec![
        alert,
        format!("team-{}", n % 300),
        format!("worker-{}.example.net", n % 997),
        "production".to_owned(),
    ];
    entry
}

fn ask(index: &Index, when: &str) {
    println!("queries {when}, one client:");
    for (kind, questions) in QUESTIONS {
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            let question = questions[round % questions.len()].replace("{}", &round.to_string());
            let began = Instant::now();
            let hits = index.search(&Query { text: &question, limit: 10, admits: &|_| true });
            times.push(began.elapsed());
            std::hint::black_box(hits);
        }
        print_times(kind, &mut times);
    }
}

fn change(index: &Index, entries: &[Arc<Entry>]) -> Result<(), Box<dyn Error>> {
    let mut times = Vec::new();
    for round in 0..300 {
        let mut changed = Entry::clone(&entries[round * 31 % entries.len()]);
        changed.description.push_str(" It was changed.");
        let began = Instant::now();
        index.apply(&[IndexChange::Upsert(Arc::new(changed))])?;
        times.push(began.elapsed());
    }
    println!("one change until it is searchable:");
    print_times("change", &mut times);
    Ok(())
}

fn print_times(kind: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: f64| {
        let rank = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
        times.get(rank).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    };
    println!(
        "  {kind:<10} p50 {:>8.3} ms   p99 {:>8.3} ms   max {:>8.3} ms",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

/// Resident memory of this process; 0 where `/proc` does not tell.
fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kb: f64 = line.trim().trim_end_matches("kB").trim().parse().unwrap_or(0.0);
    kb / 1024.0
}
