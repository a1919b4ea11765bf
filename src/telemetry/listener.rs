//! The metrics of one listener.

use prometheus::{IntCounterVec, IntGauge};

/// What is counted about the connections of one listener.
#[derive(Clone, Debug)]
pub struct ListenerMetrics {
    open: IntGauge,
    refused: IntCounterVec,
}

impl ListenerMetrics {
    pub(super) fn new(open: IntGauge, refused: IntCounterVec) -> Self {
        Self { open, refused }
    }

    /// A connection is open until the answer of this is dropped.
    pub fn open(&self) -> OpenConnection {
        self.open.inc();
        OpenConnection(self.open.clone())
    }

    /// A connection was not let in, or given up.
    pub fn refused(&self, reason: &'static str) {
        self.refused.with_label_values(&[reason]).inc();
    }
}

/// Holds `connections` up while a connection is open.
#[derive(Debug)]
pub struct OpenConnection(IntGauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}
