//! Redis, where replicas meet.

use std::time::Duration;

use redis::{ConnectionAddr, IntoConnectionInfo};
use secrecy::{ExposeSecret, SecretString};

use super::{Environment, describe::redacted_url, production, reader::Reader, strength};

/// Far more than a Redis in the same data centre takes, and little for a request.
const ANSWER_WITHIN: Duration = Duration::from_millis(50);

/// Redis.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// `REDIS_URL`.
    pub url: SecretString,
    /// `REDIS_PASSWORD`, where the URL has none.
    pub password: Option<SecretString>,
    /// How long a request waits for it before its replica decides alone.
    pub answer_within: Duration,
}

pub(super) fn read(reader: &mut Reader<'_>, environment: Environment) -> Option<RedisSettings> {
    let url = reader.secret("REDIS_URL");
    let password = reader.secret("REDIS_PASSWORD");
    let Some(url) = url else {
        if password.is_some() {
            reader.warn("REDIS_PASSWORD is ignored, because REDIS_URL is not set");
        }
        return None;
    };
    // The client's own words may quote the URL, so they are not passed on.
    let Ok(parsed) = url.expose_secret().into_connection_info() else {
        reader.problem(
            "REDIS_URL",
            "expected `redis://[user:password@]host[:port][/database]`, or `rediss://…` for TLS",
        );
        return None;
    };
    if let ConnectionAddr::TcpTls { insecure: true, .. } = parsed.addr() {
        reader.problem("REDIS_URL", "must not switch off the check of Redis' certificate");
        return None;
    }
    reader.show("REDIS_URL", redacted_url(url.expose_secret()));
    let password = match parsed.redis_settings().password() {
        Some(own) => {
            strength::judge_password(reader, "REDIS_URL", own, environment);
            if password.is_some() {
                reader.warn("REDIS_PASSWORD is ignored, because REDIS_URL has one");
            }
            None
        }
        None => password,
    };
    let has_password = password.is_some() || parsed.redis_settings().password().is_some();
    production::judge_redis(reader, environment, &parsed, has_password);
    if let Some(password) = &password {
        strength::judge_password(reader, "REDIS_PASSWORD", password.expose_secret(), environment);
    }
    Some(RedisSettings { url, password, answer_within: ANSWER_WITHIN })
}
