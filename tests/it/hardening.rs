//! Small doors, each tried at the built binary: what a terminal, a spreadsheet or a browser would
//! make of what strangers send, and what the settings of production say about themselves.

use std::{
    fs,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use reqwest::Method;
use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use serde_json::{Value, json};

use crate::harness::{Alert, Place, keys, payload};

const SCRIPT: &str = "javascript:alert(document.cookie)";

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn no_cell_of_a_table_begins_a_formula() {
    let place = Place::sqlite();
    let process = place.spawn(&[]).await;
    const FORMULAS: [&str; 8] = ["\n", "\r", "\t", "=", "+", "-", "@", "＝"];
    let alerts = FORMULAS.iter().enumerate().map(|(number, start)| {
        let alert = Alert::firing(&format!("{start}1+1"), &format!("node{number}"));
        alert.with("annotations", json!({"summary": format!("{start}cmd|' /C calc'!A0")}))
    });
    process.alertmanager().notify(&payload(alerts)).await.expect(200);
    let path = "/api/persistence/export?format=csv&collection=alerts";
    let table = process.admin().get(path).await.expect(200).text();
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), FORMULAS.len());
    for cell in rows.iter().flatten() {
        assert!(!FORMULAS.iter().any(|start| cell.starts_with(start)), "{cell:?}");
    }
    assert!(rows.iter().flatten().any(|cell| cell.starts_with("'\n")), "{table}");
}

#[tokio::test]
async fn no_address_that_people_follow_is_a_script() {
    let place = Place::sqlite();
    let process = place.spawn(&[]).await;
    let (operator, admin) = (process.actors().operator(), process.admin());
    let annotations = json!({"runbook_url": SCRIPT, "runbook": SCRIPT, "summary": "Disk full"});
    let alert = Alert::firing("DiskFull", "db-1").with("annotations", annotations);
    let alert = alert.with("generatorURL", json!(SCRIPT));
    process.alertmanager().notify(&payload([alert])).await.expect(200);
    let by_hand = json!({"title": "By hand", "runbookUrl": SCRIPT});
    operator.post("/api/knowledge/entries", &by_hand).await.expect(400);
    let made = json!({"title": "By hand"});
    let made = operator.post("/api/knowledge/entries", &made).await.expect(201).json();
    let id = made["id"].as_str().unwrap();
    let change = json!({"runbookUrl": SCRIPT}).to_string();
    let path = format!("/api/knowledge/entries/{id}");
    operator.call(Method::PATCH, &path, change.as_bytes()).await.expect(400);
    drop(process);

    // Neither does what comes from a file: a runbook, or an export that somebody has changed.
    let runbook = format!(
        "---\ntitle: Queue stuck\nrunbook_url: \"{SCRIPT}\"\n---\n\n# Queue\n\nDrain it.\n"
    );
    fs::write(place.directory().join("Queue.md"), runbook).unwrap();
    succeeds(&place, &["knowledge", "import", "Queue.md"]);
    succeeds(&place, &["export", "--format", "ndjson", "--output", "all.ndjson"]);
    let file = place.directory().join("all.ndjson");
    let forged: String = fs::read_to_string(&file).unwrap().lines().map(forge).collect();
    assert!(forged.matches(SCRIPT).count() > 3);
    fs::write(&file, forged).unwrap();
    succeeds(&place, &["import", "all.ndjson"]);

    let process = place.spawn(&[]).await;
    let (operator, admin) = (process.actors().operator(), {
        drop(admin);
        process.admin()
    });
    for (path, whose) in
        [("/api/knowledge/entries?limit=100", "entries"), ("/api/alerts", "alerts")]
    {
        let shown = operator.get(path).await.expect(200).json();
        assert!(!shown[whose].as_array().unwrap().is_empty(), "{shown}");
        assert_no_script(&shown);
    }
    for query in ["disk full", "queue stuck", "by hand"] {
        let answer = operator.post("/api/knowledge/query", &json!({"query": query})).await;
        let answer = answer.expect(200).json();
        assert!(!answer["results"]["entries"].as_array().unwrap().is_empty(), "{query}");
        assert_no_script(&answer);
    }
    let exported = admin.get("/api/persistence/export").await.expect(200).json();
    assert_no_script(&exported["data"]);
    let markdown = admin.get("/api/knowledge/export?format=markdown").await.expect(200).text();
    assert!(!markdown.contains(SCRIPT), "{markdown}");
}

/// A line of an export, its document's addresses replaced.
fn forge(line: &str) -> String {
    let mut line: Value = serde_json::from_str(line).unwrap();
    if let Some(Value::Object(document)) = line.get_mut("document") {
        let field =
            if document.contains_key("fingerprint") { "generatorURL" } else { "runbookUrl" };
        document.insert(field.to_owned(), SCRIPT.into());
    }
    format!("{line}\n")
}

/// Annotations are shown as they were sent, as texts; what is an address is none of a script.
fn assert_no_script(value: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                assert!(name == "annotations" || value != SCRIPT, "{name}: {value}");
                if name != "annotations" {
                    assert_no_script(value);
                }
            }
        }
        Value::Array(list) => list.iter().for_each(assert_no_script),
        _ => {}
    }
}

