//! Pages of alerts: a cursor in the order of an index. Alerts of the old orchestrator have no
//! first receipt and are not listed.

use futures::TryStreamExt;
use mongodb::{
    bson::{Document, doc},
    options::Hint,
};

use super::{
    MongoStore,
    error::MongoError,
    wire::{alert, alert_id, date, of_fingerprint, one_of},
};
use crate::{
    model::{Alert, Collection, Time},
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
    let query = query(filter, after);
    let find = documents.find(query.clone()).sort(order(by_start)).batch_size(batch);
    let mut found = find.hint(Hint::Keys(index(&query, by_start))).await?;
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
        // All are of one fingerprint: few enough to be sorted.
        true => doc! { "startsAt": -1 },
        false => doc! { "firstReceived": -1, "_id": -1 },
    }
}

/// The index that is walked, so that the server looks for no other: what is equal, then the order.
fn index(query: &Document, by_start: bool) -> Document {
    if by_start {
        return doc! { "_id": 1 };
    }
    let equal = ["name", "severity", "status"].into_iter().filter(|name| query.contains_key(*name));
    let mut keys: Document = equal.map(|name| (name.to_owned(), 1.into())).collect();
    let by_status_alone = keys.len() == 1;
    keys.extend(order(by_start));
    if by_status_alone {
        // It is what severities are counted from, too.
        keys.insert("severity", 1);
    }
    keys
}

/// The stretches of the index that are walked. Several statuses are several stretches, which the
/// server merges.
pub(super) fn query(filter: &AlertFilter, after: Option<&ListPosition>) -> Document {
    let mut query = match filter.walk() {
        Walk::Fingerprint(fingerprint) => {
            let mut query = of_fingerprint(fingerprint);
            if let Some(after) = after {
                query.insert("startsAt", doc! { "$lt": date(after.at) });
            }
            return query;
        }
        Walk::Name(name) => doc! { "name": name },
        Walk::Severity(severity) => doc! { "severity": severity },
        Walk::Status(_) | Walk::All => Document::new(),
    };
    query.insert("status", one_of(filter.statuses()));
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mongodb::bson::Bson;

    use super::{super::schema::MIGRATIONS, *};
    use crate::model::Status;

    fn filters() -> Vec<AlertFilter> {
        let text = || Some("x".to_owned());
        let all = AlertFilter::default;
        let firing = Some(Status::Firing);
        let (from, until) = (Some(Time::from_millis(1)), Some(Time::from_millis(9)));
        vec![
            all(),
            AlertFilter { from, until, ..all() },
            AlertFilter { status: firing, ..all() },
            AlertFilter { status: firing, from, ..all() },
            AlertFilter { name: text(), ..all() },
            AlertFilter { name: text(), status: firing, until, ..all() },
            AlertFilter { severity: text(), ..all() },
            AlertFilter { severity: text(), status: firing, ..all() },
            AlertFilter { name: text(), severity: text(), ..all() },
            AlertFilter { fingerprint: text(), name: text(), from, ..all() },
        ]
    }

    /// What is asked of the server, and whether it is in the order of starts.
    fn asked() -> Vec<(Document, bool)> {
        let mut asked = Vec::new();
        for filter in filters() {
            let by_start = filter.fingerprint.is_some();
            let tie = if by_start { String::new() } else { "f:5".to_owned() };
            for after in [None, Some(ListPosition { at: Time::from_millis(5), tie })] {
                asked.push((query(&filter, after.as_ref()), by_start));
            }
        }
        asked
    }

    /// The indexes of alerts that the migrations leave.
    fn index_keys() -> Vec<Document> {
        let key = |index: &Bson| {
            let index = index.as_document().unwrap();
            let key = index.get_document("key").unwrap().clone();
            let direction = |direction| super::super::wire::integer(&direction).unwrap() as i32;
            let key =
                key.into_iter().map(|(name, of)| (name, Bson::Int32(direction(of)))).collect();
            (index.get_str("name").unwrap().to_owned(), key)
        };
        let mut keys = BTreeMap::from([("_id_".to_owned(), doc! { "_id": 1 })]);
        for migration in MIGRATIONS {
            let commands: Vec<Document> = serde_json::from_str(migration.script).unwrap();
            for command in commands {
                if command.get_str("createIndexes").is_ok_and(|of| of == "alerts") {
                    keys.extend(command.get_array("indexes").unwrap().iter().map(key));
                }
                if command.get_str("dropIndexes").is_ok_and(|of| of == "alerts") {
                    assert!(keys.remove(command.get_str("index").unwrap()).is_some(), "{command}");
                }
            }
        }
        keys.into_values().collect()
    }

    /// Values that are equal come first in an index, then the order: so it is walked, not sorted.
    #[test]
    fn every_list_has_an_index_in_its_order() {
        let indexes = index_keys();
        for (query, by_start) in asked() {
            let expected = index(&query, by_start);
            assert!(indexes.contains(&expected), "{query}: {expected}");
        }
    }

    /// Where there is a server, and it tells. Not that it sorts: SecantusDB says so whatever it does.
    #[tokio::test]
    #[allow(clippy::disallowed_methods)] // why: tests are told by it which services there are
    async fn the_server_reads_no_collection_whole() {
        let Ok(uri) = std::env::var("TEST_MONGODB_URI") else { return };
        let database = format!("test_plans_{:08x}", rand::random::<u32>());
        let store = MongoStore::open(&uri.into(), &database).await.unwrap();
        let clock = crate::model::SystemClock;
        crate::store::migrate::up(&store, "test", &clock, false).await.unwrap();
        for (query, by_start) in asked() {
            let (hint, order) = (index(&query, by_start), order(by_start));
            let find = doc! { "find": "alerts", "filter": query, "sort": order, "hint": hint };
            let explain = doc! { "explain": find, "verbosity": "queryPlanner" };
            let Ok(plan) = store.db.run_command(explain).await else { return };
            let plan = plan.get_document("queryPlanner").unwrap().get("winningPlan").unwrap();
            let plan = plan.to_string();
            assert!(plan.contains("IXSCAN") && !plan.contains("COLLSCAN"), "{plan}");
        }
    }
}
