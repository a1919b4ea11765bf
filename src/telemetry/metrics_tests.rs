//! The names and labels that dashboards and alert rules depend on, and what is counted when.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::*;

/// Section 4 of the contract, and what this service counts besides: type and labels.
const CONTRACT: [(&str, &str, &[&str]); 33] = [
    ("http_requests_total", "counter", &["route", "method", "status"]),
    ("http_request_duration_seconds", "histogram", &["route", "method"]),
    ("http_requests_in_flight", "gauge", &[]),
    ("connections", "gauge", &["listener"]),
    ("connections_refused_total", "counter", &["reason"]),
    ("alerts_received_total", "counter", &["severity", "status"]),
    ("alerts_stored_total", "counter", &["outcome"]),
    ("alerts_superseded_total", "counter", &[]),
    ("alerts_truncated_total", "counter", &[]),
    ("knowledge_patterns_limited_total", "counter", &[]),
    ("knowledge_indexed_texts_total", "counter", &[]),
    ("alerts_trimmed_total", "counter", &["field"]),
    ("alerts_rejected_total", "counter", &["reason"]),
    ("webhook_auth_total", "counter", &["method", "outcome"]),
    ("auth_failures_total", "counter", &["reason"]),
    ("rate_limited_total", "counter", &["bucket"]),
    ("validation_failures_total", "counter", &["route"]),
    ("knowledge_entries", "gauge", &["category"]),
    ("knowledge_queries_total", "counter", &["outcome"]),
    ("knowledge_unpersisted_entries", "gauge", &[]),
    ("knowledge_embeddings", "gauge", &["state"]),
    ("mongodb_collection_count", "gauge", &["collection"]),
    ("store_operation_duration_seconds", "histogram", &["operation"]),
    ("store_errors_total", "counter", &["operation"]),
    ("store_up", "gauge", &[]),
    ("replication_lag_seconds", "gauge", &[]),
    ("instance_info", "gauge", &["id"]),
    ("retention_deleted_total", "counter", &["collection"]),
    ("retention_last_success_timestamp_seconds", "gauge", &[]),
    ("schema_version", "gauge", &[]),
    ("security_events_total", "counter", &["event"]),
    ("audit_write_failures_total", "counter", &[]),
    ("build_info", "gauge", &["version"]),
];

type Labels = BTreeMap<String, String>;

/// What a scrape says, as Prometheus reads it.
struct Scrape {
    types: BTreeMap<String, String>,
    samples: Vec<(String, Labels, f64)>,
}

impl Scrape {
    fn of(metrics: &Metrics) -> Self {
        let text = metrics.render();
        let mut scrape = Self { types: BTreeMap::new(), samples: Vec::new() };
        for line in text.lines() {
            if let Some(declared) = line.strip_prefix("# TYPE ") {
                let (name, kind) = declared.split_once(' ').unwrap();
                assert!(scrape.types.insert(name.into(), kind.into()).is_none(), "{name} twice");
            } else if !line.starts_with('#') {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
                let pairs = labels.strip_suffix('}').unwrap().split(',').filter(|l| !l.is_empty());
                let pairs = pairs.map(|pair| pair.split_once('=').unwrap());
                let labels = pairs.map(|(k, v)| (k.into(), v.trim_matches('"').into())).collect();
                scrape.samples.push((name.into(), labels, value.parse().unwrap()));
            }
        }
        scrape
    }

    fn family(&self, name: &str) -> impl Iterator<Item = &(String, Labels, f64)> {
        let parts = ["", "_bucket", "_sum", "_count"].map(|part| format!("{name}{part}"));
        self.samples.iter().filter(move |(sample, ..)| parts.contains(sample))
    }

    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels: Labels = labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let found = self.samples.iter().find(|(n, l, _)| n == name && *l == labels);
        found.map(|(.., value)| *value)
    }
}

fn used() -> Metrics {
    let metrics = Metrics::new().unwrap();
    metrics.route("/health", &Method::GET).observe(200, Duration::from_millis(3));
    metrics.store_operation("ping");
    metrics.show_instance("replica-1");
    metrics
}

#[test]
fn every_metric_of_the_contract_is_there_with_its_labels() {
    let scrape = Scrape::of(&used());
    for (name, kind, labels) in CONTRACT {
        assert_eq!(scrape.types.get(name).map(String::as_str), Some(kind), "{name}");
        let expected: BTreeSet<&str> = labels.iter().copied().collect();
        let mut samples = 0;
        for (_, found, _) in scrape.family(name) {
            let found: BTreeSet<_> =
                found.keys().map(String::as_str).filter(|l| *l != "le").collect();
            assert_eq!(found, expected, "{name}");
            samples += 1;
        }
        assert!(samples > 0, "{name} has no sample");
    }
}

