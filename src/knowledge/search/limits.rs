//! Every bound of the search in one place: what it reads, keeps and gives back at most.

/// What the indexing thread may gather before it closes a segment, in bytes. Taken only as it is
/// needed: at start-up, when all entries come at once, it saves merging many small segments.
pub(super) const INDEXING_BYTES: usize = 64 << 20;
/// The share of deleted documents at which a segment is written anew.
pub(super) const DELETED_SHARE: f32 = 0.3;

/// Documents that are ranked closely, however few are asked for.
pub(super) const CANDIDATES: usize = 100;
/// Postings read for a query: a millisecond's worth.
pub(super) const POSTINGS: u64 = 100_000;
/// Of the candidates, those of which the titles are compared with the query.
pub(super) const TITLES: usize = 50;
/// Words of a title that are compared.
pub(super) const TITLE_WORDS: usize = 12;
/// Clauses that are scored; of more, those with the highest idf.
pub(super) const CLAUSES: usize = 24;
/// Words of a typed query that are looked at.
pub(super) const TYPED_WORDS: usize = 64;
/// Different words of a pasted text that are looked at.
pub(super) const PASTED_WORDS: usize = 256;
/// Words of a pasted text that are looked at, with repetitions.
pub(super) const KEPT_WORDS: usize = 1024;
/// Characters from which on a text counts as pasted, whatever is in it.
pub(super) const TYPED_CHARS: usize = 300;

/// A shorter beginning stands for too many words.
pub(super) const SHORTEST_PREFIX: usize = 3;
/// A typing error in a shorter word makes another word.
pub(super) const SHORTEST_MISSPELT: usize = 5;
/// Longer words, or words one edit away, that a word is expanded to: the most common.
pub(super) const EXPANSIONS: usize = 8;
/// Words looked at in each segment for one expansion.
pub(super) const EXPANSION_WORDS: usize = 256;

/// A longer word is no word that anyone types: a hash, a base64 blob.
pub(super) const WORD_BYTES: usize = 64;
/// Stems remembered by a thread; entries use few words, and stemming is most of indexing.
pub(super) const REMEMBERED_STEMS: usize = 20_000;

/// A longer text is not looked for literally, in bytes.
pub(super) const LITERAL_BYTES: usize = 1000;
/// Literal hits looked for, at least; beyond as many as are asked for, any of them will do.
pub(super) const LITERAL_HITS: usize = 100;

/// Fragments shown of an entry.
pub(super) const FRAGMENTS: usize = 3;
/// How long a fragment is at most, in characters.
pub(super) const FRAGMENT_CHARS: usize = 160;
/// So much of a field is looked at for fragments, in bytes.
pub(super) const HIGHLIGHTED_BYTES: usize = 20_000;

/// Characters of a section that are embedded: some ten milliseconds' worth.
pub(super) const EMBEDDED_CHARS: usize = 300;
/// Characters of a question that are embedded, which somebody waits for.
pub(super) const QUESTION_CHARS: usize = 200;
/// Entries that are compared with a question closely, of all.
pub(super) const NEAREST: usize = 2000;
/// Entries that only their meaning finds.
pub(super) const LIKE_CANDIDATES: usize = 50;
