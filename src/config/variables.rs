//! The table of all variables. Defaults are written here only; the reader, `check-config`,
//! `.env.example` and the table of docs/settings.md all go by it.

/// One variable.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Other names, read where the first is not set.
    pub aliases: &'static [&'static str],
    /// What holds where it is not set; empty: nothing.
    pub default: &'static str,
    /// May also be given as the path of a file in `<name>_FILE`, and is never shown.
    pub secret: bool,
    /// What it is for.
    pub help: &'static str,
}

const fn plain(name: &'static str, default: &'static str, help: &'static str) -> Variable {
    Variable { name, aliases: &[], default, secret: false, help }
}

const fn secret(name: &'static str, default: &'static str, help: &'static str) -> Variable {
    Variable { name, aliases: &[], default, secret: true, help }
}

const fn alias(variable: Variable, aliases: &'static [&'static str]) -> Variable {
    Variable { aliases, ..variable }
}

/// All variables, by concern.
#[rustfmt::skip]
pub const VARIABLES: &[Variable] = &[
    alias(plain("ORCHESTRATOR_ENV", "development", "`development` or `production`; production refuses missing, short (< 32 characters) or placeholder secrets"), &["NODE_ENV"]),
    plain("INSTANCE_ID", "", "names this replica in samples, leases and log lines; where not set, the host's name and `PORT`"),
    plain("HOST", "127.0.0.1", "address to listen on"),
    plain("PORT", "3000", "port to listen on; 0 takes any free one"),
    plain("METRICS_HOST", "127.0.0.1", "address of the metrics listener"),
    alias(plain("METRICS_PORT", "9100", "port of the metrics listener; 0 switches it off"), &["PROMETHEUS_PORT"]),
    plain("BODY_LIMIT_BYTES", "1048576", "largest accepted request body, in bytes"),
    plain("WEBHOOK_BODY_LIMIT_BYTES", "4194304", "the same for webhooks that the webhook token proves before the body is read"),
    plain("REQUEST_TIMEOUT_SECONDS", "30", "how long a whole request may take, from the first byte of its head to its answer"),
    plain("MAX_CONNECTIONS", "1024", "connections served at a time; more may ask `/health` and `/ready` only"),
    plain("MAX_CONNECTIONS_PER_CLIENT", "256", "of those, how many one client may hold; more may ask `/health` and `/ready` only"),
    plain("TLS_CERT_FILE", "", "PEM file of the certificate and those between it and its root: both listeners speak TLS only; read again on SIGHUP and when it changes"),
    plain("TLS_KEY_FILE", "", "PEM file of its private key"),
    plain("SHUTDOWN_TIMEOUT_SECONDS", "30", "how long requests in flight may take to finish at the end"),
    secret("DATABASE_URL", "sqlite:data/orchestrator.db", "`sqlite:<path>`, `mongodb://…` or `mongodb+srv://…`"),
    plain("DB_NAME", "", "MongoDB database; else the one of the URL, else `orchestrator`"),
    plain("MONGO_HOST", "", "makes up a MongoDB URL where DATABASE_URL is not set; several hosts separated by commas"),
    plain("MONGO_PORT", "27017", "port of MONGO_HOST"),
    alias(plain("MONGO_USERNAME", "", "user at MONGO_HOST"), &["MONGO_USER"]),
    secret("MONGO_PASSWORD", "", "password at MONGO_HOST, as it is (not percent-encoded)"),
    plain("MONGO_AUTH_SOURCE", "admin", "database that holds the user"),
    plain("MIGRATE_ON_START", "true", "bring the schema up to date at start"),
    plain("STORE_CONNECT_TIMEOUT_SECONDS", "60", "how long to try to reach the store at start"),
    secret("REDIS_URL", "", "`redis://…` or, over TLS, `rediss://…`: limits are shared by all replicas; while it is away, each has its own"),
    secret("REDIS_PASSWORD", "", "password for REDIS_URL, where the URL has none"),
    secret("API_KEY", "", "one admin key"),
    secret("API_KEY_ROTATION", "", r#"JSON list of {"key","label","roles","version","createdAt","expiresAt","active"}; replaces API_KEY"#),
    secret("WEBHOOK_SECRET", "", "signs webhooks (HMAC-SHA256)"),
    secret("WEBHOOK_SECRET_PREVIOUS", "", "accepted too, while WEBHOOK_SECRET is rotated"),
    secret("WEBHOOK_TOKEN", "", "bearer token of webhooks, for Alertmanager"),
    secret("WEBHOOK_TOKEN_PREVIOUS", "", "accepted too, while WEBHOOK_TOKEN is rotated"),
    plain("WEBHOOK_REQUIRE_TIMESTAMP", "false", "refuse signatures without X-Webhook-Timestamp"),
    plain("WEBHOOK_SIGNATURE_COMPAT", "", "`canonical-json` also accepts the old orchestrator's signatures"),
    plain("RATE_LIMIT_WEBHOOK", "100", "webhooks per client and minute; 0 switches the limit off"),
    plain("RATE_LIMIT_API", "30", "API calls per client and minute"),
    plain("RATE_LIMIT_EXPORT", "5", "exports per client and minute"),
    plain("RATE_LIMIT_PUBLIC", "120", "reads of the public pages per client and minute"),
    plain("RATE_LIMIT_HEALTH", "1000", "health checks per client and minute"),
    plain("AUTH_FAILURE_LIMIT", "30", "failed authentications per client and minute"),
    plain("TRUSTED_PROXIES", "", "addresses or networks (CIDR), separated by commas, whose X-Forwarded-For is believed"),
    plain("ORCHESTRATOR_CORS_ALLOWED_ORIGINS", "", "origins whose pages may call, separated by commas; none where not set"),
    plain("ORCHESTRATOR_CORS_ALLOWED_METHODS", "GET,POST,PUT,DELETE", "methods for those origins"),
    plain("ORCHESTRATOR_CORS_ALLOWED_HEADERS", "authorization,content-type,x-request-id", "request headers for those origins"),
    plain("ORCHESTRATOR_CORS_EXPOSED_HEADERS", "x-request-id,retry-after,ratelimit-limit,ratelimit-remaining,ratelimit-reset", "answer headers that those origins may read"),
    plain("ORCHESTRATOR_CORS_ALLOW_CREDENTIALS", "false", "let browsers send credentials; not together with `*`"),
    plain("ORCHESTRATOR_CORS_MAX_AGE_SECONDS", "600", "how long browsers may remember a preflight's answer"),
    plain("RETENTION_METRICS_DAYS", "90", "metric samples are deleted after this many days"),
    plain("RETENTION_ALERTS_HOURS", "48", "alerts are deleted this many hours after the last receipt"),
    plain("RETENTION_AT", "00:00", "when, HH:MM in local time (TZ)"),
    plain("SAMPLE_INTERVAL_SECONDS", "60", "how often the service's own metrics are kept"),
    plain("KNOWLEDGE_MAX_PATTERNS", "20000", "patterns learned from alerts that are kept"),
    plain("KNOWLEDGE_MAX_QUESTIONS", "10000", "open questions kept"),
    plain("KNOWLEDGE_OWN_RUNBOOK", "false", "whether the service's own runbook is put into a knowledge base that has nothing of it, at the start"),
    plain("EMBEDDING_MODEL", "", "a folder with a sentence-embedding model (ops/fetch-model.sh), to find answers by their meaning, too; where not set, by their words alone"),
    plain("SEVERITY_MAP", "", "`word=severity,…`: what severities of alerts and runbooks mean, over the usual words; such as `5=critical,4=high`. After a change the next start raises what stored alerts taught too low"),
    plain("AUDIT_LOG_PATH", "logs/security.jsonl", "the audit log"),
    plain("AUDIT_READS", "off", "`off` or `all`: whether each read with a key is audited, too"),
    alias(plain("LOG_LEVEL", "info", "error, warn, info, debug, trace, off, or directives such as `info,orchestrator=debug`"), &["RUST_LOG"]),
    plain("LOG_FORMAT", "", "`pretty` or `json`; where not set: pretty on a terminal, else json"),
    plain("ORCHESTRATOR_URL", "", "the service that `query` and `alerts` ask; where not set, the one at HOST and PORT"),
    secret("ORCHESTRATOR_API_KEY", "", "the key that `query` and `alerts` ask with; where neither is set, the service's own"),
];

/// The variable of that name.
pub(super) fn variable(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_name_is_given_twice() {
        let mut seen = HashSet::new();
        for variable in VARIABLES {
            for name in [variable.name].iter().chain(variable.aliases) {
                assert!(seen.insert(*name), "{name}");
            }
        }
    }

    #[test]
    fn env_example_lists_every_variable_with_its_default() {
        let example = include_str!("../../.env.example");
        for variable in VARIABLES {
            let line = format!("{}={}", variable.name, variable.default);
            let listed = example.lines().any(|l| {
                let l = l.trim_start_matches(['#', ' ']);
                if variable.default.is_empty() { l.starts_with(&line) } else { l == line }
            });
            assert!(listed, "no line `{line}` in .env.example");
        }
    }

    #[test]
    fn env_example_lists_nothing_else() {
        let example = include_str!("../../.env.example");
        for line in example.lines() {
            let Some((name, _)) = line.trim_start_matches(['#', ' ']).split_once('=') else {
                continue;
            };
            let is_name = name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
            let plain = name.strip_suffix("_FILE").unwrap_or(name);
            let known = variable(name).or(variable(plain)).is_some();
            assert!(!is_name || known, "{name} is not a variable");
        }
    }
}
