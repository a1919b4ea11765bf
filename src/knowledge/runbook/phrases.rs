//! What people call things, from the text files beside this one: headings, placeholders, and
//! files that are no runbooks.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use super::sections::Part;

/// A heading that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// The part that it begins.
    pub part: Part,
    /// Whether it is a phrase as it stands in the list.
    pub exact: bool,
}

#[derive(Default)]
struct Headings {
    exact: HashMap<String, Part>,
    beginnings: Vec<(String, Part)>,
    before: HashSet<String>,
    after: HashSet<String>,
    circumstances: HashSet<String>,
}

static HEADINGS: LazyLock<Headings> =
    LazyLock::new(|| Headings::read(include_str!("headings.txt")));

/// The longest phrase of the list has five words; what is longer is a sentence.
const MAX_HEADING_CHARS: usize = 80;

impl Headings {
    fn read(data: &'static str) -> Self {
        let mut headings = Self::default();
        let mut group = "";
        for line in lines(data) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                group = name;
                continue;
            }
            let phrases = line.split_once(':').map_or("", |(_language, phrases)| phrases);
            for phrase in phrases.split(',') {
                let begins = phrase.trim_end().ends_with('*');
                headings.add(group, plain(phrase), begins);
            }
        }
        headings
    }

    fn add(&mut self, group: &str, phrase: String, begins: bool) {
        let Some(part) = Part::named(group) else {
            let words = match group {
                "before" => &mut self.before,
                "after" => &mut self.after,
                _ => &mut self.circumstances,
            };
            words.insert(phrase);
            return;
        };
        if begins {
            self.beginnings.push((phrase.clone(), part));
        }
        self.exact.entry(phrase).or_insert(part);
    }

    fn find(&self, phrase: &str) -> Option<Known> {
        if let Some(part) = self.exact.get(phrase) {
            return Some(Known { part: *part, exact: true });
        }
        let bare = self.bare(phrase);
        if let Some(part) = self.exact.get(bare) {
            return Some(Known { part: *part, exact: true });
        }
        let begins =
            |known: &str| phrase.strip_prefix(known).is_some_and(|rest| rest.starts_with(' '));
        let found = self.beginnings.iter().find(|(known, _)| begins(known));
        found.map(|(_, part)| Known { part: *part, exact: false })
    }

    /// The phrase without the words around it that change nothing.
    fn bare<'a>(&self, phrase: &'a str) -> &'a str {
        let mut bare = phrase;
        while let Some((first, rest)) = bare.split_once(' ') {
            if !self.before.contains(first) {
                break;
            }
            bare = rest;
        }
        while let Some((rest, last)) = bare.rsplit_once(' ') {
            if !self.after.contains(last) {
                break;
            }
            bare = rest;
        }
        bare
    }
}

/// The part that a heading of this text begins. One that names several begins what helps, if
/// that is among them, and else what to look at.
pub(super) fn heading(text: &str) -> Option<Known> {
    if text.chars().count() > MAX_HEADING_CHARS {
        return None;
    }
    let whole = plain(without_number(text));
    if whole.is_empty() {
        return None;
    }
    HEADINGS.find(&whole).or_else(|| {
        let pieces = ["/", "&", ",", " and ", " und ", " et ", " y ", " e ", " - ", " — ", "("];
        let lower = text.to_lowercase();
        let mut parts: Vec<&str> = vec![without_number(&lower)];
        for piece in pieces {
            parts = parts.into_iter().flat_map(|part| part.split(piece)).collect();
        }
        let found: Option<Vec<Known>> = parts
            .into_iter()
            .map(plain)
            .filter(|part| !part.is_empty())
            .map(|part| HEADINGS.find(&part))
            .collect();
        let order = [Part::Solution, Part::Steps, Part::RootCause];
        let rank = |known: &Known| order.iter().position(|part| *part == known.part).unwrap_or(9);
        found?.into_iter().min_by_key(rank)
    })
}

/// Whether a heading names a circumstance (`Option 2`, `Critical`) and names no alert.
pub(super) fn is_circumstance(text: &str) -> bool {
    let plain = plain(without_number(text));
    let first = plain.split(' ').next().unwrap_or_default();
    first.is_empty() || HEADINGS.circumstances.contains(first)
}

