//! Which entry a runbook's text belongs to: the one that came from the same file before.
//!
//! Ids stay, so that what people noted and what alerts taught stays too: an entry keeps its id
//! when its file is changed, renamed (its text tells) or, in a database of an older version,
//! known by its name alone.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    Parsed,
    origin::{Origin, id_for},
    stem,
};
use crate::model::Entry;

/// What is to be done for the files that were read.
#[derive(Debug, Default)]
pub struct Placed {
    /// Entries with the ids that they are to be stored under.
    pub entries: Vec<Entry>,
    /// Entries whose files were read and have that text no more.
    pub superseded: Vec<String>,
    /// Entries whose files were renamed: from where to where.
    pub renamed: Vec<(String, String)>,
    /// Entries whose files were deleted; they are to be deleted only when that is wanted.
    pub gone: Vec<String>,
    /// The files of entries that an older version imported, and that are not among the files.
    pub unplaced: Vec<String>,
}

/// Finds the entries that the texts of `parsed` belong to. `is_gone` tells whether a source that
/// was read has no such file any more; of other sources nothing is said, and nothing is done.
pub fn place(
    known: &[Arc<Entry>],
    parsed: Vec<Parsed>,
    is_gone: &dyn Fn(&Origin) -> bool,
) -> Placed {
    let (exported, written): (Vec<_>, Vec<_>) =
        parsed.into_iter().partition(|parsed| parsed.origin.is_none());
    let mut placing = Placing::new(known, written);
    placing.by_origin();
    placing.by_old_name();
    placing.by_text(is_gone);
    let mut placed = placing.finish(is_gone);
    placed.entries.extend(exported.into_iter().map(|parsed| parsed.entry));
    placed
}

struct Placing<'a> {
    /// What is known of runbooks, by where it is from; taken out when it is found again.
    known: HashMap<Origin, &'a Arc<Entry>>,
    ids: HashSet<&'a str>,
    written: Vec<(Origin, Parsed)>,
    found: Vec<Option<&'a Arc<Entry>>>,
    renamed: Vec<(String, String)>,
}

impl<'a> Placing<'a> {
    fn new(known: &'a [Arc<Entry>], written: Vec<Parsed>) -> Self {
        let written: Vec<_> = written
            .into_iter()
            .filter_map(|parsed| Some((parsed.origin.clone()?, parsed)))
            .collect();
        Self {
            known: known.iter().filter_map(|entry| Some((Origin::of(entry)?, entry))).collect(),
            ids: known.iter().map(|entry| entry.id.as_str()).collect(),
            found: vec![None; written.len()],
            written,
            renamed: Vec::new(),
        }
    }

    fn by_origin(&mut self) {
        for ((origin, _), found) in self.written.iter().zip(&mut self.found) {
            *found = self.known.remove(origin);
        }
    }

    /// Entries of an older version, whose ids were made of files' names alone. The path they
    /// tell of began at whatever folder was named then.
    fn by_old_name(&mut self) {
        for ((origin, _), found) in self.written.iter().zip(&mut self.found) {
            if found.is_some() || origin.alert.is_some() {
                continue;
            }
            let is_it = |old: &&Origin| is_old(old, self.known.get(*old)) && same_end(old, origin);
            let mut candidates = self.known.keys().filter(is_it);
            let exact = Origin { source: String::new(), ..origin.clone() };
            let old = match (candidates.next().cloned(), candidates.next()) {
                _ if self.known.get(&exact).is_some_and(|e| is_old(&exact, Some(e))) => Some(exact),
                (Some(only), None) => Some(only),
                _ => None,
            };
            *found = old.and_then(|old| self.known.remove(&old));
        }
    }

