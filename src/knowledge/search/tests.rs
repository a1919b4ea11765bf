//! The index as its caller sees it: what is found, and what comes first.

use super::*;
use crate::model::{EntryText, Severity, Time};

fn entry(id: &str, title: &str, description: &str) -> Entry {
    let text = EntryText {
        description: description.to_owned(),
        ..EntryText::new(title, Category::Runbook, Severity::Low)
    };
    Entry::new(id.to_owned(), text, Time::default())
}

fn index(entries: &[(&str, &str, &str)]) -> Index {
    let index = Index::new().unwrap();
    let upsert = |(id, title, text): &(&str, &str, &str)| {
        IndexChange::Upsert(Arc::new(entry(id, title, text)))
    };
    index.apply(&entries.iter().map(upsert).collect::<Vec<_>>()).unwrap();
    index
}

fn ask(index: &Index, text: &str) -> Vec<String> {
    ask_for(index, text, 10)
}

fn ask_for(index: &Index, text: &str, limit: usize) -> Vec<String> {
    let hits = index.search(&Query { text, limit, admits: &|_| true });
    hits.into_iter().map(|hit| hit.id).collect()
}

#[test]
fn a_change_is_found_as_soon_as_it_is_applied() {
    let index = index(&[("a", "DiskFull", "no space")]);
    assert_eq!(ask(&index, "disk full"), ["a"]);
    index.apply(&[IndexChange::Upsert(Arc::new(entry("a", "ClockSkew", "time")))]).unwrap();
    assert_eq!(ask(&index, "clock"), ["a"]);
    assert!(ask(&index, "no space").is_empty());
    index.apply(&[IndexChange::Remove("a".into()), IndexChange::Remove("b".into())]).unwrap();
    assert!(ask(&index, "clock").is_empty());
    assert!(index.is_empty());
}

#[test]
fn a_slot_used_again_answers_for_its_new_entry_only() {
    let index = index(&[("a", "DiskFull", ""), ("b", "ClockSkew", "")]);
    index.apply(&[IndexChange::Remove("a".into())]).unwrap();
    index.apply(&[IndexChange::Upsert(Arc::new(entry("c", "NodeDown", "")))]).unwrap();
    assert!(ask(&index, "full").is_empty());
    assert_eq!(ask(&index, "node down"), ["c"]);
}

#[test]
fn an_open_question_is_no_answer() {
    let index = index(&[("a", "DiskFull", "")]);
    let mut question = entry("a", "DiskFull", "");
    Arc::make_mut(&mut question.text).category = Category::Question;
    index.apply(&[IndexChange::Upsert(Arc::new(question))]).unwrap();
    assert!(ask(&index, "DiskFull").is_empty());
}

#[test]
fn any_way_to_write_a_name_finds_it_first() {
    let index = index(&[
        ("hpa", "KubeHPAMaxedOut", ""),
        ("sts", "KubeStatefulSetReplicasMismatch", ""),
        ("cm", "KubeControllerManagerDown", ""),
        ("api", "KubeAPIDown", "the node is down"),
    ]);
    for typed in ["KubeHPAMaxedOut", "kubehpamaxedout", "kube_hpa_maxed_out", "hpa-maxed"] {
        assert_eq!(ask(&index, typed)[0], "hpa", "{typed}");
    }
    for typed in ["statefulset mismatch", "stateful set replicas", "kubestateful"] {
        assert_eq!(ask(&index, typed)[0], "sts", "{typed}");
    }
    for typed in ["controler manager", "contorller", "ControllerManager", "manag"] {
        assert_eq!(ask(&index, typed)[0], "cm", "{typed}");
    }
}

#[test]
fn whatever_holds_the_query_is_found_even_among_many_better_ones() {
    let mut entries: Vec<(String, String)> =
        (0..200).map(|n| (format!("n{n:03}"), format!("NodeDown on node {n}"))).collect();
    entries.push(("odd".into(), "xyzNodeDo".into()));
    let index = Index::new().unwrap();
    let changes: Vec<_> = entries
        .iter()
        .map(|(id, title)| IndexChange::Upsert(Arc::new(entry(id, title, "node down"))))
        .collect();
    index.apply(&changes).unwrap();
    for typed in ["yznode", "XYZNODEDO", "yz"] {
        assert!(ask_for(&index, typed, 3).contains(&"odd".to_owned()), "{typed}");
    }
    assert!(ask_for(&index, "zNodeDo", 1).contains(&"odd".to_owned()));
}

