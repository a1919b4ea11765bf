//! The knowledge base: entries, and the changes of them, each compare-and-set.

use std::sync::Arc;

use orchestrator::{
    model::{
        AlertPattern, Author, Category, Entry, EntryText, Note, Provenance, ReceivedAlert,
        Severity, SourceType, SummedUp, Tally, TextField, TextSource,
    },
    store::{Edit, Edited, ExpiryBatch, Group, Store, Stored, StoredEmbedding},
};

use super::{
    each_backend,
    samples::{
        at, delete, edit, entry, firing, group, learned, learned_figures, make, pattern, record,
        resolved, shown,
    },
};

each_backend![Migrated:
    an_entry_comes_back_as_it_was_made,
    an_edit_is_made_of_the_version_that_it_expects_and_of_no_other,
    an_entry_is_made_once,
    an_edit_keeps_the_sums_and_only_adds_sources,
    the_file_of_a_runbook_tells_where_it_is_from,
    a_question_takes_its_sums_with_it,
    sources_are_added_whatever_the_version,
    an_entry_is_deleted_if_it_is_of_the_version_expected,
    edits_are_made_in_their_order,
    of_several_editors_one_wins_and_the_others_see_it,
    a_pattern_is_made_with_its_first_alert_and_never_over_another,
    a_repeat_does_not_bring_a_deleted_entry_back,
    a_known_pattern_is_made_anew_where_another_process_deleted_it,
    an_entry_made_anew_counts_what_is_still_stored,
    what_was_summed_up_goes_with_the_entry,
    loading_shows_all_entries_and_figures_at_once,
    embeddings_are_kept_while_somebody_asks_for_them,
];

/// An entry with everything in it.
pub fn full(id: &str) -> Entry {
    let text = EntryText {
        description: "Die Platte läuft voll 💾 \"quoted\" $set".to_owned(),
        root_cause: Some("logs".to_owned()),
        solution: "rotate".to_owned(),
        prerequisites: vec!["root".to_owned()],
        steps: vec!["df -h".to_owned(), "rm".to_owned()],
        expected_outcome: "space".to_owned(),
        tags: vec!["disk".to_owned(), "größe".to_owned()],
        related_entries: vec!["kb-2".to_owned()],
        runbook_url: Some("https://runbooks/disk".to_owned()),
        ..EntryText::new("Disk full", Category::AlertPattern, Severity::High)
    };
    let source = |by, name: &str| TextSource { by, name: name.to_owned(), at: at(2) };
    let provenance = Provenance {
        source_type: SourceType::Manual,
        source_model: "person".to_owned(),
        derived_from: vec!["disk.md".to_owned()],
        evidence_date: Some("2026-11-24".to_owned()),
        texts: [
            (TextField::Solution, source(Author::Person, "operator")),
            (TextField::Tags, source(Author::Alert, "f$.1")),
        ]
        .into(),
    };
    Entry {
        text: Arc::new(text),
        provenance: Arc::new(provenance),
        pattern: Some(Arc::new(AlertPattern { alertname: "DiskFull".into(), cause: "".into() })),
        written: at(5),
        notes: Arc::new(vec![Note { text: "ü".into(), author: "viewer".into(), at: at(3) }]),
        helped: 2,
        not_helped: 1,
        summed_up: SummedUp {
            tally: Tally { occurrences: 4, resolved: 2, superseded: 1, resolve_ms: 180_000 },
            last_fired: Some(at(-9)),
            last_changed: Some(at(-8)),
            ..SummedUp::default()
        },
        ..bare(id)
    }
}

fn bare(id: &str) -> Entry {
    let text = EntryText::new("Disk full", Category::Troubleshooting, Severity::High);
    Entry::new(id.to_owned(), text, at(0))
}

/// The same entry, changed once more.
fn next(entry: &Entry, title: &str) -> Entry {
    let text = EntryText { title: title.to_owned(), ..EntryText::clone(&entry.text) };
    Entry { text: Arc::new(text), version: entry.version + 1, written: at(6), ..entry.clone() }
}

fn write(entry: &Entry) -> Edit {
    Edit::Write { entry: Arc::new(entry.clone()), expected: Some(entry.version - 1) }
}

fn conflict(stored: &Entry) -> Edited {
    Edited::Conflict(Box::new(stored.clone()))
}

async fn an_entry_comes_back_as_it_was_made(store: &dyn Store) {
    for category in Category::ALL {
        let mut made = full(&format!("kb-{}", category.as_str()));
        Arc::make_mut(&mut made.text).category = category;
        make(store, made.clone()).await;
        assert_eq!(entry(store, &made.id).await, Some(made));
    }
    make(store, bare("kb-bare")).await;
    assert_eq!(entry(store, "kb-bare").await, Some(bare("kb-bare")));
    assert_eq!(store.entries().await.unwrap().len(), Category::ALL.len() + 1);
    assert_eq!(store.entry("kb-none").await.unwrap(), None);
}

