//! What the audit log records.

use serde::Serialize;
use strum::{IntoStaticStr, VariantArray};

/// A thing worth knowing for those who look after the service's security.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Event {
    /// A caller presented no key, or none that is good.
    AuthFailure,
    /// A webhook did not prove who sent it.
    WebhookAuthFailure,
    /// A good key whose role is too low.
    RoleDenied,
    /// A client asked more often than it may.
    RateLimited,
    /// A body that does not say what it must.
    ValidationFailure,
    /// A body over the limit.
    PayloadTooLarge,
    /// A page of an origin that may not call.
    CorsDenied,
    /// A key within 14 days of its end.
    ApiKeyExpiring,
    /// Data was taken out.
    DataExport,
    /// An export was put back.
    DataImport,
    /// Protected data was read, where `AUDIT_READS` says so.
    DataRead,
    /// An entry was written or deleted by a caller.
    KnowledgeChanged,
    /// Old data was deleted.
    RetentionRun,
    /// The schema was changed.
    MigrationApplied,
    /// Secrets and certificates were read again, or kept because what was read is wrong.
    SecretsReloaded,
    /// The service began.
    Startup,
    /// The service ended.
    Shutdown,
}

impl Event {
    /// The name in the audit log and in metrics.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether equal ones of one client within a minute are one line: those that anyone can
    /// cause as often as they like. All others are written one by one.
    pub const fn folds(self) -> bool {
        match self {
            Self::AuthFailure
            | Self::WebhookAuthFailure
            | Self::RoleDenied
            | Self::RateLimited
            | Self::ValidationFailure
            | Self::PayloadTooLarge
            | Self::CorsDenied
            | Self::DataRead => true,
            Self::ApiKeyExpiring
            | Self::SecretsReloaded
            | Self::DataExport
            | Self::DataImport
            | Self::KnowledgeChanged
            | Self::RetentionRun
            | Self::MigrationApplied
            | Self::Startup
            | Self::Shutdown => false,
        }
    }

    /// Whether it is what the service is there for, and no reason to look.
    pub const fn is_routine(self) -> bool {
        match self {
            Self::DataExport
            | Self::DataImport
            | Self::DataRead
            | Self::SecretsReloaded
            | Self::KnowledgeChanged
            | Self::RetentionRun
            | Self::MigrationApplied
            | Self::Startup
            | Self::Shutdown => true,
            Self::AuthFailure
            | Self::WebhookAuthFailure
            | Self::RoleDenied
            | Self::RateLimited
            | Self::ValidationFailure
            | Self::PayloadTooLarge
            | Self::CorsDenied
            | Self::ApiKeyExpiring => false,
        }
    }
}
