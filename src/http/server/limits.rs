//! How many connections a listener serves, and how long each step of one may take.

use std::time::Duration;

use ipnet::IpNet;

use crate::config::ServerSettings;

/// Connections beyond the caps that are let in to ask a probe.
const RESERVE: usize = 32;
/// Connections of the metrics listener: a few scrapers, and people who look.
const METRICS_CONNECTIONS: usize = 64;
/// Of those, how many one client may hold.
const METRICS_CONNECTIONS_PER_CLIENT: usize = 16;

/// However short a request may be: what a slow network and a busy machine take.
const SHORTEST_HEAD: Duration = Duration::from_secs(1);

/// The limits of one listener.
///
/// All times follow from `REQUEST_TIMEOUT_SECONDS`, so that one number says how patient the
/// service is.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections served at a time.
    pub connections: usize,
    /// Of those, how many one client may hold; a client is counted as by rate limits.
    pub per_client: usize,
    /// Connections beyond these caps that may ask one of [`probes`](Self::probes).
    pub reserve: usize,
    /// What may be asked even when the caps are reached: health and readiness.
    pub probes: &'static [&'static str],
    /// Peers that stand for many clients: trusted proxies, to which the cap a client does not
    /// apply.
    pub proxies: Vec<IpNet>,
    /// How long a whole request may take, from the first byte of its head to the answer.
    pub request: Duration,
    /// How long a TLS handshake, and a request's head, may take to arrive.
    pub head: Duration,
    /// How long a connection may be open without a request under way.
    pub idle: Duration,
    /// How long a client may take less than [`LEAST_BYTES`] of what is written to it.
    pub stalled: Duration,
}

/// What a client must take in each span of [`Limits::stalled`], in bytes.
pub const LEAST_BYTES: u64 = 32 * 1024;

impl Limits {
    /// Those of the main listener.
    pub fn main(settings: &ServerSettings, proxies: &[IpNet]) -> Self {
        let request = settings.request_timeout;
        Self {
            connections: settings.max_connections,
            per_client: settings.max_connections_per_client,
            reserve: RESERVE,
            probes: &["/health", "/ready"],
            proxies: proxies.to_vec(),
            request,
            head: (request / 3).max(SHORTEST_HEAD),
            idle: request * 2,
            stalled: request,
        }
    }

    /// Those of the metrics' listener.
    pub fn metrics(settings: &ServerSettings) -> Self {
        let connections = settings.max_connections.min(METRICS_CONNECTIONS);
        Self {
            connections,
            per_client: settings.max_connections_per_client.min(METRICS_CONNECTIONS_PER_CLIENT),
            reserve: 0,
            probes: &[],
            ..Self::main(settings, &[])
        }
    }

    /// File descriptors that connections may take on both listeners, besides the main
    /// listener's own `MAX_CONNECTIONS`.
    pub const fn other_connections() -> usize {
        RESERVE + METRICS_CONNECTIONS
    }
}
