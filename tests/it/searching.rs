//! The search as callers know it: what is found, in which order, and what is never an error.

use serde_json::{Value, json};

use crate::harness::{Alert, Place, Running, on_each_store, payload};

on_each_store![filters_order_and_limit_hold, open_questions_are_no_answers];

/// Entries of each kind, about two things.
async fn filled(place: &Place) -> Running {
    let service = place.start().await;
    let names = [
        ("KubePodCrashLooping", "warning"),
        ("node_filesystem_avail_bytes", "critical"),
        ("high-error-rate", "page"),
    ];
    let alerts = names.map(|(name, severity)| {
        let annotations = json!({"description": format!("The alert {name} was raised")});
        Alert::firing(name, "node1")
            .with("annotations", annotations)
            .with("labels", json!({"alertname": name, "severity": severity}))
    });
    service.alertmanager().notify(&payload(alerts)).await.expect(200);
    for entry in [
        json!({"title": "Pods restart too often", "description": "They crash in a loop.",
            "severity": "low", "tags": ["Kubernetes", "payments"]}),
        json!({"title": "Certificates are renewed by hand", "category": "optimization",
            "severity": "low", "solution": "Let the operator renew them.", "tags": ["payments"]}),
        json!({"title": "Чёрный ящик не пишет", "description": "Проверьте диск",
            "tags": ["диск"]}),
    ] {
        service.operator().write(&entry).await;
    }
    service
}

async fn titles(service: &Running, query: &str) -> Vec<String> {
    service.operator().titles(&json!({"query": query})).await
}

/// The best answer.
async fn first(service: &Running, query: &str) -> String {
    titles(service, query).await.into_iter().next().unwrap_or_default()
}

async fn filters_order_and_limit_hold(place: &Place) {
    let service = filled(place).await;
    let everything = "crash looping, filesystem avail, high error rate, certificates renewed by \
                      hand, pods restart, чёрный ящик диск";
    let all = titles(&service, everything).await;
    assert_eq!(all.len(), 6, "{all:?}");
    let within = async |filter: Value| {
        let query = json!({"query": everything, "filter": filter});
        let mut titles = service.operator().titles(&query).await;
        titles.sort();
        titles
    };
    let (pods, renewed, box_) =
        ("Pods restart too often", "Certificates are renewed by hand", "Чёрный ящик не пишет");
    let (crash, disk, rate) =
        ("KubePodCrashLooping", "node_filesystem_avail_bytes", "high-error-rate");
    for (filter, expected) in [
        (json!({"category": "alert_pattern"}), vec![crash, rate, disk]),
        (json!({"category": "optimization"}), vec![renewed]),
        (json!({"category": "runbook"}), vec![]),
        (json!({"severity": "low"}), vec![renewed, pods]),
        (json!({"severity": "medium"}), vec![crash, box_]),
        (json!({"severity": "high"}), vec![rate]),
        (json!({"severity": "critical"}), vec![disk]),
        (json!({"tag": "PAYMENTS"}), vec![renewed, pods]),
        (json!({"tag": "kubernetes"}), vec![pods]),
        (json!({"tag": "ДИСК"}), vec![box_]),
        (json!({"tag": "pay"}), vec![]),
        (json!({"tag": "payments", "category": "optimization"}), vec![renewed]),
        (json!({"tag": "payments", "severity": "high"}), vec![]),
    ] {
        assert_eq!(within(filter.clone()).await, expected, "{filter}");
    }

    for limit in [1, 2, 6, 100] {
        let query = json!({"query": everything, "limit": limit});
        let answer = service.operator().post("/api/knowledge/query", &query).await.expect(200);
        let answer = answer.json();
        let entries = answer["results"]["entries"].as_array().unwrap();
        assert_eq!(entries.len(), limit.min(6));
        assert_eq!(answer["meta"]["matchedEntries"], entries.len());
        let ids: Vec<&Value> = entries.iter().map(|entry| &entry["id"]).collect();
        assert_eq!(answer["sources"].as_array().unwrap().iter().collect::<Vec<_>>(), ids);
        let scores: Vec<f64> =
            entries.iter().map(|entry| entry["score"].as_f64().unwrap()).collect();
        assert!(
            scores.is_sorted_by(|a, b| a >= b) && scores.iter().all(|s| *s > 0.0),
            "{scores:?}"
        );
        // A limit cuts the list, and does not change what is best.
        let found: Vec<_> = entries.iter().map(|entry| entry["title"].as_str().unwrap()).collect();
        assert_eq!(found, all[..limit.min(6)]);
    }
}

async fn open_questions_are_no_answers(place: &Place) {
    let service = filled(place).await;
    for _ in 0..2 {
        for query in ["quagga", "quagga in the filesystem"] {
            let found = titles(&service, query).await;
            assert!(found.iter().all(|title| !title.contains("quagga")), "{found:?}");
        }
    }
    let query = json!({"query": "quagga", "filter": {"category": "question"}});
    assert_eq!(service.operator().titles(&query).await, [""; 0]);
    service.stop().await.unwrap();
    let service = place.start().await;
    assert_eq!(titles(&service, "quagga").await, [""; 0]);
}

