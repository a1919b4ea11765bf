//! Functions of the model that migrations call in SQL.

use rusqlite::{Connection, functions::FunctionFlags};

use super::json::{from_json, json};
use crate::model::{pattern_id, pattern_of};

/// Makes them known to a connection.
pub fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("pattern_id", 2, flags, |call| {
        let (name, cause): (String, String) = (call.get(0)?, call.get(1)?);
        Ok(pattern_id(&name, &cause))
    })?;
    connection.create_scalar_function("pattern_of", 4, flags, |call| {
        let (id, title): (String, String) = (call.get(0)?, call.get(1)?);
        let (cause, tags): (Option<String>, String) = (call.get(2)?, call.get(3)?);
        let tags: Vec<String> = from_json(&tags)?;
        json(&pattern_of(&id, &title, cause.as_deref().unwrap_or_default(), &tags))
    })
}
