//! Webhook signatures: HMAC-SHA256 over the raw bytes of a body, as received.
//!
//! A signature is judged on the bytes alone, before anything is parsed; the one exception is the
//! old orchestrator's form, which has to be asked for in the settings (`canonical.rs`).

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use thiserror::Error;

use super::canonical::canonical;
use crate::{config::WebhookSettings, model::Time};

type HmacSha256 = Hmac<Sha256>;

/// How far a signature's time may be from the server's, either way and inclusive.
pub const TOLERANCE_SECONDS: i64 = 300;

/// More digits than any time in seconds has until the year 9999; keeps arithmetic from overflowing.
const MAX_TIMESTAMP_DIGITS: usize = 12;

/// The signature of `body` as lower-case hex; with a timestamp (Unix seconds) the signed bytes
/// are `<timestamp>:` followed by the body.
pub fn sign(secret: &SecretString, timestamp: Option<i64>, body: &[u8]) -> String {
    let timestamp = timestamp.map(|seconds| seconds.to_string());
    let signed = keyed(secret).map(|key| mac(&key, timestamp.as_deref().map(str::as_bytes), body));
    signed.map(hex::encode).unwrap_or_default()
}

/// HMAC takes a key of any length, so there always is one.
fn keyed(secret: &SecretString) -> Option<HmacSha256> {
    HmacSha256::new_from_slice(secret.expose_secret().as_bytes()).ok()
}

fn mac(key: &HmacSha256, timestamp: Option<&[u8]>, body: &[u8]) -> [u8; 32] {
    let mut mac = key.clone();
    if let Some(timestamp) = timestamp {
        mac.update(timestamp);
        mac.update(b":");
    }
    mac.update(body);
    mac.finalize().into_bytes().into()
}

/// Why a signature is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SignatureRefusal {
    /// There is no `WEBHOOK_SECRET` to judge it by.
    #[error("webhook signatures are not configured")]
    NotConfigured,
    /// Not 64 hex digits, with or without `sha256=` before them.
    #[error("the signature is not 64 hex digits")]
    MalformedSignature,
    /// Not a number of seconds.
    #[error("the timestamp is not a number of Unix seconds")]
    MalformedTimestamp,
    /// `WEBHOOK_REQUIRE_TIMESTAMP` is on and there is none.
    #[error("the timestamp is missing")]
    TimestampMissing,
    /// More than 300 s ago.
    #[error("the timestamp is too old")]
    TimestampTooOld,
    /// More than 300 s ahead.
    #[error("the timestamp is too far in the future")]
    TimestampTooNew,
    /// Signed with another secret, or something else was signed.
    #[error("the signature does not match")]
    Mismatch,
}

impl SignatureRefusal {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::NotConfigured,
        Self::MalformedSignature,
        Self::MalformedTimestamp,
        Self::TimestampMissing,
        Self::TimestampTooOld,
        Self::TimestampTooNew,
        Self::Mismatch,
    ];

    /// The name in metrics and in the audit log.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotConfigured => "not_configured",
            Self::MalformedSignature => "malformed_signature",
            Self::MalformedTimestamp => "malformed_timestamp",
            Self::TimestampMissing => "timestamp_missing",
            Self::TimestampTooOld => "timestamp_too_old",
            Self::TimestampTooNew => "timestamp_too_new",
            Self::Mismatch => "mismatch",
        }
    }
}

/// Judges the signatures of webhooks; its secrets may be replaced while it is in use.
pub struct Verifier(ArcSwap<Rules>);

/// What signatures are judged by.
struct Rules {
    /// The current secret and, while it is being rotated, the previous one.
    keys: Vec<HmacSha256>,
    require_timestamp: bool,
    canonical_json: bool,
}

impl Verifier {
    /// Judges by the secrets of the settings. A blank secret would let anyone sign: it counts as
    /// none.
    pub fn new(settings: &WebhookSettings) -> Self {
        Self(ArcSwap::from_pointee(Rules::of(settings)))
    }

    /// From now on signatures are judged by these settings.
    pub fn replace(&self, settings: &WebhookSettings) {
        self.0.store(Arc::new(Rules::of(settings)));
    }

    /// Is there a secret that a sender could sign with?
    pub fn is_configured(&self) -> bool {
        !self.0.load().keys.is_empty()
    }

