//! Runbooks by the built binary: imported, imported again, linked with their alerts, and what the
//! knowledge base exports taken back.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::{Value, json};

use crate::harness::{Alert, Place, Running, eventually, on_each_store, payload};

on_each_store![
    a_folder_is_imported_once_and_again,
    the_services_own_runbook_answers_for_its_alerts,
    what_is_shipped_knows_itself_from_the_first_start,
    files_that_are_gone_are_pruned_when_told,
    a_runbook_becomes_an_entry_that_answers,
    a_runbook_that_comes_after_its_alert_is_linked_with_it,
    an_alert_that_comes_after_its_runbook_is_linked_with_it,
    a_pattern_of_another_title_stays_linked,
    an_import_closes_what_it_answers,
    the_markdown_export_gives_equal_entries,
    an_import_beside_the_service_is_soon_seen,
];

const DISK_FULL: &str = include_str!("runbooks/storage/DiskFull.md");

/// The folder of runbooks, copied to where the test may change it.
fn books(place: &Place) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/runbooks");
    let to = place.directory().join("books");
    fs::create_dir_all(to.join("storage")).unwrap();
    for name in ["CertificateExpiring.md", "LeaderMissing.md", "storage/DiskFull.md"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
    to
}

fn run(place: &Place, arguments: &[&str]) -> Output {
    let arguments = [&["knowledge", "import"], arguments].concat();
    place.command(&arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What an import that went well says at its end.
#[track_caller]
fn import(place: &Place, arguments: &[&str]) -> String {
    let output = run(place, arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout).to_owned()
}

/// All entries, as an admin exports them.
async fn exported(service: &Running) -> Vec<Value> {
    let answer = service.admin().get("/api/knowledge/export?format=json").await.expect(200);
    answer.json()["entries"].as_array().expect("a list").clone()
}

async fn start_and_export(place: &Place) -> Vec<Value> {
    let service = place.start().await;
    let entries = exported(&service).await;
    service.stop().await.unwrap();
    entries
}

fn titled<'a>(entries: &'a [Value], title: &str) -> &'a Value {
    let found = entries.iter().find(|entry| entry["title"] == title);
    found.unwrap_or_else(|| panic!("no {title} among {entries:?}"))
}

async fn a_folder_is_imported_once_and_again(place: &Place) {
    let books = books(place);
    assert_eq!(import(place, &["books"]), "3 created, 0 updated, 0 unchanged\n");
    let first = start_and_export(place).await;
    assert_eq!(first.len(), 3);
    assert_eq!(import(place, &["books"]), "0 created, 0 updated, 3 unchanged\n");
    assert_eq!(start_and_export(place).await, first);

    let changed = DISK_FULL.replace("make the volume larger", "call the owner");
    fs::write(books.join("storage/DiskFull.md"), changed).unwrap();
    assert_eq!(import(place, &["books"]), "0 created, 1 updated, 2 unchanged\n");
    let second = start_and_export(place).await;
    let (old, new) = (titled(&first, "A disk is full"), titled(&second, "A disk is full"));
    assert_eq!(new["solution"], "Delete rotated logs, or call the owner.");
    assert_eq!((&new["id"], &new["firstSeen"]), (&old["id"], &old["firstSeen"]));
    assert!(new["lastUpdated"].as_i64() > old["lastUpdated"].as_i64());
    assert_eq!(titled(&second, "CertificateExpiring"), titled(&first, "CertificateExpiring"));
    let told = place.audited("knowledge_changed");
    assert_eq!(
        told.last().unwrap()["details"],
        json!({
            "action": "import", "by": "command line", "created": 0, "updated": 1, "unchanged": 2, "pruned": 0,
        })
    );
}

async fn the_services_own_runbook_answers_for_its_alerts(place: &Place) {
    let summary = import(place, &["--own"]);
    let rules = include_str!("../../monitoring/alert-rules.yml").matches("- alert: ").count();
    let created: usize = summary.split(' ').next().unwrap().parse().unwrap();
    assert!(created >= rules, "{summary}");
    assert!(import(place, &["--own"]).starts_with("0 created, 0 updated, "));
    let service = place.start().await;
    let answer = service.operator().ask("OrchestratorStoreDown").await;
    let best = &answer["results"]["entries"][0];
    assert_eq!(best["title"], "OrchestratorStoreDown");
    assert!(best["solution"].as_str().unwrap().contains("do not restart"), "{best}");
}