    /// Files that were renamed: the text is the same, and nothing else has that text.
    fn by_text(&mut self, is_gone: &dyn Fn(&Origin) -> bool) {
        let files: HashSet<Origin> = self.written.iter().map(|(o, _)| file_of(o)).collect();
        let mut old: HashMap<[String; 6], Vec<Origin>> = HashMap::new();
        for (origin, entry) in &self.known {
            if is_gone(origin) || files.contains(&file_of(origin)) {
                old.entry(text_of(entry)).or_default().push(origin.clone());
            }
        }
        let mut new: HashMap<[String; 6], Vec<usize>> = HashMap::new();
        for (number, (_, parsed)) in self.written.iter().enumerate() {
            if self.found[number].is_none() {
                new.entry(text_of(&parsed.entry)).or_default().push(number);
            }
        }
        for (text, numbers) in new {
            let says_something = text.iter().map(String::len).sum::<usize>() >= MIN_TEXT_BYTES;
            if let ([number], Some([origin]), true) =
                (&numbers[..], old.get(&text).map(Vec::as_slice), says_something)
            {
                self.found[*number] = self.known.remove(origin);
                self.renamed.push((origin.to_string(), self.written[*number].0.to_string()));
            }
        }
    }

    fn finish(mut self, is_gone: &dyn Fn(&Origin) -> bool) -> Placed {
        let mut placed = Placed { renamed: self.renamed, ..Placed::default() };
        let files: HashSet<Origin> = self.written.iter().map(|(o, _)| file_of(o)).collect();
        let mut ids: HashSet<String> = self.ids.drain().map(str::to_owned).collect();
        for ((origin, parsed), found) in self.written.into_iter().zip(self.found) {
            let mut entry = parsed.entry;
            match found {
                Some(known) => {
                    entry.id.clone_from(&known.id);
                    let others = known.provenance.derived_from.iter().skip(1).cloned();
                    Arc::make_mut(&mut entry.provenance).derived_from.extend(others);
                }
                None => {
                    let fresh = (0..).map(|n| origin.new_id(n)).find(|id| !ids.contains(id));
                    entry.id = fresh.unwrap_or_default();
                    ids.insert(entry.id.clone());
                }
            }
            placed.entries.push(entry);
        }
        for (origin, entry) in self.known {
            let merged_before = || {
                let mut new = files.iter();
                is_old(&origin, Some(&entry)) && new.any(|file| same_end(&origin, file))
            };
            if files.contains(&file_of(&origin)) || merged_before() {
                placed.superseded.push(entry.id.clone());
            } else if origin.source.is_empty() {
                placed.unplaced.push(origin.path);
            } else if is_gone(&origin) {
                placed.gone.push(entry.id.clone());
            }
        }
        placed.superseded.sort();
        placed.gone.sort();
        placed.unplaced.sort();
        placed
    }
}

/// Two files of less text than this may be alike by chance.
const MIN_TEXT_BYTES: usize = 16;

fn file_of(origin: &Origin) -> Origin {
    Origin { alert: None, ..origin.clone() }
}

fn is_old(origin: &Origin, entry: Option<&&Arc<Entry>>) -> bool {
    origin.source.is_empty() && entry.is_some_and(|entry| entry.id == id_for(stem(&origin.path)))
}