    /// Was `body` signed by someone who knows the secret? `signature` and `timestamp` are the
    /// headers' bytes; with a timestamp only the form that covers it counts.
    pub fn verify(
        &self,
        signature: &[u8],
        timestamp: Option<&[u8]>,
        body: &[u8],
        now: Time,
    ) -> Result<(), SignatureRefusal> {
        self.0.load().verify(signature, timestamp, body, now)
    }

    /// What can be said before there is a body: are the headers such that it could be good?
    pub fn check_head(
        &self,
        signature: &[u8],
        timestamp: Option<&[u8]>,
        now: Time,
    ) -> Result<(), SignatureRefusal> {
        self.0.load().judge_head(signature, timestamp, now).map(drop)
    }
}

impl Rules {
    fn of(settings: &WebhookSettings) -> Self {
        let secrets = [&settings.secret, &settings.previous_secret].into_iter().flatten();
        let given = secrets.filter(|secret| !secret.expose_secret().trim().is_empty());
        Self {
            keys: given.filter_map(keyed).collect(),
            require_timestamp: settings.require_timestamp,
            canonical_json: settings.canonical_json,
        }
    }

    fn verify(
        &self,
        signature: &[u8],
        timestamp: Option<&[u8]>,
        body: &[u8],
        now: Time,
    ) -> Result<(), SignatureRefusal> {
        let signature = self.judge_head(signature, timestamp, now)?;
        if self.matches(&signature, timestamp, body)
            || timestamp.is_none() && self.matches_canonical(&signature, body)
        {
            return Ok(());
        }
        Err(SignatureRefusal::Mismatch)
    }

    fn judge_head(
        &self,
        signature: &[u8],
        timestamp: Option<&[u8]>,
        now: Time,
    ) -> Result<[u8; 32], SignatureRefusal> {
        if self.keys.is_empty() {
            return Err(SignatureRefusal::NotConfigured);
        }
        let signature = parse_signature(signature).ok_or(SignatureRefusal::MalformedSignature)?;
        match timestamp {
            Some(timestamp) => check_timestamp(timestamp, now)?,
            None if self.require_timestamp => return Err(SignatureRefusal::TimestampMissing),
            None => {}
        }
        Ok(signature)
    }

    /// Tries every secret whatever the first one says, so that the time taken does not tell
    /// which one is in use.
    fn matches(&self, signature: &[u8; 32], timestamp: Option<&[u8]>, body: &[u8]) -> bool {
        let tries = self.keys.iter().map(|key| mac(key, timestamp, body).ct_eq(signature));
        tries.fold(Choice::from(0), |any, this| any | this).into()
    }

    fn matches_canonical(&self, signature: &[u8; 32], body: &[u8]) -> bool {
        self.canonical_json
            && canonical(body).is_some_and(|body| self.matches(signature, None, &body))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.0.load();
        f.debug_struct("Verifier")
            .field("secrets", &rules.keys.len())
            .field("require_timestamp", &rules.require_timestamp)
            .field("canonical_json", &rules.canonical_json)
            .finish()
    }
}

fn parse_signature(header: &[u8]) -> Option<[u8; 32]> {
    const PREFIX: &[u8] = b"sha256=";
    let digits = match header.split_at_checked(PREFIX.len()) {
        Some((start, rest)) if start.eq_ignore_ascii_case(PREFIX) => rest,
        _ => header,
    };
    let mut signature = [0; 32];
    hex::decode_to_slice(digits, &mut signature).ok()?;
    Some(signature)
}

fn check_timestamp(header: &[u8], now: Time) -> Result<(), SignatureRefusal> {
    let seconds = parse_timestamp(header).ok_or(SignatureRefusal::MalformedTimestamp)?;
    let age_ms = now.millis() - seconds * 1000;
    match age_ms {
        age if age > TOLERANCE_SECONDS * 1000 => Err(SignatureRefusal::TimestampTooOld),
        age if age < -TOLERANCE_SECONDS * 1000 => Err(SignatureRefusal::TimestampTooNew),
        _ => Ok(()),
    }
}

fn parse_timestamp(header: &[u8]) -> Option<i64> {
    let digits = !header.is_empty()
        && header.len() <= MAX_TIMESTAMP_DIGITS
        && header.iter().all(u8::is_ascii_digit);
    digits.then(|| header.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
