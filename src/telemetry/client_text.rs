//! Text that a client sent, fit to be logged: bounded, and without a character that could act on
//! whoever reads it (control characters, marks that reverse or hide text).
//!
//! Every log line and every audit event passes here on its way out, whoever wrote it, so no
//! caller can forget it.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use serde::Serialize;

/// Characters of the original that are kept.
const MAX_CHARACTERS: usize = 200;

/// A bounded, escaped copy of what a client sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ClientText(String);

impl ClientText {
    /// Of a text: its first 200 characters, with `…` in place of what is left out.
    pub fn of(text: &str) -> Self {
        Self(clean(text, MAX_CHARACTERS).into_owned())
    }

    /// Of bytes that should be UTF-8; what is not is replaced.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        // No character is longer than four bytes, so more than these would be cut anyway.
        let most = bytes.len().min(4 * (MAX_CHARACTERS + 1));
        Self::of(&String::from_utf8_lossy(&bytes[..most]))
    }

    /// As it may be shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The whole text for a terminal: lines and tabs stay, all else that would act on it is escaped.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let acts = |c: char| is_harmful(c) && !matches!(c, '\n' | '\t');
    if !text.contains(acts) {
        return text.into();
    }
    let escaped = text.chars().map(|c| match acts(c) {
        true => c.escape_unicode().to_string(),
        false => c.to_string(),
    });
    escaped.collect::<String>().into()
}

/// The same of a JSON text, which stays the JSON of the same value.
pub fn harmless_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_harmful) {
        return json.into();
    }
    let mut escaped = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        // Outside its strings JSON has no harmful character but white space.
        if is_harmful(c) && !matches!(c, '\n' | '\t' | '\r') {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped.into()
}

/// The first `most` characters of `text`, harmful ones escaped as `\u{202e}`.
pub(super) fn clean(text: &str, most: usize) -> Cow<'_, str> {
    let end = text.char_indices().nth(most).map(|(end, _)| end);
    if end.is_none() && !text.contains(is_harmful) {
        return text.into();
    }
    let mut cleaned = String::with_capacity(end.unwrap_or(text.len()) + 16);
    for c in text[..end.unwrap_or(text.len())].chars() {
        if is_harmful(c) {
            // Writing to a String cannot fail.
            let _ = write!(cleaned, "{}", c.escape_unicode());
        } else {
            cleaned.push(c);
        }
    }
    if end.is_some() {
        cleaned.push('…');
    }
    cleaned.into()
}

/// Whether a character acts on a terminal or viewer instead of being shown: C0, DEL and C1
/// controls, line and paragraph separators, marks of direction, and what is invisible.
pub(super) fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in ["", "/api/auth/me", "Größe, 大小, הגודל, 👩‍🔧", "a\\b \"c\""] {
            assert_eq!(ClientText::of(text).as_str(), text);
        }
    }

    #[test]
    fn characters_that_act_on_the_reader_are_escaped() {
        for (text, shown) in [
            ("a\nb", "a\\u{a}b"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("exe.\u{202e}gpj", "exe.\\u{202e}gpj"),
            ("\u{2066}\u{feff}\u{2028}\u{7f}\0", "\\u{2066}\\u{feff}\\u{2028}\\u{7f}\\u{0}"),
        ] {
            assert_eq!(ClientText::of(text).as_str(), shown);
        }
    }

    #[test]
    fn on_a_terminal_lines_stay_lines() {
        assert_eq!(harmless("a\tb\nc\r\u{1b}[2J"), "a\tb\nc\\u{d}\\u{1b}[2J");
    }

    #[test]
    fn json_stays_the_json_of_the_same_value() {
        let value = serde_json::json!({"a\u{202e}": ["\u{9b}2J\u{1b}[31m", "\u{e0001}\n", "ü"]});
        let json = value.to_string();
        let shown = harmless_json(&json);
        assert!(!shown.contains(is_harmful), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let cut = ClientText::of(&"ü".repeat(60_000));
        assert_eq!(cut.as_str(), format!("{}…", "ü".repeat(200)));
        assert_eq!(ClientText::of(&"ü".repeat(200)).as_str(), "ü".repeat(200));
    }

    #[test]
    fn bytes_that_are_no_text_are_bounded_like_text() {
        let mut origin = format!("http://{}", "a".repeat(191)).into_bytes();
        origin.extend([0xFF; 60_000]);
        let text = ClientText::of_bytes(&origin);
        assert_eq!(text.as_str().chars().count(), 201);
        assert!(text.as_str().ends_with("a\u{fffd}\u{fffd}…"), "{text}");
    }

    proptest::proptest! {
        #[test]
        fn the_result_is_bounded_harmless_and_its_own(bytes: Vec<u8>, text in "(?s).{0,300}") {
            for text in [ClientText::of_bytes(&bytes), ClientText::of(&text)] {
                proptest::prop_assert!(!text.as_str().contains(is_harmful));
                proptest::prop_assert!(text.as_str().len() <= 200 * 10 + 3);
            }
        }
    }
}
