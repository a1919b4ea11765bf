//! The old orchestrator's whole search: what holds the query as a substring, whatever the case.
//!
//! A scan of a hundred thousand texts would take longer than a query may. Each text has a
//! signature of its letter triples, and of how its words follow each other; a text can hold the query
//! only if its signature holds the query's. Signatures are kept bit by bit, not text by text: those of
//! all texts that hold the query's bits are told by the rows of these bits alone, some dozen of a thousand.

use memchr::memmem;

/// Bits of a signature. A learned entry has some 200 triples and 60 fives, so that about a quarter are
/// set.
const BITS: usize = 1024;
/// Texts of a block, whose rows are a line of the processor's cache each.
const BLOCK: usize = 512;
const WORDS: usize = BLOCK / 64;

/// Which texts of a block have a bit.
type Row = [u64; WORDS];

/// The signatures of all texts, by slot.
#[derive(Default)]
pub(super) struct Signatures(Vec<Box<[Row; BITS]>>);

impl Signatures {
    /// Adds the signature of `text`, which is in lower case, at a `slot` that has none.
    pub fn add(&mut self, slot: u32, text: &str) {
        let (block, word, bit) = place(slot);
        while self.0.len() <= block {
            self.0.push(Box::new([[0; WORDS]; BITS]));
        }
        parts(text).for_each(|row| self.0[block][row][word] |= bit);
    }

    /// Forgets the signature at `slot`.
    pub fn forget(&mut self, slot: u32) {
        let (block, word, bit) = place(slot);
        if let Some(block) = self.0.get_mut(block) {
            block.iter_mut().for_each(|row| row[word] &= !bit);
        }
    }

    /// Whether the text at `slot` may hold the needle; `false` is certain.
    pub fn may_hold(&self, slot: u32, needle: &Needle<'_>) -> bool {
        let (block, word, bit) = place(slot);
        let has = |block: &[Row; BITS]| needle.rows.iter().all(|row| block[*row][word] & bit != 0);
        self.0.get(block).is_some_and(|block| has(block))
    }

    /// The slots of the texts that may hold the needle, in their order; there may be no text at
    /// some of them.
    pub fn holding(&self, needle: &Needle<'_>) -> impl Iterator<Item = u32> {
        let covers = |block: &[Row; BITS]| {
            let mut all = [u64::MAX; WORDS];
            for row in &needle.rows {
                all.iter_mut().zip(&block[*row]).for_each(|(all, row)| *all &= row);
                if all == [0; WORDS] {
                    break;
                }
            }
            all
        };
        let words = self.0.iter().flat_map(move |block| covers(block));
        words.enumerate().flat_map(|(word, bits)| {
            (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| word as u32 * 64 + bit)
        })
    }
}

/// The block of a slot, the word in its rows, and the bit in the word.
fn place(slot: u32) -> (usize, usize, u64) {
    let slot = slot as usize;
    (slot / BLOCK, slot % BLOCK / 64, 1 << (slot % 64))
}

/// The bits that are set for a text in lower case: one for each of its triples of bytes, and two for
/// each five around what stands between two words, as common words are told apart by what they stand
/// beside. What is part of the text sets some of them and no others.
fn parts(text: &str) -> impl Iterator<Item = usize> + '_ {
    let bytes = text.as_bytes();
    let between_words = |five: &&[u8]| five[2].is_ascii() && !five[2].is_ascii_alphanumeric();
    let triples = bytes.windows(3).map(|triple| hash(triple) % BITS);
    let fives = bytes.windows(5).filter(between_words).map(hash);
    triples.chain(fives.flat_map(|hash| [hash % BITS, hash / BITS % BITS]))
}

fn hash(part: &[u8]) -> usize {
    let number = part.iter().fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
    (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize
}

/// What is looked for.
pub(super) struct Needle<'a> {
    /// The bits of its signature, each once.
    rows: Vec<usize>,
    finder: memmem::Finder<'a>,
}

impl<'a> Needle<'a> {
    /// Looks for `text`, which is in lower case.
    pub fn new(text: &'a str) -> Self {
        let mut rows: Vec<usize> = parts(text).collect();
        rows.sort_unstable();
        rows.dedup();
        Self { rows, finder: memmem::Finder::new(text) }
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

    fn holding(signatures: &Signatures, needle: &str) -> Vec<u32> {
        let needle = Needle::new(needle);
        let found: Vec<u32> = signatures.holding(&needle).collect();
        for slot in 0..signatures.0.len() * BLOCK {
            let slot = slot as u32;
            assert_eq!(signatures.may_hold(slot, &needle), found.contains(&slot));
        }
        found
    }

    #[test]
    fn a_text_without_the_query_is_ruled_out_by_its_signature() {
        let mut signatures = Signatures::default();
        for slot in [3, 700] {
            signatures.add(slot, "kubepodcrashlooping: pod restarts again and again");
        }
        signatures.forget(700);
        signatures.add(700, "the certificate has expired");
        assert_eq!(holding(&signatures, "certificate"), [700]);
        assert_eq!(holding(&signatures, "crashloop"), [3]);
        signatures.forget(3);
        assert!(holding(&signatures, "crashloop").is_empty());
    }

    proptest! {
        #[test]
        fn every_substring_is_found(
            texts in prop::collection::vec("\\PC{0,80}", 1..700),
            from in 0usize..80,
            length in 0usize..20,
        ) {
            let mut signatures = Signatures::default();
            let texts: Vec<String> = texts.iter().map(|text| text.to_lowercase()).collect();
            for (slot, text) in texts.iter().enumerate() {
                signatures.add(slot as u32, text);
            }
            let last = texts.len() - 1;
            let part: String = texts[last].chars().skip(from).take(length).collect();
            let needle = Needle::new(&part);
            let found: Vec<u32> = signatures.holding(&needle).collect();
            prop_assert!(found.is_sorted());
            for (slot, text) in texts.iter().enumerate() {
                prop_assert_eq!(needle.occurs_in(text), text.contains(&part));
                prop_assert!(!text.contains(&part) || found.contains(&(slot as u32)));
            }
        }
    }
}
