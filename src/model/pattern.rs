//! Which entry the alerts of one name and cause belong to.

use sha2::{Digest, Sha256};

use super::AlertPattern;

/// The cause that stands for all causes of a name that are too many to have a pattern each.
pub const OTHER_CAUSES: &str = "(other causes)";

/// The id of the pattern that alerts of this name and cause belong to: `kb-alert-` and 16 hex
/// digits of SHA-256 over both, separated by a zero byte.
pub fn pattern_id(alertname: &str, cause: &str) -> String {
    let digest = Sha256::new().chain_update(alertname).chain_update([0]).chain_update(cause);
    format!("kb-alert-{}", hex::encode(&digest.finalize()[..8]))
}

/// The title of the pattern: the name, or `name: cause`.
pub fn pattern_title(alertname: &str, cause: &str) -> String {
    match cause {
        "" => alertname.to_owned(),
        cause => format!("{alertname}: {cause}"),
    }
}

/// The alerts that an entry with this id, title, root cause and tags was learned from, for
/// documents that do not say so: the title up to the cause, or, where a person has given it
/// another title, the tag that the id was made of.
pub fn pattern_of(id: &str, title: &str, root_cause: &str, tags: &[String]) -> AlertPattern {
    let titled = match root_cause {
        "" => title,
        cause => title.strip_suffix(cause).and_then(|t| t.strip_suffix(": ")).unwrap_or(title),
    };
    let known = |alertname: &str, cause: &str| AlertPattern {
        alertname: alertname.to_owned(),
        cause: cause.to_owned(),
    };
    let names = std::iter::once(titled).chain(tags.iter().map(String::as_str));
    for name in names {
        for cause in [root_cause, ""].into_iter().chain(tags.iter().map(String::as_str)) {
            if pattern_id(name, cause) == id {
                return known(name, cause);
            }
        }
    }
    known(titled, root_cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_recognised_by_its_id_whatever_its_title() {
        let id = pattern_id("DiskFull", "log rotation");
        let tags = ["DiskFull".to_owned(), "log rotation".to_owned()];
        let expected = AlertPattern { alertname: "DiskFull".into(), cause: "log rotation".into() };
        assert_eq!(pattern_of(&id, "DiskFull: log rotation", "log rotation", &[]), expected);
        assert_eq!(pattern_of(&id, "Renamed by hand", "", &tags), expected);
        assert_eq!(pattern_of("kb-1", "Disk", "", &[]).alertname, "Disk");
    }
}
