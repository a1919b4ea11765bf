//! Leases: of all processes on one store, one at a time does a thing.
//!
//! A lease is prolonged while its holder works, and runs out by itself when the holder has
//! crashed. Each time that it is taken it gets a number that only rises, its fence. Work goes
//! through [`Lease::store`], whose every write first makes sure that the fence is still that of the
//! lease: a holder that was stopped and wakes up, when another has the lease or had it, changes
//! nothing.

use std::{sync::Arc, time::Duration};

use super::{LeaseLost, Result, Store};

/// Which taking of which lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The lease's name.
    pub lease: &'static str,
    /// How often it had been taken by then.
    pub number: i64,
}

/// A lease, held.
pub struct Lease<'a> {
    store: &'a dyn Store,
    fence: Fence,
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
        let fenced = |number| Self { store, fence: Fence { lease: name, number }, holder, ttl };
        Ok(taken.map(fenced))
    }

    /// The store for the work that is done under this lease.
    pub fn store(&self) -> Arc<dyn Store> {
        self.store.under(self.fence)
    }

    /// Prolongs it until `work` ends, then gives it back. Work stops when it is lost.
    ///
    /// # Errors
    /// If it was lost.
    pub async fn hold_while<T>(self, work: impl Future<Output = T>) -> Result<T, LeaseLost> {
        let lease = self.fence.lease;
        let done = tokio::select! {
            done = work => done,
            () = self.lost() => return Err(LeaseLost(lease)),
        };
        if let Err(error) = self.store.release_lease(lease, self.holder).await {
            tracing::warn!(%error, lease, "a lease was not given back; it will run out");
        }
        Ok(done)
    }

    /// Ends when another process has it, or had it.
    async fn lost(&self) {
        let Fence { lease, number } = self.fence;
        loop {
            tokio::time::sleep(self.ttl / 4).await;
            match self.store.acquire_lease(lease, self.holder, self.ttl).await {
                Ok(Some(same)) if same == number => {}
                Ok(taken) => {
                    if taken.is_some() {
                        // It was free again and is now taken anew, for nothing.
                        drop(self.store.release_lease(lease, self.holder).await);
                    }
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, lease, "a lease was not prolonged");
                }
            }
        }
    }
}
