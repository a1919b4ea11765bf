//! Who may do what, and who did: keys and roles, webhook signatures, the audit log.
//!
//! No HTTP here: each check takes bytes and the time, and says yes or which of its ways to fail
//! it was. Every comparison with a secret takes the same time whether it matches or not.

pub mod audit;
pub mod bearer;
mod canonical;
pub mod certificate;
mod digest;
pub mod event;
pub mod keys;
pub mod signature;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;
use utoipa::ToSchema;

pub use self::{
    audit::{AuditContext, AuditCounters, AuditLog, NotAudited},
    bearer::{BearerError, WebhookToken},
    certificate::{Certificate, CertificateError},
    event::Event,
    keys::{Key, KeyRefusal, KeyRing},
    signature::{SignatureRefusal, Verifier, sign},
};

/// What a caller may do; a higher role may do all that a lower one may.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    IntoStaticStr,
    ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Asks and teaches.
    Operator,
    /// Takes everything out.
    Admin,
}

impl Role {
    /// The name in settings, answers and the audit log.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
