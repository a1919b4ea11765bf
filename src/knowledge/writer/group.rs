//! A group: requests that are written to the store as one operation.

use std::{collections::VecDeque, sync::Arc};

use super::{
    patterns::{Assignment, PatternLimits},
    pending::{Flush, Pending},
    request::{Answer, ChangeError, EditDone, Receipt},
};
use crate::{
    knowledge::{
        editing::{Change, EditError, Editor, Imported, changed, reimported},
        state::State,
    },
    model::{Entry, ReceivedAlert, Time},
    store::{Edit, Gathering, Group},
};

/// A group is written once it holds this many alerts, though more may wait.
const GROUP_ALERTS: usize = 5_000;
/// Or this many requests of other kinds.
const GROUP_EDITS: usize = 500;
/// How often a change that is right whatever the version is made again on another one.
pub const MAX_TRIES: usize = 20;

/// A request that can be part of a group.
pub enum Part {
    /// Alerts of one webhook.
    Alerts { alerts: Vec<ReceivedAlert>, answer: Answer<Receipt> },
    /// An entry by hand.
    Create { entry: Box<Entry>, answer: Answer<Entry> },
    /// A change by hand.
    Edit { edit: WantedEdit, answer: Answer<EditDone> },
    /// Entries from files: those that are still to be written, and what became of each.
    Import {
        entries: Vec<Entry>,
        done: Vec<Option<Imported>>,
        tries: usize,
        answer: Answer<Vec<Imported>>,
    },
}

/// A change of an entry as it was asked for.
#[derive(Clone, Debug)]
pub struct WantedEdit {
    pub id: String,
    pub seen: Option<u64>,
    pub change: Change,
    pub editor: Editor,
    pub tries: usize,
}

impl Part {
    /// How many alerts it has.
    pub fn alerts(&self) -> usize {
        match self {
            Self::Alerts { alerts, .. } => alerts.len(),
            _ => 0,
        }
    }
}

/// What a part of a group is in the store's answer.
pub enum Sent {
    /// So many alerts; they are kept, should the group have to be written part by part.
    Alerts { count: usize, answer: Answer<Receipt> },
    /// One edit.
    Create { entry: Box<Entry>, answer: Answer<Entry> },
    /// One edit: the entry before and after.
    Edit {
        wanted: WantedEdit,
        before: Box<Entry>,
        after: Option<Box<Entry>>,
        answer: Answer<EditDone>,
    },
    /// As many edits as there are `sent`: places in `entries`, with the entry that is written.
    Import {
        entries: Vec<Entry>,
        done: Vec<Option<Imported>>,
        sent: Vec<(usize, Arc<Entry>, Imported)>,
        tries: usize,
        answer: Answer<Vec<Imported>>,
    },
}

/// A group on its way to the store.
pub struct Batch {
    /// What is written.
    pub group: Arc<Gathering>,
    /// Whose it is, in order.
    pub sent: Vec<Sent>,
    /// How many of the edits belong to requests; the others belong to `flush`.
    pub requested: usize,
    /// Questions that are written with it.
    pub flush: Flush,
    /// How its alerts get their patterns.
    pub assignment: Assignment,
    /// Whether it is one part that is to be written by itself.
    single: bool,
}

/// Which parts are taken into a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// As many as there is room for.
    All,
    /// Those with alerts, up to the first of another kind.
    Alerts,
    /// One.
    Single,
}

/// Takes parts from the front until the group is full.
pub fn gather(waiting: &mut VecDeque<Part>, take: Take) -> Vec<Part> {
    let (mut parts, mut alerts) = (Vec::new(), 0);
    while alerts < GROUP_ALERTS && parts.len() < GROUP_EDITS.max(alerts) {
        let Some(part) = waiting.front() else { break };
        if take == Take::Alerts && part.alerts() == 0 {
            break;
        }
        alerts += part.alerts();
        parts.extend(waiting.pop_front());
        if take == Take::Single {
            break;
        }
    }
    parts
}

