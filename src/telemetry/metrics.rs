//! Every metric of the service, under the names and labels that dashboards and alert rules know.
//!
//! The values that a label can take are there from the start at 0, so that rates and alert rules
//! work from the first scrape. No label takes a value of a client's choosing.

use std::sync::Arc;

use axum::http::Method;
use prometheus::{
    Encoder, Gauge, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Registry, Result, TextEncoder,
};
use strum::VariantArray;

use super::{
    families::Families,
    labels::{SEVERITIES, method_label, severity_label},
    listener::ListenerMetrics,
    route::RouteMetrics,
};
use crate::{
    model::{Category, Collection, Outcome, RefusalReason, Status, TrimmedField},
    security::{AuditCounters, BearerError, Event, KeyRefusal, SignatureRefusal},
};

/// From well below what a cached answer takes to the request timeout's order, in seconds.
const HTTP_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// From a lookup in a warm page to a server that is given up on, in seconds.
const STORE_BUCKETS: [f64; 15] =
    [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// `rate_limited_total{bucket}`: the buckets of the route table.
const RATE_LIMIT_BUCKETS: [&str; 6] =
    ["webhook", "api", "export", "public", "health", "auth_failure"];

/// `connections_refused_total{reason}`: the reasons of `http::server`.
const REFUSALS: [&str; 5] =
    ["max_connections", "max_connections_per_client", "accept_failed", "tls_handshake", "too_slow"];

/// All metrics. A field has the name of its metric.
#[derive(Debug)]
#[allow(missing_docs)] // The help text of each says what it is.
pub struct Metrics {
    registry: Registry,
    pub http_requests_total: IntCounterVec,
    pub http_request_duration_seconds: HistogramVec,
    pub http_requests_in_flight: IntGauge,
    pub connections: IntGaugeVec,
    pub connections_refused_total: IntCounterVec,
    pub alerts_received_total: IntCounterVec,
    pub alerts_stored_total: IntCounterVec,
    pub alerts_truncated_total: IntCounter,
    pub alerts_trimmed_total: IntCounterVec,
    pub alerts_rejected_total: IntCounterVec,
    pub webhook_auth_total: IntCounterVec,
    pub auth_failures_total: IntCounterVec,
    pub rate_limited_total: IntCounterVec,
    pub validation_failures_total: IntCounterVec,
    pub knowledge_entries: IntGaugeVec,
    pub knowledge_queries_total: IntCounterVec,
    pub knowledge_unpersisted_entries: IntGauge,
    /// Entries by whether they are embedded, where a model is set.
    pub knowledge_embeddings: IntGaugeVec,
    /// Open alerts that were closed because a later instance of them fired.
    pub alerts_superseded_total: IntCounter,
    /// Alerts that share a pattern because there are too many names or causes.
    pub knowledge_patterns_limited_total: IntCounter,
    /// Texts committed to the index.
    pub knowledge_indexed_texts_total: IntCounter,
    pub mongodb_collection_count: IntGaugeVec,
    pub store_operation_duration_seconds: HistogramVec,
    pub store_errors_total: IntCounterVec,
    pub store_up: IntGauge,
    pub replication_lag_seconds: Gauge,
    redis_up: IntGaugeVec,
    pub retention_deleted_total: IntCounterVec,
    pub retention_last_success_timestamp_seconds: IntGauge,
    pub schema_version: IntGauge,
    pub security_events_total: IntCounterVec,
    pub audit_write_failures_total: IntCounter,
    instance_info: IntGaugeVec,
    pub build_info: IntGaugeVec,
}

impl Metrics {
    /// A registry of its own with all metrics in it, so that two services in one process (as in
    /// tests) do not count for each other.
    pub fn new() -> Result<Self> {
        let registry = Registry::new();
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        registry.register(Box::new(super::log_lines::FAILURES.clone()))?;
        registry.register(Box::new(super::throttle::LEFT_OUT.clone()))?;
        let metrics = Self::registered(Families(&registry), registry.clone())?;
        metrics.start_at_zero();
        Ok(metrics)
    }

    fn registered(families: Families<'_>, registry: Registry) -> Result<Self> {
        Ok(Self {
            registry,
            http_requests_total: families.counters(
                "http_requests_total",
                "Requests answered.",
                &["route", "method", "status"],
            )?,
            http_request_duration_seconds: families.histograms(
                "http_request_duration_seconds",
                "Time from a request's head to its answer's, in seconds.",
                &["route", "method"],
                &HTTP_BUCKETS,
            )?,
            http_requests_in_flight: families
                .gauge("http_requests_in_flight", "Requests under way.")?,
            connections: families.gauges("connections", "Open connections.", &["listener"])?,
            connections_refused_total: families.counters(
                "connections_refused_total",
                "Connections that were not let in, or given up because their peer was too slow.",
                &["reason"],
            )?,
            alerts_received_total: families.counters(
                "alerts_received_total",
                "Alerts of accepted webhooks, repeats included.",
                &["severity", "status"],
            )?,
            alerts_stored_total: families.counters(
                "alerts_stored_total",
                "Alerts made durable, by what receiving them did.",
                &["outcome"],
            )?,
            alerts_truncated_total: families.counter(
                "alerts_truncated_total",
                "Alerts that the sender left out of its notifications.",
            )?,
            alerts_superseded_total: families.counter(
                "alerts_superseded_total",
                "Open alerts that were closed because a later instance of them fired.",
            )?,
            knowledge_patterns_limited_total: families.counter(
                "knowledge_patterns_limited_total",
                "Alerts that share a pattern because there are too many names or causes.",
            )?,
            knowledge_indexed_texts_total: families.counter(
                "knowledge_indexed_texts_total",
                "Texts of entries committed to the index, new, changed or removed.",
            )?,
            alerts_trimmed_total: families.counters(
                "alerts_trimmed_total",
                "Alerts of which a field was cut, or annotations were left out.",
                &["field"],
            )?,
            alerts_rejected_total: families.counters(
                "alerts_rejected_total",
                "Alerts that were refused, by the first thing wrong with them.",
                &["reason"],
            )?,
            webhook_auth_total: families.counters(
                "webhook_auth_total",
                "Webhooks by how they proved their sender and what came of it.",
                &["method", "outcome"],
            )?,
            auth_failures_total: families.counters(
                "auth_failures_total",
                "Requests without a good API key.",
                &["reason"],
            )?,
            rate_limited_total: families.counters(
                "rate_limited_total",
                "Requests refused because their client asked too often.",
                &["bucket"],
            )?,
            validation_failures_total: families.counters(
                "validation_failures_total",
                "Requests that did not say what they must.",
                &["route"],
            )?,
            knowledge_entries: families.gauges(
                "knowledge_entries",
                "Entries of the knowledge base.",
                &["category"],
            )?,
            knowledge_queries_total: families.counters(
                "knowledge_queries_total",
                "Questions asked, by whether anything answered them.",
                &["outcome"],
            )?,
            knowledge_unpersisted_entries: families.gauge(
                "knowledge_unpersisted_entries",
                "Entries with changes that are in memory only, until the store is back.",
            )?,
            knowledge_embeddings: families.gauges(
                "knowledge_embeddings",
                "Entries whose meaning is known (done) or not yet (waiting); 0 without a model.",
                &["state"],
            )?,
            mongodb_collection_count: families.gauges(
                "mongodb_collection_count",
                "Documents in the store, whichever store it is.",
                &["collection"],
            )?,
            store_operation_duration_seconds: families.histograms(
                "store_operation_duration_seconds",
                "Time that operations of the store took, failed ones included, in seconds.",
                &["operation"],
                &STORE_BUCKETS,
            )?,
            store_errors_total: families.counters(
                "store_errors_total",
                "Operations of the store that failed.",
                &["operation"],
            )?,
            store_up: families.gauge("store_up", "1 while the store answers, else 0.")?,
            replication_lag_seconds: families.float_gauge(
                "replication_lag_seconds",
                "How old what is shown of other processes' changes is, in seconds.",
            )?,
            redis_up: families.gauges(
                "redis_up",
                "1 while Redis answers, else 0; not there where none is set.",
                &[],
            )?,
            retention_deleted_total: families.counters(
                "retention_deleted_total",
                "Documents deleted because of their age.",
                &["collection"],
            )?,
            retention_last_success_timestamp_seconds: families.gauge(
                "retention_last_success_timestamp_seconds",
                "When old data was last deleted without an error, in Unix seconds; 0: not yet.",
            )?,
            schema_version: families.gauge("schema_version", "The newest applied migration.")?,
            security_events_total: families.counters(
                "security_events_total",
                "Events of the audit log.",
                &["event"],
            )?,
            audit_write_failures_total: families.counter(
                "audit_write_failures_total",
                "Events that could not be written to the audit log's file.",
            )?,
            instance_info: families.gauges(
                "instance_info",
                "1, with the name of this replica (INSTANCE_ID).",
                &["id"],
            )?,
            build_info: families.gauges(
                "build_info",
                "1, with the version that runs.",
                &["version"],
            )?,
        })
    }

    fn start_at_zero(&self) {
        for severity in SEVERITIES {
            for status in [Status::Firing, Status::Resolved] {
                self.alerts_received_total.with_label_values(&[severity, status.as_str()]);
            }
        }
        let outcomes = [Outcome::New, Outcome::Updated, Outcome::Duplicate];
        start(&self.alerts_stored_total, outcomes.map(Outcome::as_str));
        for reason in RefusalReason::VARIANTS {
            self.alerts_rejected_total.with_label_values(&[reason.as_str()]);
        }
        for field in TrimmedField::VARIANTS {
            self.alerts_trimmed_total.with_label_values(&[field.as_str()]);
        }
        let refusals = SignatureRefusal::ALL.map(SignatureRefusal::reason);
        for outcome in ["accepted"].into_iter().chain(refusals) {
            self.webhook_auth_total.with_label_values(&["signature", outcome]);
        }
        let bearer = ["accepted", "mismatch", "not_configured"];
        for outcome in bearer.into_iter().chain(BearerError::REASONS) {
            self.webhook_auth_total.with_label_values(&["bearer", outcome]);
        }
        start(&self.auth_failures_total, BearerError::REASONS);
        start(&self.auth_failures_total, KeyRefusal::REASONS);
        start(&self.connections_refused_total, REFUSALS);
        for listener in ["main", "metrics"] {
            self.connections.with_label_values(&[listener]);
        }
        start(&self.rate_limited_total, RATE_LIMIT_BUCKETS);
        start(&self.knowledge_queries_total, ["answered", "gap"]);
        for state in ["done", "waiting"] {
            self.knowledge_embeddings.with_label_values(&[state]).set(0);
        }
        let kept_for_a_time = [Collection::Alerts, Collection::Metrics];
        start(&self.retention_deleted_total, kept_for_a_time.map(Collection::name));
        for event in Event::VARIANTS {
            self.security_events_total.with_label_values(&[event.as_str()]);
        }
        for category in Category::ALL {
            self.knowledge_entries.with_label_values(&[category.as_str()]).set(0);
        }
        for collection in Collection::ALL {
            self.mongodb_collection_count.with_label_values(&[collection.name()]).set(0);
        }
        self.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    }

    /// The metrics of one route; `route` is its template, never a path that a client sent.
    pub fn route(&self, route: &str, method: &Method) -> Arc<RouteMetrics> {
        let method = method_label(method);
        Arc::new(RouteMetrics::new(
            route,
            method,
            self.http_requests_total.clone(),
            self.http_request_duration_seconds.with_label_values(&[route, method]),
            self.http_requests_in_flight.clone(),
            self.validation_failures_total.with_label_values(&[route]),
        ))
    }

    /// Shows which replica this is.
    pub fn show_instance(&self, id: &str) {
        self.instance_info.with_label_values(&[id]).set(1);
    }

    /// `redis_up`, from now on shown.
    pub fn redis_up(&self) -> IntGauge {
        self.redis_up.with_label_values::<&str>(&[])
    }

    /// The metrics of one listener, by its name.
    pub fn listener(&self, name: &str) -> ListenerMetrics {
        let open = self.connections.with_label_values(&[name]);
        ListenerMetrics::new(open, self.connections_refused_total.clone())
    }

    /// The metrics of one operation of the store.
    pub fn store_operation(&self, operation: &str) -> StoreOperation {
        StoreOperation {
            duration: self.store_operation_duration_seconds.with_label_values(&[operation]),
            errors: self.store_errors_total.with_label_values(&[operation]),
        }
    }

    /// An alert of an accepted webhook; `severity` as the client sent it.
    pub fn alert_received(&self, severity: &str, status: Status) {
        let labels = [severity_label(severity), status.as_str()];
        self.alerts_received_total.with_label_values(&labels).inc();
    }

    /// What the audit log counts.
    pub fn audit_counters(&self) -> AuditCounters {
        AuditCounters {
            events: self.security_events_total.clone(),
            write_failures: self.audit_write_failures_total.clone(),
        }
    }

    /// Everything in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut text = Vec::with_capacity(32 * 1024);
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be written out");
        }
        String::from_utf8(text).unwrap_or_default()
    }

    /// The `Content-Type` of what [`render`](Self::render) gives.
    pub const CONTENT_TYPE: &'static str = prometheus::TEXT_FORMAT;
}

/// What is counted about one operation of the store.
#[derive(Clone, Debug)]
pub struct StoreOperation {
    /// How long it took, whatever came of it.
    pub duration: Histogram,
    /// How often it failed.
    pub errors: IntCounter,
}

fn start<const N: usize>(counters: &IntCounterVec, values: [&str; N]) {
    for value in values {
        counters.with_label_values(&[value]);
    }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
