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
    index.apply(entries.iter().map(upsert)).unwrap();
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
        let plan = Plan::new(text, &Dictionary::new(&searcher, index.fields).unwrap());
        let bounds = Bounds { candidates: 10, postings };
        let found = ranking::best(&searcher, index.fields, &plan, bounds, &admitted);
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

fn hits(index: &Index, text: &str) -> Vec<Hit> {
    index.search(&Query { text, limit: 10, admits: &|_| true })
}

fn operations() -> Index {
    index(&[
        ("crash", "KubePodCrashLooping", "a pod dies and is restarted"),
        ("cert", "KubeletServerCertificateExpiration", "the certificate of a kubelet expires"),
        ("disk", "NodeFilesystemAlmostOutOfSpace", "little space is left on the disk"),
        ("conntrack", "NodeHighNumberConntrackEntriesUsed", "the conntrack table is nearly full"),
        ("down", "NodeDown", "the node does not answer"),
    ])
}

#[test]
fn scores_are_shares_of_one_that_compare_between_queries() {
    let index = operations();
    let best = |text: &str| hits(&index, text).first().map_or(0.0, |hit| hit.score);
    assert!(best("KubePodCrashLooping") > 0.9);
    let (all, half) = (best("disk space almost out"), best("xylophone quagga disk space"));
    assert!(all > half && half > 0.0, "{all} {half}");
    for text in ["KubePodCrashLooping", "disk", "node node node down", "a b c"] {
        assert!(hits(&index, text).iter().all(|hit| (0.0..=1.0).contains(&hit.score)), "{text}");
    }
}

#[test]
fn what_only_brushes_a_question_is_no_answer_to_rely_on() {
    let index = operations();
    for text in [
        "the office printer is slow and the server room is hot",
        "kafka consumers of the payments topic lag, is a pod to blame?",
        "java.lang.NullPointerException\n\tat com.acme.Cart.total(Cart.java:7)\n\tat com.acme.Main",
    ] {
        assert!(hits(&index, text).iter().all(|hit| !hit.is_sure()), "{text}");
        assert!(!index.answers(text, "down"), "{text}");
    }
    assert!(index.answers("the disk is almost out of space", "disk"));
    assert!(!index.answers("the disk is almost out of space", "cert"));
}

#[test]
fn a_word_that_is_typed_again_counts_once() {
    let index = index(&[("start", "SlowStart", "starts"), ("die", "DyingPods", "pods die")]);
    let once = hits(&index, "starts and dies");
    assert_eq!(hits(&index, "starts and dies and starts"), once);
}

#[test]
fn a_generic_word_in_a_title_does_not_beat_what_the_question_is_about() {
    let index = operations();
    assert_eq!(ask(&index, "the server has no disk space")[0], "disk");
    assert_eq!(ask(&index, "server does not answer, node is gone")[0], "down");
}

#[test]
fn of_two_that_hold_all_words_the_one_whose_title_says_nothing_else_is_first() {
    let index = index(&[
        ("long", "KubeMemoryQuotaOvercommit", "memory overcommit of quotas"),
        ("short", "KubeMemoryOvercommit", "memory overcommit"),
    ]);
    assert_eq!(ask(&index, "memory overcommit"), ["short", "long"]);
}

#[test]
fn the_rare_parts_of_a_long_paste_decide() {
    let index = operations();
    let noise = "2026-03-02T03:11:42.318Z INFO [pool-7-thread-3] com.acme.shop.Checkout \
                 requestId=6f1c2f0e-0b0a-4f5e-9d5e-2b8f7f1f5a11 took 143ms from 10.4.2.17:8080\n";
    let paste = format!(
        "{}[812345.113374] nf_conntrack: table full, dropping packet\n{}",
        noise.repeat(50),
        noise.repeat(50)
    );
    assert_eq!(ask(&index, &paste)[0], "conntrack");
    assert_eq!(ask(&index, "write /data/x: no space left on device (os error 28)")[0], "disk");
}

#[test]
fn highlights_are_the_parts_that_answer_in_utf16() {
    let mut runbook = entry("a", "NodeFilesystemAlmostOutOfSpace", "🔥 Ärger: little space left");
    Arc::make_mut(&mut runbook.text).solution =
        "Call the owner.\nFree some disk space with `journalctl`.".into();
    let index = Index::new().unwrap();
    index.apply(&[IndexChange::Upsert(Arc::new(runbook.clone()))]).unwrap();
    let found = index.find(&Query { text: "disk space", limit: 1, admits: &|_| true });
    let fragments = highlights(&runbook, &found.terms);
    assert_eq!(fragments[0].field, "solution");
    for fragment in &fragments {
        let units: Vec<u16> = fragment.text.encode_utf16().collect();
        let marked = fragment
            .spans
            .iter()
            .map(|[from, to]| String::from_utf16(&units[*from..*to]).unwrap().to_lowercase());
        let marked: Vec<String> = marked.collect();
        assert!(marked.contains(&"space".to_owned()), "{fragment:?}");
    }
    assert_eq!(fragments[0].text, "Free some disk space with `journalctl`.");
}

#[test]
fn a_question_that_shares_nothing_with_an_entry_is_not_searched() {
    let disk = entry("a", "NodeFilesystemAlmostOutOfSpace", "little space is left");
    let filter = Prefilter::new([&disk]);
    for (question, may) in [
        ("disk is full", true),
        ("filesytem", true),
        ("ilesystemAlm", true),
        ("xylophone quagga", false),
        ("why is it so?", false),
    ] {
        assert_eq!(filter.may_answer(question), may, "{question}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_is_an_error(text in "(\\PC|\n|[a-z]{3,9} |\\{\"|2026-03-02T03:11:42Z ){0,60}") {
        let index = operations();
        let found = index.find(&Query { text: &text, limit: 3, admits: &|_| true });
        let described = entry("x", "title", &text);
        highlights(&described, &found.terms);
        Prefilter::new([&described]).may_answer(&text);
    }
}
