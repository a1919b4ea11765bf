//! The knowledge base.

use std::sync::Arc;

use orchestrator::{
    model::{Category, Entry, EntryChange, Learning, Provenance, Severity, SourceType, Time},
    store::Store,
};

use super::{
    each_backend,
    samples::{at, entry},
};

each_backend![Migrated:
    an_entry_comes_back_as_it_was_put,
    putting_an_entry_again_replaces_all_of_it,
    a_deleted_entry_is_gone_and_deleting_it_again_is_no_error,
    learnings_add_up_in_any_order,
    learning_does_in_the_store_what_it_does_in_memory,
    the_highest_severity_is_kept,
    changes_are_applied_in_their_order,
    several_writers_teach_one_entry,
];

fn full(id: &str) -> Entry {
    Entry {
        description: "Die Platte läuft voll 💾 \"quoted\" $set".to_owned(),
        root_cause: Some("logs".to_owned()),
        solution: "rotate".to_owned(),
        prerequisites: vec!["root".to_owned()],
        steps: vec!["df -h".to_owned(), "rm".to_owned()],
        expected_outcome: "space".to_owned(),
        tags: vec!["disk".to_owned(), "größe".to_owned()],
        related_entries: vec!["kb-2".to_owned()],
        occurrences: 4,
        success_rate: Some(0.5),
        provenance: Provenance {
            source_type: SourceType::Runbook,
            source_model: "person".to_owned(),
            derived_from: vec!["disk.md".to_owned()],
            evidence_date: Some("2026-11-24".to_owned()),
        },
        runbook_url: Some("https://runbooks/disk".to_owned()),
        mean_time_to_resolve_ms: Some(90_000),
        firing: Some(1),
        resolutions: 2,
        resolve_ms: 180_000,
        last_updated: at(5),
        ..bare(id)
    }
}

fn bare(id: &str) -> Entry {
    Entry::new(id.to_owned(), "Disk full".to_owned(), Category::AlertPattern, Severity::High, at(0))
}

async fn put(store: &dyn Store, entry: Entry) {
    store.apply(vec![EntryChange::Put(Arc::new(entry))]).await.unwrap();
}

async fn an_entry_comes_back_as_it_was_put(store: &dyn Store) {
    for category in Category::ALL {
        let mut bare = bare("kb-bare");
        bare.category = category;
        put(store, bare.clone()).await;
        assert_eq!(entry(store, "kb-bare").await, Some(bare));
    }
    put(store, full("kb-full")).await;
    assert_eq!(entry(store, "kb-full").await, Some(full("kb-full")));
    assert_eq!(store.entries(None).await.unwrap().len(), 2);
}

async fn putting_an_entry_again_replaces_all_of_it(store: &dyn Store) {
    put(store, full("kb")).await;
    put(store, bare("kb")).await;
    assert_eq!(store.entries(None).await.unwrap(), [bare("kb")]);
}

async fn a_deleted_entry_is_gone_and_deleting_it_again_is_no_error(store: &dyn Store) {
    put(store, full("kb")).await;
    put(store, full("other")).await;
    for _ in 0..2 {
        store.apply(vec![EntryChange::Delete("kb".to_owned())]).await.unwrap();
        assert_eq!(store.entries(None).await.unwrap(), [full("other")]);
    }
}

fn learned(n: i64, severity: Severity) -> Learning {
    let mut seed = full("kb");
    (seed.occurrences, seed.resolutions, seed.resolve_ms) = (0, 0, 0);
    (seed.success_rate, seed.mean_time_to_resolve_ms, seed.firing) = (None, None, None);
    (seed.first_seen, seed.last_updated, seed.severity) = (at(n), at(n), severity);
    Learning {
        severity,
        seen: at(n + 1),
        occurrences: n,
        resolutions: n / 2,
        resolve_ms: n * 1000,
        firing: n - n / 2,
        ..Learning::none(Arc::new(seed))
    }
}

async fn learnings_add_up_in_any_order(store: &dyn Store) {
    let learnings =
        [learned(3, Severity::Low), learned(1, Severity::High), learned(2, Severity::Medium)];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let changes = order.map(|n: usize| EntryChange::Learn(learnings[n].clone())).into();
        store.apply(changes).await.unwrap();
        let entry = entry(store, "kb").await.unwrap();
        assert_eq!((entry.occurrences, entry.resolutions, entry.resolve_ms), (6, 2, 6000));
        assert_eq!((entry.firing, entry.severity), (Some(4), Severity::High));
        assert_eq!((entry.first_seen, entry.last_updated), (at(1), at(4)));
        assert_eq!(entry.solution, "rotate");
        store.apply(vec![EntryChange::Delete("kb".to_owned())]).await.unwrap();
    }
}

async fn learning_does_in_the_store_what_it_does_in_memory(store: &dyn Store) {
    for category in Category::ALL {
        let id = format!("kb-{}", category.as_str());
        let mut learning = learned(5, Severity::Medium);
        let mut seed = Entry::clone(&learning.seed);
        (seed.id, seed.category) = (id.clone(), category);
        learning.seed = Arc::new(seed.clone());
        let mut in_memory = seed;
        for _ in 0..2 {
            learning.apply_to(&mut in_memory);
            store.apply(vec![EntryChange::Learn(learning.clone())]).await.unwrap();
            assert_eq!(entry(store, &id).await.as_ref(), Some(&in_memory));
        }
    }
}

async fn the_highest_severity_is_kept(store: &dyn Store) {
    for (sent, kept) in [
        (Severity::Medium, Severity::Medium),
        (Severity::Critical, Severity::Critical),
        (Severity::Low, Severity::Critical),
    ] {
        store.apply(vec![EntryChange::Learn(learned(1, sent))]).await.unwrap();
        assert_eq!(entry(store, "kb").await.unwrap().severity, kept);
    }
}

async fn changes_are_applied_in_their_order(store: &dyn Store) {
    let changes = vec![
        EntryChange::Put(Arc::new(full("kb"))),
        EntryChange::Delete("kb".to_owned()),
        EntryChange::Put(Arc::new(bare("kb"))),
        EntryChange::Put(Arc::new(full("other"))),
        EntryChange::Delete("other".to_owned()),
    ];
    store.apply(changes).await.unwrap();
    assert_eq!(store.entries(None).await.unwrap(), [bare("kb")]);
    store.apply(Vec::new()).await.unwrap();
}

async fn several_writers_teach_one_entry(store: &dyn Store) {
    let writers = (1..=6).map(|n| {
        let learning = Learning { seen: Time::from_millis(n), ..learned(1, Severity::Low) };
        store.apply(vec![EntryChange::Learn(learning)])
    });
    futures::future::try_join_all(writers).await.unwrap();
    assert_eq!(store.entries(None).await.unwrap().len(), 1);
    assert_eq!(entry(store, "kb").await.unwrap().occurrences, 6);
}
