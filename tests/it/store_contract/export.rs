//! Exports: everything, once, and as it went in.

use futures::TryStreamExt;
use orchestrator::{
    model::{Collection, Entry, EntryDocument, Figures},
    store::{Store, Stored},
};
use serde_json::Value;

use super::{
    each_backend,
    knowledge::full,
    samples::{at, firing, record},
};

each_backend![Migrated:
    an_export_has_every_document_once_and_in_small_pieces,
    an_export_is_limited_to_the_collections_asked_for,
    an_entry_can_be_restored_from_its_export,
    leases_are_not_exported_and_the_schema_version_is,
    collections_are_counted,
];

/// On MongoDB it takes a server that isolates snapshots: see `mongodb_only`.
mod snapshot {
    use super::an_export_shows_one_moment;

    crate::store_contract::on_backend!(on_sqlite, Migrated: an_export_shows_one_moment);
}

/// All documents of a collection, through an export.
pub async fn documents(store: &dyn Store, collection: Collection) -> Vec<Value> {
    let export = store.export(vec![collection].into()).await.unwrap();
    let pieces: Vec<_> = export.documents.try_collect().await.unwrap();
    let documents: Vec<Value> = pieces
        .into_iter()
        .inspect(|(of, _)| assert_eq!(*of, collection))
        .flat_map(|(_, documents)| documents)
        .map(|text| serde_json::from_str(&text).unwrap())
        .collect();
    assert_eq!(export.counts, [(collection, documents.len() as u64)]);
    documents
}

async fn an_export_has_every_document_once_and_in_small_pieces(store: &dyn Store) {
    let group: Vec<_> = (0..1203).map(|n| firing(&format!("{n:016x}"))).collect();
    record(store, group).await;
    let export = store.export(Collection::ALL.to_vec().into()).await.unwrap();
    assert_eq!(export.counts.len(), Collection::ALL.len());
    assert!(export.database_bytes > 0);
    let mut seen = std::collections::HashSet::new();
    let mut order = Vec::new();
    let mut pieces = export.documents;
    while let Some((collection, texts)) = pieces.try_next().await.unwrap() {
        assert!((1..=500).contains(&texts.len()), "{}", texts.len());
        order.push(collection);
        for text in texts {
            let document: Value = serde_json::from_str(&text).unwrap();
            if collection == Collection::Alerts {
                assert!(seen.insert(document["fingerprint"].as_str().unwrap().to_owned()));
            }
        }
    }
    assert_eq!(seen.len(), 1203);
    assert!(order.is_sorted(), "{order:?}");
}

async fn an_export_is_limited_to_the_collections_asked_for(store: &dyn Store) {
    record(store, vec![firing("a")]).await;
    let export = store.export(vec![Collection::KnowledgeBase].into()).await.unwrap();
    assert_eq!(export.counts, [(Collection::KnowledgeBase, 1)]);
    let pieces: Vec<_> = export.documents.try_collect().await.unwrap();
    assert!(pieces.iter().all(|(collection, _)| *collection == Collection::KnowledgeBase));
    let nothing = store.export(vec![Collection::Metrics].into()).await.unwrap();
    assert!(nothing.documents.try_collect::<Vec<_>>().await.unwrap().is_empty());
}

async fn an_entry_can_be_restored_from_its_export(store: &dyn Store) {
    // As earlier processes summed it up, with an alert of it in the store.
    record(store, vec![firing("a")]).await;
    let stored = store.entries().await.unwrap().remove(0);
    let known = Entry { id: stored.id.clone(), version: 7, ..full("kb") };
    store.put(vec![Stored::Entry(Box::new(known.clone()))]).await.unwrap();
    let documents = documents(store, Collection::KnowledgeBase).await;
    assert_eq!(documents[0]["firstSeen"], at(0).millis());
    assert_eq!((&documents[0]["occurrences"], &documents[0]["firing"]), (&5.into(), &1.into()));
    assert!(documents[0].get("_id").is_none());
    let read = EntryDocument::parse(&documents[0]).unwrap().into_entry(&Figures::default());
    assert_eq!(read, known);
}

async fn leases_are_not_exported_and_the_schema_version_is(store: &dyn Store) {
    let ttl = std::time::Duration::from_secs(60);
    assert!(store.acquire_lease("retention", "a", ttl).await.unwrap().is_some());
    let state = documents(store, Collection::SystemState).await;
    let keys: Vec<_> = state.iter().filter_map(|document| document["key"].as_str()).collect();
    assert!(keys.contains(&"schema_version") && keys.contains(&"migration:0001"), "{keys:?}");
    assert!(!keys.iter().any(|key| key.starts_with("lease:")), "{keys:?}");
    let version = state.iter().find(|document| document["key"] == "schema_version").unwrap();
    assert_eq!(version["value"], store.schema_version().await.unwrap());
}

async fn collections_are_counted(store: &dyn Store) {
    record(store, vec![firing("a"), firing("b")]).await;
    let counts = store.collection_counts().await.unwrap();
    assert_eq!(counts.len(), Collection::ALL.len());
    assert!(counts.contains(&(Collection::Alerts, 2)), "{counts:?}");
    assert!(counts.contains(&(Collection::KnowledgeBase, 1)), "{counts:?}");
    assert!(counts.contains(&(Collection::Metrics, 0)), "{counts:?}");
    assert!(store.sample_counts(at(0), at(99_999)).await.unwrap().is_empty());
    assert_eq!(store.consolidations_after(at(0)).await.unwrap(), []);
}

/// Counts and documents are those of the moment at which the export began.
pub async fn an_export_shows_one_moment(store: &dyn Store) {
    record(store, (0..700).map(|n| firing(&format!("old-{n}"))).collect()).await;
    let export =
        store.export(vec![Collection::Alerts, Collection::KnowledgeBase].into()).await.unwrap();
    let mut pieces = export.documents;
    let (_, mut texts) = pieces.try_next().await.unwrap().unwrap();
    record(store, (0..700).map(|n| firing(&format!("new-{n}"))).collect()).await;
    while let Some((_, more)) = pieces.try_next().await.unwrap() {
        texts.extend(more);
    }
    assert_eq!(export.counts, [(Collection::Alerts, 700), (Collection::KnowledgeBase, 1)]);
    assert_eq!(texts.len(), 701);
    assert!(!texts.iter().any(|text| text.contains("new-")));
    assert!(texts[700].contains(r#""occurrences":700"#), "{}", texts[700]);
}
