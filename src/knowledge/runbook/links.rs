//! Which runbook belongs to which alert: by the alert's name, as files, headings and front
//! matter have it, and by the URL that the alert names, whatever the case.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;
use url::Url;

use super::{alerts::key, origin::Origin};
use crate::model::Entry;

/// What a runbook is found by.
pub fn keys_of_runbook(runbook: &Entry) -> BTreeSet<String> {
    let mut keys: BTreeSet<String> = runbook.tags.iter().map(|tag| key(tag)).collect();
    keys.extend(runbook.runbook_url.as_deref().and_then(web_page).and_then(|url| url_key(&url)));
    if let Some(origin) = Origin::of(runbook) {
        keys.insert(path_key(origin.path.split('/')));
    }
    keys.remove("");
    keys
}

/// What a pattern of these alerts finds its runbook by, the surest first.
pub fn keys_of_pattern(alertname: &str, runbook_url: Option<&str>) -> Vec<String> {
    let mut keys = vec![key(alertname)];
    if let Some(url) = runbook_url.and_then(web_page) {
        keys.extend(url_key(&url));
        keys.extend(url.fragment().map(|fragment| key(&decoded(fragment))));
        let segments: Vec<String> =
            url.path_segments().into_iter().flatten().map(decoded).collect();
        let segments: Vec<&str> =
            segments.iter().map(String::as_str).filter(|segment| !segment.is_empty()).collect();
        keys.push(path_key(segments.iter().copied()));
        keys.extend(segments.last().map(|last| key(without_ending(last))));
    }
    let mut seen = BTreeSet::new();
    keys.retain(|key| !key.is_empty() && seen.insert(key.clone()));
    keys
}

/// Whether the runbook was written for this alert, and does not only mention it.
pub fn is_written_for(runbook: &Entry, alertname: &str) -> bool {
    runbook.tags.first().is_some_and(|own| key(own) == key(alertname))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The last two names of a path, the ending aside: a repository's page, a site made of it, and
/// the file have these in common. A page that is called as its folder is, is the folder.
fn path_key<'a>(segments: impl Iterator<Item = &'a str>) -> String {
    let segments: Vec<&str> = segments.collect();
    let Some((last, folders)) = segments.split_last() else { return String::new() };
    let name = without_ending(last);
    let name = if is_index(name) { None } else { Some(name) };
    let names: Vec<String> =
        folders.iter().rev().take(if name.is_some() { 1 } else { 2 }).map(|f| key(f)).collect();
    let names: Vec<String> = names.into_iter().rev().chain(name.map(key)).collect();
    if names.len() < 2 { String::new() } else { names.join("/") }
}

fn web_page(url: &str) -> Option<Url> {
    Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}

fn url_key(url: &Url) -> Option<String> {
    let path = url.path().trim_end_matches('/').to_lowercase();
    let fragment = url.fragment().map(|f| format!("#{}", f.to_lowercase())).unwrap_or_default();
    Some(format!("//{}{path}{fragment}", url.host_str()?))
}

fn without_ending(name: &str) -> &str {
    let endings = [".md", ".markdown", ".adoc", ".asciidoc", ".html", ".htm"];
    let lower = name.to_ascii_lowercase();
    let ending = endings.into_iter().find(|ending| lower.ends_with(ending));
    ending.map_or(name, |ending| &name[..name.len() - ending.len()])
}

/// Whether a file of this name (without ending) is the page of its folder.
pub(super) fn is_index(stem: &str) -> bool {
    matches!(stem.to_ascii_lowercase().as_str(), "readme" | "index" | "_index")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::model::{Category, EntryText, Provenance, Severity, SourceType, Time};

    fn runbook(origin: &str, tags: &[&str]) -> Entry {
        let text = EntryText {
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..EntryText::new("T", Category::Runbook, Severity::Low)
        };
        let provenance = Provenance {
            source_type: SourceType::Runbook,
            derived_from: vec![origin.to_owned()],
            ..Provenance::default()
        };
        let entry = Entry::new("kb".into(), text, Time::default());
        Entry { provenance: Arc::new(provenance), ..entry }
    }

    fn meet(runbook: &Entry, alertname: &str, url: Option<&str>) -> bool {
        let keys = keys_of_runbook(runbook);
        keys_of_pattern(alertname, url).iter().any(|key| keys.contains(key))
    }

    #[test]
    fn names_meet_whatever_the_case_and_the_marks() {
        let book = runbook("books:kube-node-down.md", &["kube-node-down"]);
        assert!(meet(&book, "KubeNodeDown", None) && meet(&book, "KUBE_NODE_DOWN", None));
        assert!(!meet(&book, "KubeNode", None));
        assert!(is_written_for(&book, "KubeNodeDown"));
        assert!(!is_written_for(&runbook("b:a.md", &["A", "KubeNodeDown"]), "KubeNodeDown"));
    }

    #[test]
    fn urls_meet_files_headings_and_urls() {
        let disk = runbook("books:storage/DiskFull.md", &["DiskFull"]);
        for url in [
            "https://runbooks.example.org/runbooks/storage/diskfull",
            "https://git.example.org/ops/books/blob/main/storage/DiskFull.md",
            "https://wiki.example.org/DiskFull/",
            "https://wiki.example.org/all#diskfull",
        ] {
            assert!(meet(&disk, "VolumeAlmostFull", Some(url)), "{url}");
        }
        let mysql = runbook("books:db/mysql/README.md", &["mysql"]);
        assert!(meet(&mysql, "A", Some("https://git.example.org/books/tree/main/db/mysql")));
        assert!(meet(&mysql, "A", Some("https://git.example.org/blob/main/db/mysql/README.md")));
        assert!(!meet(&mysql, "A", Some("https://git.example.org/blob/main/db/redis/README.md")));
        let mut own = runbook("books:x.md", &["x"]);
        Arc::make_mut(&mut own.text).runbook_url =
            Some("https://wiki.example.org/Pages/77/".to_owned());
        assert!(meet(&own, "A", Some("https://WIKI.example.org/pages/77")));
        assert!(!meet(&own, "A", Some("https://wiki.example.org/pages/78")));
        assert!(!meet(&disk, "A", Some("javascript:DiskFull")));
    }
}
