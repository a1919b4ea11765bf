//! What the writer is asked to change, and how it answers.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::{
    knowledge::{
        answer::Gap,
        editing::{Change, EditError, Editor, Imported},
    },
    model::{Entry, Outcome, ReceivedAlert},
    store::{Expired, ExpiryBatch, Store, StoreError},
};

/// What became of the alerts of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Instances that were not known.
    pub new: usize,
    /// Known instances that changed.
    pub updated: usize,
    /// Known instances, unchanged.
    pub duplicates: usize,
}

impl Receipt {
    pub(super) fn of(outcomes: &[Outcome]) -> Self {
        let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
        Self {
            new: count(Outcome::New),
            updated: count(Outcome::Updated),
            duplicates: count(Outcome::Duplicate),
        }
    }
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// More requests wait than are held. Answered with 503.
    #[error("too many changes wait to be stored")]
    Overloaded,
    /// The service is stopping. Answered with 503.
    #[error("no more changes are taken")]
    Closed,
    /// The store failed; all requests of the group share the cause.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
    /// The entry is another, or the change makes none.
    #[error(transparent)]
    Edit(#[from] EditError),
}

pub(in crate::knowledge) type Answer<T> = oneshot::Sender<Result<T, ChangeError>>;

/// One request.
pub(in crate::knowledge) enum Request {
    /// Alerts were received; answered when they are durable.
    Alerts { alerts: Vec<ReceivedAlert>, answer: Answer<Receipt> },
    /// A person makes an entry.
    Create { entry: Box<Entry>, answer: Answer<Entry> },
    /// A person changes an entry. `seen` is the version that they saw; `None` for changes that
    /// are right whatever the version. The entry as it was comes with it as it is.
    Edit { id: String, seen: Option<u64>, change: Change, editor: Editor, answer: Answer<EditDone> },
    /// Entries were read from files.
    Import { entries: Vec<Entry>, answer: Answer<Vec<Imported>> },
    /// A question was asked that nothing answers; in memory at once, in the store later.
    Ask { text: String, answer: oneshot::Sender<Gap> },
    /// Open questions that are answered, by the entries that answer them.
    Close(Vec<(String, String)>),
    /// The store has an entry that memory does not have.
    Find { id: String, answer: oneshot::Sender<Option<Entry>> },
    /// A batch of retention, on the store as its lease has it.
    Expire { batch: ExpiryBatch, store: Arc<dyn Store>, answer: Answer<Expired> },
    /// All is read again.
    Reload { answer: Answer<()> },
    /// Takes over what other processes changed.
    Follow { answer: Option<Answer<()>> },
    /// Everything that waits is written; answers how many changes could not be.
    Finish { answer: oneshot::Sender<usize> },
}

/// An edit that is done.
#[derive(Clone, Debug)]
pub struct EditDone {
    /// The entry before.
    pub before: Entry,
    /// The entry now; `None` if it was deleted.
    pub after: Option<Entry>,
}
