//! What people change: entries by hand, notes, feedback, imported runbooks.
//!
//! A change is made of the version that its author saw and written compare-and-set: one that
//! meets another is refused with the entry as it is now. It is answered once it is stored.

use std::sync::Arc;

use serde_json::Value;
use strum::VariantArray;

use super::draft::EntryDraft;
use crate::{
    model::{
        Author, Category, Entry, EntryJson, EntryText, Note, Provenance, SourceType, TextField,
        TextSource, Time,
    },
    validation::{Rejection, problem},
};

/// Notes that an entry holds; more are refused, so that an entry stays a thing to read.
pub const MAX_NOTES: usize = 200;

/// Who changes an entry, and when.
#[derive(Clone, Debug)]
pub struct Editor {
    /// The label of their key.
    pub name: String,
    /// Now.
    pub at: Time,
}

/// What is to become of an entry.
#[derive(Clone, Debug)]
pub enum Change {
    /// Its text is replaced; what is learned stays.
    Replace(Box<EntryDraft>),
    /// Some fields of its text are replaced, by RFC 7396.
    Patch(Value),
    /// A note is added.
    Note(String),
    /// It helped, or it did not.
    Feedback {
        /// Whether it helped.
        helped: bool,
    },
    /// It is deleted.
    Delete,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// There is no such entry.
    #[error("there is no such entry")]
    Missing,
    /// The entry is not of the version that the author saw; this is the one that it is.
    #[error("the entry was changed by another")]
    Conflict(Box<Entry>),
    /// The change makes no valid entry.
    #[error("the change makes no valid entry")]
    Invalid(Rejection),
}

/// A new entry that a person wrote.
pub fn created(draft: EntryDraft, editor: &Editor) -> Entry {
    let id = format!("kb-manual-{}", uuid::Uuid::new_v4().simple());
    let provenance = Provenance {
        source_type: SourceType::Manual,
        source_model: editor.name.clone(),
        evidence_date: editor.at.to_string().get(..10).map(str::to_owned),
        ..Provenance::default()
    };
    let mut entry =
        Entry { provenance: Arc::new(provenance), ..Entry::new(id, draft.into_text(), editor.at) };
    entry.summed_up.tally.occurrences = 1;
    entry
}

/// The entry after a change; `None` if the change deletes it.
///
/// # Errors
/// [`EditError::Missing`] for an open question, which is asked and not edited, and
/// [`EditError::Invalid`].
pub fn changed(entry: &Entry, change: Change, editor: &Editor) -> Result<Option<Entry>, EditError> {
    let question = entry.category == Category::Question;
    let mut after = Entry { version: entry.version + 1, written: editor.at, ..entry.clone() };
    match change {
        Change::Delete => return Ok(None),
        _ if question => return Err(EditError::Missing),
        Change::Replace(draft) => rewrite(&mut after, draft.in_place_of(&entry.text), editor),
        Change::Patch(patch) => {
            let draft = patched(entry, &patch).map_err(EditError::Invalid)?;
            rewrite(&mut after, draft.in_place_of(&entry.text), editor);
        }
        Change::Note(_) if entry.notes.len() >= MAX_NOTES => {
            let message = format!("an entry holds at most {MAX_NOTES} notes");
            return Err(EditError::Invalid(Rejection::of("text", problem(message))));
        }
        Change::Note(text) => {
            let note = Note { text, author: editor.name.clone(), at: editor.at };
            Arc::make_mut(&mut after.notes).push(note);
        }
        Change::Feedback { helped: true } => after.helped += 1,
        Change::Feedback { helped: false } => after.not_helped += 1,
    }
    Ok(Some(after))
}

/// The draft that a merge patch makes of an entry's text.
fn patched(entry: &Entry, patch: &Value) -> Result<EntryDraft, Rejection> {
    let mut document = serde_json::to_value(EntryJson::from(entry)).unwrap_or_default();
    if let (Some(fields), Some(patch)) = (document.as_object_mut(), patch.as_object()) {
        for (name, value) in patch {
            match value {
                Value::Null => {
                    fields.remove(name);
                }
                value => {
                    fields.insert(name.clone(), value.clone());
                }
            }
        }
    }
    EntryDraft::parse(document.to_string().as_bytes())
}

/// Puts another text in place; what alerts refresh and the person changed is theirs from now on.
fn rewrite(entry: &mut Entry, text: EntryText, editor: &Editor) {
    let before = &entry.text;
    let edited = TextField::VARIANTS.iter().copied().filter(|field| match field {
        TextField::Description => before.description != text.description,
        TextField::Solution => before.solution != text.solution,
        TextField::RunbookUrl => before.runbook_url != text.runbook_url,
        TextField::Steps => before.steps != text.steps,
        TextField::Tags => before.tags != text.tags,
        TextField::Severity => before.severity != text.severity,
    });
    let source = TextSource { by: Author::Person, name: editor.name.clone(), at: editor.at };
    let edited: Vec<_> = edited.map(|field| (field, source.clone())).collect();
    if !edited.is_empty() {
        Arc::make_mut(&mut entry.provenance).texts.extend(edited);
    }
    entry.text = Arc::new(text);
}

/// What became of an imported entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It was not there.
    Created,
    /// It was there with another text.
    Updated,
    /// It was there as it is.
    Unchanged,
}

/// The known entry with the text of an imported one, if that makes a difference. What is learned
/// stays, and so does what open questions it answered.
pub fn reimported(known: &Entry, imported: &Entry, now: Time) -> Option<Entry> {
    let mut provenance = Arc::clone(&imported.provenance);
    provenance.keep_sources_of(&known.provenance);
    if known.text == imported.text && known.provenance == provenance {
        return None;
    }
    Some(Entry {
        text: Arc::clone(&imported.text),
        provenance,
        version: known.version + 1,
        written: now,
        ..known.clone()
    })
}