/// Makes a batch of the parts; what is decided without the store is answered here. `before` is
/// the batch that is written first, if that is not over.
pub fn build(
    (parts, take): (Vec<Part>, Take),
    state: &State,
    (limits, before): (PatternLimits, Option<&Batch>),
    (pending, flush_limit): (&mut Pending, usize),
    now: Time,
) -> Batch {
    let (mut group, mut sent) = (Group::default(), Vec::with_capacity(parts.len()));
    let mut assignment = Assignment::new(limits, before.and_then(|batch| batch.group.closed()));
    for part in parts {
        match part {
            Part::Alerts { alerts, answer } => {
                sent.push(Sent::Alerts { count: alerts.len(), answer });
                alerts.into_iter().for_each(|alert| assignment.assign(state, &mut group, alert));
            }
            Part::Create { entry, answer } => {
                group
                    .edits
                    .push(Edit::Write { entry: Arc::new(Entry::clone(&entry)), expected: None });
                sent.push(Sent::Create { entry, answer });
            }
            Part::Edit { edit, answer } => match prepare(&edit, state) {
                Ok((before, after)) => {
                    group.edits.push(match &after {
                        Some(after) => Edit::Write {
                            entry: Arc::new(Entry::clone(after)),
                            expected: Some(before.version),
                        },
                        None => {
                            Edit::Delete { id: before.id.clone(), expected: Some(before.version) }
                        }
                    });
                    sent.push(Sent::Edit { wanted: edit, before, after, answer });
                }
                Err(error) => drop(answer.send(Err(error.into()))),
            },
            Part::Import { entries, mut done, tries, answer } => {
                let mut written = Vec::new();
                for (place, entry) in entries.iter().enumerate() {
                    if done[place].is_some() {
                        continue;
                    }
                    match state.get(&entry.id) {
                        None => written.push((place, Arc::new(entry.clone()), Imported::Created)),
                        Some(known) => match reimported(known, entry, now) {
                            None => done[place] = Some(Imported::Unchanged),
                            Some(entry) => {
                                written.push((place, Arc::new(entry), Imported::Updated));
                            }
                        },
                    }
                }
                group.edits.extend(written.iter().map(|(_, entry, outcome)| Edit::Write {
                    entry: Arc::clone(entry),
                    expected: (*outcome == Imported::Updated).then(|| entry.version - 1),
                }));
                sent.push(Sent::Import { entries, done, sent: written, tries, answer });
            }
        }
    }
    let requested = group.edits.len();
    let flush = pending.flush(state, flush_limit);
    group.edits.extend(flush.edits.iter().cloned());
    let group = Arc::new(Gathering::from(group));
    Batch { group, sent, requested, flush, assignment, single: take == Take::Single }
}

impl Batch {
    /// Whether there is nothing for the store to do.
    pub fn is_empty(&self) -> bool {
        let empty = |group: &mut Group| group.alerts.is_empty() && group.edits.is_empty();
        self.group.add(empty).unwrap_or(false)
    }

    /// Adds alerts; they are returned if the store has begun to write the group, or it is full.
    pub fn join(&mut self, state: &State, part: Part) -> Option<Part> {
        let mut joining = match part {
            Part::Alerts { alerts, answer } if !self.single => Some((alerts, answer)),
            part => return Some(part),
        };
        self.group.add(|group| {
            if group.alerts.len() < GROUP_ALERTS
                && let Some((alerts, answer)) = joining.take()
            {
                self.sent.push(Sent::Alerts { count: alerts.len(), answer });
                alerts.into_iter().for_each(|alert| self.assignment.assign(state, group, alert));
            }
        });
        joining.map(|(alerts, answer)| Part::Alerts { alerts, answer })
    }

    /// Whether alerts can be assigned now as if it were written: it makes no patterns, and of
    /// entries it changes no others than those that its alerts refresh.
    pub fn is_foreseeable(&self) -> bool {
        let foreseeable = |group: &Group| {
            let refreshes = |edit: &Edit| matches!(edit, Edit::Write { .. });
            group.edits.is_empty()
                && group.learned.iter().all(refreshes)
                && group.patterns.iter().all(|pattern| pattern.known)
        };
        self.group.closed().is_some_and(foreseeable)
    }

    /// The parts again, to be written one by one.
    pub fn into_parts(self) -> (Vec<Part>, Flush) {
        let mut alerts = self.group.close().alerts.iter().map(|assigned| assigned.alert.clone());
        let parts = self.sent.into_iter().map(|sent| match sent {
            Sent::Alerts { count, answer } => {
                Part::Alerts { alerts: alerts.by_ref().take(count).collect(), answer }
            }
            Sent::Create { entry, answer } => Part::Create { entry, answer },
            Sent::Edit { wanted, answer, .. } => Part::Edit { edit: wanted, answer },
            Sent::Import { entries, done, tries, answer, .. } => {
                Part::Import { entries, done, tries, answer }
            }
        });
        (parts.collect(), self.flush)
    }
}

/// Answers a request with an error.
pub fn refuse(part: Part, error: impl Fn() -> ChangeError) {
    match part {
        Part::Alerts { answer, .. } => drop(answer.send(Err(error()))),
        Part::Create { answer, .. } => drop(answer.send(Err(error()))),
        Part::Edit { answer, .. } => drop(answer.send(Err(error()))),
        Part::Import { answer, .. } => drop(answer.send(Err(error()))),
    }
}

type Prepared = (Box<Entry>, Option<Box<Entry>>);

fn prepare(edit: &WantedEdit, state: &State) -> Result<Prepared, EditError> {
    let known = state.get(&edit.id).ok_or(EditError::Missing)?;
    if edit.seen.is_some_and(|seen| seen != known.version) {
        return Err(EditError::Conflict(Box::new(state.view(known))));
    }
    let after = changed(known, edit.change.clone(), &edit.editor)?;
    Ok((Box::new(Entry::clone(known)), after.map(Box::new)))
}
