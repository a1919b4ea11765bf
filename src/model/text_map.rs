//! Labels and annotations: names and values, shared until they are changed.

use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Texts by name. A clone shares them, so that an alert on its way into the store is held once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = BTreeMap<String, String>)]
pub struct TextMap(Arc<BTreeMap<String, String>>);

impl Deref for TextMap {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Copies them first, if they are shared.
impl DerefMut for TextMap {
    fn deref_mut(&mut self) -> &mut Self::Target {
        Arc::make_mut(&mut self.0)
    }
}

impl From<BTreeMap<String, String>> for TextMap {
    fn from(texts: BTreeMap<String, String>) -> Self {
        Self(Arc::new(texts))
    }
}

impl<const N: usize> From<[(String, String); N]> for TextMap {
    fn from(texts: [(String, String); N]) -> Self {
        Self::from(BTreeMap::from(texts))
    }
}

impl FromIterator<(String, String)> for TextMap {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(texts: I) -> Self {
        Self::from(texts.into_iter().collect::<BTreeMap<_, _>>())
    }
}
