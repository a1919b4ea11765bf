//! Transactions, tried again while other clients are in the way.

use std::time::Duration;

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use mongodb::{
    ClientSession,
    bson::doc,
    options::{ReadConcern, TransactionOptions},
};

use super::{MongoStore, connect::write_concern, fault::Fault};

/// Tries of a commit whose outcome is unknown.
const COMMITS: usize = 3;

/// What is to happen as one; done again from its beginning when it conflicts.
#[async_trait]
pub(super) trait Work: Sync {
    /// What comes of it.
    type Done: Send;

    /// Does it once, everything in `session`.
    async fn run(
        &self,
        store: &MongoStore,
        session: &mut ClientSession,
    ) -> Result<Self::Done, Fault>;
}

/// Does `work` in a transaction, again while it conflicts, for a few seconds at most.
pub(super) async fn transact<W: Work>(store: &MongoStore, work: &W) -> Result<W::Done, Fault> {
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(2))
        .with_max_delay(Duration::from_millis(200))
        .with_max_times(60)
        .with_total_delay(Some(Duration::from_secs(5)))
        .with_jitter();
    let _turn = match store.turn.try_lock() {
        Ok(turn) => turn,
        Err(_) => {
            // Whoever waits finds out by itself that the server is away, not one after the other.
            store.db.run_command(doc! { "ping": 1 }).await?;
            store.turn.lock().await
        }
    };
    (|| attempt(store, work)).retry(backoff).when(Fault::is_conflict).await
}

async fn attempt<W: Work>(store: &MongoStore, work: &W) -> Result<W::Done, Fault> {
    let options = TransactionOptions::builder()
        .read_concern(ReadConcern::snapshot())
        .write_concern(write_concern())
        .build();
    let mut session = store.client.start_session().await?;
    session.start_transaction().with_options(options).await?;
    match work.run(store, &mut session).await {
        Ok(done) => commit(&mut session).await.map(|()| done),
        Err(fault) => {
            // A server that is gone forgets the transaction by itself, and looking for it to tell
            // it so would take as long again as it took to find out that it is gone.
            if fault.is_answered() {
                drop(session.abort_transaction().await);
            }
            Err(fault)
        }
    }
}

async fn commit(session: &mut ClientSession) -> Result<(), Fault> {
    for _ in 1..COMMITS {
        match session.commit_transaction().await.map_err(Fault::from) {
            Err(fault) if fault.is_unknown_commit() => {}
            known => return known,
        }
    }
    Ok(session.commit_transaction().await?)
}
