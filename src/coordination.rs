//! Where replicas meet: Redis, if one is set.
//!
//! So far the service asks only whether it is there; every limit is each replica's own.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde::Serialize;

use crate::config::RedisSettings;

const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// What is known of the place where replicas meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CoordinationStatus {
    /// `healthy`; `degraded` if a Redis is set and does not answer.
    pub status: &'static str,
    /// What holds the limits now.
    pub store: &'static str,
    /// Whether `REDIS_URL` is set.
    pub redis_configured: bool,
    /// Whether it answers now.
    pub redis_reachable: bool,
    /// The same in a sentence.
    pub detail: &'static str,
}

/// The door to Redis.
#[derive(Debug, Default)]
pub struct Coordination(Option<redis::Client>);

impl Coordination {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// If the URL cannot be read; the text does not quote it.
    pub fn new(settings: Option<&RedisSettings>) -> Result<Self, String> {
        let Some(settings) = settings else { return Ok(Self(None)) };
        let unreadable = |_| "REDIS_URL cannot be read as a Redis URL".to_owned();
        let url = settings.url.expose_secret();
        let info = redis::IntoConnectionInfo::into_connection_info(url);
        let mut info = info.map_err(unreadable)?;
        if let Some(password) = &settings.password
            && info.redis_settings().password().is_none()
        {
            let known = info.redis_settings().clone();
            info = info.set_redis_settings(known.set_password(password.expose_secret()));
        }
        redis::Client::open(info).map(|client| Self(Some(client))).map_err(unreadable)
    }

    /// Asks Redis now.
    pub async fn probe(&self) -> CoordinationStatus {
        let Some(client) = &self.0 else {
            return CoordinationStatus {
                status: "healthy",
                store: "memory",
                redis_configured: false,
                redis_reachable: false,
                detail: "No Redis is set: limits are this process' own",
            };
        };
        let reachable = tokio::time::timeout(PROBE_TIMEOUT, ping(client)).await;
        let redis_reachable = matches!(reachable, Ok(Ok(())));
        let (status, detail) = match redis_reachable {
            true => ("healthy", "Redis answers; limits are still this process' own"),
            false => ("degraded", "Redis does not answer: limits are this process' own"),
        };
        CoordinationStatus {
            status,
            store: "memory",
            redis_configured: true,
            redis_reachable,
            detail,
        }
    }
}

async fn ping(client: &redis::Client) -> redis::RedisResult<()> {
    let mut connection = client.get_multiplexed_async_connection().await?;
    redis::cmd("PING").query_async(&mut connection).await
}
