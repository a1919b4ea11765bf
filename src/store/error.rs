//! How a store fails, as the floors above see it.

use std::error::Error as Cause;

/// The result of a store's operation.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Not reachable, not answering, locked, or out of space: trying again later may help.
    /// Answered with 503.
    #[error("the store is unavailable: {0}")]
    Unavailable(#[source] Box<dyn Cause + Send + Sync>),
    /// It answered, but refused the operation: a defect of this program or of the data.
    /// Answered with 500.
    #[error("the store refused the operation: {0}")]
    Refused(#[source] Box<dyn Cause + Send + Sync>),
}

impl StoreError {
    /// An [`Unavailable`](Self::Unavailable) with this cause.
    pub fn unavailable(cause: impl Into<Box<dyn Cause + Send + Sync>>) -> Self {
        Self::Unavailable(cause.into())
    }

    /// A [`Refused`](Self::Refused) with this cause.
    pub fn refused(cause: impl Into<Box<dyn Cause + Send + Sync>>) -> Self {
        Self::Refused(cause.into())
    }

    /// Whether trying again later may help.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
