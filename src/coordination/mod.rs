//! Where replicas meet: Redis, if one is set.
//!
//! What is counted there is counted for all replicas. Redis is asked as long as it answers in
//! time; after the first failure nobody waits for it until [`Coordination::check`]
//! has seen it answer again. Each change of that is one log line and `redis_up`.

mod connection;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use prometheus::IntGauge;
use redis::{RedisResult, Script};
use serde::Serialize;
use tokio::time::timeout;

use self::connection::Connection;
use crate::{config::RedisSettings, telemetry::Metrics};

/// How long a check may take, connecting included.
const CHECK_WITHIN: Duration = Duration::from_secs(1);
/// What checks count against, so that they do all that a request does.
const CHECK_KEY: &str = "orchestrator:check";
/// Far more checks a minute than there are.
const CHECK_LIMIT: u32 = 60_000;
const MINUTE_MICROS: u64 = 60_000_000;

/// What is known of the place where replicas meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CoordinationStatus {
    /// `healthy`; `degraded` if a Redis is set and does not answer.
    pub status: &'static str,
    /// What holds the limits now: `redis` or `memory`.
    pub store: &'static str,
    /// Whether `REDIS_URL` is set.
    pub redis_configured: bool,
    /// Whether it answers now.
    pub redis_reachable: bool,
    /// The same in a sentence.
    pub detail: &'static str,
}

/// What counting one request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Whether the request is within the limit.
    pub taken: bool,
    /// How many more would be, right now.
    pub remaining: u32,
    /// How long until the next is; zero if this one was.
    pub wait: Duration,
}

/// The door to Redis; cheap to clone.
#[derive(Clone, Default)]
pub struct Coordination(Option<Arc<Redis>>);

struct Redis {
    connection: Connection,
    answer_within: Duration,
    cell_rate: Script,
    state: AtomicU8,
    up: IntGauge,
}

/// Nobody has asked yet.
const UNKNOWN: u8 = 0;
/// It answered when it was last asked.
const UP: u8 = 1;
/// It did not.
const DOWN: u8 = 2;

impl Coordination {
    /// Connects to nothing yet; [`check`](Self::check) does.
    ///
    /// # Errors
    /// If the URL cannot be read; the text does not quote it.
    pub fn new(settings: Option<&RedisSettings>, metrics: &Metrics) -> Result<Self, String> {
        let Some(settings) = settings else { return Ok(Self(None)) };
        Ok(Self(Some(Arc::new(Redis {
            connection: Connection::new(settings)?,
            answer_within: settings.answer_within,
            cell_rate: Script::new(include_str!("cell_rate.lua")),
            state: AtomicU8::new(UNKNOWN),
            up: metrics.redis_up(),
        }))))
    }

    /// Counts one request of `key`, which may make `limit` a minute, for all replicas. `None` if
    /// there is no Redis, or it does not answer in time.
    pub async fn take_cell(&self, key: &str, limit: u32) -> Option<Cell> {
        let redis = self.0.as_deref().filter(|redis| redis.is_up())?;
        match redis.take_cell(key, limit).await {
            Ok(cell) => Some(cell),
            Err(cause) => {
                redis.set(DOWN, &cause);
                None
            }
        }
    }

    /// Asks Redis now; to be done often, because nothing else ends its being away.
    pub async fn check(&self) {
        let Some(redis) = self.0.as_deref() else { return };
        match redis.check().await {
            Ok(()) => redis.set(UP, ""),
            Err(cause) => {
                redis.connection.renew();
                redis.set(DOWN, &cause);
            }
        }
    }

    /// What the last request or check saw.
    pub fn status(&self) -> CoordinationStatus {
        let reachable = self.0.as_deref().map(Redis::is_up);
        let (status, store, detail) = match reachable {
            None => ("healthy", "memory", "No Redis is set: limits are this process' own"),
            Some(true) => ("healthy", "redis", "Redis answers: limits are shared by all replicas"),
            Some(false) => {
                ("degraded", "memory", "Redis does not answer: limits are this process' own")
            }
        };
        CoordinationStatus {
            status,
            store,
            redis_configured: reachable.is_some(),
            redis_reachable: reachable.unwrap_or(false),
            detail,
        }
    }
}

impl Redis {
    fn is_up(&self) -> bool {
        self.state.load(Ordering::Relaxed) == UP
    }

    fn set(&self, state: u8, cause: &str) {
        if self.state.swap(state, Ordering::Relaxed) == state {
            return;
        }
        self.up.set(i64::from(state == UP));
        match state {
            UP => tracing::info!("Redis answers: limits are shared by all replicas"),
            _ => tracing::warn!(cause, "Redis does not answer: limits are this process' own"),
        }
    }

    /// Connects if need be, which may take a while, and then does what a request does, in its time.
    async fn check(&self) -> Result<(), String> {
        let mut connection = self.connection.get();
        let ping = redis::cmd("PING");
        within(CHECK_WITHIN, ping.query_async::<()>(&mut connection)).await?;
        self.take_cell(CHECK_KEY, CHECK_LIMIT).await.map(drop)
    }

    async fn take_cell(&self, key: &str, limit: u32) -> Result<Cell, String> {
        let interval = (MINUTE_MICROS / u64::from(limit.max(1))).max(1);
        let mut connection = self.connection.get();
        let mut call = self.cell_rate.key(key);
        call.arg(interval).arg(limit);
        let (taken, remaining, wait): (bool, u32, u64) =
            within(self.answer_within, call.invoke_async(&mut connection)).await?;
        Ok(Cell { taken, remaining, wait: Duration::from_micros(wait) })
    }
}

async fn within<T>(
    limit: Duration,
    asked: impl Future<Output = RedisResult<T>>,
) -> Result<T, String> {
    match timeout(limit, asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} ms", limit.as_millis())),
    }
}
