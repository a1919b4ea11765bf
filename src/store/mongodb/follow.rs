//! What other processes changed, found by asking; when to ask is told by [`watch`](super::watch).
//!
//! Every change of an entry or an alert says who made it (`changedBy`) and when (`syncedAt`, by
//! the server's clock). A process leaves out alerts that it changed itself, and when it changes one
//! that another process changed before it, it notes that the entry is to be read again. Entries
//! change seldom, and in parts by several: they are read whoever changed them. Deleted entries leave
//! nothing behind: that some are missing shows in the number of documents, and then all ids are read.

use std::{collections::HashSet, time::Duration};

use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use tokio::time::Instant;

use super::{
    IDENTITIES, MongoStore,
    error::MongoError,
    figures, knowledge, open, presence, watch,
    wire::{carried, date, entry, time_in},
};
use crate::{
    model::{Collection, EntryDocument, Status, Time},
    store::{Followed, Looked, Position},
};

/// How far each look reaches back before the one before it, because writes end a little after
/// the time that they bear, and clocks are set.
const OVERLAP_MS: i64 = 1_000;
/// For how long what the server's clock showed stands for what it shows.
const CLOCK_HOLDS: Duration = Duration::from_secs(1);

/// The entries that this process knows of, to find out which were deleted.
#[derive(Debug, Default)]
pub(super) struct KnownEntries {
    ids: HashSet<String>,
    /// Up to when nothing was changed, in milliseconds by the server's clock.
    quiet_until: i64,
    /// Documents beyond one for each entry: of two with one id, or that cannot be read.
    beyond: i64,
}

impl KnownEntries {
    /// All entries, read when the collection had so many documents.
    pub(super) fn reset(&mut self, ids: impl Iterator<Item = String>, documents: i64) {
        self.ids = ids.collect();
        self.quiet_until = 0;
        self.beyond = documents - self.ids.len() as i64;
    }

    pub(super) fn add(&mut self, ids: impl IntoIterator<Item = String>) {
        self.ids.extend(ids);
    }

    /// Adds these; returns those that were not known.
    fn learn<'a>(&mut self, ids: impl Iterator<Item = &'a String>) -> Vec<String> {
        ids.filter(|id| self.ids.insert((*id).clone())).cloned().collect()
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.ids.remove(id);
    }

    fn not_before(&self, position: Position) -> Position {
        Position(position.0.max(self.quiet_until))
    }

    fn accounts_for(&self, documents: i64) -> bool {
        self.ids.len() as i64 + self.beyond == documents
    }
}

/// The time by the server's clock, which is asked again when it may have been set since.
pub(super) async fn server_now(store: &MongoStore) -> Result<Time, MongoError> {
    let (time, asked) = *store.clock.lock();
    let since = asked.elapsed();
    if since > CLOCK_HOLDS {
        return Ok(Time::from_millis(now(store).await?.0));
    }
    Ok(time.plus(since))
}

/// The time by the server's clock.
pub(super) async fn now(store: &MongoStore) -> Result<Position, MongoError> {
    let asked = Instant::now();
    let now = clock_of(&store.db.run_command(doc! { "hello": 1 }).await?)?;
    *store.clock.lock() = (now, asked);
    Ok(Position(now.millis()))
}

/// The server's clock in its answer to `hello`.
pub(super) fn clock_of(hello: &Document) -> Result<Time, MongoError> {
    time_in(hello, "localTime").ok_or(MongoError::Answer("`hello` without `localTime`"))
}

