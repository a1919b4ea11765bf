//! Pages of alerts: a cursor in the order of an index. Alerts of the old orchestrator have no
//! first receipt and are not listed.

use futures::TryStreamExt;
use mongodb::bson::{Document, doc};

use super::{
    MongoStore,
    error::MongoError,
    wire::{alert, alert_id, date},
};
use crate::{
    model::{Alert, Collection, Status, Time},
    store::{
        AlertFilter, AlertPage,
        listing::{ListPosition, PageBuilder, Walk},
    },
};

/// Up to `limit` alerts after a position; `None` if that is none of this walk.
pub(super) async fn alerts(
    store: &MongoStore,
    filter: &AlertFilter,
    after: Option<&ListPosition>,
    limit: usize,
) -> Result<Option<AlertPage>, MongoError> {
    let by_start = matches!(filter.walk(), Walk::Fingerprint(_));
    if after.is_some_and(|after| after.tie.is_empty() != by_start) {
        return Ok(None);
    }
    let documents = store.documents(Collection::Alerts);
    let batch = u32::try_from(limit).unwrap_or(u32::MAX).saturating_add(1);
    let find = documents.find(query(filter, after)).sort(order(by_start)).batch_size(batch);
    let mut found = find.await?;
    let mut page = PageBuilder::new(filter, limit);
    while let Some(document) = found.try_next().await? {
        let Some(stored) = alert(&document) else { continue };
        let position = position(&stored.alert, by_start);
        if page.offer(stored.alert, position).is_break() {
            break;
        }
    }
    Ok(Some(page.finish()))
}

fn position(alert: &Alert, by_start: bool) -> ListPosition {
    match by_start {
        true => ListPosition { at: alert.starts_at, tie: String::new() },
        false => ListPosition { at: alert.first_received, tie: alert_id(&alert.key()) },
    }
}

pub(super) fn order(by_start: bool) -> Document {
    match by_start {
        // As the index has it; all are of one fingerprint.
        true => doc! { "fingerprint": 1, "startsAt": -1 },
        false => doc! { "firstReceived": -1, "_id": -1 },
    }
}

/// The stretches of the index that are walked. Several statuses are several stretches, which the
/// server merges.
pub(super) fn query(filter: &AlertFilter, after: Option<&ListPosition>) -> Document {
    let mut query = match filter.walk() {
        Walk::Fingerprint(fingerprint) => {
            let mut query = doc! { "fingerprint": fingerprint };
            if let Some(after) = after {
                query.insert("startsAt", doc! { "$lt": date(after.at) });
            }
            return query;
        }
        Walk::Name(name) => doc! { "name": name },
        Walk::Severity(severity) => doc! { "severity": severity },
        Walk::Status(_) | Walk::All => Document::new(),
    };
    if filter.walk() != Walk::All {
        let statuses = filter.statuses().iter().copied().map(Status::as_str);
        query.insert("status", doc! { "$in": statuses.collect::<Vec<_>>() });
    }
    // A lower bound in any case: documents without a first receipt are not of this service.
    let from = filter.from.unwrap_or(Time::from_millis(i64::MIN));
    let mut receipt = doc! { "$gte": date(from) };
    if let Some(until) = filter.until {
        receipt.insert("$lt", date(until));
    }
    if let Some(after) = after {
        receipt.insert("$lte", date(after.at));
        let earlier = doc! { "firstReceived": { "$lt": date(after.at) } };
        query.insert("$or", [earlier, doc! { "_id": { "$lt": &after.tie } }]);
    }
    query.insert("firstReceived", receipt);
    query
}
