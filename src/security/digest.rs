//! The form in which a secret is compared: its SHA-256.
//!
//! Digests have one length, so that comparing two tells nothing of the length of either secret,
//! and a memory dump or a slip in a log line holds no secret that could be presented.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// SHA-256 of a secret, or of what is presented as one.
#[derive(Clone)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl ConstantTimeEq for Digest {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}
