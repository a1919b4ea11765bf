//! Text to the tokens of an uncased BERT: cleaned, in lower case, without accents, split at white
//! space and marks, and each word into the longest pieces that the model's `vocab.txt` knows.

use std::collections::HashMap;

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Tokens of a text that are read; what follows says little more about it.
const MOST_TOKENS: usize = 128;
/// A longer word is not split into pieces.
const WORD_CHARS: usize = 100;

/// The model's words and pieces of words.
pub struct Vocabulary {
    ids: HashMap<String, u32>,
    begin: u32,
    end: u32,
    unknown: u32,
}

impl Vocabulary {
    /// Reads a `vocab.txt`: a token a line, in the order of their ids. `None` if it lacks what
    /// every text needs.
    pub fn read(text: &str) -> Option<Self> {
        let ids: HashMap<String, u32> =
            text.lines().map(str::trim_end).map(str::to_owned).zip(0..).collect();
        let id = |token| ids.get(token).copied();
        let (begin, end, unknown) = (id("[CLS]")?, id("[SEP]")?, id("[UNK]")?);
        Some(Self { ids, begin, end, unknown })
    }

    /// How many tokens it has.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// The tokens of a text, with what begins and ends it.
    pub fn tokens(&self, text: &str) -> Vec<u32> {
        let mut tokens = vec![self.begin];
        for word in words(text) {
            if tokens.len() >= MOST_TOKENS - 1 {
                break;
            }
            self.add_pieces(&word, &mut tokens);
        }
        tokens.truncate(MOST_TOKENS - 1);
        tokens.push(self.end);
        tokens
    }

    /// The longest pieces that a word is made of, or that it is unknown.
    fn add_pieces(&self, word: &str, tokens: &mut Vec<u32>) {
        let before = tokens.len();
        let mut rest = word;
        while !rest.is_empty() {
            let ends = rest.char_indices().map(|(at, c)| at + c.len_utf8()).rev();
            let piece = |end: usize| match rest.len() == word.len() {
                true => self.ids.get(&rest[..end]),
                false => self.ids.get(&format!("##{}", &rest[..end])),
            };
            let Some((id, end)) = ends.into_iter().find_map(|end| Some((*piece(end)?, end))) else {
                tokens.truncate(before);
                tokens.push(self.unknown);
                return;
            };
            tokens.push(id);
            rest = &rest[end..];
        }
    }
}

fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let cleaned = text.chars().filter(|c| !c.is_control() || c.is_whitespace());
    let plain = cleaned.flat_map(char::to_lowercase).nfd().filter(|c| !is_combining_mark(*c));
    for c in plain {
        if c.is_whitespace() {
            words.push(String::new());
        } else if stands_alone(c) {
            words.extend([c.to_string(), String::new()]);
        } else if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty() && word.chars().count() <= WORD_CHARS);
    words
}

/// Marks, and characters of scripts that put no blanks between words.
fn stands_alone(c: char) -> bool {
    let is_ideograph =
        matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}');
    c.is_ascii_punctuation() || is_ideograph || !(c.is_alphanumeric() || c.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vocabulary {
        Vocabulary::read("[UNK]\n[CLS]\n[SEP]\ndisk\nfull\nover\n##commit\n##ted\n.\ncafe").unwrap()
    }

    #[test]
    fn a_word_is_split_into_the_longest_pieces_that_are_known() {
        let tokens = |text| vocabulary().tokens(text);
        assert_eq!(tokens("Disk full."), [1, 3, 4, 8, 2]);
        assert_eq!(tokens("overcommitted"), [1, 5, 6, 7, 2]);
        assert_eq!(tokens("overcoat CAFÉ\u{0}"), [1, 0, 9, 2]);
        assert_eq!(tokens(""), [1, 2]);
        assert_eq!(tokens(&"disk ".repeat(500)).len(), MOST_TOKENS);
    }

    #[test]
    fn a_list_without_the_tokens_that_every_text_needs_is_none() {
        assert!(Vocabulary::read("disk\nfull").is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}") {
            let tokens = vocabulary().tokens(&text);
            proptest::prop_assert!((2..=MOST_TOKENS).contains(&tokens.len()));
        }
    }
}
