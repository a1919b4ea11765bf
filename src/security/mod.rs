//! Who may do what, and who did: keys and roles, webhook signatures, the audit log.

pub mod signature;

use serde::{Deserialize, Serialize};

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
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Asks and teaches.
    Operator,
    /// Takes everything out.
    Admin,
}
