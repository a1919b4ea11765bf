//! stand-in
use crate::model::Entry;
use parking_lot::RwLock;
use std::sync::Arc;
#[derive(Debug, thiserror::Error)]
#[error("search")]
pub struct SearchError;
pub enum IndexChange {
    Upsert(Arc<Entry>),
    Remove(String),
}
pub struct Query<'a> {
    pub text: &'a str,
    pub limit: usize,
}
pub struct Hit {
    pub id: String,
    pub score: f32,
}
#[derive(Default)]
pub struct Index(RwLock<std::collections::HashMap<String, Arc<Entry>>>);
impl Index {
    pub fn new() -> Result<Self, SearchError> {
        Ok(Self::default())
    }
    pub fn apply(&self, changes: &[IndexChange]) -> Result<(), SearchError> {
        for change in changes {
            match change {
                IndexChange::Upsert(e) => {
                    self.0.write().insert(e.id.clone(), e.clone());
                }
                IndexChange::Remove(id) => {
                    self.0.write().remove(id);
                }
            }
        }
        Ok(())
    }
    pub fn search(
        &self,
        q: &Query<'_>,
        admits: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<Hit>, SearchError> {
        let words: Vec<String> =
            q.text.to_lowercase().split_whitespace().map(str::to_owned).collect();
        let mut hits: Vec<_> = self
            .0
            .read()
            .values()
            .filter(|e| admits(&e.id))
            .filter_map(|e| {
                let text = format!("{} {} {:?}", e.title, e.description, e.tags).to_lowercase();
                let n = words.iter().filter(|w| text.contains(*w)).count();
                (n > 0).then(|| Hit { id: e.id.clone(), score: n as f32 })
            })
            .collect();
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        hits.truncate(q.limit);
        Ok(hits)
    }
}
