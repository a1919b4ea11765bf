//! The connection to Redis: how it is opened, and how often it is tried.

use parking_lot::Mutex;
use redis::{
    Client, ConnectionInfo, IntoConnectionInfo, RedisResult,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use secrecy::ExposeSecret;

use crate::config::RedisSettings;

/// One connection that all requests share, and that opens itself again.
pub(super) struct Connection {
    client: Client,
    manager: Mutex<ConnectionManager>,
}

impl Connection {
    /// Connects to nothing yet. Needs the runtime.
    ///
    /// # Errors
    /// If the URL cannot be read; the client's own words may quote it, so they are not passed on.
    pub(super) fn new(settings: &RedisSettings) -> Result<Self, String> {
        let unreadable = |_| "REDIS_URL cannot be read as a Redis URL".to_owned();
        let client = Client::open(info(settings).map_err(unreadable)?).map_err(unreadable)?;
        let manager = Mutex::new(lazy(&client).map_err(unreadable)?);
        Ok(Self { client, manager })
    }

    /// To send commands by.
    pub(super) fn get(&self) -> ConnectionManager {
        self.manager.lock().clone()
    }

    /// Starts anew. The manager connects again by itself after a failure of input or output, but
    /// keeps others for ever (a password that was wrong for a while), and never learns of a peer
    /// that went away without a word.
    pub(super) fn renew(&self) {
        if let Ok(fresh) = lazy(&self.client) {
            *self.manager.lock() = fresh;
        }
    }
}

fn info(settings: &RedisSettings) -> RedisResult<ConnectionInfo> {
    let info = settings.url.expose_secret().into_connection_info()?;
    match &settings.password {
        Some(password) if info.redis_settings().password().is_none() => {
            let known = info.redis_settings().clone();
            Ok(info.set_redis_settings(known.set_password(password.expose_secret())))
        }
        _ => Ok(info),
    }
}

fn lazy(client: &Client) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(super::CHECK_WITHIN))
        .set_response_timeout(Some(super::CHECK_WITHIN))
        // Checks come often enough, and tell the cause at once.
        .set_number_of_retries(0);
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}