async fn what_is_shipped_knows_itself_from_the_first_start(place: &Place) {
    let shipped = [("KNOWLEDGE_OWN_RUNBOOK", "true")];
    let service = place.start_with(&shipped).await;
    let answer = service.operator().ask("OrchestratorStoreDown").await;
    let best = &answer["results"]["entries"][0];
    assert_eq!(
        (&best["title"], &best["confidence"]),
        (&json!("OrchestratorStoreDown"), &json!("high"))
    );
    let told = place.audited_soon("knowledge_changed").await;
    assert_eq!(told[0]["details"]["by"], "start");
    // What people make of it stays.
    let path = format!("/api/knowledge/entries/{}", best["id"].as_str().unwrap());
    service.operator().delete(&path).await.expect(204);
    let known = service.operator().entry_titles().await;
    service.stop().await.unwrap();
    let service = place.start_with(&shipped).await;
    assert_eq!(service.operator().entry_titles().await, known);
    service.stop().await.unwrap();
}

async fn files_that_are_gone_are_pruned_when_told(place: &Place) {
    let books = books(place);
    import(place, &["books"]);
    let service = place.start().await;
    service.operator().write(&json!({"title": "Written by hand"})).await;
    service.alertmanager().notify(&payload([Alert::firing("DiskFull", "a")])).await.expect(200);
    service.stop().await.unwrap();
    fs::remove_file(books.join("storage/DiskFull.md")).unwrap();
    assert_eq!(import(place, &["books"]), "0 created, 0 updated, 2 unchanged\n");
    let pruned = import(place, &["--prune", "books"]);
    assert_eq!(pruned, "0 created, 0 updated, 2 unchanged, 1 pruned\n");
    let entries = start_and_export(place).await;
    let mut titles: Vec<_> = entries.iter().map(|entry| entry["title"].as_str().unwrap()).collect();
    titles.sort();
    let left = [
        "CertificateExpiring",
        "DiskFull: timeout",
        "Nobody is in charge of the cluster",
        "Written by hand",
    ];
    assert_eq!(titles, left);
}

async fn a_runbook_becomes_an_entry_that_answers(place: &Place) {
    books(place);
    import(place, &["books"]);
    let service = place.start().await;
    let answer = service.operator().ask("no space left on the filesystem").await;
    let entry = &answer["results"]["entries"][0];
    assert_eq!(
        (&entry["title"], &entry["category"], &entry["severity"]),
        (&json!("A disk is full"), &json!("runbook"), &json!("critical"))
    );
    assert_eq!(
        entry["description"],
        "No space is left on a filesystem.\n\n## Impact\n\nWrites fail, and the database stops."
    );
    let steps = json!([
        "Find the filesystem:\n\n```sh\ndf -h\n```",
        "Find what fills it: `du -xh --max-depth=1 /`",
    ]);
    assert_eq!(entry["steps"], steps);
    assert_eq!(entry["solution"], "Delete rotated logs, or make the volume larger.");
    assert_eq!(entry["tags"], json!(["DiskFull", "DiskAlmostFull", "storage", "node"]));
    let provenance = &entry["provenance"];
    assert_eq!(
        (&provenance["sourceType"], &provenance["derivedFrom"]),
        (&json!("runbook"), &json!(["books:storage/DiskFull.md"]))
    );
    for (query, title) in [
        ("DiskAlmostFull", "A disk is full"),
        ("LeaderMissing", "Nobody is in charge of the cluster"),
        ("tls certificate runs out", "CertificateExpiring"),
    ] {
        let titles = service.operator().titles(&json!({"query": query})).await;
        assert_eq!(titles.first().map(String::as_str), Some(title), "{query}");
    }
    let certificate = service.operator().ask("CertificateExpiring").await;
    assert_eq!(certificate["results"]["entries"][0]["rootCause"], "The renewal job is suspended.");
}

/// An alert whose rule says nothing of what helps.
fn disk_full() -> Alert {
    let annotations = json!({"description": "The filesystem is at 99%"});
    Alert::firing("DiskFull", "node1").with("annotations", annotations)
}

