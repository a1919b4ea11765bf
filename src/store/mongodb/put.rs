//! Documents written whole, over the one with the same natural key.

use mongodb::bson::{self, Bson, Document, doc};

use super::{
    MongoStore, WHOLE, command,
    fault::Fault,
    knowledge::put_statement,
    wire::{ALERT_OPTIONAL, alert_fields, alert_id, date, missing, sample_fields, sample_id},
    within,
};
use crate::{
    model::{Alert, Collection, Consolidation, Sample},
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

async fn put_piece(store: &MongoStore, documents: Vec<Stored>) -> Result<(), Fault> {
    let mut statements: Vec<(Collection, Vec<Document>)> =
        Collection::ALL.map(|collection| (collection, Vec::new())).into();
    for document in documents {
        let collection = document.collection();
        let statement = statement(document)?;
        let of_collection = statements.iter_mut().find(|(known, _)| *known == collection);
        of_collection.into_iter().for_each(|(_, list)| list.push(statement.clone()));
    }
    for (collection, statements) in statements {
        write(store, collection, statements).await?;
    }
    Ok(())
}

async fn write(
    store: &MongoStore,
    collection: Collection,
    mut left: Vec<Document>,
) -> Result<(), Fault> {
    for _ in 0..TRIES {
        if left.is_empty() {
            return Ok(());
        }
        let updated = command::update(&store.db, None, collection, &left, false).await?;
        left = updated.raced.into_iter().map(|place| left[place].clone()).collect();
    }
    if left.is_empty() { Ok(()) } else { Err(Fault::Overtaken) }
}

fn statement(document: Stored) -> Result<Document, Fault> {
    Ok(match document {
        Stored::Alert(alert) => put_alert(&alert),
        Stored::Sample(sample) => put_sample(&sample),
        Stored::Entry(entry) => put_statement(&entry),
        Stored::Consolidation(day) => put_consolidation(&day)?,
        Stored::State(key, fields) => {
            let fields = bson::serialize_to_document(&fields);
            let fields = fields.map_err(|_| Fault::Answer("a record that BSON cannot hold"))?;
            set(doc! { "key": &key }, Bson::from(key), fields, &[])
        }
    })
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

fn put_alert(alert: &Alert) -> Document {
    let id = alert_id(&alert.key());
    let mut fields = alert_fields(alert);
    fields.insert("timestamp", date(alert.timestamp));
    fields.insert("firstReceived", date(alert.first_received));
    set(doc! { "_id": &id }, id.into(), fields, &ALERT_OPTIONAL)
}

fn put_sample(sample: &Sample) -> Document {
    let id = sample_id(sample);
    set(doc! { "_id": &id }, id.into(), sample_fields(sample), &[])
}

fn put_consolidation(day: &Consolidation) -> Result<Document, Fault> {
    let fields = bson::serialize_to_document(day);
    let mut fields = fields.map_err(|_| Fault::Answer("a consolidation that BSON cannot hold"))?;
    fields.insert("timestamp", date(day.timestamp));
    Ok(set(doc! { "date": &day.date }, Bson::from(&day.date), fields, &[]))
}
