//! The numbers of the ranking, each a share of 1 if nothing else is said.
//!
//! They were chosen on `development.json` of `benches/relevance`, never on the questions that are
//! left untouched; figures that did not matter there were taken out.

/// What is taken for known beside the entries: so many documents without the word. It keeps the
/// idf meaningful in a base of three entries.
pub(super) const BACKGROUND_DOCUMENTS: f32 = 100.0;

/// How many words those documents have in each field.
pub(super) const BACKGROUND_LENGTHS: [f32; 3] = [10.0, 30.0, 60.0];

/// Two words run together: "stateful set" for `statefulset`.
pub(super) const JOINED: f32 = 0.9;
/// What the vocabulary knows a word to be called; a phrase says for certain what is meant.
pub(super) const SYNONYM: f32 = 0.5;
/// A longer word that begins with what was typed.
pub(super) const BEGINS_WITH: f32 = 0.5;
/// A word one edit away from one that no entry has, and from one that some have.
pub(super) const MISSPELT: f32 = 0.85;
/// See [`MISSPELT`].
pub(super) const NEAR_A_KNOWN_WORD: f32 = 0.3;

/// A word that says little: "keeps", "again".
pub(super) const LOW: f32 = 0.15;
/// A word that entries about anything have: "server", "error".
pub(super) const GENERIC: f32 = 0.45;
/// What is left of a word inside a known phrase: the phrase says it too.
pub(super) const INSIDE_A_PHRASE: f32 = 0.4;
/// A word of a pasted text that no entry has: most of them say nothing about the matter.
pub(super) const PASTED_UNKNOWN: f32 = 0.2;

/// A match in title or tags, in description and cause, in what to do.
pub(super) const FIELDS: [f32; 3] = [1.0, 0.6, 0.3];
/// How much the lesser ways to write a clause add to the best one.
pub(super) const TIE_BREAKER: f32 = 0.12;
/// How much of the score depends on the share of the clauses that are covered at all.
pub(super) const COVERAGE: f32 = 0.4;
/// How much of the score depends on the share of the title that the query covers.
pub(super) const TITLE: f32 = 0.5;

/// The least score of an answer to rely on. Measured, see "How sure an answer is" in docs/api.md.
pub(super) const CONFIDENT: f32 = 0.14;

/// With a model: how much of the score is likeness of meaning.
pub(super) const MEANING: f32 = 0.45;
/// The cosine that any two texts of the trade have.
pub(super) const NOISE: f32 = 0.2;
/// With a model: the least score of an answer to rely on.
pub(super) const CONFIDENT_MEANING: f32 = 0.18;
