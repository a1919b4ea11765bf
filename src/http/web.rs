//! The page's files, as they are in `web/`, in the binary.
//!
//! All of them together have an edition: a hash over what they hold. The page asks for its files
//! by it, so that a browser may keep them for ever and never mixes two versions of the program.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// Stands in the page for the edition.
const PLACEHOLDER: &str = "{{edition}}";

/// A file of the page.
#[derive(Debug)]
pub struct WebFile {
    /// Its name.
    pub name: &'static str,
    /// As it is.
    pub bytes: &'static [u8],
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(WebFile {
            name: $name,
            bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/", $name)),
        }),*]
    };
}

/// What the page is made of, beside its HTML.
static FILES: &[WebFile] = files![
    "answer.js",
    "api.js",
    "ask.js",
    "boot.js",
    "chart.js",
    "conflict.js",
    "csv.js",
    "dom.js",
    "edit.js",
    "entry.js",
    "format.js",
    "history.js",
    "icon.svg",
    "knowledge.js",
    "landing.js",
    "list.js",
    "live.js",
    "main.js",
    "markdown.js",
    "now.js",
    "pattern.js",
    "style.css",
    "work.js",
];

static EDITION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for WebFile { name, bytes } in FILES {
        // With their lengths, so that no two lists of files hash the same.
        hash.update((name.len() as u64).to_be_bytes());
        hash.update(name);
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    }
    hex::encode(&hash.finalize()[..8])
});

static PAGE: LazyLock<String> = LazyLock::new(|| {
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/index.html"))
        .replace(PLACEHOLDER, edition())
});

/// The edition of the files, 16 hex digits.
pub fn edition() -> &'static str {
    &EDITION
}

/// The page's HTML, which names the edition.
pub fn page() -> &'static str {
    &PAGE
}

/// The file of this name.
pub fn file(name: &str) -> Option<&'static WebFile> {
    FILES.iter().find(|file| file.name == name)
}

impl WebFile {
    /// Its media type.
    pub fn media_type(&self) -> &'static str {
        match self.name.rsplit_once('.') {
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn each_file_of_the_folder_is_in_the_binary_and_asked_for() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let there = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
        let there: BTreeSet<String> = there.map(|name| name.into_string().unwrap()).collect();
        let mut known: BTreeSet<String> = FILES.iter().map(|file| file.name.to_owned()).collect();
        // Each is named in the page, so that a browser asks for all of them at once.
        for name in &known {
            let address = format!("\"/assets/{}/{name}\"", edition());
            assert!(page().contains(&address), "{name}");
        }
        known.insert("index.html".to_owned());
        assert_eq!(there, known);
    }
}
