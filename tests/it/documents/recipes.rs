//! The documents' recipes, run as a newcomer would: in order, in one shell, against the binary
//! started in an empty directory.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use tokio::sync::watch;

use super::{
    DOCUMENTS, is_there,
    markdown::{blocks, section},
    path, read,
};
use crate::harness::{
    Alert, Answer, Place, Process, eventually, free_port, hmac_hex,
    keys::{ADMIN, SECRET, TOKEN, VIEWER},
    payload,
};

/// A recipe, and what it shows.
struct Recipe {
    commands: String,
    shows: String,
}

fn recipes(document: &str) -> Vec<Recipe> {
    let mut recipes: Vec<Recipe> = Vec::new();
    for block in blocks(document) {
        match block.info.as_str() {
            "sh recipe" => recipes.push(Recipe { commands: block.text, shows: String::new() }),
            "text shows" => recipes.last_mut().expect("a recipe before").shows = block.text,
            _ => {}
        }
    }
    recipes
}

/// Whether `output` is what is shown: each line's pieces, between the places that differ each
/// time, in their order.
fn missing<'a>(output: &str, shows: &'a str) -> Option<&'a str> {
    let mut rest = output;
    shows.lines().flat_map(|line| line.split('…')).find(|piece| match rest.find(piece) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            false
        }
        None => true,
    })
}

/// Starts the binary with no settings but those that keep it out of others' way.
async fn start(directory: &Path, metrics_port: u16) -> Process {
    let variables = [
        ("PORT", "0".to_owned()),
        ("METRICS_PORT", metrics_port.to_string()),
        ("LOG_FORMAT", "json".to_owned()),
    ];
    let variables = BTreeMap::from(variables.map(|(name, value)| (name.to_owned(), value)));
    let mut service = Process::spawn(directory, &variables);
    service.serving().await;
    service
}

