//! Embeddings as they are kept: what a text means to a model, by the hash of both.
//!
//! They are no data of anybody's, only time saved: an embedding that is not there is made again.

use crate::model::Time;

/// How old the mark of an embedding's last use may get before it is renewed.
pub const MARKED_MS: i64 = 7 * 24 * 3_600_000;
/// How long an embedding is kept that nobody uses: the text has changed.
pub const UNUSED_MS: i64 = 90 * 24 * 3_600_000;
/// Embeddings forgotten at once.
pub const FORGOTTEN: u32 = 100;

/// An embedding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEmbedding {
    /// Of the model and the text, in hex.
    pub hash: String,
    /// As the model's user writes it.
    pub vector: Vec<u8>,
}

/// Before which time a last use is too old to be kept, and to be trusted.
pub fn too_old(now: Time) -> (Time, Time) {
    (now.plus_millis(-UNUSED_MS), now.plus_millis(-MARKED_MS))
}
