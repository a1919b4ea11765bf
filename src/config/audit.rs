//! What is audited, and where.

use std::path::PathBuf;

use super::reader::Reader;

/// `AUDIT_READS`: whether reads of protected data are audited, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditReads {
    /// Only exports are.
    Off,
    /// Every read that needs a key is.
    All,
}

/// `AUDIT_LOG_PATH`.
pub(super) fn path(reader: &mut Reader<'_>) -> Option<PathBuf> {
    let path = reader.value("AUDIT_LOG_PATH", "the path of a file", |text| {
        (!text.ends_with("/")).then(|| PathBuf::from(text))
    });
    path.map(|path| reader.directory.join(path))
}

pub(super) fn reads(reader: &mut Reader<'_>) -> Option<AuditReads> {
    reader.value("AUDIT_READS", "`off` or `all`", |text| match text {
        "off" => Some(AuditReads::Off),
        "all" => Some(AuditReads::All),
        _ => None,
    })
}
