//! Which secrets are fit for use: there at all, long enough, no placeholder, each used for one
//! thing only, and such that a client can send them. Production refuses what is not;
//! development warns.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::ExposeSecret;

use super::{ApiKeySettings, Environment, WebhookSettings, reader::Reader};

/// 32 hexadecimal digits hold 128 bits.
const SHORTEST: usize = 32;

/// Judges all keys together.
pub(super) fn judge(
    reader: &mut Reader<'_>,
    environment: Environment,
    api_keys: &[ApiKeySettings],
    webhook: &WebhookSettings,
) {
    let keys = named(api_keys, webhook);
    for key in &keys {
        if key.in_header && !key.secret.chars().all(|c| c.is_ascii_graphic()) {
            reader.problem(
                &key.name,
                "must be visible ASCII characters without blanks, to fit into a header",
            );
        }
        if key.active {
            judge_key(reader, key, environment);
        }
    }
    distinct(reader, &keys);
    if environment == Environment::Production {
        missing(reader, api_keys, webhook);
    } else if !keys.is_empty() {
        warn_missing(reader, api_keys, webhook);
    }
}

struct Key<'a> {
    name: String,
    secret: &'a str,
    /// Sent as `Authorization: Bearer`.
    in_header: bool,
    active: bool,
}

fn named<'a>(api_keys: &'a [ApiKeySettings], webhook: &'a WebhookSettings) -> Vec<Key<'a>> {
    let api_keys = api_keys.iter().map(|key| Key {
        name: match key.label.as_str() {
            "api-key" => "API_KEY".to_owned(),
            label => format!("API_KEY_ROTATION ({label})"),
        },
        secret: key.key.expose_secret(),
        in_header: true,
        active: key.active,
    });
    let webhook = [
        ("WEBHOOK_SECRET", &webhook.secret, false),
        ("WEBHOOK_SECRET_PREVIOUS", &webhook.previous_secret, false),
        ("WEBHOOK_TOKEN", &webhook.token, true),
        ("WEBHOOK_TOKEN_PREVIOUS", &webhook.previous_token, true),
    ];
    let webhook = webhook.into_iter().filter_map(|(name, secret, in_header)| {
        let secret = secret.as_ref()?.expose_secret();
        Some(Key { name: name.to_owned(), secret, in_header, active: true })
    });
    api_keys.chain(webhook).collect()
}

fn judge_key(reader: &mut Reader<'_>, key: &Key<'_>, environment: Environment) {
    if is_placeholder(key.secret) {
        refuse(
            reader,
            &key.name,
            "is a placeholder; `orchestrator keygen` makes real ones",
            environment,
        );
    } else if key.secret.chars().count() < SHORTEST {
        let what = format!("is shorter than {SHORTEST} characters");
        refuse(reader, &key.name, &what, environment);
    }
}

/// Passwords of other services: how long they are is for those to say.
pub(super) fn judge_password(
    reader: &mut Reader<'_>,
    name: &str,
    password: &str,
    environment: Environment,
) {
    if is_placeholder(password) {
        refuse(reader, name, "has a placeholder for a password", environment);
    }
}

fn refuse(reader: &mut Reader<'_>, name: &str, what: &str, environment: Environment) {
    match environment {
        Environment::Production => reader.problem(name, format!("{what} (refused in production)")),
        Environment::Development => reader.warn(format!("{name} {what} (refused in production)")),
    }
}

/// A secret of two uses cannot be given to those who may have only one of them.
fn distinct(reader: &mut Reader<'_>, keys: &[Key<'_>]) {
    let mut by_secret: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for key in keys {
        by_secret.entry(key.secret).or_default().push(&key.name);
    }
    for names in by_secret.values().filter(|names| names.len() > 1) {
        reader.problem(&names.join(", "), "must be different secrets, but are the same");
    }
}

fn missing(reader: &mut Reader<'_>, api_keys: &[ApiKeySettings], webhook: &WebhookSettings) {
    if !api_keys.iter().any(|key| key.active) {
        reader.problem("API_KEY", "production needs an active key here or in API_KEY_ROTATION");
    }
    if webhook.secret.is_none() && webhook.token.is_none() {
        reader.problem("WEBHOOK_SECRET", "production needs this, or WEBHOOK_TOKEN, or both");
    }
}

fn warn_missing(reader: &mut Reader<'_>, api_keys: &[ApiKeySettings], webhook: &WebhookSettings) {
    if !api_keys.iter().any(|key| key.active) {
        reader.warn("neither API_KEY nor an active API_KEY_ROTATION is set: nobody may call the protected API");
    }
    if webhook.secret.is_none() && webhook.token.is_none() {
        reader
            .warn("neither WEBHOOK_SECRET nor WEBHOOK_TOKEN is set: every webhook will be refused");
    }
}

/// Wherever they stand, the value was meant to be replaced.
const SURE_SIGNS: &[&str] = &[
    "changeme",
    "change-me",
    "change_me",
    "placeholder",
    "replaceme",
    "replace-",
    "replace_",
    "example",
    "your-",
    "your_",
    "${",
    "{{",
    "insert-",
    "insert_",
];

/// Words that people type for want of a secret; a longer passphrase may hold one.
const WEAK_WORDS: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "token",
    "apikey",
    "webhook",
    "default",
    "admin",
    "test",
    "sample",
    "dummy",
    "qwerty",
    "letmein",
    "key",
    "api",
    "dev",
    "my",
    "the",
    "super",
    "none",
    "null",
    "undefined",
    "todo",
    "your",
    "root",
    "mongo",
    "redis",
    "orchestrator",
];

/// Fewer kinds of characters than this are a pattern, not chance.
const FEWEST_KINDS: usize = 6;

fn is_placeholder(secret: &str) -> bool {
    let lower = secret.to_lowercase();
    let bracketed = lower.starts_with('<') && lower.ends_with('>');
    if bracketed || SURE_SIGNS.iter().any(|sign| lower.contains(sign)) {
        return true;
    }
    let kinds: BTreeSet<char> = lower.chars().collect();
    if kinds.len() < FEWEST_KINDS && lower.chars().count() >= FEWEST_KINDS {
        return true;
    }
    let letters: String = lower.chars().filter(char::is_ascii_alphabetic).collect();
    let rest = WEAK_WORDS.iter().fold(letters.clone(), |rest, word| rest.replace(word, ""));
    // A few letters may be left between the words; a random value leaves nearly all of its own.
    letters != rest && rest.len() < 4
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn placeholders_are_known_in_any_dress() {
        for text in [
            "changeme",
            "CHANGE-ME-CHANGE-ME-CHANGE-ME-CHANGE-ME",
            "password",
            "Password123!",
            "secret",
            "my-super-secret-key",
            "test",
            "test-token-0000000000000000000000000000",
            "<your key here, at least 32 characters>",
            "your-webhook-secret-of-32-characters",
            "${WEBHOOK_SECRET}",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "abababababababababababababababab",
            "example-key-with-more-than-32-characters",
            "secretsecretsecretsecretsecretsecret",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
    }

    #[test]
    fn a_passphrase_that_holds_a_weak_word_is_no_placeholder() {
        assert!(!is_placeholder("correct horse battery staple keeps the secret"));
        assert!(!is_placeholder("0123456789abcdef0123456789abcdef"));
    }

    proptest! {
        #[test]
        fn random_keys_are_no_placeholders(bytes in any::<[u8; 32]>()) {
            prop_assume!(bytes.iter().collect::<BTreeSet<_>>().len() > 8);
            prop_assert!(!is_placeholder(&hex::encode(bytes)));
        }
    }
}