async fn an_edit_is_made_of_the_version_that_it_expects_and_of_no_other(store: &dyn Store) {
    make(store, full("kb")).await;
    let second = next(&full("kb"), "second");
    assert_eq!(edit(store, vec![write(&second)]).await, [Edited::Done]);
    assert_eq!(entry(store, "kb").await, Some(second.clone()));
    // Made of the first version, which is gone.
    let late = next(&full("kb"), "late");
    assert_eq!(edit(store, vec![write(&late)]).await, [conflict(&second)]);
    let early = Edit::Write { entry: Arc::new(next(&second, "early")), expected: Some(9) };
    assert_eq!(edit(store, vec![early]).await, [conflict(&second)]);
    assert_eq!(entry(store, "kb").await, Some(second));
    assert_eq!(edit(store, vec![write(&next(&full("gone"), "?"))]).await, [Edited::Missing]);
    assert_eq!(entry(store, "gone").await, None);
}

async fn an_entry_is_made_once(store: &dyn Store) {
    make(store, full("kb")).await;
    let again = Edit::Write { entry: Arc::new(bare("kb")), expected: None };
    assert_eq!(edit(store, vec![again]).await, [conflict(&full("kb"))]);
    assert_eq!(entry(store, "kb").await, Some(full("kb")));
}

async fn an_edit_keeps_the_sums_and_only_adds_sources(store: &dyn Store) {
    make(store, full("kb")).await;
    let mut changed = next(&full("kb"), "second");
    changed.summed_up = SummedUp::default();
    let provenance = Arc::make_mut(&mut changed.provenance);
    provenance.derived_from = vec!["other.md".to_owned()];
    // Of a runbook the file alone tells where it is from.
    provenance.source_type = SourceType::Manual;
    assert_eq!(edit(store, vec![write(&changed)]).await, [Edited::Done]);
    let stored = entry(store, "kb").await.unwrap();
    assert_eq!(stored.summed_up, full("kb").summed_up);
    assert_eq!(stored.provenance.derived_from.len(), 2, "{:?}", stored.provenance);
    assert_eq!(stored.title, "second");
}

async fn the_file_of_a_runbook_tells_where_it_is_from(store: &dyn Store) {
    let mut runbook = full("kb");
    Arc::make_mut(&mut runbook.provenance).source_type = SourceType::Runbook;
    make(store, runbook.clone()).await;
    let mut moved = next(&runbook, "second");
    Arc::make_mut(&mut moved.provenance).derived_from = vec!["other.md".to_owned()];
    assert_eq!(edit(store, vec![write(&moved)]).await, [Edited::Done]);
    let stored = entry(store, "kb").await.unwrap();
    assert_eq!(stored.provenance.derived_from, ["other.md"]);
}

async fn a_question_takes_its_sums_with_it(store: &dyn Store) {
    let text = EntryText::new("why?", Category::Question, Severity::Low);
    let mut asked = Entry::new("kb-question".to_owned(), text, at(0));
    asked.summed_up.tally.occurrences = 1;
    make(store, asked.clone()).await;
    asked.summed_up.tally.occurrences = 5;
    asked.version += 1;
    assert_eq!(edit(store, vec![write(&asked)]).await, [Edited::Done]);
    assert_eq!(entry(store, "kb-question").await.unwrap().occurrences(), 5);
}

async fn sources_are_added_whatever_the_version(store: &dyn Store) {
    make(store, full("kb")).await;
    let add = |sources: &[&str]| Edit::AddSources {
        id: "kb".to_owned(),
        sources: sources.iter().map(|source| (*source).to_owned()).collect(),
    };
    for _ in 0..2 {
        let edits = vec![add(&["kb-question-1"]), add(&["kb-question-2", "disk.md"])];
        assert_eq!(edit(store, edits).await, [Edited::Done, Edited::Done]);
        let stored = entry(store, "kb").await.unwrap();
        let sources = ["disk.md", "kb-question-1", "kb-question-2"];
        assert_eq!(stored.provenance.derived_from, sources);
        let mut rest = stored;
        rest.provenance = full("kb").provenance;
        assert_eq!(rest, full("kb"), "nothing else changes");
    }
    delete(store, "kb").await;
    assert_eq!(edit(store, vec![add(&["kb-question-1"])]).await, [Edited::Missing]);
}

