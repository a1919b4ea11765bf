//! What the documents name is there: files, headings, settings.

use std::collections::BTreeSet;

use orchestrator::config::VARIABLES;

use super::{
    DOCUMENTS,
    markdown::{anchors, code_spans, links, prose},
    path, read,
};

#[test]
fn links_between_documents_lead_somewhere() {
    for document in DOCUMENTS {
        let text = read(document);
        let folder = path(document).parent().unwrap().to_owned();
        for link in links(&prose(&text)) {
            if link.starts_with("http") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path(document) } else { folder.join(file) };
            assert!(target.exists(), "{document} links to {link}");
            if !anchor.is_empty() {
                let there = anchors(&std::fs::read_to_string(&target).unwrap());
                assert!(there.contains(anchor), "{document} links to {link}");
            }
        }
    }
}

const FOLDERS: [&str; 9] =
    ["src/", "tests/", "docs/", "ops/", "monitoring/", "migrations/", "benches/", "fuzz/", ".ci/"];

#[test]
fn files_that_are_named_are_there() {
    for document in DOCUMENTS {
        let text = read(document);
        for span in code_spans(&prose(&text)) {
            let file = span.split([' ', ':']).next().unwrap_or_default();
            let ours = FOLDERS.iter().any(|folder| file.starts_with(folder));
            if ours && !file.contains(['*', '<', 'N']) {
                assert!(path(file).exists(), "{document} names {file}");
            }
        }
    }
}

/// Other files that set settings.
const FILES: [&str; 3] = ["Dockerfile", "docker-compose.yml", "ops/orchestrator.service"];
/// Written like settings, but not the service's own.
const OTHERS: [&str; 13] = [
    "NO_COLOR",
    "X_FILE",
    "AF_INET",
    "AF_INET6",
    "AF_UNIX",
    "GF_PLUGINS_PREINSTALL",
    "MONGO_INITDB_ROOT_PASSWORD_FILE",
    "MONGO_INITDB_ROOT_USERNAME",
    "REDISCLI_AUTH",
    "BALANCER_SUBNET",
    "SMALL_PORT",
    "ORCHESTRATOR_PORT",
    "SSL_CERT_FILE",
];

#[test]
fn settings_that_are_named_exist() {
    let mut known: BTreeSet<String> = OTHERS.map(str::to_owned).into();
    for variable in VARIABLES {
        known.extend(variable.aliases.iter().map(|alias| (*alias).to_owned()));
        known.insert(variable.name.to_owned());
        if variable.secret {
            known.insert(format!("{}_FILE", variable.name));
        }
    }
    for file in DOCUMENTS.into_iter().chain(FILES) {
        let text = read(file);
        let words =
            text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
        for word in words {
            let setting =
                word.contains('_') && word.len() > 3 && word.starts_with(char::is_alphabetic);
            // Grafana's own.
            let setting = setting && !word.starts_with("GF_");
            // `RATE_LIMIT_*` names several.
            let begins = word.ends_with('_') && known.iter().any(|name| name.starts_with(word));
            assert!(!setting || begins || known.contains(word), "{file} names {word}");
        }
    }
}