#[test]
fn query_syntax_is_text() {
    let index = index(&[("a", "DiskFull AND more", "see (a): \"b\"")]);
    for typed in ["AND", "\"", ":", "(", "title:disk", "disk AND OR NOT (", "+ -", "^2 ~ *"] {
        ask(&index, typed);
    }
    assert_eq!(ask(&index, "\"disk full\" AND ("), ["a"]);
    assert_eq!(ask(&index, "(a): \"b\""), ["a"]);
}

#[test]
fn equal_hits_come_in_the_order_of_their_ids_whatever_the_limit() {
    let index = index(&[("c", "Disk", ""), ("a", "Disk", ""), ("b", "Disk", "")]);
    assert_eq!(ask(&index, "disk"), ["a", "b", "c"]);
    assert_eq!(ask_for(&index, "disk", 2), ["a", "b"]);
}

#[test]
fn a_filter_finds_the_admitted_however_far_down_they_are() {
    let entries: Vec<_> = (0..300).map(|n| format!("e{n:03}")).collect();
    let index = Index::new().unwrap();
    let changes: Vec<_> = entries
        .iter()
        .map(|id| IndexChange::Upsert(Arc::new(entry(id, "Disk", "disk disk"))))
        .collect();
    index.apply(&changes).unwrap();
    let admits = |id: &str| id == "e299";
    let hits = index.search(&Query { text: "filesystem", limit: 1, admits: &admits });
    assert_eq!(hits.first().map(|hit| hit.id.as_str()), Some("e299"));
}

#[test]
fn many_small_changes_leave_few_segments() {
    let index = index(&[]);
    for n in 0..80 {
        let entry = entry(&format!("e{n}"), "DiskFull", "");
        index.apply(&[IndexChange::Upsert(Arc::new(entry))]).unwrap();
    }
    let segments = index.reader.searcher().segment_readers().len();
    assert!(segments <= 8, "{segments}");
    assert_eq!(ask_for(&index, "disk", 100).len(), 80);
}

#[test]
fn words_that_all_entries_have_still_rank() {
    let index = Index::new().unwrap();
    let changes: Vec<_> = (0..300)
        .map(|n| {
            let title = if n == 7 { "NodeClockSkew" } else { "NodeDown" };
            IndexChange::Upsert(Arc::new(entry(&format!("e{n}"), title, "node")))
        })
        .collect();
    index.apply(&changes).unwrap();
    assert_eq!(ask(&index, "node clock")[0], "e7");
    assert_eq!(ask(&index, "node").len(), 10);
}

#[test]
fn a_bound_on_what_is_read_keeps_the_scores_of_what_is_found() {
    let titles = ["NodeDown", "NodeClockSkew", "NodeClockDown", "NodeFull", "NodeSlow"];
    let entries: Vec<_> = titles.map(|title| (title, title, "node")).to_vec();
    let index = index(&entries);
    let searcher = index.reader.searcher();
    let texts = index.texts.read();
    let admitted = |slot: u32| texts.id(slot);
    let found = |text: &str, postings| {
        let concepts = plan::concepts(text, &Dictionary::new(&searcher, index.fields));
        let bounds = Bounds { candidates: 10, postings };
        let found = ranking::best(&searcher, index.fields, &concepts, bounds, &admitted);
        found.unwrap().into_iter().map(|found| (found.id.to_owned(), found.score)).collect()
    };
    let all: Vec<(String, f32)> = found("node clock skew again", 1000);
    assert_eq!((all.len(), all[0].0.as_str()), (5, "NodeClockSkew"));
    for postings in 0..8 {
        let bounded: Vec<(String, f32)> = found("node clock skew again", postings);
        assert!(!bounded.is_empty() && (postings > 0 || bounded.len() < 5));
        assert!(bounded.iter().all(|hit| all.contains(hit)), "{bounded:?} of {all:?}");
    }
}

#[test]
fn words_that_say_little_find_nothing_beside_others() {
    let index = index(&[("a", "DiskFull", "how to fix it: keep trying")]);
    assert!(ask(&index, "how do I fix the flux capacitor?").is_empty());
    assert_eq!(ask(&index, "fix disk"), ["a"]);
    assert_eq!(ask(&index, "keep fix"), ["a"]);
}

#[test]
fn only_stop_words_find_what_holds_them() {
    let index = index(&[("a", "What to do", ""), ("b", "Disk", "")]);
    assert_eq!(ask(&index, "what to do"), ["a"]);
    assert!(ask(&index, "how is the").is_empty());
    assert!(ask(&index, "   ").is_empty());
}
