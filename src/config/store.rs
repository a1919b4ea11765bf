//! Where alerts and knowledge are kept: a SQLite file or a MongoDB.

use std::{path::PathBuf, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use super::{Environment, mongo, reader::Reader, server::seconds};

/// Where alerts and knowledge are kept.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// `DATABASE_URL`, or made up from `MONGO_*`.
    pub target: StoreTarget,
    /// `MIGRATE_ON_START`.
    pub migrate_on_start: bool,
    /// `STORE_CONNECT_TIMEOUT_SECONDS`: how long to try at start.
    pub connect_timeout: Duration,
}

/// Which store.
#[derive(Clone, Debug)]
pub enum StoreTarget {
    /// A file of this machine.
    Sqlite {
        /// The file; its folder is made if missing.
        path: PathBuf,
    },
    /// A MongoDB.
    Mongodb {
        /// The connection string, credentials percent-encoded.
        uri: SecretString,
        /// `DB_NAME`, else the connection string's, else `orchestrator`.
        database: String,
    },
}

pub(super) fn read(reader: &mut Reader<'_>, environment: Environment) -> Option<StoreSettings> {
    let target = target(reader, environment);
    let migrate_on_start = reader.flag("MIGRATE_ON_START");
    let connect_timeout = seconds(reader, "STORE_CONNECT_TIMEOUT_SECONDS", 86_400);
    Some(StoreSettings {
        target: target?,
        migrate_on_start: migrate_on_start?,
        connect_timeout: connect_timeout?,
    })
}

fn target(reader: &mut Reader<'_>, environment: Environment) -> Option<StoreTarget> {
    let url = reader.secret("DATABASE_URL");
    let parts = mongo::Parts::read(reader);
    match url {
        Some(url) => {
            parts.ignored(reader);
            let text = url.expose_secret();
            if text.starts_with("mongodb://") || text.starts_with("mongodb+srv://") {
                return mongo::target(reader, "DATABASE_URL", url, parts.database, environment);
            }
            let text = text.to_owned();
            sqlite(reader, &text, parts.database.is_some())
        }
        None if parts.hosts.is_some() => parts.target(reader, environment),
        None => {
            parts.without_host(reader);
            let default = super::variables::variable("DATABASE_URL")?.default;
            sqlite(reader, default, parts.database.is_some())
        }
    }
}

fn sqlite(reader: &mut Reader<'_>, url: &str, database: bool) -> Option<StoreTarget> {
    let Some(path) = url.strip_prefix("sqlite:") else {
        reader.problem(
            "DATABASE_URL",
            "expected `sqlite:<path>`, `mongodb://…` or `mongodb+srv://…`",
        );
        return None;
    };
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.ends_with('/') || path.contains(":memory:") || path.contains('?') {
        reader.problem(
            "DATABASE_URL",
            "after `sqlite:`, expected the path of a file, without parameters",
        );
        return None;
    }
    if database {
        reader.warn("DB_NAME is ignored, because the store is SQLite");
    }
    reader.show("DATABASE_URL", url);
    Some(StoreTarget::Sqlite { path: reader.directory.join(path) })
}