/// That pattern and runbook name each other, and that both are one answer: the pattern, with what
/// the runbook says.
async fn linked(service: &Running) {
    let answer = service.operator().ask("DiskFull").await;
    let [pattern] = answer["results"]["entries"].as_array().unwrap().as_slice() else {
        panic!("no single answer: {answer}")
    };
    assert_eq!(pattern["category"], "alert_pattern");
    let id = pattern["relatedEntries"][0].as_str().expect("the runbook");
    let runbook = service.viewer().entry(id).await;
    assert_eq!(runbook["category"], "runbook");
    assert_eq!(runbook["relatedEntries"], json!([pattern["id"]]));
    assert_eq!(pattern["solution"], runbook["solution"]);
    assert_eq!(pattern["steps"], runbook["steps"]);
    assert_eq!(answer["results"]["solutions"], json!([runbook["solution"]]));
    let read = service.viewer().entry(pattern["id"].as_str().unwrap()).await;
    assert_eq!(read["solution"], runbook["solution"]);
    // Borrowed, not taken: the pattern is kept as it was learned.
    let exported = exported(service).await;
    let kept = exported.iter().find(|entry| entry["id"] == pattern["id"]).unwrap();
    assert_eq!((&kept["solution"], &kept["relatedEntries"]), (&json!(""), &json!([])));
}

async fn a_runbook_that_comes_after_its_alert_is_linked_with_it(place: &Place) {
    let service = place.start().await;
    service.alertmanager().notify(&payload([disk_full()])).await.expect(200);
    assert_eq!(service.operator().ask("DiskFull").await["results"]["solutions"], json!([]));
    service.stop().await.unwrap();
    books(place);
    import(place, &["books"]);
    linked(&place.start().await).await;
}

async fn an_alert_that_comes_after_its_runbook_is_linked_with_it(place: &Place) {
    let books = books(place);
    import(place, &["books"]);
    let service = place.start().await;
    service.alertmanager().notify(&payload([disk_full()])).await.expect(200);
    linked(&service).await;
    service.stop().await.unwrap();
    let service = place.start().await;
    linked(&service).await;
    service.stop().await.unwrap();
    // With the runbook the link goes.
    fs::remove_file(books.join("storage/DiskFull.md")).unwrap();
    import(place, &["--prune", "books"]);
    let service = place.start().await;
    let entry = service.operator().ask("DiskFull").await["results"]["entries"][0].take();
    assert_eq!((&entry["relatedEntries"], &entry["solution"]), (&json!([]), &json!("")));
}

async fn a_pattern_of_another_title_stays_linked(place: &Place) {
    books(place);
    import(place, &["books"]);
    let service = place.start().await;
    service.alertmanager().notify(&payload([disk_full()])).await.expect(200);
    let pattern = service.summary().await["topIssues"][0].take();
    let path = format!("/api/knowledge/entries/{}", pattern["id"].as_str().unwrap());
    let text = json!({
        "title": "The disk of the queue", "rootCause": "Logs", "tags": pattern["tags"],
        "description": "DiskFull",
    });
    service.operator().put(&path, &text).await.expect(200);
    linked(&service).await;
    service.stop().await.unwrap();
    let service = place.start().await;
    linked(&service).await;
    service.alertmanager().notify(&payload([disk_full().resolved_after(5)])).await.expect(200);
    linked(&service).await;
}

async fn an_import_closes_what_it_answers(place: &Place) {
    let service = place.start().await;
    let gap = service.operator().ask("who is in charge of the cluster?").await["gap"]["id"].take();
    service.operator().ask("zebra stampede").await;
    service.stop().await.unwrap();
    books(place);
    import(place, &["books"]);
    assert_eq!(import(place, &["books"]), "0 created, 0 updated, 3 unchanged\n");
    let service = place.start().await;
    let page = service.summary().await;
    assert_eq!(page["stats"]["openQuestions"], 1);
    assert_eq!(page["openQuestions"][0]["query"], "zebra stampede");
    let exported = exported(&service).await;
    let runbook = titled(&exported, "Nobody is in charge of the cluster");
    assert_eq!(runbook["provenance"]["derivedFrom"], json!(["books:LeaderMissing.md", gap]));
}