/// Whether one of the paths is the end of the other.
fn same_end(one: &Origin, other: &Origin) -> bool {
    let (short, long) = match one.path.len() <= other.path.len() {
        true => (&one.path, &other.path),
        false => (&other.path, &one.path),
    };
    let before = long.strip_suffix(short.as_str());
    before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// The text that a file gives, its name and head aside.
fn text_of(entry: &Entry) -> [String; 6] {
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    [
        squeezed(&entry.description),
        squeezed(entry.root_cause.as_deref().unwrap_or_default()),
        squeezed(&entry.prerequisites.join("\n")),
        squeezed(&entry.steps.join("\n")),
        squeezed(&entry.solution),
        squeezed(&entry.expected_outcome),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        knowledge::runbook::{Parsed, read_file},
        model::{SeverityWords, Time},
    };

    fn read_from(source: &str, path: &str, text: &str) -> Vec<Parsed> {
        read_file(source, path, text, Time::default(), &SeverityWords::default())
    }

    fn parsed(files: &[(&str, &str)]) -> Vec<Parsed> {
        let read = |(path, text): &(&str, &str)| read_from("books", path, text);
        files.iter().flat_map(read).collect()
    }

    fn entries(known: &[Arc<Entry>], files: &[(&str, &str)]) -> Vec<Arc<Entry>> {
        place(known, parsed(files), &|_| false).entries.into_iter().map(Arc::new).collect()
    }

    const FIX: &str = "## Fix\nRestart the service and wait.\n";

    #[test]
    fn files_of_one_name_in_two_folders_are_two_entries_and_stay_the_same() {
        let files = [("a/README.md", FIX), ("b/README.md", "## Fix\nCall the owner of it.\n")];
        let first = entries(&[], &files);
        assert_eq!(first.len(), 2);
        assert_ne!(first[0].id, first[1].id);
        assert_eq!(entries(&first, &files), first);
        let other = read_from("other", "a/README.md", FIX);
        assert_ne!(place(&[], other, &|_| false).entries[0].id, first[0].id);
    }

    #[test]
    fn a_renamed_file_keeps_its_entry_and_its_old_name_may_be_used_again() {
        let first = entries(&[], &[("Old.md", FIX)]);
        let placed = place(&first, parsed(&[("new/Name.md", FIX)]), &|old| old.path == "Old.md");
        assert_eq!(placed.entries[0].id, first[0].id);
        assert_eq!(placed.entries[0].provenance.derived_from, ["books:new/Name.md"]);
        assert_eq!(placed.renamed.len(), 1);
        let renamed: Vec<_> = placed.entries.into_iter().map(Arc::new).collect();
        let both = entries(&renamed, &[("new/Name.md", FIX), ("Old.md", "## Fix\nAnother text.")]);
        assert_eq!(both[0].id, first[0].id);
        assert_ne!(both[1].id, first[0].id);
    }

    #[test]
    fn a_copy_is_no_renamed_file() {
        let first = entries(&[], &[("Old.md", FIX)]);
        let both = entries(&first, &[("Old.md", FIX), ("Copy.md", FIX)]);
        assert_ne!(both[1].id, first[0].id);
        let gone = place(&first, parsed(&[("A.md", FIX), ("B.md", FIX)]), &|_| true);
        assert!(gone.entries.iter().all(|entry| entry.id != first[0].id));
        assert_eq!(gone.gone, [first[0].id.clone()]);
    }

    #[test]
    fn an_entry_of_an_older_version_is_taken_over_by_its_file() {
        let old = |path: &str| {
            let mut parsed = read_from("", path, FIX);
            let mut entry = parsed.remove(0).entry;
            entry.id = id_for(stem(path));
            Arc::make_mut(&mut entry.provenance).derived_from =
                vec![path.to_owned(), "kb-question-1".to_owned()];
            Arc::new(entry)
        };
        let known = [old("mysql/README.md"), old("DiskFull.md"), old("Gone.md")];
        let files = [
            ("redis/README.md", "## Fix\nredis"),
            ("mysql/README.md", FIX),
            ("storage/DiskFull.md", FIX),
        ];
        let placed = place(&known, parsed(&files), &|_| false);
        let ids: Vec<_> = placed.entries.iter().map(|entry| entry.id.clone()).collect();
        assert_eq!(ids[1..], [known[0].id.clone(), known[1].id.clone()]);
        assert!(!known.iter().any(|entry| entry.id == ids[0]));
        assert_eq!(
            placed.entries[1].provenance.derived_from,
            ["books:mysql/README.md", "kb-question-1"]
        );
        assert_eq!(placed.unplaced, ["Gone.md"]);
    }

    #[test]
    fn alerts_of_one_file_come_and_go_with_their_headings() {
        let two = "## SvcDown\n### Fix\nRestart the service.\n## SvcSlow\n### Fix\nScale it.\n";
        let first = entries(&[], &[("Svc.md", two)]);
        assert_eq!(first.len(), 2);
        let three = two.replace("SvcDown", "ServiceDown") + "## SvcLost\n### Fix\nFind it.\n";
        let placed = place(&first, parsed(&[("Svc.md", &three)]), &|_| false);
        let ids: Vec<_> = placed.entries.iter().map(|entry| entry.id.as_str()).collect();
        assert_eq!(ids[..2], [first[0].id.as_str(), first[1].id.as_str()]);
        assert_eq!(placed.superseded, Vec::<String>::new());
        let one = "## Fix\nRestart everything.\n";
        let placed = place(&first, parsed(&[("Svc.md", one)]), &|_| false);
        assert_eq!(placed.superseded.len(), 2);
    }
}
