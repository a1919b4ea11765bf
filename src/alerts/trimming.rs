//! What is cut rather than refused: texts for people that are longer than is kept.

use std::collections::BTreeMap;

use crate::model::TrimmedField;

/// What stands at the end of a text that was cut.
pub(super) const CUT: &str = " …[cut]";

/// Cuts `text` to at most `max` bytes, at the boundary of a character and with [`CUT`] at its
/// end; `false` if it fits as it is.
pub(super) fn cut(text: &mut String, max: usize) -> bool {
    if text.len() <= max {
        return false;
    }
    text.truncate(text.floor_char_boundary(max.saturating_sub(CUT.len())));
    text.push_str(CUT);
    text.shrink_to_fit();
    true
}

/// What a store cannot hold in a key, or in every text, replaced: a NUL.
pub(super) fn storable(text: String) -> String {
    if memchr::memchr(0, text.as_bytes()).is_none() {
        return text;
    }
    text.replace('\0', "\u{fffd}")
}

/// What of a batch was cut or left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trimmed {
    alerts: BTreeMap<TrimmedField, u64>,
    /// One of them, for the log.
    pub example: Option<TrimmedExample>,
}

/// Where something was trimmed.
#[derive(Clone, Debug, PartialEq)]
pub struct TrimmedExample {
    /// The name of the alert.
    pub alert: String,
    /// The field or the name of the annotation.
    pub what: String,
}

impl Trimmed {
    /// How many alerts were trimmed in which field.
    pub fn by_field(&self) -> impl Iterator<Item = (TrimmedField, u64)> {
        self.alerts.iter().map(|(field, count)| (*field, *count))
    }

    /// Counts an alert of which `what` was trimmed.
    pub(super) fn note(&mut self, field: TrimmedField, alert: &str, what: &str) {
        *self.alerts.entry(field).or_default() += 1;
        self.example.get_or_insert_with(|| TrimmedExample {
            alert: alert.to_owned(),
            what: what.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_cut_fits_and_says_so(text in "\\PC{0,60}", max in CUT.len()..80) {
            let mut kept = text.clone();
            let cut = cut(&mut kept, max);
            prop_assert_eq!(cut, text.len() > max);
            prop_assert!(kept.len() <= max);
            match kept.strip_suffix(CUT).filter(|_| cut) {
                Some(head) => {
                    prop_assert!(text.starts_with(head));
                    // Not more is cut than must be: no whole character more would fit.
                    let next = text[head.len()..].chars().next().map_or(0, char::len_utf8);
                    prop_assert!(kept.len() + next > max);
                }
                None => prop_assert_eq!(kept, text),
            }
        }

        #[test]
        fn a_nul_is_replaced_and_nothing_else(text in "[\\x00-\\x02a-c\u{fffd}]{0,12}") {
            let kept = storable(text.clone());
            prop_assert!(!kept.contains('\0'));
            prop_assert_eq!(kept.chars().count(), text.chars().count());
            prop_assert!(text.contains('\0') || kept == text);
        }
    }
}