async fn an_entry_is_deleted_if_it_is_of_the_version_expected(store: &dyn Store) {
    make(store, full("kb")).await;
    make(store, full("other")).await;
    let of = |expected| vec![Edit::Delete { id: "kb".to_owned(), expected }];
    assert_eq!(edit(store, of(Some(2))).await, [conflict(&full("kb"))]);
    assert_eq!(edit(store, of(Some(1))).await, [Edited::Done]);
    for expected in [None, Some(1)] {
        assert_eq!(edit(store, of(expected)).await, [Edited::Missing]);
    }
    assert_eq!(store.entries().await.unwrap(), [full("other")]);
}

async fn edits_are_made_in_their_order(store: &dyn Store) {
    let (first, second) = (full("kb"), next(&full("kb"), "second"));
    let create = |entry: &Entry| Edit::Write { entry: Arc::new(entry.clone()), expected: None };
    let remove = |id: &str| Edit::Delete { id: id.to_owned(), expected: None };
    let edits = vec![
        create(&first),
        write(&second),
        remove("kb"),
        write(&next(&second, "third")),
        create(&bare("kb")),
        create(&full("other")),
        remove("other"),
    ];
    let done = edit(store, edits).await;
    let expected = [true, true, true, false, true, true, true];
    assert_eq!(done.iter().map(|edited| *edited == Edited::Done).collect::<Vec<_>>(), expected);
    assert_eq!(store.entries().await.unwrap(), [bare("kb")]);
    assert!(edit(store, Vec::new()).await.is_empty());
}

async fn of_several_editors_one_wins_and_the_others_see_it(store: &dyn Store) {
    make(store, full("kb")).await;
    let editors = (0..6).map(|n| {
        let edits = vec![write(&next(&full("kb"), &n.to_string()))];
        store.commit(Arc::new(Group { edits, ..Group::default() }.into()))
    });
    let committed = futures::future::try_join_all(editors).await.unwrap();
    let stored = entry(store, "kb").await.unwrap();
    assert_eq!(stored.version, 2);
    let (won, lost): (Vec<_>, Vec<_>) =
        committed.into_iter().map(|c| c.edits).partition(|edits| edits[0] == Edited::Done);
    assert_eq!(won.len(), 1);
    assert!(lost.iter().all(|edits| edits[0] == conflict(&stored)), "{lost:?}");
}

async fn a_pattern_is_made_with_its_first_alert_and_never_over_another(store: &dyn Store) {
    let first = record(store, vec![firing("a")]).await;
    assert_eq!((first.made.len(), first.found.len()), (1, 0));
    let made = Entry { figures: Default::default(), ..entry(store, &learned()).await.unwrap() };
    assert_eq!(made, pattern(&firing("a")));
    let other = ReceivedAlert { entry_severity: Severity::Critical, ..firing("b") };
    assert_eq!(record(store, vec![other]).await.found, std::slice::from_ref(&made));
    assert_eq!(store.entries().await.unwrap(), [made]);
    // Of several that make it at once, one does.
    delete(store, &learned()).await;
    let makers =
        (0..6).map(|n| store.commit(Arc::new(group(vec![firing(&format!("m{n}"))]).into())));
    futures::future::try_join_all(makers).await.unwrap();
    assert_eq!(store.entries().await.unwrap().len(), 1);
    assert_eq!(learned_figures(store).await, (8, 8, Some(0.0), None));
}

async fn a_repeat_does_not_bring_a_deleted_entry_back(store: &dyn Store) {
    record(store, vec![firing("a")]).await;
    delete(store, &learned()).await;
    record(store, vec![firing("a")]).await;
    assert!(store.entries().await.unwrap().is_empty());
    // A change of an instance does.
    record(store, vec![resolved("a")]).await;
    assert_eq!(learned_figures(store).await, (1, 0, Some(1.0), Some(600_000)));
}

async fn a_known_pattern_is_made_anew_where_another_process_deleted_it(store: &dyn Store) {
    record(store, vec![firing("a")]).await;
    let commit = async |alert: ReceivedAlert| {
        let mut group = group(vec![alert]);
        group.patterns.iter_mut().for_each(|pattern| pattern.known = true);
        store.commit(Arc::new(group.into())).await.unwrap()
    };
    let there = commit(firing("b")).await;
    assert_eq!((there.made.len(), there.found.len()), (0, 0), "what is known is not told");
    delete(store, &learned()).await;
    assert!(commit(firing("b")).await.made.is_empty(), "a repeat brings nothing back");
    assert_eq!(commit(firing("c")).await.made.len(), 1);
    assert_eq!(learned_figures(store).await, (3, 3, Some(0.0), None));
}

