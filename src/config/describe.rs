//! The effective settings for a person to read: secrets by their length only, connection URLs
//! without credentials.

use secrecy::{ExposeSecret, SecretString};

/// One variable and what holds for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Its name.
    pub variable: &'static str,
    /// Its value, fit to be shown.
    pub value: String,
    /// Where that came from: `environment`, `.env`, `default`, …
    pub source: String,
}

/// Shows that a secret is set, and how long it is.
pub(super) fn redacted(secret: &SecretString) -> String {
    format!("<set, {} characters>", secret.expose_secret().chars().count())
}

/// Options of connection strings whose values are secrets, or may hold some.
const SECRET_OPTIONS: &[&str] = &["password", "properties", "token", "secret"];

/// A connection URL with `***` in place of its credentials.
///
/// Whatever stands before the last `@` counts as credentials: better to hide too much.
pub(super) fn redacted_url(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = match rest.rsplit_once('@') {
        Some((_, rest)) => format!("***@{rest}"),
        None => rest.to_owned(),
    };
    let rest = match rest.split_once('?') {
        Some((place, options)) => {
            let options: Vec<String> = options.split('&').map(redacted_option).collect();
            format!("{place}?{}", options.join("&"))
        }
        None => rest,
    };
    format!("{scheme}://{rest}")
}

fn redacted_option(option: &str) -> String {
    match option.split_once('=') {
        Some((name, _))
            if SECRET_OPTIONS.iter().any(|word| name.to_ascii_lowercase().contains(word)) =>
        {
            format!("{name}=***")
        }
        _ => option.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_credentials() {
        for (url, shown) in [
            ("mongodb://u:p%40@h1:1,h2/db?w=1", "mongodb://***@h1:1,h2/db?w=1"),
            ("mongodb+srv://u:p@h/db", "mongodb+srv://***@h/db"),
            ("mongodb://u:p/q@r@h/db", "mongodb://***@h/db"),
            ("redis://:hunter2@h:6379/0", "redis://***@h:6379/0"),
            ("redis://h:6379/0", "redis://h:6379/0"),
            (
                "mongodb://h/?tlsCertificateKeyFilePassword=x&w=1",
                "mongodb://h/?tlsCertificateKeyFilePassword=***&w=1",
            ),
        ] {
            assert_eq!(redacted_url(url), shown);
        }
    }
}
