//! Text and names to words: what is indexed and what is looked for.
//!
//! Alerts and metrics are called `KubeHPAMaxedOut`, `node_filesystem_avail_bytes` or
//! `high-error-rate`; people type "hpa maxed out". A name becomes its parts and, run together,
//! itself. Words are kept as written (lower-cased) for prefixes and typing errors, and stemmed
//! for everything else.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use frostem::{Algorithm, Stemmer};

use super::limits::WORD_BYTES;

static STEMMER: LazyLock<Stemmer> = LazyLock::new(|| Stemmer::new(Algorithm::English));

/// The stem that the word is indexed and looked for as. `word` is in lower case.
pub(crate) fn stem(word: &str) -> Cow<'_, str> {
    if word.is_ascii() { STEMMER.stem(word) } else { Cow::Borrowed(word) }
}

/// Lower case letter by letter: a letter's form never depends on what stands beside it, as it
/// does in `str::to_lowercase`, so that a part of a text stays a part.
pub(super) fn lower_case(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().flat_map(char::to_lowercase).collect()
}

/// One run of letters, digits, `_` and `-` in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// Its words in lower case: `kube`, `hpa`, `maxed`, `out`.
    pub parts: Vec<String>,
}

impl Name {
    /// The parts run together, if there are several: `kubehpamaxedout`.
    pub fn whole(&self) -> Option<String> {
        let length: usize = self.parts.iter().map(String::len).sum();
        (self.parts.len() > 1 && length <= WORD_BYTES).then(|| self.parts.concat())
    }
}

/// The names and words of a text, in order.
pub(crate) fn names(text: &str) -> impl Iterator<Item = Name> + '_ {
    text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '\'' | '’')))
        .map(|run| Name { parts: parts(run) })
        .filter(|name| !name.parts.is_empty())
}

/// The words of a text with where they stand, in bytes: what is highlighted.
pub(super) fn words_at(text: &str) -> impl Iterator<Item = (Range<usize>, String)> + '_ {
    let is_inside = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '’');
    let start = |piece: &str| piece.as_ptr().addr() - text.as_ptr().addr();
    text.split(move |c: char| !is_inside(c)).flat_map(move |piece| {
        let from = start(piece);
        let mut words = Vec::new();
        split_case(piece, &mut words);
        if words.len() == 1 || piece.contains(['\'', '’']) {
            let word = piece.replace(['\'', '’'], "").to_lowercase();
            return vec![(from..from + piece.len(), word)];
        }
        let mut at = from;
        let ranges: Vec<Range<usize>> = words
            .iter()
            .map(|word| {
                let to = at + word.len();
                std::mem::replace(&mut at, to)..to
            })
            .collect();
        // Where lower case is longer or shorter, nobody knows where a word ends: all stand there.
        let exact =
            at == from + piece.len() && ranges.iter().all(|range| text.is_char_boundary(range.end));
        let whole = from..from + piece.len();
        let place = |range| if exact { range } else { whole.clone() };
        ranges.into_iter().map(place).zip(words).collect()
    })
}

fn parts(run: &str) -> Vec<String> {
    let unquoted: Cow<'_, str> = if run.contains(['\'', '’']) {
        Cow::Owned(run.replace(['\'', '’'], ""))
    } else {
        Cow::Borrowed(run)
    };
    let mut parts = Vec::new();
    for piece in unquoted.split(['_', '-']) {
        split_case(piece, &mut parts);
    }
    parts.retain(|part| part.len() <= WORD_BYTES);
    parts
}

/// Splits where lower turns to upper case, before the last capital of a run of them
/// (`HPAMaxed`), and between a word of three letters or more and the digits after it.
fn split_case(piece: &str, parts: &mut Vec<String>) {
    let (mut start, mut letters, mut before) = (0, 0, None);
    let mut chars = piece.char_indices();
    while let Some((at, here)) = chars.next() {
        let mut ahead = chars.as_str().chars();
        let ahead = [ahead.next(), ahead.next()];
        if before.is_some_and(|before| is_boundary(before, here, ahead, letters)) {
            parts.push(lower_case(&piece[start..at]));
            (start, letters) = (at, 0);
        }
        letters += 1;
        before = Some(here);
    }
    if start < piece.len() {
        parts.push(lower_case(&piece[start..]));
    }
}