async fn an_entry_made_anew_counts_what_is_still_stored(store: &dyn Store) {
    record(store, vec![firing("a"), resolved("b"), firing("c")]).await;
    delete(store, &learned()).await;
    let orphans = store.figures(vec![learned()]).await.unwrap()[&learned()];
    assert_eq!((orphans.tally.occurrences, orphans.firing), (3, 2), "instances stay");
    record(store, vec![resolved("a")]).await;
    let figures = learned_figures(store).await;
    assert_eq!(figures, (3, 1, Some(2.0 / 3.0), Some(600_000)));
}

async fn expire(store: &dyn Store, before: i64) -> u64 {
    let batch = ExpiryBatch { before: at(before), limit: 100, now: at(before) };
    store.expire_alerts(batch).await.unwrap().deleted
}

async fn what_was_summed_up_goes_with_the_entry(store: &dyn Store) {
    record(store, vec![resolved("a"), resolved("b")]).await;
    assert_eq!(expire(store, 20).await, 2);
    // One comes back: it is part of the sums, and counts once.
    let back = ReceivedAlert { received_at: at(30), ..resolved("a") };
    record(store, vec![back]).await;
    assert_eq!(learned_figures(store).await, (2, 0, Some(1.0), Some(600_000)));
    delete(store, &learned()).await;
    let open = ReceivedAlert { received_at: at(31), ..firing("a") };
    let recorded = record(store, vec![open]).await;
    assert_eq!(recorded.stale, [learned()]);
    assert_eq!(learned_figures(store).await, (1, 1, Some(0.0), None));
    // The other is forgotten with the sums that it was part of.
    record(store, vec![ReceivedAlert { received_at: at(32), ..resolved("b") }]).await;
    assert_eq!(learned_figures(store).await, (2, 1, Some(0.5), Some(600_000)));
}

async fn loading_shows_all_entries_and_figures_at_once(store: &dyn Store) {
    let known = Entry { id: learned(), ..full("") };
    store
        .put(vec![Stored::Entry(Box::new(known)), Stored::Entry(Box::new(full("kb")))])
        .await
        .unwrap();
    record(store, vec![firing("a"), resolved("b")]).await;
    let orphan = ReceivedAlert { name: "Other".to_owned(), ..firing("c") };
    let unmade = Group { patterns: Vec::new(), ..group(vec![orphan]) };
    store.commit(Arc::new(unmade.into())).await.unwrap();
    let loaded = store.load().await.unwrap();
    assert_eq!(loaded.entries.len(), 2);
    assert_eq!(loaded.figures.len(), 2, "also of those without an entry: {:?}", loaded.figures);
    let stored = entry(store, &learned()).await.unwrap();
    assert_eq!(shown(&stored), (6, 1, Some(3.0 / 5.0), Some((180_000 + 600_000) / 3)));
    assert_eq!(stored.last_fired(), Some(at(0)));
    assert_eq!(stored.last_updated(), at(10));
}

async fn embeddings_are_kept_while_somebody_asks_for_them(store: &dyn Store) {
    let embedding = |hash: &str, byte: u8| StoredEmbedding {
        hash: hash.to_owned(),
        vector: vec![byte, 0, 255],
    };
    let found = async |day: i64| {
        let hashes = ["a", "b", "c"].map(str::to_owned).to_vec();
        let found = store.embeddings(hashes, at(day * 24 * 60)).await.unwrap();
        let mut found: Vec<_> = found.into_iter().map(|one| (one.hash, one.vector[0])).collect();
        found.sort();
        found
    };
    let kept = |of: &[(&str, u8)]| -> Vec<(String, u8)> {
        of.iter().map(|(hash, byte)| ((*hash).to_owned(), *byte)).collect()
    };
    assert_eq!(found(0).await, kept(&[]));
    store.keep_embeddings(vec![embedding("a", 1), embedding("b", 2)], at(0)).await.unwrap();
    // Again, as by two processes at once.
    store.keep_embeddings(vec![embedding("b", 3)], at(0)).await.unwrap();
    assert_eq!(found(1).await, kept(&[("a", 1), ("b", 3)]));

    // Only one is asked for meanwhile; the other is forgotten when something new is kept.
    store.embeddings(vec!["a".to_owned()], at(60 * 24 * 60)).await.unwrap();
    store.keep_embeddings(vec![embedding("c", 4)], at(100 * 24 * 60)).await.unwrap();
    assert_eq!(found(100).await, kept(&[("a", 1), ("c", 4)]));
    store.keep_embeddings(Vec::new(), at(100 * 24 * 60)).await.unwrap();
    assert_eq!(store.embeddings(Vec::new(), at(0)).await.unwrap(), []);
}
