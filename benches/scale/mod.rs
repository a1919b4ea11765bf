//! A base of learned entries at its size, and what it is asked.

use std::time::Duration;

use orchestrator::model::{AlertPattern, Category, Entry, EntryText, Severity, Time, pattern_id};

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
pub const QUESTIONS: [(&str, &[&str]); 6] = [
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

/// A pattern as it is learned from an alert.
pub fn entry(n: usize) -> Entry {
    let alert = format!("{}{}", SUBJECTS[n % 24], TROUBLES[n / 24 % 24]);
    let cause = format!("{} on worker-{}", CAUSES[n / 576 % 12], n % 997);
    let severity = Severity::ALL[n % 4];
    let pattern = AlertPattern { alertname: alert.clone(), cause: cause.clone() };
    let id = pattern_id(&alert, &cause);
    let mut text = EntryText::new(format!("{alert}: {cause}"), Category::AlertPattern, severity);
    text.description = format!(
        "{alert} fires for service svc-{} of namespace team-{} since {cause}; instance \
         10.{}.{}.{}:9100 of job node-exporter has been in this state for 15 minutes.",
        n % 4096,
        n % 300,
        n / 65536,
        n / 256 % 256,
        n % 256
    );
    text.tags = vec![
        alert,
        format!("team-{}", n % 300),
        format!("worker-{}.example.net", n % 997),
        "production".to_owned(),
    ];
    Entry { pattern: Some(pattern.into()), ..Entry::new(id, text, Time::default()) }
}

/// Median, 99th percentile and worst of `times`.
pub fn print_times(kind: &str, times: &mut [Duration]) {
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
pub fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kb: f64 = line.trim().trim_end_matches("kB").trim().parse().unwrap_or(0.0);
    kb / 1024.0
}
