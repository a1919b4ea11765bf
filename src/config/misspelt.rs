//! Variables that are set but read by nobody here, though they look as if they should be: a
//! misspelt `WEBHOOK_SECRET` would otherwise just not count.

use super::{reader::Reader, variables::VARIABLES};

/// Variables whose names begin so are meant for this service.
const OURS: &[&str] =
    &["ORCHESTRATOR_", "WEBHOOK_", "RATE_LIMIT_", "RETENTION_", "API_KEY", "MONGO_"];

/// Meant for others, and often set beside ours: the `mongo` container image, and whoever reads
/// the system's certificates, as this service does too.
const NOT_OURS: &[&str] = &["MONGO_INITDB_", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Shorter names resemble others by accident.
const SHORTEST: usize = 8;

pub(super) fn warn(reader: &mut Reader<'_>) {
    let known = known();
    let strange = |name: &&String| !known.contains(name) && !begins(name, NOT_OURS);
    for name in reader.names().iter().filter(strange) {
        if let Some(meant) = nearest(name, &known) {
            reader.warn(format!("{name} is not a variable of this service; {meant} is"));
        } else if begins(name, OURS) {
            reader.warn(format!("{name} is not a variable of this service, and is ignored"));
        }
    }
}

/// Every name that is read.
fn known() -> Vec<String> {
    let names = |v: &super::Variable| {
        let file = v.secret.then(|| format!("{}_FILE", v.name));
        let aliases = v.aliases.iter().map(|alias| alias.to_string());
        aliases.chain([v.name.to_owned()]).chain(file).collect::<Vec<_>>()
    };
    VARIABLES.iter().flat_map(names).collect()
}

fn begins(name: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// The name that is at most two slips of the finger away.
fn nearest<'k>(name: &str, known: &'k [String]) -> Option<&'k str> {
    if name.len() < SHORTEST {
        return None;
    }
    let distances = known.iter().map(|k| (strsim::osa_distance(name, k), k.as_str()));
    distances.filter(|(distance, _)| *distance <= 2).min().map(|(_, known)| known)
}
