//! Webhook signatures.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The signature of `body` as lower-case hex; with a timestamp (Unix seconds) the signed bytes
/// are `<timestamp>:` followed by the body.
pub fn sign(secret: &SecretString, timestamp: Option<i64>, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else {
        return String::new();
    };
    if let Some(timestamp) = timestamp {
        mac.update(format!("{timestamp}:").as_bytes());
    }
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}
