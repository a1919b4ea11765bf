//! The metrics of one route, looked up once when the route table is built: a request then costs
//! a few atomic additions and no lookup by name.

use std::{sync::OnceLock, time::Duration};

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

/// Statuses are 100 to 599; what else a handler makes up is not counted apart.
const STATUSES: usize = 500;

/// What is counted about one route and method.
#[derive(Debug)]
pub struct RouteMetrics {
    route: Box<str>,
    method: &'static str,
    requests: IntCounterVec,
    duration: Histogram,
    in_flight: IntGauge,
    validation_failures: IntCounter,
    by_status: Box<[OnceLock<IntCounter>]>,
}

impl RouteMetrics {
    pub(super) fn new(
        route: &str,
        method: &'static str,
        requests: IntCounterVec,
        duration: Histogram,
        in_flight: IntGauge,
        validation_failures: IntCounter,
    ) -> Self {
        let by_status = (0..STATUSES).map(|_| OnceLock::new()).collect();
        let route = route.into();
        Self { route, method, requests, duration, in_flight, validation_failures, by_status }
    }

    /// The route's template.
    pub fn route(&self) -> &str {
        &self.route
    }

    /// A request is under way until the answer of this is dropped, be it by cancellation.
    pub fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// A request was answered with `status`, `elapsed` after it came.
    pub fn observe(&self, status: u16, elapsed: Duration) {
        self.duration.observe(elapsed.as_secs_f64());
        let known = usize::from(status).checked_sub(100).and_then(|at| self.by_status.get(at));
        match known {
            Some(counter) => counter.get_or_init(|| self.counter(status)).inc(),
            None => self.counter(status).inc(),
        }
    }

    /// A body or query of this route did not say what it must.
    pub fn validation_failed(&self) {
        self.validation_failures.inc();
    }

    fn counter(&self, status: u16) -> IntCounter {
        self.requests.with_label_values(&[&*self.route, self.method, status.to_string().as_str()])
    }
}

/// Holds `http_requests_in_flight` up while a request is under way.
#[derive(Debug)]
pub struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