/// Runs recipes in one shell in `directory`; each must succeed and show what it says.
#[allow(clippy::disallowed_methods)]
fn run(recipes: &[Recipe], directory: &Path, variables: &BTreeMap<String, String>) {
    const END: &str = "\n--- end of recipe ---\n";
    let mut script = String::from("set -eu -o pipefail\n");
    for recipe in recipes {
        let end = END.replace('\n', "\\n");
        script.push_str(&format!("{}\nprintf '%b' '{end}'\n", recipe.commands));
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let binaries = Path::new(env!("CARGO_BIN_EXE_orchestrator")).parent().unwrap().to_owned();
    let paths = [binaries].into_iter().chain(std::env::split_paths(&paths));
    // A recipe that waits for what does not come is a failure, and no end of the run.
    let mut shell = Command::new("timeout");
    shell.current_dir(directory).env_clear().envs(variables);
    shell.env("PATH", std::env::join_paths(paths).unwrap());
    let done = shell
        .args(["--kill-after=5", "120", "bash", "-c", &script])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let output = String::from_utf8(done.stdout).unwrap();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{}: {errors}\n{output}", done.status);
    for (Recipe { commands, shows }, output) in recipes.iter().zip(output.split(END)) {
        if let Some(piece) = missing(output, shows) {
            panic!("{commands}\nprinted:\n{output}\nwithout {piece:?} of:\n{shows}");
        }
    }
}

/// Runs a document's recipes beside a service that was started in an empty directory.
async fn recipes_show_what_they_say(document: &str) {
    if !is_there("bash") || !is_there("curl") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // 0 would mean no metrics.
    let metrics_port = free_port();
    let service = start(directory.path(), metrics_port).await;
    let (main, metrics) = (service.address().to_string(), format!("127.0.0.1:{metrics_port}"));
    std::fs::create_dir_all(directory.path().join("target/release")).unwrap();
    let binary = directory.path().join("target/release/orchestrator");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_orchestrator"), binary).unwrap();
    let mut recipes = recipes(&read(document));
    assert!(!recipes.is_empty());
    for recipe in &mut recipes {
        let commands = recipe.commands.replace("localhost:3000", &main);
        recipe.commands = commands.replace("localhost:9100", &metrics);
    }
    run(&recipes, directory.path(), &BTreeMap::new());
}

#[tokio::test]
async fn the_readmes_recipe_shows_what_it_says() {
    recipes_show_what_they_say("README.md").await;
}

#[tokio::test]
async fn the_first_steps_recipes_show_what_they_say() {
    recipes_show_what_they_say("docs/first-steps.md").await;
}

/// Those that are run by the tests of this file.
#[test]
fn every_recipe_is_run() {
    let mut run: Vec<Recipe> = Vec::new();
    for document in ["README.md", "docs/first-steps.md"] {
        run.extend(recipes(&read(document)));
    }
    for (document, heading) in [
        ("ops/RUNBOOK.md", "## Back up"),
        ("ops/RUNBOOK.md", "## Restore from a backup"),
        ("ops/DEPLOYMENT.md", "## Rotating secrets"),
    ] {
        run.extend(recipes(section(&read(document), heading)));
    }
    let all: usize = DOCUMENTS.iter().map(|document| recipes(&read(document)).len()).sum();
    assert_eq!(run.len(), all);
}

#[allow(clippy::disallowed_methods)]
#[tokio::test]
async fn a_drill_fires_and_ends() {
    if !is_there("bash") || !is_there("curl") {
        return;
    }
    let place = Place::sqlite();
    let service = place.spawn(&[]).await;
    let drill = |way: &str| {
        let mut script = Command::new("timeout");
        script.args(["60", "bash", path("ops/drill.sh").to_str().unwrap(), way]);
        script.env("ORCHESTRATOR_URL", format!("http://{}", service.address()));
        let done = script.env("API_KEY", ADMIN).env("WEBHOOK_TOKEN", TOKEN).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    assert!(drill("service").contains("OrchestratorDrill fires"));
    drill("end");
    let alerts = service.admin().get("/api/alerts?alertname=OrchestratorDrill").await.expect(200);
    assert_eq!(alerts.json()["alerts"][0]["status"], "resolved");
}

#[tokio::test]
async fn what_is_restored_by_the_runbooks_recipes_is_what_was_backed_up() {
    if !is_there("bash") {
        return;
    }
    let mut place = Place::sqlite();
    place.set("DATABASE_URL", "sqlite:orchestrator.db");
    let document = read("ops/RUNBOOK.md");
    let [back_up, restore] = ["## Back up", "## Restore from a backup"]
        .map(|heading| recipes(section(&document, heading)));
    assert!(!back_up.is_empty() && !restore.is_empty());
    let variables = place.variables(&[]);

    let mut service = place.spawn(&[]).await;
    let alert = payload([Alert::firing("DiskAlmostFull", "db-1")]);
    service.alertmanager().notify(&alert).await.expect(200);
    run(&back_up, place.directory(), &variables);
    let stored = async |service: &Process| {
        let admin = service.admin();
        (admin.stored("alerts").await, admin.stored("knowledge_base").await)
    };
    let before = stored(&service).await;
    assert!(!before.0.is_empty() && !before.1.is_empty());
    let later = payload([Alert::firing("AfterTheBackup", "db-1")]);
    service.alertmanager().notify(&later).await.expect(200);
    service.terminate();
    assert_eq!(service.exit_code().await, 0);

    run(&restore, place.directory(), &variables);
    assert_eq!(stored(&place.spawn(&[]).await).await, before);
}

/// Someone whose every request must be answered with 200, until it is told to stop.
async fn steadily(stop: watch::Receiver<bool>, ask: impl AsyncFn() -> Answer) -> u32 {
    let mut answered = 0;
    while !*stop.borrow() {
        ask().await.expect(200);
        answered += 1;
    }
    answered
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_rotated_by_the_recipes_under_load_without_a_gap() {
    if !is_there("bash") || !is_there("curl") {
        return;
    }
    let mut place = Place::sqlite();
    let root = place.directory().to_owned();
    let etc = |path: &str| root.join("etc").join(path);
    for folder in ["orchestrator", "alertmanager", "sender", "grafana", "bin"] {
        fs::create_dir_all(etc(folder)).unwrap();
    }
    let rotation = format!(r#"[{{"key":"{VIEWER}","label":"grafana","roles":["viewer"]}}]"#);
    for (path, content) in [
        ("orchestrator/webhook_token", TOKEN),
        ("orchestrator/webhook_token_previous", ""),
        ("orchestrator/webhook_secret", SECRET),
        ("orchestrator/webhook_secret_previous", ""),
        ("orchestrator/api_key_rotation", &rotation),
        ("alertmanager/webhook-token", TOKEN),
        ("sender/webhook-secret", SECRET),
        ("grafana/orchestrator-key", VIEWER),
    ] {
        fs::write(etc(path), format!("{content}\n")).unwrap();
    }
    // The settings are the unit's, below another root.
    let unit = read("ops/orchestrator.service");
    for line in unit.lines().filter_map(|line| line.strip_prefix("Environment=")) {
        if let Some((name, path)) = line.split_once("=/etc/orchestrator/") {
            place.set(name.trim_end_matches("_FILE"), "");
            place.set(name, etc("orchestrator").join(path).to_str().unwrap());
        }
    }
    let service = place.spawn(&[]).await;
    // Who types goes on when the reload is over: a file must not be half written during one.
    let log = place.directory().join("logs/security.jsonl");
    let reload = format!(
        "#!/bin/sh\ncount() {{ grep -c secrets_reloaded {log}; }}\nbefore=$(count)\nkill -HUP {id}\n\
         for n in $(seq 500); do [ \"$(count)\" -gt \"$before\" ] && exit; sleep 0.02; done\n",
        log = log.display(),
        id = service.id()
    );
    fs::write(etc("bin/systemctl"), reload).unwrap();
    fs::set_permissions(etc("bin/systemctl"), fs::Permissions::from_mode(0o755)).unwrap();

    let document = read("ops/DEPLOYMENT.md");
    let mut recipes = recipes(section(&document, "## Rotating secrets"));
    assert!(recipes.len() > 5);
    for recipe in &mut recipes {
        let commands = recipe.commands.replace("localhost:3000", &service.address().to_string());
        recipe.commands = commands.replace("/etc/", &format!("{}/", root.join("etc").display()));
    }
    let path = format!("export PATH={}:$PATH; ", etc("bin").display());
    recipes[0].commands.insert_str(0, &path);

    let actors = service.actors();
    let secret = |path: &str| fs::read_to_string(etc(path)).unwrap().trim().to_owned();
    let body = payload([]).to_string();
    let alertmanager =
        async || actors.bearer(&secret("alertmanager/webhook-token")).notify(&payload([])).await;
    let sender = async || {
        let signature = hmac_hex(&secret("sender/webhook-secret"), body.as_bytes());
        let actor = actors.anonymous().with("x-webhook-signature", &signature);
        actor.post_bytes("/webhook/alerts", body.as_bytes()).await
    };
    let grafana =
        async || actors.bearer(&secret("grafana/orchestrator-key")).get("/api/auth/me").await;
    let (stop, stopped) = watch::channel(false);
    let rotating = async {
        let directory = root.clone();
        let done = tokio::task::spawn_blocking(move || {
            run(&recipes, &directory, &BTreeMap::new());
        });
        done.await.unwrap();
        // The last reload is not waited for by a recipe.
        eventually("the old key opens nothing", async || {
            (actors.viewer().get("/api/auth/me").await.status == 401).then_some(())
        })
        .await;
        let told = place.audited("secrets_reloaded");
        assert!(told.iter().all(|line| line["details"]["outcome"] == "reloaded"), "{told:?}");
        stop.send_replace(true);
    };
    let ((), first, second, third) = tokio::join!(
        rotating,
        steadily(stopped.clone(), alertmanager),
        steadily(stopped.clone(), sender),
        steadily(stopped.clone(), grafana),
    );
    assert!(first > 10 && second > 10 && third > 10, "{first} {second} {third}");
    // What was rotated away opens nothing.
    actors.bearer(TOKEN).notify(&payload([])).await.expect(401);
}

#[test]
fn what_a_recipe_shows_must_be_printed_in_that_order() {
    let output = r#"{"a":1,"b":[2],"c":3}"#;
    assert_eq!(missing(output, "{\"a\":1,…\"c\":3}\n"), None);
    assert_eq!(missing(output, "\"c\":3…\"a\":1\n"), Some("\"a\":1"));
    assert_eq!(missing("", ""), None);
}
