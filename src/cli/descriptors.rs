//! How many files this process may open (`ulimit -n`), and whether that is enough for
//! `MAX_CONNECTIONS`: a service that runs out of descriptors takes no connection at all.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{config::ServerSettings, http::server::Limits};

/// What the service opens besides connections: the store's files or sockets, the logs, what is
/// open only for a moment.
const OTHER_FILES: u64 = 128;

/// Raises the limit as far as the system allows, and lowers `MAX_CONNECTIONS` to what it then
/// bears; a line for the log where that was needed.
pub(super) fn fit(server: &mut ServerSettings) -> Option<String> {
    let needed = server.max_connections as u64 + others();
    let limit = raise(needed);
    let bearable = usize::try_from(limit.saturating_sub(others())).unwrap_or(usize::MAX).max(1);
    if bearable >= server.max_connections {
        return None;
    }
    let wanted = std::mem::replace(&mut server.max_connections, bearable);
    Some(format!(
        "`ulimit -n` is {limit}, too few for MAX_CONNECTIONS={wanted}, which takes {needed}: \
         at most {bearable} connections are served"
    ))
}

fn others() -> u64 {
    Limits::other_connections() as u64 + OTHER_FILES
}

/// The limit, raised to `needed` if the hard limit allows.
fn raise(needed: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = current.unwrap_or(u64::MAX);
    if current >= needed {
        return current;
    }
    let wanted = needed.min(maximum.unwrap_or(u64::MAX));
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        Ok(()) => wanted,
        Err(_) => current,
    }
}