#[test]
fn nothing_but_the_contract_and_the_process_is_there() {
    let scrape = Scrape::of(&used());
    let known: BTreeSet<&str> = CONTRACT.iter().map(|(name, ..)| *name).collect();
    for name in scrape.types.keys() {
        // What the log loses cannot be in the log.
        let own = name.starts_with("process_") || name.starts_with("log_");
        assert!(known.contains(name.as_str()) || own, "{name}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_is_measured() {
    let scrape = Scrape::of(&used());
    for name in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"] {
        assert!(scrape.value(name, &[]).is_some(), "{name}");
    }
    assert!(scrape.value("process_resident_memory_bytes", &[]).unwrap() > 0.0);
}

#[test]
fn known_label_values_start_at_zero() {
    let scrape = Scrape::of(&Metrics::new().unwrap());
    let at_zero: [(&str, &[(&str, &str)]); 11] = [
        ("alerts_received_total", &[("severity", "critical"), ("status", "firing")]),
        ("alerts_received_total", &[("severity", "other"), ("status", "resolved")]),
        ("alerts_stored_total", &[("outcome", "duplicate")]),
        ("alerts_trimmed_total", &[("field", "generatorURL")]),
        ("alerts_rejected_total", &[("reason", "too_many_labels")]),
        ("webhook_auth_total", &[("method", "signature"), ("outcome", "timestamp_too_old")]),
        ("auth_failures_total", &[("reason", "expired")]),
        ("rate_limited_total", &[("bucket", "auth_failure")]),
        ("knowledge_entries", &[("category", "question")]),
        ("security_events_total", &[("event", "webhook_auth_failure")]),
        ("retention_deleted_total", &[("collection", "alerts")]),
    ];
    for (name, labels) in at_zero {
        assert_eq!(scrape.value(name, labels), Some(0.0), "{name} {labels:?}");
    }
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(scrape.value("build_info", &version), Some(1.0));
}

#[test]
fn a_request_is_counted_by_its_status() {
    let metrics = Metrics::new().unwrap();
    let route = metrics.route("/api/knowledge/entries/{id}", &Method::PUT);
    for status in [200, 404, 200, 599, 42, 1000] {
        route.observe(status, Duration::from_millis(2));
    }
    route.validation_failed();
    let scrape = Scrape::of(&metrics);
    let label = ("route", "/api/knowledge/entries/{id}");
    for (status, times) in [("200", 2.0), ("404", 1.0), ("599", 1.0), ("42", 1.0), ("1000", 1.0)] {
        let labels = [label, ("method", "PUT"), ("status", status)];
        assert_eq!(scrape.value("http_requests_total", &labels), Some(times), "{status}");
    }
    let labels = [label, ("method", "PUT")];
    assert_eq!(scrape.value("http_request_duration_seconds_count", &labels), Some(6.0));
    assert_eq!(scrape.value("validation_failures_total", &[label]), Some(1.0));
}

#[test]
fn a_request_that_is_dropped_is_no_longer_in_flight() {
    let metrics = Metrics::new().unwrap();
    let route = metrics.route("/health", &Method::GET);
    let (first, second) = (route.begin(), route.begin());
    assert_eq!(metrics.http_requests_in_flight.get(), 2);
    drop(first);
    assert_eq!(metrics.http_requests_in_flight.get(), 1);
    drop(second);
    assert_eq!(metrics.http_requests_in_flight.get(), 0);
}

#[test]
fn clients_cannot_make_the_number_of_series_grow() {
    let metrics = used();
    let before = Scrape::of(&metrics).family("alerts_received_total").count();
    (0..100).for_each(|n| metrics.alert_received(&format!("sev{n}"), Status::Firing));
    let scrape = Scrape::of(&metrics);
    assert_eq!(scrape.family("alerts_received_total").count(), before);
    let other = [("severity", "other"), ("status", "firing")];
    assert_eq!(scrape.value("alerts_received_total", &other), Some(100.0));
}

#[test]
fn two_services_in_one_process_do_not_count_for_each_other() {
    let (one, other) = (used(), used());
    one.alerts_truncated_total.inc();
    assert_eq!(other.alerts_truncated_total.get(), 0);
}