/// A base with an entry of each kind and texts that Markdown and YAML may misunderstand.
async fn filled(place: &Place) -> Running {
    books(place);
    import(place, &["books"]);
    let service = place.start().await;
    let alerts = [disk_full(), disk_full().label("instance", "node2")];
    service.alertmanager().notify(&payload(alerts)).await.expect(200);
    let resolved = payload([disk_full().resolved_after(90)]);
    service.alertmanager().notify(&resolved).await.expect(200);
    service.operator().ask("zebra: \"stampede\"?").await;
    for entry in [
        json!({"title": "---\nid: \"no\"", "solution": "---\n\n## Steps\n\n1. no step\n",
            "description": "a\n\n---\nid: \"x\"\n---\n# Title\n```\nopen", "tags": ["a, b", "#"],
            "steps": ["1. one\n\n- two", "   indented", "```sh\nls\n```"], "rootCause": " "}),
        json!({"title": "Чёрный \u{1F5A4}\u{0}\u{85}", "expectedOutcome": "\ttab\r\nend\n\n",
            "prerequisites": ["- point", "null", "~"], "severity": "low",
            "runbookUrl": "https://runbooks.example.org/?a=b#c", "category": "metric_anomaly"}),
    ] {
        service.operator().write(&entry).await;
    }
    service
}

/// Without what only stored alerts tell, which are not part of the export of knowledge.
fn without_alerts(mut entries: Vec<Value>) -> Vec<Value> {
    for entry in &mut entries {
        for name in ["firing", "lastFired", "lastUpdated"] {
            if entry["category"] == "alert_pattern" {
                entry.as_object_mut().unwrap().remove(name);
            }
        }
    }
    entries
}

async fn the_markdown_export_gives_equal_entries(place: &Place) {
    let service = filled(place).await;
    let entries = exported(&service).await;
    assert_eq!(entries.len(), 7);
    let answer = service.admin().get("/api/knowledge/export?format=markdown").await.expect(200);
    assert_eq!(answer.header("content-type"), "text/markdown; charset=utf-8");
    service.stop().await.unwrap();
    let told = place.audited("data_export");
    assert_eq!(
        told.last().unwrap()["details"],
        json!({"key": "admin", "format": "markdown", "entries": 7})
    );

    // Into an empty base.
    let other = Place::sqlite();
    fs::write(other.directory().join("knowledge.md"), &answer.body).unwrap();
    let output = run(&other, &["knowledge.md"]);
    assert_eq!(text(&output.stdout), "7 created, 0 updated, 0 unchanged\n");
    assert!(!text(&output.stderr).contains("knowledge.md"), "{}", text(&output.stderr));
    assert_eq!(import(&other, &["knowledge.md"]), "0 created, 0 updated, 7 unchanged\n");
    let service = other.start().await;
    assert_eq!(without_alerts(exported(&service).await), without_alerts(entries));

    // Alerts are counted on top of what the entry was exported with.
    let alert = disk_full().label("instance", "node3");
    service.alertmanager().notify(&payload([alert])).await.expect(200);
    let exported = exported(&service).await;
    let pattern = titled(&exported, "DiskFull: timeout");
    assert_eq!(
        (&pattern["occurrences"], &pattern["successRate"], &pattern["meanTimeToResolveMs"]),
        (&json!(3), &json!(1.0 / 3.0), &json!(90_000))
    );
    service.stop().await.unwrap();

    // Back into where it came from it changes nothing.
    fs::write(place.directory().join("knowledge.md"), &answer.body).unwrap();
    assert_eq!(import(place, &["knowledge.md"]), "0 created, 0 updated, 7 unchanged\n");
}

async fn an_import_beside_the_service_is_soon_seen(place: &Place) {
    let service = place.start().await;
    let gap = service.operator().ask("nobody in charge").await["gap"]["id"].take();
    service.alertmanager().notify(&payload([disk_full()])).await.expect(200);
    books(place);
    assert_eq!(import(place, &["books"]), "3 created, 0 updated, 0 unchanged\n");
    eventually("the runbooks are seen", async || {
        let page = service.summary().await;
        let seen = page["stats"]["byCategory"]["runbook"] == 3;
        (seen && page["stats"]["openQuestions"] == 0).then_some(())
    })
    .await;
    linked(&service).await;
    let exported = exported(&service).await;
    let runbook = titled(&exported, "Nobody is in charge of the cluster");
    assert_eq!(runbook["provenance"]["derivedFrom"], json!(["books:LeaderMissing.md", gap]));
}

