//! How a store fails, as the floors above see it.

use std::error::Error as Cause;

/// The result of a store's operation.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Another process took the lease over, because this one was too slow to prolong it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lease of {0} was lost to another process")]
pub struct LeaseLost(pub &'static str);

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
    /// The work was done under a lease that another process has by now: nothing was changed.
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
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
