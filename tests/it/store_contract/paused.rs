//! A holder of a lease that is stopped in the middle of its work, anywhere, and goes on when another
//! has taken the lease and done the work.

use std::{future::Future, pin::Pin, sync::Arc, task::Poll, time::Duration};

use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use orchestrator::{
    model::{ReceivedAlert, SystemClock},
    store::{ExpiryBatch, Fence, Result, Store, migrate, mongodb::MongoStore},
};

use super::samples::{at, firing, record};
use crate::harness::Server;

const LEASE: &str = "retention";

/// A handle that works under the lease, which has run out as it is taken.
async fn take(store: &dyn Store, holder: &str) -> Arc<dyn Store> {
    let taken = store.acquire_lease(LEASE, holder, Duration::ZERO).await.unwrap();
    store.under(Fence { lease: LEASE, number: taken.expect("it has run out") })
}

/// What retention writes: a day is 100 minutes here.
async fn retain(store: &dyn Store, day: i64) -> Result<()> {
    let now = at(100 * day + 50);
    store.expire_alerts(ExpiryBatch { before: at(100 * day + 10), limit: 10, now }).await?;
    store.forget_alerts(at(100 * (day - 1)), 10).await?;
    store.note_retention(now).await
}

/// Polls it so often and no more, as a process that is stopped; whether it has ended.
async fn run_on<T>(work: &mut Pin<Box<impl Future<Output = T>>>, polls: usize) -> Option<T> {
    let mut left = polls;
    std::future::poll_fn(|context| match left.checked_sub(1) {
        None => Poll::Ready(None),
        Some(fewer) => {
            left = fewer;
            work.as_mut().poll(context).map(Some)
        }
    })
    .await
}

/// All that is stored, but for the leases themselves and whom a change was by.
async fn everything(server: &Server) -> Vec<Document> {
    let mut all = Vec::new();
    for collection in ["alerts", "alert_identities", "knowledge_base", "system_state"] {
        let stored = server.raw().collection::<Document>(collection);
        let sorted = stored.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
        let mut documents: Vec<Document> = sorted.try_collect().await.unwrap();
        documents.retain(|document| {
            !document.get("_id").and_then(Bson::as_str).is_some_and(|id| id.starts_with("lease:"))
        });
        for mut document in documents {
            document.remove("syncedAt");
            document.remove("changedBy");
            all.push(document);
        }
    }
    all
}

async fn a_holder_that_is_paused_anywhere_changes_nothing_that_was_done_since(server: Server) {
    let open = async || MongoStore::open(&server.uri, &server.database).await.unwrap();
    let (first, other) = (open().await, open().await);
    migrate::up(&first, "test", &SystemClock, false).await.unwrap();
    let (mut polls, mut refused) = (0, 0);
    loop {
        let day = polls as i64 + 1;
        // One that comes back later, and one of every day, so that each has something to do.
        let received = |name: &str, minute: i64| ReceivedAlert {
            received_at: at(100 * day + minute),
            ..firing(name)
        };
        let stays_away = format!("f{day}");
        record(&first, vec![received("back", 0), received(&stays_away, 1)]).await;
        let mine = take(&first, "first").await;
        let mut work = Box::pin(retain(mine.as_ref(), day));
        let ended = run_on(&mut work, polls).await.is_some();

        let theirs = take(&other, "other").await;
        // A batch that the first has noted is made whole by the first call.
        for _ in 0..2 {
            retain(theirs.as_ref(), day).await.unwrap();
        }
        record(&other, vec![received("back", 60)]).await;
        let done = everything(&server).await;
        if !ended {
            // Only if all was written and the last answer was on its way, it does not notice.
            refused += usize::from(work.await.is_err());
        }
        assert_eq!(everything(&server).await, done, "{polls} polls");
        if ended {
            break;
        }
        polls += 1;
    }
    assert!(refused > 20 && refused + 2 >= polls, "{refused} of {polls}");
}

#[tokio::test]
async fn on_a_replica_set() {
    let Some(server) = Server::replica_set().await else { return };
    a_holder_that_is_paused_anywhere_changes_nothing_that_was_done_since(server).await;
}

#[tokio::test]
async fn on_a_lone_server() {
    let Some(server) = Server::lone().await else { return };
    a_holder_that_is_paused_anywhere_changes_nothing_that_was_done_since(server).await;
}