/// How many documents the knowledge base has, by the server's own book-keeping.
pub(super) async fn document_count(store: &MongoStore) -> Result<i64, MongoError> {
    let count = store.documents(Collection::KnowledgeBase).estimated_document_count().await?;
    Ok(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Looks at the instances that others changed. While a group is written these are read beside it:
/// among all that this process itself wrote of late it takes a server a while to find them.
pub(super) async fn look(store: &MongoStore, from: Position) -> Result<Looked, MongoError> {
    let began = Instant::now();
    let from = store.followed().not_before(from);
    let position = now(store).await?;
    let ByOthers { entry_ids, opened } = match presence::others_since(store, from).await? {
        Some(from) => {
            let by_others = instances_of(store, from).await?;
            presence::looked(store, position);
            by_others
        }
        None => ByOthers::default(),
    };
    let superseded = open::settle(store, opened).await?;
    Ok(Looked { began, position, entry_ids, superseded })
}

/// Reads what was changed, while no group is written: what is stored is told to memory as it is.
pub(super) async fn follow(
    store: &MongoStore,
    from: Position,
    looked: Option<Looked>,
) -> Result<Followed, MongoError> {
    let Looked { position, entry_ids: mut stale, .. } = match looked {
        Some(looked) => looked,
        None => look(store, from).await?,
    };
    let from = store.followed().not_before(from);
    if position.0 < from.0.saturating_sub(OVERLAP_MS) {
        // Another member leads now, whose clock is behind: what it writes bears times that are
        // over already.
        return Ok(Followed::Everything(knowledge::load(store).await?));
    }
    let unsettled: Vec<String> = store.unsettled().iter().cloned().collect();
    let mut query = changed_since(from);
    if !unsettled.is_empty() {
        query = doc! { "$or": [query, { "id": { "$in": &unsettled } }] };
    }
    let found = knowledge::find(store, query);
    let (mut entries, documents) = futures::try_join!(found, document_count(store))?;
    let mut unknown = store.followed().learn(entries.keys());
    let (deleted, unseen) = compare(store, documents).await?;
    for id in unseen {
        entries.extend(knowledge::find(store, knowledge::written_as(&id)).await?);
        unknown.push(id);
    }
    stale.extend(unsettled.iter().cloned().chain(unknown));
    let ids: Vec<String> = stale.iter().cloned().collect();
    let mut figures = figures::of(store, Some(&ids)).await?;
    for id in stale {
        // None are stored any more.
        figures.entry(id).or_default();
    }
    let mut left = store.unsettled();
    left.retain(|id| !unsettled.contains(id));
    drop(left);
    if entries.is_empty() && deleted.is_empty() && figures.is_empty() {
        store.followed().quiet_until = position.0;
        return Ok(Followed::Nothing);
    }
    let entries = entries.into_values().collect();
    Ok(Followed::Some { entries, deleted, figures, position })
}

fn changed_since(from: Position) -> Document {
    let since = Time::from_millis(from.0.saturating_sub(OVERLAP_MS));
    doc! { "syncedAt": { "$gte": date(since) } }
}

fn changed_by_others(store: &MongoStore, from: Position) -> Document {
    let mut query = changed_since(from);
    query.insert("changedBy", watch::by_others(&store.id));
    query
}

/// What others did to instances.
#[derive(Debug, Default)]
struct ByOthers {
    /// Entries whose instances they changed, or deleted.
    entry_ids: HashSet<String>,
    /// Fingerprints of which they opened one, or changed one that is open.
    opened: HashSet<String>,
}

async fn instances_of(store: &MongoStore, from: Position) -> Result<ByOthers, MongoError> {
    let parts = doc! { "entryId": 1, "movedFrom": 1, "carried": 1, "status": 1, "fingerprint": 1 };
    let mut by_others = ByOthers::default();
    for collection in [Collection::Alerts.name(), IDENTITIES] {
        let documents = store.db.collection::<Document>(collection);
        let found = documents.find(changed_by_others(store, from)).projection(parts.clone());
        let mut found = found.batch_size(5_000).await?;
        while let Some(instance) = found.try_next().await? {
            let moved = instance.get_array("movedFrom").into_iter().flatten();
            let ids = &mut by_others.entry_ids;
            ids.extend(moved.filter_map(|id| id.as_str().map(str::to_owned)));
            ids.extend(instance.get_str("entryId").ok().map(str::to_owned));
            ids.extend(carried(&instance).map(|(carried, _)| carried.entry_id));
            if instance.get_str("status").is_ok_and(|status| status == Status::Firing.as_str()) {
                by_others.opened.extend(instance.get_str("fingerprint").ok().map(str::to_owned));
            }
        }
    }
    Ok(by_others)
}

/// The ids of entries that this process knows of and that were deleted, and of entries that it does
/// not know of, because a program of before wrote them.
async fn compare(
    store: &MongoStore,
    documents: i64,
) -> Result<(Vec<String>, Vec<String>), MongoError> {
    if store.followed().accounts_for(documents) {
        return Ok(<_>::default());
    }
    let known = store.followed().ids.clone();
    let stored = stored_ids(store).await?;
    let deleted: Vec<String> = known.difference(&stored).cloned().collect();
    let unseen: Vec<String> = stored.difference(&known).cloned().collect();
    let mut followed = store.followed();
    deleted.iter().for_each(|id| followed.remove(id));
    followed.add(unseen.iter().cloned());
    // By the server's own count, which may differ from what is found.
    followed.beyond = documents - stored.len() as i64;
    Ok((deleted, unseen))
}

async fn stored_ids(store: &MongoStore) -> Result<HashSet<String>, MongoError> {
    let documents = store.documents(Collection::KnowledgeBase);
    let parts = doc! { "id": 1, "title": 1, "name": 1 };
    let mut found = documents.find(doc! {}).projection(parts).batch_size(10_000).await?;
    let mut ids = HashSet::new();
    while let Some(document) = found.try_next().await? {
        ids.extend(entry(document).map(|found| match found {
            EntryDocument::Current(entry) => entry.id,
            EntryDocument::Old(entry) => entry.id().to_owned(),
        }));
    }
    Ok(ids)
}
