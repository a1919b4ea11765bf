//! Samples the service's own figures into the history, so that last month's can be seen.
//!
//! Counters are sampled under their Prometheus names as they stand (they begin at 0 when the
//! process does), latencies as the 95th percentile of what happened since the last sample. A
//! counter that nothing was counted on yet, and a latency of nothing, has no sample.
//!
//! All replicas sample at the same moments, the multiples of the interval. What is a process' own
//! bears its name in the label `instance`; what is everybody's (how many alerts fire, how many
//! entries there are) bears none, so that it is one sample, whoever took it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use prometheus::{HistogramVec, IntCounterVec, core::Collector};

use crate::{
    model::{Clock, Sample, Time},
    shutdown::Phase,
    store::{Result, Store, Stored},
    telemetry::Metrics,
};

/// What of a latency is sampled.
const QUANTILE: f64 = 0.95;

/// Takes samples.
pub struct Sampler {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    instance: String,
    requests: Latency,
    operations: Latency,
}

impl Sampler {
    /// Of these metrics, of the replica of this name, into this store.
    pub fn new(
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        instance: String,
    ) -> Self {
        let (requests, operations) = Default::default();
        Self { store, metrics, clock, instance, requests, operations }
    }

    /// Samples every `interval` until the phase turns to draining. A sample that the store does
    /// not take is lost; the next one counts on.
    pub async fn run(mut self, interval: Duration, phase: &Phase) {
        let interval = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
        loop {
            let until_next = interval - self.clock.now().millis().rem_euclid(interval);
            if !phase.pause(Duration::from_millis(until_next.unsigned_abs())).await {
                return;
            }
            // Clocks of steps and of the day differ by a little.
            let near = self.clock.now().millis().saturating_add(interval / 2);
            let at = Time::from_millis(near - near.rem_euclid(interval));
            if let Err(error) = self.take(at).await {
                tracing::debug!(%error, "metrics could not be sampled");
            }
        }
    }

    /// Takes one sample of everything, as of `at`.
    pub async fn take(&mut self, at: Time) -> Result<()> {
        let instance = self.instance.clone();
        let mut samples = Samples { at, instance, taken: Vec::new() };
        self.read(&mut samples);
        let firing = self.store.firing_alerts().await? as f64;
        samples.push("alerts_firing", "alerts", firing, BTreeMap::new());
        self.store.put(samples.taken.into_iter().map(Stored::Sample).collect()).await
    }

    fn read(&mut self, samples: &mut Samples) {
        let metrics = &self.metrics;
        let severity = |value: &str| value.to_owned();
        samples.counters(&metrics.alerts_received_total, "alerts", "severity", severity);
        let status_class = |value: &str| format!("{}xx", value.get(..1).unwrap_or("?"));
        samples.counters(&metrics.http_requests_total, "requests", "status", status_class);
        samples.counters(&metrics.knowledge_queries_total, "queries", "outcome", severity);
        for category in crate::model::Category::ALL.map(|category| category.as_str()) {
            let count = metrics.knowledge_entries.with_label_values(&[category]).get();
            if count > 0 {
                let labels = BTreeMap::from([("category".to_owned(), category.to_owned())]);
                samples.push("knowledge_entries", "entries", count as f64, labels);
            }
        }
        let unpersisted = metrics.knowledge_unpersisted_entries.get() as f64;
        samples.own("knowledge_unpersisted_entries", "entries", unpersisted, None);
        let requests = self.requests.since_last(&metrics.http_request_duration_seconds);
        let operations = self.operations.since_last(&metrics.store_operation_duration_seconds);
        for (name, quantile) in [
            ("http_request_duration_p95_seconds", requests),
            ("store_operation_duration_p95_seconds", operations),
        ] {
            if let Some(seconds) = quantile {
                samples.own(name, "seconds", seconds, None);
            }
        }
    }
}

/// Samples of one moment.
struct Samples {
    at: Time,
    instance: String,
    taken: Vec<Sample>,
}

impl Samples {
    fn push(&mut self, name: &str, unit: &str, value: f64, labels: BTreeMap<String, String>) {
        let (name, unit, timestamp) = (name.to_owned(), unit.to_owned(), self.at);
        self.taken.push(Sample { name, value, unit, timestamp, labels });
    }

    /// One of this process.
    fn own(&mut self, name: &str, unit: &str, value: f64, label: Option<(&str, &str)>) {
        let labels = label.into_iter().chain([("instance", self.instance.as_str())]);
        let labels = labels.map(|(name, of)| (name.to_owned(), of.to_owned())).collect();
        self.push(name, unit, value, labels);
    }

