//! Leases: of all processes on one store, one at a time does a thing.
//!
//! A lease is prolonged while its holder works, and runs out by itself when the holder has
//! crashed.

use std::time::Duration;

use super::{Result, Store};

/// Another process took the lease over, because this one was too slow to prolong it.
#[derive(Debug, thiserror::Error)]
#[error("the lease of {0} was lost to another process")]
pub struct LeaseLost(&'static str);

/// A lease, held.
pub struct Lease<'a> {
    store: &'a dyn Store,
    name: &'static str,
    holder: &'a str,
    /// How long it lasts when its holder falls silent.
    ttl: Duration,
}

impl<'a> Lease<'a> {
    /// Takes it; `None` if another process has it.
    ///
    /// # Errors
    /// If the store failed.
    pub async fn take(
        store: &'a dyn Store,
        name: &'static str,
        holder: &'a str,
        ttl: Duration,
    ) -> Result<Option<Self>> {
        let taken = store.acquire_lease(name, holder, ttl).await?;
        Ok(taken.then_some(Self { store, name, holder, ttl }))
    }

    /// Prolongs it until `work` ends, then gives it back. Work stops when it is lost.
    ///
    /// # Errors
    /// If it was lost.
    pub async fn hold_while<T>(self, work: impl Future<Output = T>) -> Result<T, LeaseLost> {
        let done = tokio::select! {
            done = work => done,
            () = self.lost() => return Err(LeaseLost(self.name)),
        };
        if let Err(error) = self.store.release_lease(self.name, self.holder).await {
            tracing::warn!(%error, lease = self.name, "a lease was not given back; it will run out");
        }
        Ok(done)
    }

    /// Ends when another process has it.
    async fn lost(&self) {
        loop {
            tokio::time::sleep(self.ttl / 4).await;
            match self.store.acquire_lease(self.name, self.holder, self.ttl).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, lease = self.name, "a lease was not prolonged");
                }
            }
        }
    }
}