fn succeeds(place: &Place, args: &[&str]) {
    let output = place.command(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn what_the_service_makes_is_for_its_owner_alone() {
    let place = Place::sqlite();
    let process = place.spawn(&[]).await;
    process.alertmanager().notify(&payload([Alert::firing("A", "b")])).await.expect(200);
    for folder in ["data", "logs"] {
        let folder = place.directory().join(folder);
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        let files: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(!files.is_empty());
        for file in files {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }
    drop(process);
    succeeds(&place, &["export", "--output", "all.json"]);
    succeeds(&place, &["backup", "copy.db"]);
    for file in ["all.json", "copy.db"] {
        assert_eq!(mode(&place.directory().join(file)), 0o600, "{file}");
    }
}

#[tokio::test]
async fn what_goes_as_planned_is_no_warning() {
    let place = Place::sqlite();
    let mut process = place.spawn(&[]).await;
    process.admin().get("/api/persistence/export").await.expect(200);
    process.admin().get("/api/knowledge/export").await.expect(200);
    process.terminate();
    assert_eq!(process.exit_code().await, 0);
    let output = process.output().await;
    let lines = output.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let events: Vec<Value> = lines.filter(|line| line["message"] == "security event").collect();
    for event in ["startup", "shutdown", "data_export", "migration_applied"] {
        let of: Vec<_> = events.iter().filter(|line| line["event"] == event).collect();
        assert!(!of.is_empty(), "{event} is not in {output}");
        assert!(of.iter().all(|line| line["level"] == "INFO"), "{of:?}");
    }
    // One name for the id of a request, whoever writes the line.
    assert!(!output.contains("request_id") && !output.contains("\"id\":"), "{output}");
}

#[test]
fn production_is_told_of_every_door_without_a_lock() {
    let place = Place::sqlite();
    let told = |more: &[(&str, &str)]| {
        let secret = |seed: &str| crate::harness::hmac_hex(seed, b"");
        let (key, token) = (secret("key"), secret("token"));
        let output = Command::new(env!("CARGO_BIN_EXE_orchestrator"))
            .current_dir(place.directory())
            .env_clear()
            .envs([
                ("ORCHESTRATOR_ENV", "production"),
                ("API_KEY", &key),
                ("WEBHOOK_TOKEN", &token),
            ])
            .envs(more.iter().copied())
            .arg("check-config")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!said.contains("p4ss"), "{said}");
        said.lines().filter(|line| line.starts_with("warning: ")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(told(&[]), "");
    for (name, value, expected) in [
        ("DATABASE_URL", "mongodb://db.example.net/x", &["names no user", "without TLS"][..]),
        ("DATABASE_URL", "mongodb://u:p4ss@db.example.net/x", &["without TLS"]),
        ("DATABASE_URL", "mongodb://db.example.net/x?tls=true", &["names no user"]),
        (
            "DATABASE_URL",
            "mongodb://u:p4ss@db.example.net/x?tls=true&tlsInsecure=true",
            &["takes any certificate"],
        ),
        ("MONGO_HOST", "db.example.net", &["names no user", "without TLS"]),
        ("REDIS_URL", "redis://redis.example.net", &["no password", "without TLS"]),
        ("REDIS_URL", "rediss://:p4ss@redis.example.net", &[]),
        ("RATE_LIMIT_API", "0", &["RATE_LIMIT_API is 0"]),
        ("AUTH_FAILURE_LIMIT", "0", &["AUTH_FAILURE_LIMIT is 0"]),
        ("METRICS_HOST", "0.0.0.0", &["METRICS_HOST"]),
        ("WEBHOK_SECRET", "x", &["WEBHOK_SECRET is not a variable", "WEBHOOK_SECRET is"]),
        ("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt", &[]),
        ("MONGO_INITDB_ROOT_USERNAME", "x", &[]),
        ("RATE_LIMIT_WEBHOOKS", "5", &["RATE_LIMIT_WEBHOOKS is not a variable"]),
    ] {
        let said = told(&[(name, value)]);
        assert_eq!(said.is_empty(), expected.is_empty(), "{name}={value}: {said}");
        for part in expected {
            assert!(said.contains(part), "{name}={value}: {said}");
        }
    }
}

/// What a command shows at a terminal.
fn at_a_terminal(place: &Place, args: &[&str], more: &[(&str, &str)]) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let other = open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let mut command = place.command(args);
    command.env("TERM", "xterm-256color").envs(more.iter().copied()).stdin(Stdio::null());
    command.stdout(other.try_clone().unwrap()).stderr(other);
    let mut child = command.spawn().unwrap();
    // The last end of the child's side.
    drop(command);
    let reading = std::thread::spawn(move || {
        let (mut terminal, mut shown) = (fs::File::from(terminal), Vec::new());
        let mut part = [0; 4096];
        // A terminal that nobody writes to any more is an error, and not the end of a file.
        while let Ok(length @ 1..) = terminal.read(&mut part) {
            shown.extend_from_slice(&part[..length]);
        }
        String::from_utf8_lossy(&shown).into_owned()
    });
    // A service ends by itself where it cannot have its port.
    child.wait().unwrap();
    reading.join().unwrap()
}

#[test]
fn nothing_is_coloured_where_no_color_is_set() {
    let mut place = Place::sqlite();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    place.set("PORT", &taken.local_addr().unwrap().port().to_string());
    place.set("LOG_FORMAT", "");
    for (args, coloured) in
        [(&[][..], true), (&["--help"], true), (&["nonsense"], true), (&["keygen"], false)]
    {
        let shown = at_a_terminal(&place, args, &[]);
        assert_eq!(shown.contains('\u{1b}'), coloured, "{args:?}: {shown:?}");
        let plain = at_a_terminal(&place, args, &[("NO_COLOR", "1")]);
        assert!(!plain.is_empty() && !plain.contains('\u{1b}'), "{args:?}: {plain:?}");
    }
}

#[tokio::test]
async fn no_400_of_any_route_names_a_type_of_the_program() {
    let place = Place::sqlite();
    let process = place.spawn(&[]).await;
    let bodies = [
        "",
        "[]",
        "7",
        "\"x\"",
        "null",
        "true",
        "{",
        "{\"a\":}",
        "{\"alerts\":{}}",
        "{\"title\":[]}",
        "{\"text\":7}",
        "{\"helped\":\"x\"}",
        "{\"query\":{}}",
        "{\"alerts\":[[]]}",
        "{\"alerts\":[{\"labels\":[],\"status\":1,\"annotations\":7,\"startsAt\":{}}]}",
        "{\"query\":\"a\",\"query\":\"b\"}",
        "{\"alerts\":[],\"alerts\":[]}",
        "{\"limit\":1e99}",
        "{\"steps\":{},\"tags\":\"x\",\"relatedEntries\":[1],\"severity\":[]}",
        "{\"limit\":-1}",
        "{\"query\":\"\\ud800\"}",
        "\u{feff}{}",
    ];
    let parameters = "limit=x&limit=2&cursor=%00&from=never&to=&days=1e9&label=x&collection=x&format=x&sort=x&firing=2";
    let mut refused = 0;
    for route in orchestrator::http::routes() {
        let path = route.path.replace("{id}", "nothing");
        let caller = match route.path {
            "/webhook/alerts" => process.alertmanager(),
            _ => process.admin(),
        };
        let caller = caller.with("if-match", "x").with("if-none-match", ",,");
        let with_query = format!("{path}?{parameters}");
        let mut answers = vec![caller.call(route.method.clone(), &with_query, b"").await];
        if matches!(route.method, Method::POST | Method::PUT | Method::PATCH) {
            for body in bodies {
                answers.push(caller.call(route.method.clone(), &path, body.as_bytes()).await);
            }
        }
        for answer in answers {
            assert!(answer.status < 500, "{} {path}: {}", route.method, answer.text());
            refused += usize::from(answer.status == 400);
            if answer.status >= 400 {
                let id = answer.header("x-request-id").to_owned();
                assert_plain(&answer.text().replace(&id, ""));
            }
        }
    }
    assert!(refused > 60, "{refused}");
}

/// No word of Rust's, and none of a library's.
fn assert_plain(text: &str) {
    const WORDS: [&str; 22] = [
        "struct", "enum", "variant", "Option", "Some(", "None", "Vec<", "String", "u8", "u16",
        "u32", "u64", "i64", "f64", "usize", "::", "serde", "sequence", "map", "Payload", "Body {",
        "Field",
    ];
    for word in WORDS {
        assert!(!text.contains(word), "{word}: {text}");
    }
}

#[tokio::test]
async fn a_host_is_named_once_by_every_protocol() {
    use crate::harness::Raw;
    let place = Place::sqlite();
    let process = place.spawn(&[]).await;
    for (target, lines, status) in [
        ("/health", "", "400"),
        ("/health", "host: a\r\nhost: a\r\n", "400"),
        ("/health", "host: a\r\nHOST: b\r\n", "400"),
        ("/health", "host: a, b\r\n", "400"),
        ("/health", "host: a@b\r\n", "400"),
        ("http://a/health", "host: b\r\n", "400"),
        ("http://a/health", "host: a\r\n", "200"),
        ("/nowhere", "", "400"),
        ("/api/auth/me", "", "400"),
    ] {
        let mut raw = Raw::open(process.address()).await;
        raw.send(format!("GET {target} HTTP/1.1\r\n{lines}connection: close\r\n\r\n")).await;
        let answer = raw.read_to_end_within(Duration::from_secs(30)).await.unwrap();
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{target} {lines:?}: {answer}");
    }
    // What was refused was counted as a request like any other.
    let stranger =
        process.actors().anonymous().with("authorization", &format!("Bearer {}", keys::ADMIN));
    stranger.get("/api/auth/me").await.expect(200);
}
