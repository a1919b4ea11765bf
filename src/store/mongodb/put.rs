//! Documents written whole, over the one with the same natural key.

use mongodb::bson::{Bson, Document, doc};

use super::{
    MongoStore, WHOLE, command,
    error::MongoError,
    figures,
    knowledge::written_as,
    lease,
    wire::{
        ALERT_OPTIONAL, ENTRY_OPTIONAL, alert_fields, alert_id, bson_document, carried_fields,
        date, entry_document, missing, sample_fields, sample_id,
    },
    within,
};
use crate::{
    model::{Alert, Collection, Consolidation, Entry, OldEntry, Sample},
    store::{StoreError, Stored},
};

/// Tries of statements that lost a race for making their document.
const TRIES: usize = 3;

/// Documents that one time limit is for.
const PIECE: usize = 1_000;

pub(super) async fn put(store: &MongoStore, documents: Vec<Stored>) -> Result<(), StoreError> {
    let mut documents = documents.into_iter().peekable();
    while documents.peek().is_some() {
        let piece = documents.by_ref().take(PIECE).collect();
        within(WHOLE, put_piece(store, piece)).await?;
    }
    Ok(())
}

/// Alerts come first, because the counters of entries of before have them in.
async fn put_piece(store: &MongoStore, documents: Vec<Stored>) -> Result<(), MongoError> {
    let mut old = Vec::new();
    let mut statements: Vec<(Collection, Vec<Document>)> =
        Collection::ALL.map(|collection| (collection, Vec::new())).into();
    for document in documents {
        let collection = document.collection();
        let statement = match document {
            Stored::OldEntry(entry) => {
                old.push(*entry);
                continue;
            }
            Stored::Alert(alert) => put_alert(store, &alert),
            Stored::Sample(sample) => put_sample(&sample),
            Stored::Entry(entry) => put_entry(store, &entry),
            Stored::Consolidation(day) => put_consolidation(store, &day),
            Stored::State(key, fields) => {
                set(doc! { "key": &key }, Bson::from(key), bson_document(&fields), &[])
            }
        };
        let of_collection = statements.iter_mut().find(|(known, _)| *known == collection);
        of_collection.into_iter().for_each(|(_, list)| list.push(statement.clone()));
    }
    for (collection, statements) in statements {
        write(store, collection, statements).await?;
    }
    put_old(store, old).await
}

async fn put_old(store: &MongoStore, entries: Vec<OldEntry>) -> Result<(), MongoError> {
    let ids: Vec<String> = entries.iter().map(|entry| entry.id().to_owned()).collect();
    let stored = figures::of(store, Some(&ids)).await?;
    let statement = |entry: OldEntry| {
        let figures = stored.get(entry.id()).copied().unwrap_or_default();
        put_entry(store, &entry.into_entry(&figures))
    };
    let statements = entries.into_iter().map(statement).collect();
    write(store, Collection::KnowledgeBase, statements).await
}

async fn write(
    store: &MongoStore,
    collection: Collection,
    mut left: Vec<Document>,
) -> Result<(), MongoError> {
    for _ in 0..TRIES {
        if left.is_empty() {
            return Ok(());
        }
        lease::check(store).await?;
        let written = command::update(store, collection.name(), &left).await?;
        left = written.duplicate_keys.into_iter().map(|place| left[place].clone()).collect();
    }
    if left.is_empty() { Ok(()) } else { Err(MongoError::Overtaken) }
}

fn set(query: Document, id: Bson, mut fields: Document, optional: &[&str]) -> Document {
    fields.remove("_id");
    let unset = missing(&fields, optional);
    let mut update = doc! { "$set": fields };
    if !query.contains_key("_id") {
        update.insert("$setOnInsert", doc! { "_id": id });
    }
    if !unset.is_empty() {
        update.insert("$unset", unset);
    }
    command::upsert(query, update)
}

/// Others are notified of it, as of any change.
fn with_change(store: &MongoStore, mut statement: Document) -> Document {
    if let Ok(update) = statement.get_document_mut("u") {
        if let Ok(set) = update.get_document_mut("$set") {
            set.insert("changedBy", store.mark());
        }
        update.insert("$currentDate", doc! { "syncedAt": true });
    }
    statement
}

fn put_alert(store: &MongoStore, alert: &Alert) -> Document {
    let id = alert_id(&alert.key());
    let mut fields = alert_fields(alert);
    fields.insert("timestamp", date(alert.timestamp));
    fields.insert("firstReceived", date(alert.first_received));
    if let Some(carried) = &alert.carried {
        fields.insert("carried", carried_fields(carried, 0));
    }
    let optional: Vec<_> = ALERT_OPTIONAL.into_iter().chain(["carried"]).collect();
    let mut statement = set(doc! { "_id": &id }, id.into(), fields, &optional);
    if let Ok(update) = statement.get_document_mut("u") {
        update.insert("$inc", doc! { "revision": 1_i64 });
    }
    with_change(store, statement)
}

/// Over every document that is read as the entry.
fn put_entry(store: &MongoStore, entry: &Entry) -> Document {
    let fields = entry_document(entry);
    let optional: Vec<_> = ENTRY_OPTIONAL.into_iter().filter(|name| !name.contains('.')).collect();
    let mut statement = set(written_as(&entry.id), Bson::from(&entry.id), fields, &optional);
    statement.insert("multi", true);
    with_change(store, statement)
}

fn put_sample(sample: &Sample) -> Document {
    let id = sample_id(sample);
    // The id says the name and the time; a cluster finds the shard by these.
    let query = doc! { "_id": &id, "name": &sample.name, "timestamp": date(sample.timestamp) };
    set(query, id.into(), sample_fields(sample), &[])
}

/// Whoever sums up days, under a lease, sums up those that nobody has summed up.
fn put_consolidation(store: &MongoStore, day: &Consolidation) -> Document {
    let mut fields = bson_document(day);
    fields.insert("timestamp", date(day.timestamp));
    if store.fence.is_some() {
        fields.insert("_id", &day.date);
        return command::upsert(doc! { "date": &day.date }, doc! { "$setOnInsert": fields });
    }
    set(doc! { "date": &day.date }, Bson::from(&day.date), fields, &[])
}