/// Whether a word ends between `before`, its last of so many `letters`, and `here`.
fn is_boundary(before: char, here: char, ahead: [Option<char>; 2], letters: usize) -> bool {
    if here.is_uppercase() {
        let [next, _] = ahead;
        let acronym_ends = next.is_some_and(char::is_lowercase) && !acronym_goes_on(ahead);
        return before.is_lowercase()
            || (before.is_uppercase() && acronym_ends)
            || (before.is_numeric() && next.is_some_and(char::is_lowercase));
    }
    here.is_numeric() && before.is_alphabetic() && letters >= 3
}

/// Whether the small letter after a capital belongs to the acronym: `PVCs`, `IPv4`.
fn acronym_goes_on([next, after]: [Option<char>; 2]) -> bool {
    next == Some('s') && after.is_none_or(char::is_uppercase) || after.is_some_and(char::is_numeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<String> {
        names(text).flat_map(|name| name.parts).collect()
    }

    #[test]
    fn a_word_stands_where_it_can_be_cut() {
        for text in ["ȺѨnhfjxpq", "KubePodȺrashİng", "diskFull", "it’s aB", "ᏸxYz İİ"] {
            for (range, word) in words_at(text) {
                assert!(text.get(range.clone()).is_some(), "{text}: {range:?} {word}");
            }
        }
        let found: Vec<_> = words_at("a diskFull").map(|(range, _)| range).collect();
        assert_eq!(found, [0..1, 2..6, 6..10]);
    }

    #[test]
    fn a_camel_case_name_is_split_around_its_acronyms() {
        assert_eq!(split("KubeHPAMaxedOut"), ["kube", "hpa", "maxed", "out"]);
        assert_eq!(split("etcdGRPCRequestsSlow"), ["etcd", "grpc", "requests", "slow"]);
        assert_eq!(split("PrometheusTSDBReloadsFailing")[1..3], ["tsdb", "reloads"]);
        assert_eq!(split("CPUThrottlingHigh"), ["cpu", "throttling", "high"]);
        assert_eq!(split("HPAs or IPv4"), ["hpas", "or", "ipv", "4"]);
    }

    #[test]
    fn metrics_and_kebab_names_are_split_at_their_joints() {
        assert_eq!(split("node_filesystem_avail_bytes"), ["node", "filesystem", "avail", "bytes"]);
        assert_eq!(split("high-error-rate"), ["high", "error", "rate"]);
        assert_eq!(split("job:http_errors:rate5m"), ["job", "http", "errors", "rate", "5m"]);
    }

    #[test]
    fn short_letters_stay_with_their_digits() {
        assert_eq!(split("k8s s3 p99 ext4"), ["k8s", "s3", "p99", "ext", "4"]);
    }

    #[test]
    fn one_name_written_three_ways_is_one_whole() {
        let whole = |text| names(text).next().unwrap().whole();
        assert_eq!(whole("DiskFull").as_deref(), Some("diskfull"));
        assert_eq!(whole("DiskFull"), whole("disk_full"));
        assert_eq!(whole("disk-full"), whole("disk_full"));
        assert_eq!(whole("disk"), None);
    }

    #[test]
    fn an_apostrophe_does_not_split_a_word() {
        assert_eq!(split("the node's fsync'd"), ["the", "nodes", "fsyncd"]);
    }

    proptest::proptest! {
        #[test]
        fn no_letter_or_digit_is_lost_and_none_is_upper_case(text in "[A-Za-z0-9_ .:-]{0,60}") {
            let kept: String = split(&text).concat();
            let expected: String =
                text.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
            proptest::prop_assert_eq!(kept, expected);
        }
    }
}