/// Lower case, without accents, emphasis and marks at either end, and with single blanks.
pub(super) fn plain(text: &str) -> String {
    let folded: String = text
        .nfd()
        .filter(|c| !is_combining_mark(*c) && !"*_`".contains(*c))
        .nfc()
        .flat_map(char::to_lowercase)
        .map(|c| if c == '’' { '\'' } else { c })
        .collect();
    let trimmed = folded.trim_matches(|c: char| !c.is_alphanumeric());
    trimmed.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Words that stand before the number of a step.
const STEP: [&str; 8] = ["step", "schritt", "étape", "etape", "paso", "passo", "krok", "шаг"];

/// The text after a number: `1.`, `2.3)`, `IV.`, `Step 2:`, `(a)`.
pub(super) fn without_number(text: &str) -> &str {
    let after_step = text.trim().split_once(' ').and_then(|(word, rest)| {
        let numbered = rest.starts_with(|c: char| c.is_ascii_digit());
        (numbered && STEP.contains(&word.to_lowercase().as_str())).then_some(rest)
    });
    let text = after_step.unwrap_or(text);
    let text = text.trim().trim_start_matches(|c: char| !c.is_alphanumeric() && c != '(');
    let inside = text.trim_start_matches('(');
    let first = inside.split(char::is_whitespace).next().unwrap_or_default();
    let number = first.trim_end_matches(['.', ')', ':', '-', '–', '、']);
    let marked = number.len() < first.len();
    let digits = !number.is_empty()
        && number.chars().all(|c| c.is_ascii_digit() || c == '.')
        && number.starts_with(|c: char| c.is_ascii_digit());
    let letters = marked
        && !number.is_empty()
        && (number.chars().count() == 1 && number.chars().all(char::is_alphabetic)
            || number.chars().all(|c| "IVXivx".contains(c)));
    let rest = inside[first.len()..].trim_start();
    if (digits || letters) && !rest.is_empty() { rest } else { text }
}

static PLACEHOLDERS: LazyLock<(HashSet<String>, Vec<String>)> = LazyLock::new(|| {
    let beginnings = lines(include_str!("placeholders.txt")).filter_map(|l| l.strip_suffix('*'));
    let all = lines(include_str!("placeholders.txt")).map(plain).collect();
    (all, beginnings.map(plain).collect())
});

/// How long a line may be that begins as a placeholder and is nothing else.
const MAX_PLACEHOLDER_WORDS: usize = 12;

/// Whether a block of text stands where a text is still to be written.
pub(super) fn is_placeholder(block: &str) -> bool {
    let Some(line) = only_line(block) else { return false };
    let listed = line.trim_start_matches(|c: char| "-*+>#".contains(c)).trim();
    if listed.starts_with('<') && listed.ends_with('>') && listed.contains(' ') {
        return true;
    }
    let plain = plain(without_number(listed));
    if plain.is_empty() {
        return !listed.is_empty() && listed.chars().all(|c| ".…?-–—*_ ".contains(c));
    }
    let (all, beginnings) = &*PLACEHOLDERS;
    let words = plain.split(' ').count();
    let begins = |known: &String| {
        let rest = plain.strip_prefix(known.as_str());
        rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
    };
    all.contains(&plain) || words <= MAX_PLACEHOLDER_WORDS && beginnings.iter().any(begins)
}

fn only_line(block: &str) -> Option<&str> {
    let mut lines = block.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next()?;
    lines.next().is_none().then_some(first)
}

static NOT_RUNBOOKS: LazyLock<HashSet<&str>> =
    LazyLock::new(|| lines(include_str!("not_runbooks.txt")).collect());

/// Whether a file of this name (without ending) lies beside runbooks and is none.
pub(super) fn is_no_runbook(stem: &str) -> bool {
    NOT_RUNBOOKS.contains(stem.to_lowercase().as_str())
}

fn lines(data: &'static str) -> impl Iterator<Item = &'static str> {
    data.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str) -> Option<Part> {
        heading(text).map(|known| known.part)
    }

    #[test]
    fn headings_are_known_by_what_people_call_them() {
        for (text, expected) in [
            ("Root Cause:", Part::RootCause),
            ("**Remediation**", Part::Solution),
            ("1. Meaning", Part::Description),
            ("2. Diagnosis Steps", Part::Steps),
            ("3. Mitigation / remediation", Part::Solution),
            ("Step 2: How to fix it", Part::Solution),
            ("IV) Impact", Part::Description),
            ("🚨 What to do?", Part::Solution),
            ("Possible checks", Part::Steps),
            ("Triage Checklist", Part::Steps),
            ("Validation", Part::ExpectedOutcome),
            ("Diagnosis and Mitigation", Part::Solution),
            ("Detecção", Part::Description),
            ("DIAGNOSTICO", Part::Steps),
            ("Mitigação", Part::Solution),
            ("Lösung", Part::Solution),
            ("Mögliche Ursachen", Part::RootCause),
            ("Устранение", Part::Solution),
            ("解决方案", Part::Solution),
            ("対処方法", Part::Solution),
        ] {
            assert_eq!(part(text), Some(expected), "{text}");
        }
        for text in ["Notes", "DiskFull", "", "1.", "Disk and network", "Fix the disk of db-1"] {
            assert_eq!(part(text), None, "{text}");
        }
    }

    #[test]
    fn placeholders_are_told_from_text() {
        for text in [
            "TODO",
            "- TODO",
            "_TBD._",
            "TODO: write the mitigation",
            "N/A",
            "...",
            "1. tbd",
            "<describe the fix here>",
            "待补充",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in [
            "Restart it.",
            "TODO\nRestart it.",
            "",
            "nothing works: reboot",
            "todos",
            "Nothing can be done but to wait until the node is back",
        ] {
            assert!(!is_placeholder(text), "{text}");
        }
    }

    #[test]
    fn numbers_before_a_text_are_no_part_of_it() {
        for text in
            ["1. Fix", "1.2 Fix", "(a) Fix", "Step 1: Fix", "iv. Fix", "# Fix", "Fix", "3) Fix"]
        {
            assert_eq!(without_number(text), "Fix", "{text}");
        }
        assert_eq!(without_number("5"), "5");
        assert_eq!(without_number("I am"), "I am");
    }
}
