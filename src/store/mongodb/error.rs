//! How MongoDB fails, and which of its failures are transient.
//!
//! No text that leaves here holds the connection string or a part of it.

use std::time::Duration;

use mongodb::error::{
    Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteFailure,
};

use crate::store::{LeaseLost, StoreError};

pub(super) const NAMESPACE_NOT_FOUND: i32 = 26;
pub(super) const INDEX_NOT_FOUND: i32 = 27;
pub(super) const NAMESPACE_EXISTS: i32 = 48;
const IMMUTABLE_FIELD: i32 = 66;
const DUPLICATE_KEY: i32 = 11000;

/// Codes of a server that is away, changing its primary, overloaded, full, or that does not let
/// us in (yet): <https://www.mongodb.com/docs/manual/reference/error-codes/>.
const TRANSIENT_CODES: [i32; 40] = [
    6, 7, 11, 13, 18, 24, 43, 46, 50, 64, 89, 91, 100, 112, 133, 134, 189, 202, 225, 226, 236, 239,
    246, 251, 262, 290, 358, 365, 384, 462, 9001, 10058, 10107, 11600, 11601, 11602, 13388, 13435,
    13436, 14031,
];

/// Why an operation on MongoDB did not succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum MongoError {
    /// The driver says so.
    #[error(transparent)]
    Driver(#[from] Error),
    /// A statement of a write command failed, though the command as a whole did not.
    #[error("write error {code}: {message}")]
    Write {
        /// The server's code.
        code: i32,
        /// The server's words.
        message: String,
    },
    /// What a write command was to change was changed by another client in between.
    #[error("the documents changed under the operation")]
    Overtaken,
    /// The work was done under a lease that is another process'.
    #[error(transparent)]
    LeaseLost(LeaseLost),
    /// The server did not answer.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// It answered, but with something else than was asked.
    #[error("unexpected answer: {0}")]
    Answer(&'static str),
}

impl MongoError {
    /// The server's code, if it gave one.
    pub(super) fn code(&self) -> Option<i32> {
        match self {
            Self::Write { code, .. } => Some(*code),
            Self::Driver(error) => code_of(error),
            Self::Overtaken | Self::LeaseLost(_) | Self::Silent(_) | Self::Answer(_) => None,
        }
    }

    /// Another client made a document of the same `_id` at once.
    pub(super) fn is_duplicate_key(&self) -> bool {
        self.code() == Some(DUPLICATE_KEY)
    }

    /// A compare-and-set that found another revision, or no document any more.
    pub(super) fn is_lost_race(&self) -> bool {
        matches!(self.code(), Some(DUPLICATE_KEY | IMMUTABLE_FIELD))
    }

    /// The connection broke on the way: whether the operation happened is not known, and another
    /// connection may do.
    pub(super) fn is_broken_connection(&self) -> bool {
        matches!(self, Self::Driver(error) if matches!(
            *error.kind,
            ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. }
        ))
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Overtaken | Self::Silent(_) => true,
            Self::Answer(_) | Self::LeaseLost(_) => false,
            Self::Write { code, .. } => TRANSIENT_CODES.contains(code),
            Self::Driver(error) => is_transient(error),
        }
    }
}

impl From<MongoError> for StoreError {
    fn from(error: MongoError) -> Self {
        match error {
            MongoError::LeaseLost(lost) => lost.into(),
            error if error.is_transient() => Self::unavailable(error),
            error => Self::refused(error),
        }
    }
}

fn code_of(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => Some(concern.code),
        _ => None,
    }
}

fn is_transient(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Io(_)
        | ErrorKind::ServerSelection { .. }
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::DnsResolve { .. }
        | ErrorKind::Authentication { .. }
        | ErrorKind::Shutdown
        | ErrorKind::Write(WriteFailure::WriteConcernError(_)) => true,
        _ => {
            error.contains_label(TRANSIENT_TRANSACTION_ERROR)
                || error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT)
                || error.contains_label("RetryableWriteError")
                || code_of(error).is_some_and(|code| TRANSIENT_CODES.contains(&code))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(code: i32) -> MongoError {
        MongoError::Write { code, message: "told by the server".into() }
    }

    #[test]
    fn a_server_that_steps_down_or_is_full_is_unavailable() {
        for code in [10107, 13435, 11600, 91, 189, 64, 14031] {
            assert!(StoreError::from(write(code)).is_unavailable(), "{code}");
        }
        assert!(StoreError::from(MongoError::Silent(Duration::from_secs(1))).is_unavailable());
        let io = Error::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        assert!(StoreError::from(MongoError::from(io)).is_unavailable());
    }

    #[test]
    fn a_defect_of_program_or_data_is_refused() {
        for code in [2, 9, 14, 121, 17280, DUPLICATE_KEY] {
            assert!(!StoreError::from(write(code)).is_unavailable(), "{code}");
        }
    }
}
