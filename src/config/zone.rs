//! `TZ`, which is the operating system's variable and not this service's: a zone that nobody knows
//! would silently be UTC, and retention would run, and days would end, at another time than meant.

use std::{fs, path::Path};

use jiff::tz::TimeZone;

use super::reader::Reader;

pub(super) fn check(reader: &mut Reader<'_>) {
    if reader.in_dotenv("TZ") {
        reader.warn("TZ counts only in the environment, and is ignored in .env");
    }
    let Some(text) = reader.foreign("TZ").filter(|text| !text.is_empty()) else { return };
    if !is_known(&text) {
        reader.problem("TZ", "expected a time zone such as `Europe/Berlin`, or a POSIX rule");
    }
}

/// A name of the time zone database, a file of it, or a rule.
fn is_known(text: &str) -> bool {
    let name = text.strip_prefix(':').unwrap_or(text);
    let in_database = name.rsplit_once("zoneinfo/").map_or(name, |(_, name)| name);
    let is_file = || {
        let path = Path::new(name);
        path.is_file() && fs::read(path).is_ok_and(|data| TimeZone::tzif(name, &data).is_ok())
    };
    TimeZone::get(in_database).is_ok() || TimeZone::posix(text).is_ok() || is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_a_file_or_a_rule_is_known_and_nothing_else() {
        for known in ["UTC", "Europe/Berlin", ":Asia/Kolkata", "CET-1CEST,M3.5.0,M10.5.0/3"] {
            assert!(is_known(known), "{known}");
        }
        for unknown in ["Europe/Belrin", "Mars", "/etc/passwd", "/nowhere"] {
            assert!(!is_known(unknown), "{unknown}");
        }
    }
}