#[tokio::test]
async fn names_are_found_by_their_words_and_whole() {
    let place = Place::sqlite();
    let service = filled(&place).await;
    for (name, queries) in [
        (
            "KubePodCrashLooping",
            [
                "KubePodCrashLooping",
                "kubepodcrashlooping",
                "kube pod crash looping",
                "KubePodCrash",
            ],
        ),
        (
            "node_filesystem_avail_bytes",
            [
                "node_filesystem_avail_bytes",
                "node filesystem avail bytes",
                "filesystem_avail",
                "NodeFilesystemAvailBytes",
            ],
        ),
        (
            "high-error-rate",
            ["high-error-rate", "high error rate", "HighErrorRate", "high_error_rate"],
        ),
    ] {
        for query in queries {
            assert_eq!(first(&service, query).await, name, "{query}");
        }
    }
}

#[tokio::test]
async fn one_slip_a_beginning_and_another_form_of_a_word_are_forgiven() {
    let place = Place::sqlite();
    let service = filled(&place).await;
    for (query, title) in [
        ("filesytem", "node_filesystem_avail_bytes"),
        ("KubePodCrashLoopng", "KubePodCrashLooping"),
        ("certificats", "Certificates are renewed by hand"),
        ("certif", "Certificates are renewed by hand"),
        ("renewing a certificate", "Certificates are renewed by hand"),
        ("restarted pods", "Pods restart too often"),
    ] {
        assert_eq!(first(&service, query).await, title, "{query}");
    }
}

/// The old orchestrator found what held the query; so all of that is found still.
#[tokio::test]
async fn what_holds_the_query_is_found() {
    let place = Place::sqlite();
    let service = filled(&place).await;
    for (query, title) in [
        ("dCrashL", "KubePodCrashLooping"),
        ("ystem_ava", "node_filesystem_avail_bytes"),
        ("gh-err", "high-error-rate"),
        ("oo oft", "Pods restart too often"),
        ("rash in a lo", "Pods restart too often"),
        ("ubernete", "Pods restart too often"),
        ("рный ЯЩ", "Чёрный ящик не пишет"),
    ] {
        assert!(titles(&service, query).await.contains(&title.to_owned()), "{query}");
    }
}

#[tokio::test]
async fn no_character_is_syntax() {
    let place = Place::sqlite();
    let service = filled(&place).await;
    for query in [
        "filesystem AND",
        "OR filesystem",
        "NOT filesystem",
        "filesystem AND (",
        "\"filesystem",
        "filesystem\"",
        "title:filesystem",
        "filesystem:",
        ":filesystem",
        "(filesystem",
        "filesystem)",
        "+filesystem",
        "-filesystem",
        "filesystem -",
        "filesystem?",
        "/filesystem/",
        "filesystem/",
        "filesystem, 'what' & why = #1 @ 5%!",
        "filesystem\n\tTO\n",
        "filesystem --",
        "_filesystem_",
        "rate(node_filesystem_avail_bytes:5m) = 100%",
    ] {
        assert_eq!(first(&service, query).await, "node_filesystem_avail_bytes", "{query}");
    }
    for query in ["???", "- . ( ) _ : / , ' \" ? ! % @ # + = &", "AND", "\"\"", "()", ":", "-", "a"]
    {
        let body = json!({"query": query});
        service.operator().post("/api/knowledge/query", &body).await.expect(200);
    }
    for query in
        ["a*", "a~1", "a^2", "[a TO b]", "{a}", "a\\:b", "a;b", "a<b", "a|b", "$a", "a\u{0}"]
    {
        let body = json!({"query": query});
        let refused = service.operator().post("/api/knowledge/query", &body).await.expect(400);
        assert_eq!(refused.json()["details"][0]["message"], "Invalid characters", "{query}");
    }
}

/// What people pasted, and which of the entries below answers it.
const PASTED: &str = include_str!("pasted-lines.json");

#[tokio::test]
async fn whatever_people_paste_is_a_question_and_stays_one_where_nothing_answers_it() {
    let place = Place::sqlite();
    let service = filled(&place).await;
    let down = Alert::firing("KubeNodeNotReady", "node1")
        .with("annotations", json!({"description": "The node is not ready."}));
    service.alertmanager().notify(&payload([down])).await.expect(200);
    for (title, description) in [
        ("PostgreSQL has no connection slots left", "Remaining connection slots are reserved."),
        ("The kernel invoked its oom-killer", "A container or host has no memory left."),
        ("etcd: database space exceeded", "The quota of mvcc is used up."),
        ("Java heap space runs out", "It ends in an OutOfMemoryError."),
        ("Upstream timed out", "nginx waits for the response header of an upstream."),
        ("Checkout latency is high", "The p99 of checkout is above a second."),
    ] {
        service.operator().write(&json!({"title": title, "description": description})).await;
    }
    let lines: Vec<Value> = serde_json::from_str(PASTED).unwrap();
    let mut open = 0;
    for line in lines {
        let body = json!({"text": line["text"]});
        let answer = service.operator().post("/api/knowledge/query", &body).await.expect(200);
        let answer = answer.json();
        assert_eq!(answer["results"]["query"], line["text"]);
        let best = &answer["results"]["entries"][0];
        let known = line["answer"].is_string();
        if known {
            assert_eq!(best["title"], line["answer"], "{line}");
        }
        // What is still got wrong is on record: a test fails here once it is mended.
        if line["mistaken"].is_string() {
            assert_eq!(best["title"], line["mistaken"], "{line}");
            assert_eq!(best["confidence"], "high", "{line}");
            continue;
        }
        assert_eq!(best["confidence"] == "high", known, "{line}: {best}");
        assert_eq!(answer["gap"].is_null(), known, "{line}");
        open += i32::from(!known);
    }
    assert_eq!(service.summary().await["stats"]["openQuestions"], open);
}

