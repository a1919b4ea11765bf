//! Secrets that change while the service runs: all or nothing, told, and without a gap.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{
    Place, Process, eventually, hmac_hex,
    keys::{ADMIN, OPERATOR, SECRET, TOKEN, VIEWER},
    payload,
};

const NEW_TOKEN: &str = "new-token-6e1d9c8b7a5f40312233445566778899aabb";
const NEW_SECRET: &str = "new-hmac-0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c";
const NEW_KEY: &str = "new-key-77d2b0c4e6f8a1933557799bbddff0022446688";

/// A place whose secrets are in files.
struct Files(Place);

impl Files {
    async fn start() -> (Self, Process) {
        let mut place = Place::sqlite();
        for name in ["API_KEY_ROTATION", "WEBHOOK_SECRET", "WEBHOOK_TOKEN"] {
            place.set(name, "");
        }
        let files = Self(place);
        files.keys(&[("viewer", VIEWER), ("admin", ADMIN)]);
        files.put("WEBHOOK_SECRET", SECRET);
        files.put("WEBHOOK_TOKEN", TOKEN);
        files.put("WEBHOOK_SECRET_PREVIOUS", "");
        files.put("WEBHOOK_TOKEN_PREVIOUS", "");
        let set = [
            ("API_KEY_ROTATION_FILE", "API_KEY_ROTATION"),
            ("WEBHOOK_SECRET_FILE", "WEBHOOK_SECRET"),
            ("WEBHOOK_TOKEN_FILE", "WEBHOOK_TOKEN"),
            ("WEBHOOK_SECRET_PREVIOUS_FILE", "WEBHOOK_SECRET_PREVIOUS"),
            ("WEBHOOK_TOKEN_PREVIOUS_FILE", "WEBHOOK_TOKEN_PREVIOUS"),
        ];
        let process = files.0.spawn(&set).await;
        (files, process)
    }

    fn put(&self, name: &str, content: &str) {
        fs::write(self.0.directory().join(name), format!("{content}\n")).unwrap();
    }

    fn keys(&self, keys: &[(&str, &str)]) {
        let key = |(role, key): &(&str, &str)| json!({"key": key, "label": role, "roles": [role]});
        self.put("API_KEY_ROTATION", &Value::from_iter(keys.iter().map(key)).to_string());
    }

    /// Sends SIGHUP: what the audit log then says.
    async fn hang_up(&self, process: &Process) -> Value {
        let before = self.0.audited("secrets_reloaded").len();
        process.hang_up();
        let told = async || self.0.audited("secrets_reloaded").into_iter().nth(before);
        eventually("it is audited", told).await["details"].take()
    }
}

async fn by_token(process: &Process, token: &str) -> u16 {
    process.actors().bearer(token).notify(&payload([])).await.status
}

async fn signed(process: &Process, secret: &str) -> u16 {
    let body = payload([]).to_string();
    let actor = process.actors().anonymous();
    let actor = actor.with("x-webhook-signature", &hmac_hex(secret, body.as_bytes()));
    actor.post_bytes("/webhook/alerts", body.as_bytes()).await.status
}

async fn by_key(process: &Process, key: &str) -> u16 {
    process.actors().bearer(key).get("/api/auth/me").await.status
}