/// What was removed is not told by any entry's time of change; nor is an entry that is imported as
/// old as it was exported.
#[tokio::test]
async fn what_is_pruned_beside_the_service_is_seen_too() {
    let place = Place::sqlite();
    let books = books(&place);
    import(&place, &["books"]);
    let service = place.start().await;
    let found = async || {
        let titles = service.operator().titles(&json!({"query": "DiskFull"})).await;
        titles.contains(&"A disk is full".to_owned())
    };
    assert!(found().await);
    let old = "---\nid: \"kb-old\"\ntitle: \"Of old\"\ncategory: \"optimization\"\n\
        severity: \"low\"\nfirstSeen: \"2020-01-01T00:00:00.000Z\"\n\
        lastUpdated: \"2020-01-01T00:00:00.000Z\"\noccurrences: 1\n---\n\n## Description\n\nx\n";
    fs::write(place.directory().join("old.md"), old).unwrap();
    assert_eq!(import(&place, &["old.md"]), "1 created, 0 updated, 0 unchanged\n");
    fs::remove_file(books.join("storage/DiskFull.md")).unwrap();
    import(&place, &["--prune", "books"]);
    eventually("the runbook is gone", async || (!found().await).then_some(())).await;
    assert_eq!(titled(&exported(&service).await, "Of old")["lastUpdated"], 1_577_836_800_000_i64);
}

