//! The stems of what entries say, remembered: entries use few words, and each is looked up once for
//! whether it counts and what its stem is.

use std::cell::RefCell;
use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::limits::REMEMBERED_STEMS;
use super::words::stem;
use crate::knowledge::vocabulary::vocabulary;

thread_local! {
    /// By word; no stem of a stop word.
    static REMEMBERED: RefCell<HashMap<Box<str>, Option<Box<str>>, RandomState>> =
        RefCell::default();
}

/// Appends the stem of `word`, which is in lower case, and a blank. Nothing, and `false`, for a stop
/// word.
pub(super) fn push_stem(text: &mut String, word: &str) -> bool {
    let mut push = |stem: &Option<Box<str>>| {
        stem.iter().for_each(|stem| text.extend([stem, " "]));
        stem.is_some()
    };
    REMEMBERED.with_borrow_mut(|remembered| {
        if let Some(stem) = remembered.get(word) {
            return push(stem);
        }
        if remembered.len() >= REMEMBERED_STEMS {
            remembered.clear();
        }
        let counts = !vocabulary().is_stop_word(word);
        push(remembered.entry(word.into()).or_insert(counts.then(|| stem(word).into())))
    })
}