#[tokio::test]
async fn every_secret_that_is_a_file_is_read_again_on_sighup() {
    let (files, process) = Files::start().await;
    files.put("WEBHOOK_TOKEN_PREVIOUS", TOKEN);
    files.put("WEBHOOK_TOKEN", NEW_TOKEN);
    files.put("WEBHOOK_SECRET_PREVIOUS", SECRET);
    files.put("WEBHOOK_SECRET", NEW_SECRET);
    files.keys(&[("viewer", VIEWER), ("admin", NEW_KEY)]);
    let changed = [
        "API_KEY_ROTATION",
        "WEBHOOK_SECRET",
        "WEBHOOK_SECRET_PREVIOUS",
        "WEBHOOK_TOKEN",
        "WEBHOOK_TOKEN_PREVIOUS",
    ];
    let details = files.hang_up(&process).await;
    assert_eq!(details, json!({ "outcome": "reloaded", "changed": changed }));
    for token in [TOKEN, NEW_TOKEN] {
        assert_eq!(by_token(&process, token).await, 200);
    }
    for secret in [SECRET, NEW_SECRET] {
        assert_eq!(signed(&process, secret).await, 200);
    }
    assert_eq!(by_key(&process, VIEWER).await, 200);
    assert_eq!(by_key(&process, NEW_KEY).await, 200);
    assert_eq!(by_key(&process, ADMIN).await, 401);

    files.put("WEBHOOK_TOKEN_PREVIOUS", "");
    files.put("WEBHOOK_SECRET_PREVIOUS", "");
    let details = files.hang_up(&process).await;
    assert_eq!(details["changed"], json!(["WEBHOOK_SECRET_PREVIOUS", "WEBHOOK_TOKEN_PREVIOUS"]));
    assert_eq!((by_token(&process, TOKEN).await, signed(&process, SECRET).await), (401, 401));
    assert_eq!(
        (by_token(&process, NEW_TOKEN).await, signed(&process, NEW_SECRET).await),
        (200, 200)
    );
    let details = files.hang_up(&process).await;
    assert_eq!(details, json!({ "outcome": "reloaded", "changed": [] }));
}

#[tokio::test]
async fn what_is_wrong_with_one_secret_keeps_all_of_them() {
    let (files, mut process) = Files::start().await;
    files.put("WEBHOOK_TOKEN", NEW_TOKEN);
    files.put("API_KEY_ROTATION", &format!(r#"[{{"key":"{NEW_KEY}","label":"x","roles":"all"}}]"#));
    let details = files.hang_up(&process).await;
    assert_eq!(details["outcome"], "kept");
    let error = details["error"].as_str().unwrap();
    assert!(error.contains("API_KEY_ROTATION[0].roles"), "{error}");
    let said = process.line_with("secrets are kept as they were").await;
    assert!(said.contains("API_KEY_ROTATION[0].roles"), "{said}");
    for text in [error, &said] {
        assert!(!text.contains(NEW_KEY) && !text.contains(NEW_TOKEN), "{text}");
    }
    assert_eq!(by_token(&process, TOKEN).await, 200);
    assert_eq!(by_token(&process, NEW_TOKEN).await, 401);
    assert_eq!(by_key(&process, VIEWER).await, 200);

    fs::remove_file(files.0.directory().join("WEBHOOK_TOKEN")).unwrap();
    assert_eq!(files.hang_up(&process).await["outcome"], "kept");
    assert_eq!(by_token(&process, TOKEN).await, 200);

    files.put("WEBHOOK_TOKEN", NEW_TOKEN);
    files.keys(&[("operator", OPERATOR)]);
    assert_eq!(files.hang_up(&process).await["outcome"], "reloaded");
    assert_eq!(by_token(&process, NEW_TOKEN).await, 200);
    assert_eq!(by_key(&process, OPERATOR).await, 200);
}

#[tokio::test]
async fn the_dotenv_file_and_the_services_own_keys_are_read_again_too() {
    let directory = tempfile::tempdir().unwrap();
    let variables = [("PORT", "0"), ("METRICS_PORT", "0"), ("LOG_FORMAT", "json")];
    let variables = variables.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let mut process = Process::spawn(directory.path(), &variables);
    process.serving().await;
    process.hang_up();
    process.line_with("secrets were read again").await;
    fs::write(directory.path().join(".env"), format!("API_KEY={NEW_KEY}\n")).unwrap();
    process.hang_up();
    process.line_with("secrets were read again").await;
    assert_eq!(by_key(&process, NEW_KEY).await, 200);
}
