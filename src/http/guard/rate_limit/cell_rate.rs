//! The decision about one request: one function, with a bucket in this process (`governor`, as
//! `tower_governor` sets it up) and one that all replicas share (a script on Redis' own clock).
//!
//! A bucket of N is a burst of N that refills evenly over a minute.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    time::Duration,
};

use async_trait::async_trait;
use axum::http::{HeaderMap, HeaderValue, Request};
use governor::{
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
};
use tower_governor::{
    GovernorError,
    governor::{GovernorConfig, GovernorConfigBuilder},
    key_extractor::KeyExtractor,
};

use super::Bucket;
use crate::{coordination::Coordination, http::guard::client_ip::client_key};

const MINUTE: Duration = Duration::from_secs(60);

/// Whose requests are counted together: what was presented, from where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Counted {
    /// `key:<label>`, `token`, `signature`; empty for who presented nothing good.
    holder: String,
    /// IPv6 clients by their /64.
    client: IpAddr,
}

impl Counted {
    /// `holder` at `client`.
    pub fn new(holder: String, client: IpAddr) -> Self {
        Self { holder, client: client_key(client) }
    }
}

/// What counting one request came to, and what its answer says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Requests a minute.
    pub limit: u32,
    /// How many are left right now.
    pub remaining: u32,
    /// Seconds until the bucket is full again, or, after a refusal, until the next is taken.
    pub reset: u64,
    /// Whether this one is over the limit.
    pub refused: bool,
}

impl Decision {
    fn taken(limit: u32, remaining: u32) -> Self {
        let used = u64::from(limit.saturating_sub(remaining));
        let reset = (used * MINUTE.as_secs()).div_ceil(u64::from(limit).max(1));
        Self { limit, remaining, reset, refused: false }
    }

    fn refused(limit: u32, wait: Duration) -> Self {
        // Rounded up: who waits that long is taken.
        let reset = u64::try_from(wait.as_micros().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        Self { limit, remaining: 0, reset: reset.max(1), refused: true }
    }

    /// Writes the `RateLimit-*` headers.
    pub fn announce(&self, headers: &mut HeaderMap) {
        headers.insert("ratelimit-limit", HeaderValue::from(self.limit));
        headers.insert("ratelimit-remaining", HeaderValue::from(self.remaining));
        headers.insert("ratelimit-reset", HeaderValue::from(self.reset));
    }
}

/// Counts requests against one bucket.
#[async_trait]
pub trait CellRate: Send + Sync {
    /// Counts one request; `None` if that cannot be done now.
    async fn count(&self, who: &Counted) -> Option<Decision>;
}

/// Counts in this process.
pub struct Local {
    limit: u32,
    config: GovernorConfig<ByHash, StateInformationMiddleware>,
    /// Clients are kept by a number that nobody outside can foresee: 16 bytes each, however long
    /// their names.
    hasher: RandomState,
}

impl Local {
    /// A bucket of `limit` a minute; `None` for 0.
    pub fn new(limit: u32) -> Option<Self> {
        // `per_second(n)` would mean one request every n seconds.
        let period = MINUTE.checked_div(limit)?;
        let config = GovernorConfigBuilder::default()
            .key_extractor(ByHash)
            .period(period)
            .burst_size(limit)
            .use_headers()
            .finish()?;
        Some(Self { limit, config, hasher: RandomState::new() })
    }

    /// Counts one request.
    pub fn take(&self, who: &Counted) -> Decision {
        match self.config.limiter().check_key(&self.hasher.hash_one(who)) {
            Ok(state) => Decision::taken(self.limit, state.remaining_burst_capacity()),
            Err(refused) => {
                let wait = refused.wait_time_from(DefaultClock::default().now());
                Decision::refused(self.limit, wait)
            }
        }
    }

    /// Evicts clients whose buckets are full again, and gives their memory back.
    pub fn evict_idle_clients(&self) {
        self.config.limiter().retain_recent();
        self.config.limiter().shrink_to_fit();
    }

    /// How many clients are remembered.
    pub fn clients(&self) -> usize {
        self.config.limiter().len()
    }
}

#[async_trait]
impl CellRate for Local {
    async fn count(&self, who: &Counted) -> Option<Decision> {
        Some(self.take(who))
    }
}

/// Counts on Redis, for all replicas.
pub struct Shared {
    bucket: Bucket,
    limit: u32,
    coordination: Coordination,
}

impl Shared {
    /// A bucket of `limit` a minute.
    pub fn new(bucket: Bucket, limit: u32, coordination: Coordination) -> Self {
        Self { bucket, limit, coordination }
    }
}

#[async_trait]
impl CellRate for Shared {
    async fn count(&self, who: &Counted) -> Option<Decision> {
        let (bucket, Counted { holder, client }) = (self.bucket.as_str(), who);
        let key = format!("orchestrator:limit:{bucket}:{client}:{holder}");
        let cell = self.coordination.take_cell(&key, self.limit).await?;
        Some(match cell.taken {
            true => Decision::taken(self.limit, cell.remaining),
            false => Decision::refused(self.limit, cell.wait),
        })
    }
}

/// `tower_governor`'s layer would decide before anyone knows who calls, so that only its limiter
/// is used; whoever called it as a layer would have to say who calls in the extensions.
#[derive(Clone, Copy, Debug)]
pub struct ByHash;

impl KeyExtractor for ByHash {
    type Key = u64;

    fn extract<T>(&self, request: &Request<T>) -> Result<u64, GovernorError> {
        request.extensions().get().copied().ok_or(GovernorError::UnableToExtractKey)
    }
}