#[tokio::test]
async fn a_question_is_either_a_query_or_a_text() {
    let place = Place::sqlite();
    let service = place.start().await;
    let refused = async |body: Value| {
        let answer = service.operator().post("/api/knowledge/query", &body).await.expect(400);
        let problem = &answer.json()["details"][0];
        (problem["path"].clone(), problem["message"].clone())
    };
    assert_eq!(refused(json!({})).await.0, "query");
    assert_eq!(refused(json!({"query": "a", "text": "b"})).await.0, "text");
    assert_eq!(refused(json!({"text": "  "})).await, (json!("text"), json!("must not be empty")));
    for text in ["a\u{0}b", "a\u{1b}[31m", "a\rb"] {
        let refused = refused(json!({"text": text})).await;
        assert_eq!(refused, (json!("text"), json!("Invalid characters")));
    }
    let of = |length: usize| json!({"text": "wörd ".repeat(length / 5)});
    assert_eq!(refused(of(20_010)).await.0, "text");
    service.operator().post("/api/knowledge/query", &of(20_000)).await.expect(200);
    let lines = json!({"text": "one\r\n\ttwo\n"});
    service.operator().post("/api/knowledge/query", &lines).await.expect(200);
}

#[tokio::test]
async fn an_answer_shows_its_parts_and_cuts_the_rest() {
    let place = Place::sqlite();
    let service = filled(&place).await;
    let filler = "This line says nothing of it.\n".repeat(400);
    let solution = format!("{filler}Call the zebra keeper at once.\n{filler}");
    let text = json!({"title": "Zebras stampede", "solution": solution});
    let id = service.operator().write(&text).await["id"].take();
    let answer = service.operator().ask("whom to call: a zebra stampede").await;
    let entry = &answer["results"]["entries"][0];
    assert_eq!((&entry["id"], &entry["truncated"]), (&id, &json!(true)));
    let shown = entry["solution"].as_str().unwrap();
    assert!(shown.len() < 3_000 && shown.contains("zebra keeper"), "{shown}");
    let fragment = &entry["highlights"][0];
    assert_eq!(fragment["text"], "Call the zebra keeper at once.");
    assert!(fragment["spans"].as_array().unwrap().contains(&json!([9, 14])), "{fragment}");
    let whole = service.viewer().entry(id.as_str().unwrap()).await;
    assert_eq!(whole["solution"], solution);
}

#[tokio::test]
async fn an_answer_tells_what_fires_and_what_people_noted() {
    let place = Place::sqlite();
    let service = place.start().await;
    let node = |name: &str, instance: &str| Alert::firing(name, instance);
    let alerts = [node("ZebraDown", "z1"), node("ZebraDown", "z2"), node("WalrusSlow", "w1")];
    service.alertmanager().notify(&payload(alerts)).await.expect(200);
    let answer = service.operator().ask("ZebraDown").await;
    let entry = &answer["results"]["entries"][0];
    let firing = entry["firingAlerts"].as_array().unwrap();
    let mut instances: Vec<_> = firing.iter().map(|alert| &alert["labels"]["instance"]).collect();
    instances.sort_by_key(|instance| instance.to_string());
    assert_eq!(instances, ["z1", "z2"], "{entry}");
    assert!(firing[0]["fingerprint"].is_string() && firing[0]["startsAt"].is_i64(), "{entry}");

    let id = entry["id"].as_str().unwrap();
    let path = |what: &str| format!("/api/knowledge/entries/{id}/{what}");
    let note = json!({"text": "Fed it.\nIt  stood up."});
    service.operator().post(&path("notes"), &note).await.expect(200);
    service.operator().post(&path("feedback"), &json!({"helped": true})).await.expect(200);
    let answer = service.operator().ask("ZebraDown").await;
    let reasons = answer["results"]["entries"][0]["reasons"].as_array().unwrap();
    let author = service.viewer().entry(id).await["notes"][0]["author"].clone();
    let expected = [
        "2 of its alerts fire now".to_owned(),
        "it helped 1 of 1 times".to_owned(),
        "fires together with WalrusSlow: timeout".to_owned(),
        format!("{} noted last: Fed it. It stood up.", author.as_str().unwrap()),
    ];
    assert_eq!(reasons.as_slice(), expected.map(Value::from));
}
