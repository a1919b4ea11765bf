//! Entries in pages: filtered, in an order, each page after the last entry of the one before.

use std::sync::Arc;

use super::{Base, QuestionFilter, links::alert_name};
use crate::model::{Category, Entry};

/// Which entries are listed; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct EntryFilter {
    /// Category, severity and tag.
    pub text: QuestionFilter,
    /// Patterns of this alert name, and runbooks that name it.
    pub alertname: Option<String>,
    /// Patterns of which instances fire, or of which none does.
    pub firing: Option<bool>,
}

impl EntryFilter {
    fn admits(&self, entry: &Entry) -> bool {
        let of_alert = |name: &String| match entry.category {
            Category::AlertPattern => alert_name(entry) == Some(name),
            _ => entry.tags.contains(name),
        };
        self.text.admits(entry)
            && self.alertname.as_ref().is_none_or(of_alert)
            && self.firing.is_none_or(|firing| (entry.firing().unwrap_or(0) > 0) == firing)
    }
}

/// In what order entries are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EntryOrder {
    /// What changed last comes first.
    #[default]
    LastUpdated,
    /// What occurred most comes first.
    Occurrences,
    /// By title.
    Title,
}

/// Where an entry stands in an order: of two equal ones the first id comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place(Key, String);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(i64),
    Text(String),
}

impl EntryOrder {
    /// All orders, by the name that a client gives.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("lastUpdated", Self::LastUpdated),
        ("occurrences", Self::Occurrences),
        ("title", Self::Title),
    ];

    fn place(self, entry: &Entry) -> Place {
        let key = match self {
            Self::LastUpdated => Key::Number(-entry.last_updated().millis()),
            Self::Occurrences => Key::Number(-entry.occurrences()),
            Self::Title => Key::Text(entry.title.to_lowercase()),
        };
        Place(key, entry.id.clone())
    }

    fn cursor(self, place: &Place) -> String {
        let key = match &place.0 {
            Key::Number(number) => number.to_string(),
            Key::Text(text) => text.clone(),
        };
        hex::encode(format!("{key}\0{}", place.1))
    }

    fn parse(self, cursor: &str) -> Option<Place> {
        let text = String::from_utf8(hex::decode(cursor).ok()?).ok()?;
        let (key, id) = text.rsplit_once('\0')?;
        let key = match self {
            Self::Title => Key::Text(key.to_owned()),
            _ => Key::Number(key.parse().ok()?),
        };
        Some(Place(key, id.to_owned()))
    }
}

/// A page of entries.
#[derive(Debug)]
pub struct EntryPage {
    /// The entries, as they are shown.
    pub entries: Vec<Entry>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

impl Base {
    /// Up to `limit` entries after `cursor`; `None` for a cursor that is none of this order.
    ///
    /// Open questions are listed only if their category is asked for.
    pub fn list(
        &self,
        filter: &EntryFilter,
        order: EntryOrder,
        limit: usize,
        cursor: Option<&str>,
    ) -> Option<EntryPage> {
        let after = match cursor {
            Some(cursor) => Some(order.parse(cursor)?),
            None => None,
        };
        let state = self.state();
        let questions = filter.text.category == Some(Category::Question);
        let listed = state.iter().filter(|entry| {
            (questions || entry.category != Category::Question) && filter.admits(entry)
        });
        let mut places: Vec<(Place, &Arc<Entry>)> = listed
            .map(|entry| (order.place(entry), entry))
            .filter(|(place, _)| after.as_ref().is_none_or(|after| place > after))
            .collect();
        let more = places.len() > limit;
        if more {
            places.select_nth_unstable_by(limit, |a, b| a.0.cmp(&b.0));
            places.truncate(limit);
        }
        places.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let last = places.last().filter(|_| more).map(|(place, _)| order.cursor(place));
        let entries = places.iter().map(|(_, entry)| state.view(entry)).collect();
        Some(EntryPage { entries, next: last })
    }
}