    /// A family of counters, added up by what `group` makes of one of its labels.
    fn counters(
        &mut self,
        family: &IntCounterVec,
        unit: &str,
        label: &str,
        group: impl Fn(&str) -> String,
    ) {
        for family in family.collect() {
            let mut sums: BTreeMap<String, f64> = BTreeMap::new();
            for metric in family.get_metric() {
                let of = metric.get_label().iter().find(|pair| pair.name() == label);
                let of = of.map_or_else(String::new, |pair| group(pair.value()));
                *sums.entry(of).or_default() += metric.get_counter().get_value();
            }
            for (of, sum) in sums.into_iter().filter(|(_, sum)| *sum > 0.0) {
                self.own(family.name(), unit, sum, Some((label, &of)));
            }
        }
    }
}

/// A family of histograms, all taken together, as it stood when it was last looked at.
#[derive(Default)]
struct Latency {
    last: BTreeMap<u64, u64>,
}

impl Latency {
    /// The quantile of what was observed since the last look; `None` if nothing was.
    fn since_last(&mut self, family: &HistogramVec) -> Option<f64> {
        // Bounds are positive, so that their bits order as they do.
        let mut now: BTreeMap<u64, u64> = BTreeMap::new();
        for family in family.collect() {
            for metric in family.get_metric() {
                let histogram = metric.get_histogram();
                for bucket in histogram.get_bucket() {
                    let bound = bucket.upper_bound().to_bits();
                    *now.entry(bound).or_default() += bucket.cumulative_count();
                }
                *now.entry(f64::INFINITY.to_bits()).or_default() += histogram.get_sample_count();
            }
        }
        now.entry(f64::INFINITY.to_bits()).or_default();
        let last = std::mem::replace(&mut self.last, now.clone());
        let since: Vec<(f64, u64)> = now
            .into_iter()
            .map(|(bound, count)| {
                let before = last.get(&bound).copied().unwrap_or(0);
                (f64::from_bits(bound), count.saturating_sub(before))
            })
            .collect();
        quantile(QUANTILE, &since)
    }
}

/// The quantile of a cumulative histogram, linear within a bucket as Prometheus has it; what is
/// above the last bound counts as that bound.
fn quantile(q: f64, cumulative: &[(f64, u64)]) -> Option<f64> {
    let total = cumulative.last().map(|(_, count)| *count).filter(|total| *total > 0)?;
    let rank = q * total as f64;
    let (mut lower, mut below) = (0.0, 0);
    for (bound, count) in cumulative {
        if *count as f64 >= rank && *count > below {
            if bound.is_infinite() {
                return Some(lower);
            }
            let within = (rank - below as f64) / (*count - below) as f64;
            return Some(lower + (bound - lower) * within);
        }
        if bound.is_finite() {
            lower = *bound;
        }
        below = *count;
    }
    Some(lower)
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::*;
    use crate::model::Status;

    fn samples_of(metrics: &Arc<Metrics>, latency: &mut (Latency, Latency)) -> Vec<Sample> {
        let (at, instance) = (Time::from_millis(1), "node-1".to_owned());
        let mut samples = Samples { at, instance, taken: Vec::new() };
        let severity = |value: &str| value.to_owned();
        samples.counters(&metrics.alerts_received_total, "alerts", "severity", severity);
        if let Some(p95) = latency.0.since_last(&metrics.http_request_duration_seconds) {
            samples.own("p95", "seconds", p95, None);
        }
        samples.taken
    }

    #[test]
    fn counters_are_added_up_by_label_and_latency_is_of_the_time_since_the_last_sample() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let mut latency = Default::default();
        assert_eq!(samples_of(&metrics, &mut latency), []);
        metrics.alert_received("page", Status::Firing);
        metrics.alert_received("page", Status::Resolved);
        let route = metrics.route("/health", &Method::GET);
        (0..100).for_each(|_| route.observe(200, Duration::from_micros(700)));
        let taken = samples_of(&metrics, &mut latency);
        assert_eq!((taken[0].value, taken[0].labels["severity"].as_str()), (2.0, "page"));
        assert!(taken.iter().all(|sample| sample.labels["instance"] == "node-1"), "{taken:?}");
        // All within 0.5 to 1 ms: the 95th of a hundred is 0.975 ms by linear interpolation.
        assert!((taken[1].value - 0.000_975).abs() < 1e-9, "{taken:?}");
        route.observe(200, Duration::from_secs(60));
        let taken = samples_of(&metrics, &mut latency);
        assert_eq!(taken[1].value, 10.0, "beyond the last bound");
        assert_eq!(samples_of(&metrics, &mut latency).len(), 1, "nothing since");
    }

    #[test]
    fn a_quantile_lies_within_its_bucket() {
        assert_eq!(quantile(0.5, &[]), None);
        assert_eq!(quantile(0.5, &[(1.0, 0), (f64::INFINITY, 0)]), None);
        let histogram = [(1.0, 10), (2.0, 10), (4.0, 20), (f64::INFINITY, 20)];
        assert_eq!(quantile(0.5, &histogram), Some(1.0));
        assert_eq!(quantile(0.75, &histogram), Some(3.0));
    }
}
