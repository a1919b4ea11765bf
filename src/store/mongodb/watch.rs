//! When other processes changed something.
//!
//! A replica set says so itself, by a change stream; a lone server has none and is asked every
//! [`POLL`]. Either way [`follow`](super::follow) reads what it was, by the server's clock. So the
//! stream need not be whole: where it breaks it is taken up behind the last event by its resume token,
//! and one look covers what was missed. Only when the server no longer knows the token has more
//! happened than a look can tell (it was away for longer than its log reaches, or was set back to a
//! backup), and everything is read again.

use std::{
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mongodb::{
    Database,
    bson::{Document, doc},
    change_stream::event::ResumeToken,
};
use tokio::{
    sync::Notify,
    task::AbortHandle,
    time::{Instant, sleep, timeout},
};

use super::{IDENTITIES, MongoStore, error::MongoError, wire::beginning_with};
use crate::model::Collection;

/// How often a server without change streams is asked.
const POLL: Duration = Duration::from_millis(400);
/// How long the server waits for an event before it says that there is none.
const QUIET: Duration = Duration::from_secs(1);
/// How long an answer may take beyond that. Of a server that went away without a word the
/// connection would never say so.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// How long it is not asked again after it said sooner that there is none: some servers do after each
/// event that is left out, and most are this process' own.
const REST: Duration = Duration::from_millis(200);
/// How soon a stream that broke is opened again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// The codes of a server that cannot go on from a token: it is none of its own (9, 260), or what
/// comes behind it is in its log no more (136, 280, 286).
const TOKEN_LOST: [i32; 5] = [9, 136, 260, 280, 286];

/// What the stream has said.
#[derive(Debug, Default)]
pub(super) struct Watch {
    news: Notify,
    /// Everything is to be read again.
    lost: AtomicBool,
    task: OnceLock<AbortHandle>,
}

impl Watch {
    fn say(&self, news: News) {
        if news == News::Lost {
            self.lost.store(true, Ordering::Relaxed);
        }
        self.news.notify_one();
    }

    /// Hears no more. The client waits for what it has open before it closes.
    pub(super) fn end(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

/// What ended the wait for changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// There may be some.
    Some,
    /// There may be more than a look can tell.
    Lost,
}

/// Waits until others may have changed something.
pub(super) async fn news(store: &MongoStore) -> News {
    // What has snapshots has change streams.
    if !store.snapshots {
        sleep(POLL).await;
        return News::Some;
    }
    store.watch.task.get_or_init(|| {
        let watch = Arc::downgrade(&store.watch);
        tokio::spawn(listen(watch, store.db.clone(), store.id.clone())).abort_handle()
    });
    store.watch.news.notified().await;
    match store.watch.lost.swap(false, Ordering::Relaxed) {
        true => News::Lost,
        false => News::Some,
    }
}

/// Hears until nobody wants to know.
async fn listen(watch: Weak<Watch>, db: Database, id: String) {
    let mut token = None;
    loop {
        let error = match stream(&watch, &db, &id, &mut token).await {
            Ok(()) => return,
            Err(error) => error,
        };
        let ended = matches!(error, MongoError::Answer(_));
        let lost =
            ended || token.is_some() && error.code().is_some_and(|code| TOKEN_LOST.contains(&code));
        tracing::debug!(%error, lost, "the change stream broke off and is opened again");
        if lost {
            token = None;
        }
        let Some(watch) = watch.upgrade() else { return };
        watch.say(if lost { News::Lost } else { News::Some });
        drop(watch);
        sleep(AGAIN_AFTER).await;
    }
}

async fn stream(
    watch: &Weak<Watch>,
    db: &Database,
    id: &str,
    token: &mut Option<ResumeToken>,
) -> Result<(), MongoError> {
    let opening =
        db.watch().pipeline(of_others(id)).max_await_time(QUIET).resume_after(token.clone());
    let mut stream = answered(opening.into_future()).await?.with_type::<Document>();
    // What came before the stream was open, or while it was broken, is news too.
    let mut news = true;
    loop {
        let Some(watch) = watch.upgrade() else { return Ok(()) };
        if news {
            watch.say(News::Some);
        }
        drop(watch);
        let asked = Instant::now();
        news = answered(stream.next_if_any()).await?.is_some();
        if !stream.is_alive() {
            return Err(MongoError::Answer("the change stream has ended"));
        }
        *token = stream.resume_token();
        if !news && asked.elapsed() < QUIET {
            sleep(REST).await;
        }
    }
}

async fn answered<T>(
    asked: impl Future<Output = Result<T, mongodb::error::Error>>,
) -> Result<T, MongoError> {
    let within = QUIET + ANSWER_WITHIN;
    Ok(timeout(within, asked).await.map_err(|_| MongoError::Silent(within))??)
}

/// Events that may be news. Most are a process' own, which it knows of. A repeat that only moves the
/// last receipt on is none for anybody.
fn of_others(id: &str) -> [Document; 2] {
    let (alerts, entries) = (Collection::Alerts.name(), Collection::KnowledgeBase.name());
    let news = doc! { "$or": [
        { "operationType": "insert", "fullDocument.changedBy": by_others(id) },
        { "operationType": "update", "updateDescription.updatedFields.changedBy": by_others(id),
            "$or": [
                { "updateDescription.updatedFields.syncedAt": { "$exists": true } },
                { "ns.coll": entries },
            ] },
        // Deleted, replaced, or a whole collection that was dropped.
        { "operationType": { "$nin": ["insert", "update"] } },
    ] };
    let watched = doc! { "ns.coll": { "$in": [alerts, entries, IDENTITIES] } };
    [
        doc! { "$match": { "$and": [watched, news] } },
        doc! { "$project": { "_id": 1, "operationType": 1 } },
    ]
}

/// Marks of other processes, or none; see [`MongoStore::mark`].
pub(super) fn by_others(id: &str) -> Document {
    doc! { "$not": own(id) }
}

/// Marks of this process.
pub(super) fn own(id: &str) -> Document {
    beginning_with(id, b'.')
}
