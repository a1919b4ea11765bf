//! Of several open instances of a fingerprint the latest stays open.
//!
//! A group that opens an instance closes what it knows to be open. What two replicas open at the same
//! moment neither knows of: each hears of the other's and closes the earlier one, as does the next
//! receipt of either. What a process that died left behind is found after the next start.

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt;
use mongodb::bson::{Document, doc};

use super::{
    MongoStore,
    alerts::{self, replace},
    command,
    error::MongoError,
    wire::alert,
};
use crate::{
    model::{Collection, Time},
    store::recording::supersede,
};

/// Tries for instances that another process changes at the same time.
const TRIES: usize = 30;
/// Fingerprints that are asked for at once.
const PIECE: usize = 1_000;

/// Fingerprints of which several instances may be open.
#[derive(Debug)]
pub(super) struct Suspects {
    /// Any.
    all: bool,
    some: HashSet<String>,
}

impl Default for Suspects {
    fn default() -> Self {
        Self { all: true, some: HashSet::new() }
    }
}

impl Suspects {
    fn nobody() -> Self {
        Self { all: false, some: HashSet::new() }
    }

    /// One more.
    pub(super) fn add(&mut self, fingerprint: String) {
        self.some.insert(fingerprint);
    }

    fn merge(&mut self, others: Self) {
        self.all |= others.all;
        self.some.extend(others.some);
    }
}

/// Closes all open instances of the suspects and of these fingerprints but the latest of each;
/// returns how many. The figures of their entries are to be read again.
pub(super) async fn settle(
    store: &MongoStore,
    fingerprints: impl IntoIterator<Item = String>,
) -> Result<u64, MongoError> {
    let mut taken = Taken::of(store);
    taken.suspects.some.extend(fingerprints);
    let closed = close_earlier(store, &taken.suspects, None).await?;
    taken.suspects = Suspects::nobody();
    Ok(closed)
}

/// The same of all fingerprints. When the others changed stays: nobody received anything.
pub(super) async fn settle_all(store: &MongoStore) -> Result<u64, MongoError> {
    close_earlier(store, &Suspects::default(), Some(Time::from_millis(i64::MIN))).await
}

/// Suspects that are looked at; if that ends early, by an error or a time limit, they are suspects
/// again.
struct Taken<'a> {
    store: &'a MongoStore,
    suspects: Suspects,
}

impl<'a> Taken<'a> {
    fn of(store: &'a MongoStore) -> Self {
        let suspects = std::mem::replace(&mut *store.suspects.lock(), Suspects::nobody());
        Self { store, suspects }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let left = std::mem::replace(&mut self.suspects, Suspects::nobody());
        self.store.suspects.lock().merge(left);
    }
}

async fn close_earlier(
    store: &MongoStore,
    suspects: &Suspects,
    at: Option<Time>,
) -> Result<u64, MongoError> {
    let mut several = if suspects.all {
        several_of_all(store).await?
    } else {
        let some: Vec<_> = suspects.some.iter().map(String::as_str).collect();
        several_of(store, &some).await?
    };
    let mut closed = 0;
    for _ in 0..TRIES {
        if several.is_empty() {
            return Ok(closed);
        }
        let mut left = Vec::new();
        for piece in several.chunks(PIECE) {
            let (done, overtaken) = close(store, piece, at).await?;
            closed += done;
            left.extend(overtaken);
        }
        several = left;
    }
    Err(MongoError::Overtaken)
}

/// Closes the earlier ones of these fingerprints. Returns how many, and the fingerprints of which
/// another process changed one meanwhile.
async fn close(
    store: &MongoStore,
    fingerprints: &[String],
    at: Option<Time>,
) -> Result<(u64, Vec<String>), MongoError> {
    let open: Vec<_> = alerts::open(store, fingerprints).await?.iter().filter_map(alert).collect();
    let by_key: HashMap<_, _> = open.iter().map(|stored| (stored.alert.key(), stored)).collect();
    let earlier = supersede(open.iter().map(|stored| stored.alert.clone()).collect(), at);
    let statements: Vec<_> = earlier
        .iter()
        .filter_map(|alert| Some(replace(store, by_key.get(&alert.key())?, alert)))
        .collect();
    store.unsettled().extend(earlier.iter().map(|alert| alert.entry_id.clone()));
    let written = command::update(store, Collection::Alerts.name(), &statements).await?;
    let (mut done, mut overtaken) = (0, Vec::new());
    for (place, alert) in earlier.into_iter().enumerate() {
        match written.duplicate_keys.contains(&place) {
            true => overtaken.push(alert.fingerprint),
            false => done += 1,
        }
    }
    Ok((done, overtaken))
}

/// Those of these fingerprints that have several open instances.
async fn several_of(store: &MongoStore, fingerprints: &[&str]) -> Result<Vec<String>, MongoError> {
    let of_index = doc! { "_id": 0, "fingerprint": 1 };
    let documents = store.documents(Collection::Alerts);
    let (mut once, mut several) = (HashSet::new(), HashSet::new());
    for piece in fingerprints.chunks(PIECE) {
        let open = documents.find(alerts::of_open(piece)).projection(of_index.clone());
        let mut open = open.batch_size(2_000).await?;
        while let Some(document) = open.try_next().await? {
            let fingerprint = document.get_str("fingerprint").unwrap_or_default();
            if !once.insert(fingerprint.to_owned()) {
                several.insert(fingerprint.to_owned());
            }
        }
    }
    Ok(several.into_iter().collect())
}

/// All fingerprints that have several.
async fn several_of_all(store: &MongoStore) -> Result<Vec<String>, MongoError> {
    let pipeline = [
        doc! { "$match": { "status": "firing", "entryId": { "$gte": "" } } },
        doc! { "$group": { "_id": "$fingerprint", "open": { "$sum": 1 } } },
        doc! { "$match": { "open": { "$gt": 1 } } },
    ];
    let groups = store.documents(Collection::Alerts).aggregate(pipeline).await?;
    let groups: Vec<Document> = groups.try_collect().await?;
    Ok(groups.iter().filter_map(|group| group.get_str("_id").ok().map(str::to_owned)).collect())
}
