//! The doors through which strangers' bytes come in, each with what it promises about whatever it
//! took. Run by `cargo fuzz`, and by the tests on mutated inputs from a fixed seed.

use axum::http::Uri;
use orchestrator::{
    alerts::AlertBatch,
    config::WebhookSettings,
    history::import,
    http::parameters::{Parameter, Parameters},
    knowledge::{Question, export, runbook},
    model::{SeverityWords, Time, is_web_url},
    security::{Verifier, bearer, sign},
    validation::Rejection,
};
use secrecy::SecretString;

const NOW_SECONDS: i64 = 1_790_000_000;
const SECRET: &str = "fuzz-9c41e7d2b8f05a36c1d7e4f8a2b6903d";
/// Nothing of the schema that is newer than this.
const SCHEMA: u32 = 1_000;

fn now() -> Time {
    Time::from_millis(NOW_SECONDS * 1000)
}

/// The body of a webhook: what is taken keeps to the limits, and what is not is told why.
pub fn payload(data: &[u8]) {
    let batch = match AlertBatch::parse(data, now(), &SeverityWords::default()) {
        Ok(batch) => batch,
        Err(rejection) => return told(&rejection),
    };
    assert!(batch.alerts.len() + batch.refused.reasons.len() <= 1000);
    assert!(batch.refused.problems.len() >= batch.refused.reasons.len());
    for alert in &batch.alerts {
        assert!(alert.labels.len() <= 50 && alert.annotations.len() <= 50);
        assert!(
            alert
                .labels
                .iter()
                .all(|(name, value)| (1..=256).contains(&name.len()) && value.len() <= 4096)
        );
        assert!(alert.annotations.values().all(|value| value.len() <= 16 * 1024));
        assert!(alert.generator_url.iter().all(|url| is_web_url(url) && url.len() <= 8 * 1024));
        assert!(!alert.fingerprint.is_empty() && !alert.name.is_empty());
        let day = 86_400_000;
        let sane = |at: &Time| at.millis() >= 0 && at.millis() <= now().millis() + day;
        assert!(alert.starts_at.iter().all(sane) && alert.ends_at.iter().all(sane));
    }
}

/// The headers of a signature, a line each, then the body: what was not signed with the secret
/// proves nothing, and what was does.
pub fn signature(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let [signature, timestamp, body] = [(); 3].map(|()| parts.next().unwrap_or_default());
    let secret = SecretString::from(SECRET);
    for (canonical_json, require_timestamp) in [(false, false), (true, false), (false, true)] {
        let verifier = Verifier::new(&WebhookSettings {
            secret: Some(secret.clone()),
            canonical_json,
            require_timestamp,
            ..WebhookSettings::default()
        });
        for timestamp in [None, Some(timestamp)] {
            // Nobody signed it.
            assert!(verifier.verify(signature, timestamp, body, now()).is_err());
            let _ = verifier.check_head(signature, timestamp, now());
        }
        let made = sign(&secret, Some(NOW_SECONDS), body);
        let at = NOW_SECONDS.to_string();
        assert!(verifier.verify(made.as_bytes(), Some(at.as_bytes()), body, now()).is_ok());
        let bare = verifier.verify(sign(&secret, None, body).as_bytes(), None, body, now());
        assert_eq!(bare.is_ok(), !require_timestamp);
    }
    let _ = bearer::token([data]);
    let _ = bearer::token(data.split(|byte| *byte == b'\n'));
}

/// The body of a question, and the same bytes as a query string.
pub fn query(data: &[u8]) {
    match Question::parse(data) {
        Ok(question) => {
            assert!((1..=20_000).contains(&question.text.chars().count()));
            assert!((1..=100).contains(&question.limit));
            let shown = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
            assert!(question.text.chars().all(shown));
        }
        Err(rejection) => told(&rejection),
    }
    let Ok(uri) = Uri::try_from([b"/x?", data].concat()) else { return };
    let known = [Parameter::Once("limit"), Parameter::Many("collection"), Parameter::Once("from")];
    let mut parameters = Parameters::of(&uri, &known);
    let limit = parameters.number("limit", 1..=1000);
    assert!(limit.is_none_or(|limit| (1..=1000).contains(&limit)));
    parameters.period();
    parameters.collections("collection");
    if let Err(rejection) = parameters.check() {
        told(&rejection);
    }
}

/// A file of runbooks, of either kind: whatever is taken of it, an export gives back.
pub fn runbook(data: &[u8]) {
    let Some(decoded) = runbook::decode(data) else { return };
    for path in ["a/Disk.md", "a/Disk.adoc"] {
        let words = SeverityWords::default();
        for parsed in runbook::read_file("books", path, &decoded.text, now(), &words) {
            let entry = &parsed.entry;
            assert!(!entry.id.is_empty());
            assert!(entry.runbook_url.iter().all(|url| is_web_url(url)));
            let again = runbook::read("export.md", &export::markdown(entry), now());
            assert_eq!(again.len(), 1);
            assert_eq!(again[0].entry.text, entry.text);
        }
    }
}

/// A file that is put back: read to its end, or refused with a reason.
pub fn import(data: &[u8]) {
    if let Err(error) = import::read_through(data, SCHEMA) {
        assert!(!error.to_string().is_empty());
    }
}

/// Every refusal says something, and not more than a person reads.
fn told(rejection: &Rejection) {
    match rejection {
        Rejection::Malformed(place) => assert!((1..300).contains(&place.len()), "{place}"),
        Rejection::Invalid(problems) => {
            assert!(!problems.is_empty());
            assert!(problems.iter().all(|problem| !problem.message.is_empty()));
        }
    }
}
