//! The lease that lets one process migrate at a time.
//!
//! It is prolonged while the holder works, and runs out by itself when the holder has crashed.

use std::{future::Future, time::Duration};

use backon::{ExponentialBuilder, Retryable};

use super::MigrateError;
use crate::store::{Store, StoreError};

const NAME: &str = "migrations";
const TTL: Duration = Duration::from_secs(30);
const HEARTBEAT: Duration = Duration::from_secs(8);
/// Longer than building an index takes on any base of this service's size, and then some.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// The lease, held.
pub(super) struct Lease<'a> {
    store: &'a dyn Store,
    holder: &'a str,
}

enum Denied {
    Held,
    Failed(StoreError),
}

impl<'a> Lease<'a> {
    /// Waits until no other process has it.
    pub(super) async fn take(store: &'a dyn Store, holder: &'a str) -> Result<Self, MigrateError> {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(50))
            .with_max_delay(Duration::from_secs(2))
            .with_jitter()
            .without_max_times()
            .with_total_delay(Some(LONGEST_WAIT));
        let acquire = || async {
            match store.acquire_lease(NAME, holder, TTL).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(Denied::Held),
                Err(error) => Err(Denied::Failed(error)),
            }
        };
        let taken = acquire.retry(backoff).when(|denied| matches!(denied, Denied::Held)).await;
        match taken {
            Ok(()) => Ok(Self { store, holder }),
            Err(Denied::Held) => Err(MigrateError::Busy),
            Err(Denied::Failed(error)) => Err(error.into()),
        }
    }

    /// Prolongs the lease until `work` ends, then gives it back. Work stops when it is lost.
    pub(super) async fn hold_while<T>(
        self,
        work: impl Future<Output = Result<T, MigrateError>>,
    ) -> Result<T, MigrateError> {
        let result = tokio::select! {
            result = work => result,
            () = self.lost() => return Err(MigrateError::LeaseLost),
        };
        if let Err(error) = self.store.release_lease(NAME, self.holder).await {
            tracing::warn!(%error, "the lease of migrations was not given back; it will run out");
        }
        result
    }

    /// Ends when another process has the lease.
    async fn lost(&self) {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            match self.store.acquire_lease(NAME, self.holder, TTL).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!(%error, "the lease of migrations was not prolonged"),
            }
        }
    }
}