#[tokio::test]
async fn what_is_odd_is_imported_with_a_warning_that_names_the_file() {
    let place = Place::sqlite();
    let books = place.directory().join("books");
    fs::create_dir_all(books.join("copies")).unwrap();
    for (name, content) in [
        ("BadYaml.md", &b"---\ntitle: Bad: yaml\n\t- [\n---\n## Fix\nOne.\n"[..]),
        ("OpenFence.md", b"## Diagnosis\n```sh\nls\n\n## Fix\nTwo.\n"),
        ("NotUtf8.md", b"## Fix\nThr\xe9e.\n"),
        ("copies/BadYaml.md", b"## Fix\nFour.\n"),
        ("Empty.md", b"# Empty\n## Fix\nTODO\n"),
        ("LICENSE", b"beside runbooks"),
        ("Notes.txt", b"no runbook"),
        (".hidden.md", b"no runbook either"),
    ] {
        fs::write(books.join(name), content).unwrap();
    }
    let output = run(&place, &["books"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(
        text(&output.stdout),
        "4 created, 0 updated, 0 unchanged, 3 warnings\n1 of no kind that is read: Notes.txt\n\
         1 without text: Empty.md\n"
    );
    let warnings = text(&output.stderr);
    for warning in [
        "BadYaml.md: the front matter is no YAML",
        "OpenFence.md: a code fence is not closed",
        "NotUtf8.md: it is not UTF-8",
    ] {
        assert!(warnings.contains(warning), "{warning}: {warnings}");
    }
    let entries = start_and_export(&place).await;
    assert_eq!(titled(&entries, "Bad: yaml")["solution"], "One.");
    assert_eq!(titled(&entries, "OpenFence")["solution"], "Two.");
    assert_eq!(titled(&entries, "NotUtf8")["solution"], "Thr\u{e9}e.");
}

/// Folders `one` and `two`, each with a file of the same name.
fn two_sources(place: &Place) {
    for (folder, words) in [("one", "One."), ("two", "Two.")] {
        fs::create_dir(place.directory().join(folder)).unwrap();
        let path = place.directory().join(folder).join("DiskFull.md");
        fs::write(path, format!("## Fix\n{words}\n")).unwrap();
    }
}

#[tokio::test]
async fn files_of_one_name_are_told_apart_by_their_sources() {
    let place = Place::sqlite();
    two_sources(&place);
    let output = import(&place, &["one", "two", "one/DiskFull.md"]);
    assert_eq!(output, "2 created, 0 updated, 0 unchanged\n");
    assert_eq!(import(&place, &["two"]), "0 created, 0 updated, 1 unchanged\n");
    // Only what is gone from the sources that are named is pruned.
    fs::remove_file(place.directory().join("one/DiskFull.md")).unwrap();
    assert_eq!(import(&place, &["--prune", "two"]), "0 created, 0 updated, 1 unchanged\n");
    assert_eq!(start_and_export(&place).await.len(), 2);
    let third = import(&place, &["--source", "three", "two"]);
    assert_eq!(third, "1 created, 0 updated, 0 unchanged\n");
    let both = run(&place, &["--source", "one", "two", "books"]);
    assert_eq!(both.status.code(), Some(1));
    fs::create_dir(place.directory().join("more")).unwrap();
    fs::write(place.directory().join("more/DiskFull.md"), "## Fix\nx\n").unwrap();
    assert_eq!(run(&place, &["--source", "one", "two", "more"]).status.code(), Some(64));
}

#[tokio::test]
async fn a_renamed_file_keeps_its_entry() {
    let place = Place::sqlite();
    let books = books(&place);
    import(&place, &["books"]);
    let before = start_and_export(&place).await;
    fs::rename(books.join("storage/DiskFull.md"), books.join("VolumeFull.md")).unwrap();
    let output = import(&place, &["--prune", "books"]);
    assert_eq!(output, "0 created, 1 updated, 2 unchanged, 1 renamed\n");
    let after = start_and_export(&place).await;
    let [old, new] = [&before, &after].map(|entries| titled(entries, "A disk is full"));
    assert_eq!((&new["id"], &new["firstSeen"]), (&old["id"], &old["firstSeen"]));
    assert_eq!(new["provenance"]["derivedFrom"], json!(["books:VolumeFull.md"]));
    assert_eq!(after.len(), 3);
}

#[tokio::test]
async fn runbooks_of_the_wild_say_what_helps() {
    let place = Place::sqlite();
    let wild = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/runbooks/wild");
    let output = import(&place, &[wild.to_str().unwrap()]);
    assert_eq!(output, "17 created, 0 updated, 0 unchanged\n");
    let entries = start_and_export(&place).await;
    for (title, solution) in [
        ("Adoc", "fix"),
        ("Bold", "fix"),
        ("Gitlab", "fix"),
        ("H1s", "fix"),
        ("Kube node down", "reboot"),
        ("mysql service", "fix mysql"),
        ("Num", "fix"),
        ("Pt", "reiniciar"),
        ("redis service", "fix redis"),
        ("Sev2", "x"),
        ("SevP1", "x"),
        ("SvcDown", "1. restart"),
        ("SvcSlow", "1. scale"),
        ("Toml title", "fix it"),
        ("UPPER", "fix"),
        ("Utf16", "x"),
    ] {
        assert_eq!(titled(&entries, title)["solution"], solution, "{title}");
    }
    let comment = titled(&entries, "Comment");
    assert_eq!(comment["description"], "m");
    assert!(comment["solution"].as_str().unwrap().starts_with("| step | cmd |"));
    assert_eq!(titled(&entries, "Num")["steps"], json!(["look"]));
    assert_eq!(titled(&entries, "H1s")["expectedOutcome"], "v");
    assert_eq!(titled(&entries, "Toml title")["severity"], "critical");
    assert_eq!(
        titled(&entries, "Kube node down")["tags"],
        json!(["KubeNodeDown", "kube-node-down"])
    );
}

#[tokio::test]
async fn a_runbook_is_linked_by_the_url_that_the_alert_names() {
    let place = Place::sqlite();
    books(&place);
    import(&place, &["books"]);
    let service = place.start().await;
    let url = "https://git.example.org/ops/blob/main/storage/diskfull.md";
    let alert = Alert::firing("VolumeOnFire", "node1");
    let alert = alert.with("annotations", json!({"runbook_url": url}));
    service.alertmanager().notify(&payload([alert])).await.expect(200);
    let pattern = service.summary().await["topIssues"][0].take();
    let entry = service.viewer().entry(pattern["id"].as_str().unwrap()).await;
    assert_eq!(entry["solution"], "Delete rotated logs, or make the volume larger.");
}

#[tokio::test]
async fn only_regular_files_inside_the_folders_are_read() {
    let mut place = Place::sqlite();
    place.set("SECRET_OF_THE_PROCESS", "hunter2");
    let books = books(&place);
    fs::write(place.directory().join("outside.md"), "## Fix\nhunter2\n").unwrap();
    fs::create_dir(place.directory().join("out")).unwrap();
    fs::write(place.directory().join("out/Far.md"), "## Fix\nhunter2\n").unwrap();
    for (name, target) in [
        ("Leak.md", "/proc/self/environ"),
        ("Zero.md", "/dev/zero"),
        ("Out.md", "../outside.md"),
        ("folder", "../out"),
        ("Dangling.md", "nowhere"),
    ] {
        symlink(target, books.join(name)).unwrap();
    }
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(rustix::fs::CWD, books.join("Pipe.md"), kind, mode, 0).unwrap();
    let large = fs::File::create(books.join("Large.md")).unwrap();
    large.set_len(5 << 20).unwrap();
    let output = import(&place, &["--prune", "books"]);
    assert_eq!(
        output,
        "3 created, 0 updated, 0 unchanged\n\
         5 links, not followed: Dangling.md, Leak.md, Out.md, Zero.md, folder\n\
         1 no regular files: Pipe.md\n1 too large: Large.md\n"
    );
    assert!(!start_and_export(&place).await.iter().any(|e| e.to_string().contains("hunter2")));
    // A link that is named itself is followed, but a device is none the better for it.
    symlink("books", place.directory().join("current")).unwrap();
    let followed = import(&place, &["--source", "books", "current"]);
    assert!(followed.starts_with("0 created, 0 updated, 3 unchanged\n"), "{followed}");
    let device = import(&place, &["/dev/zero"]);
    assert_eq!(device, "0 created, 0 updated, 0 unchanged\n1 no regular files: zero\n");
}

#[tokio::test]
async fn what_cannot_be_read_is_told_and_is_not_gone() {
    let place = Place::sqlite();
    let books = books(&place);
    import(&place, &["books"]);
    fs::remove_file(books.join("LeaderMissing.md")).unwrap();
    symlink("nowhere", books.join("LeaderMissing.md")).unwrap();
    let output = import(&place, &["--prune", "books"]);
    assert!(output.ends_with("1 links, not followed: LeaderMissing.md\n"), "{output}");
    assert_eq!(start_and_export(&place).await.len(), 3);
}

#[tokio::test]
async fn prune_takes_folders_with_runbooks_only() {
    let place = Place::sqlite();
    books(&place);
    fs::create_dir(place.directory().join("empty")).unwrap();
    import(&place, &["books"]);
    for arguments in [
        &["--prune", "books/LeaderMissing.md"][..],
        &["--prune", "books", "books/LeaderMissing.md"],
        &["--prune", "empty"],
    ] {
        let output = run(&place, arguments);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), ""), "{arguments:?}");
        assert!(text(&output.stderr).contains("--prune takes folders"));
    }
    assert_eq!(run(&place, &["no-such-folder"]).status.code(), Some(1));
    assert_eq!(run(&place, &[]).status.code(), Some(64));
    assert_eq!(start_and_export(&place).await.len(), 3);
}

#[tokio::test]
async fn severities_of_runbooks_are_in_the_operators_words() {
    let mut place = Place::sqlite();
    place.set("SEVERITY_MAP", "5=critical,minor=low");
    let folder = place.directory().join("books");
    fs::create_dir(&folder).unwrap();
    for (name, word) in [("Five", "5"), ("Minor", "Minor"), ("Usual", "sev2"), ("Other", "odd")] {
        let text =
            format!("---\nseverity: {word}\n---\n# {name}\n\n## Mitigation\n\nRestart it.\n");
        fs::write(folder.join(format!("{name}.md")), text).unwrap();
    }
    import(&place, &["books"]);
    let entries = start_and_export(&place).await;
    let meant = [("Five", "critical"), ("Minor", "low"), ("Usual", "high"), ("Other", "low")];
    for (title, severity) in meant {
        assert_eq!(titled(&entries, title)["severity"], severity, "{title}");
    }
}
