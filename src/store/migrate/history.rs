//! What the records in a database say about the migrations that this binary knows.

use super::{Applied, MigrateError, Migration};

/// Where one migration stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Applied as this binary knows it.
    Applied,
    /// To be applied.
    Pending,
    /// Applied with another script.
    Changed,
    /// Applied under this other name.
    Renamed(String),
    /// Applied, and not known to this binary.
    Unknown,
    /// Not applied, though a later one is.
    LeftOut,
}

impl State {
    /// The word for it, for a person.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Pending => "pending",
            Self::Changed => "changed",
            Self::Renamed(_) => "renamed",
            Self::Unknown => "unknown",
            Self::LeftOut => "left out",
        }
    }
}

/// One line of a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The migration's number.
    pub number: u32,
    /// Its name in this binary, else in the database.
    pub name: String,
    /// Where it stands.
    pub state: State,
}

/// A line for each migration that is known or applied, in order.
pub(super) fn rows(known: &[Migration], applied: &[Applied]) -> Vec<Row> {
    let newest_applied = applied.iter().map(|record| record.number).max().unwrap_or(0);
    let mut rows: Vec<Row> = known
        .iter()
        .map(|migration| {
            let record = applied.iter().find(|record| record.number == migration.number);
            let state = match record {
                None if migration.number < newest_applied => State::LeftOut,
                None => State::Pending,
                Some(record) => state(migration, record),
            };
            Row { number: migration.number, name: migration.name.to_owned(), state }
        })
        .collect();
    let unknown = applied.iter().filter(|record| known.iter().all(|m| m.number != record.number));
    rows.extend(unknown.map(|record| Row {
        number: record.number,
        name: record.name.clone(),
        state: State::Unknown,
    }));
    rows.sort_by_key(|row| row.number);
    rows
}

fn state(migration: &Migration, record: &Applied) -> State {
    if record.name != migration.name {
        State::Renamed(record.name.clone())
    } else if record.checksum.eq_ignore_ascii_case(&migration.checksum()) {
        State::Applied
    } else {
        State::Changed
    }
}

/// What is to be applied, if the records and the schema version allow to apply anything.
pub(super) fn pending<'a>(
    known: &'a [Migration],
    applied: &[Applied],
    schema_version: u32,
) -> Result<Vec<&'a Migration>, MigrateError> {
    let newest = known.last().map_or(0, |migration| migration.number);
    let newest_applied = applied.iter().map(|record| record.number).max().unwrap_or(0);
    let found = schema_version.max(newest_applied);
    if found > newest {
        return Err(MigrateError::Newer { found, newest });
    }
    let mut pending = Vec::new();
    for (row, migration) in rows(known, applied).into_iter().zip(known) {
        let Row { number, name, state } = row;
        match state {
            State::Applied => {}
            State::Pending => pending.push(migration),
            State::Changed => return Err(MigrateError::Changed { number, name }),
            State::Renamed(recorded) => {
                return Err(MigrateError::Renamed { number, recorded, known: name });
            }
            State::Unknown => return Err(MigrateError::Newer { found: number, newest }),
            State::LeftOut => {
                return Err(MigrateError::Gap { missing: number, applied: newest_applied });
            }
        }
    }
    Ok(pending)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Migration] = &[
        Migration { number: 1, name: "tables", script: "one" },
        Migration { number: 2, name: "indexes", script: "two" },
        Migration { number: 3, name: "more", script: "three" },
    ];

    fn record(number: usize) -> Applied {
        let migration = &KNOWN[number - 1];
        Applied {
            number: migration.number,
            name: migration.name.into(),
            checksum: migration.checksum(),
        }
    }

    fn numbers(pending: Vec<&Migration>) -> Vec<u32> {
        pending.into_iter().map(|migration| migration.number).collect()
    }

    #[test]
    fn an_empty_database_and_one_of_the_old_orchestrator_get_everything() {
        assert_eq!(numbers(pending(KNOWN, &[], 0).unwrap()), [1, 2, 3]);
        assert_eq!(numbers(pending(KNOWN, &[], 1).unwrap()), [1, 2, 3]);
    }

    #[test]
    fn only_what_is_not_recorded_is_pending() {
        assert_eq!(numbers(pending(KNOWN, &[record(1), record(2)], 2).unwrap()), [3]);
        assert!(pending(KNOWN, &[record(1), record(2), record(3)], 3).unwrap().is_empty());
    }

    #[test]
    fn an_edited_script_is_named() {
        let edited = Applied { checksum: "00".into(), ..record(1) };
        let error = pending(KNOWN, &[edited], 1).unwrap_err();
        assert!(error.to_string().contains("0001_tables"), "{error}");
    }

    #[test]
    fn another_name_is_told_with_both_names() {
        let renamed = Applied { name: "stables".into(), ..record(1) };
        let error = pending(KNOWN, &[renamed], 1).unwrap_err().to_string();
        assert!(error.contains("is stables") && error.contains("but tables"), "{error}");
    }

    #[test]
    fn a_newer_database_is_refused_whether_the_record_or_the_version_tells() {
        let newer = Applied { number: 4, name: "future".into(), checksum: "00".into() };
        let all = [record(1), record(2), record(3), newer];
        for result in [pending(KNOWN, &all, 3), pending(KNOWN, &all[..3], 4)] {
            assert!(matches!(result, Err(MigrateError::Newer { found: 4, newest: 3 })));
        }
    }

    #[test]
    fn a_gap_is_refused() {
        let result = pending(KNOWN, &[record(1), record(3)], 3);
        assert!(matches!(result, Err(MigrateError::Gap { missing: 2, applied: 3 })));
    }

    #[test]
    fn a_status_tells_what_is_wrong_instead_of_failing() {
        let records = [
            Applied { checksum: "00".into(), ..record(1) },
            record(3),
            Applied { number: 7, name: "future".into(), checksum: "00".into() },
        ];
        let states: Vec<_> =
            rows(KNOWN, &records).into_iter().map(|row| (row.number, row.state)).collect();
        assert_eq!(
            states,
            [(1, State::Changed), (2, State::LeftOut), (3, State::Applied), (7, State::Unknown)]
        );
    }
}
