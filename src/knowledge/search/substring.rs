//! The old orchestrator's whole search: what holds the query as a substring, whatever the case.
//!
//! A scan of a hundred thousand texts would take longer than a query may. Each text has a
//! signature of its letter triples, and of how its words follow each other; a text can hold the query
//! only if its signature holds the query's, which rules out nearly all of them for the price of a few
//! words compared.

use memchr::memmem;

/// Bits of a signature. A learned entry has some 200 triples, so that about a third are set.
const BITS: usize = 512;
const WORDS: usize = BITS / 64;

/// Which triples of bytes a text has, and which fives around what is between two words; one that is
/// not set does not occur.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signature([u64; WORDS]);

impl Signature {
    /// The signature of a text in lower case.
    pub fn of(text: &str) -> Self {
        let mut signature = Self::default();
        let bytes = text.as_bytes();
        let between_words = bytes.windows(5).filter(|five| five[2].is_ascii_whitespace());
        bytes.windows(3).chain(between_words).for_each(|part| signature.set(part));
        signature
    }

    /// Whether all that is set in `part` is set here.
    pub fn covers(&self, part: &Self) -> bool {
        self.0.iter().zip(&part.0).all(|(whole, part)| whole & part == *part)
    }

    fn set(&mut self, part: &[u8]) {
        let number = part.iter().fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
        let bit = (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 55) as usize % BITS;
        self.0[bit / 64] |= 1 << (bit % 64);
    }
}

/// What is looked for.
pub(super) struct Needle<'a> {
    signature: Signature,
    finder: memmem::Finder<'a>,
}

impl<'a> Needle<'a> {
    /// Looks for `text`, which is in lower case.
    pub fn new(text: &'a str) -> Self {
        Self { signature: Signature::of(text), finder: memmem::Finder::new(text) }
    }

    /// Whether `text`, with that signature, holds it.
    pub fn is_in(&self, signature: &Signature, text: &str) -> bool {
        signature.covers(&self.signature) && self.occurs_in(text)
    }

    /// Whether `text` holds it.
    pub fn occurs_in(&self, text: &str) -> bool {
        self.finder.find(text.as_bytes()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_without_the_query_is_ruled_out_by_its_signature() {
        let signature = Signature::of("kubepodcrashlooping: pod restarts again and again");
        assert!(!signature.covers(&Signature::of("certificate")));
    }

    proptest! {
        #[test]
        fn every_substring_is_found(text in "\\PC{0,80}", from in 0usize..80, length in 0usize..20) {
            let text = text.to_lowercase();
            let part: String = text.chars().skip(from).take(length).collect();
            prop_assert!(Needle::new(&part).is_in(&Signature::of(&text), &text));
        }

        #[test]
        fn only_a_substring_is_found(text in "[ab]{0,12}", part in "[ab]{1,4}") {
            let found = Needle::new(&part).is_in(&Signature::of(&text), &text);
            prop_assert_eq!(found, text.contains(&part));
        }
    }
}
