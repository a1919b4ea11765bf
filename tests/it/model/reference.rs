//! What the contract says about a history: a plain list of instances, and rules that are read one
//! after the other. It shares no code with the service.

use std::collections::BTreeMap;

use super::steps::{Sent, TOPICS};

const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;
/// Alerts live so long after their last receipt.
const ALERTS_LIVE: i64 = 48 * HOUR;
/// Who they were is remembered so long after they were deleted.
const REMEMBERED: i64 = 30 * 24 * HOUR;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Firing,
    Resolved { end: i64 },
    Superseded,
}

/// One instance that occurred.
#[derive(Clone, Debug)]
struct Occurred {
    fingerprint: usize,
    start: i64,
    cause: usize,
    state: State,
    last_received: i64,
    /// When its alert was deleted, if it is.
    deleted: Option<i64>,
}

impl Occurred {
    fn is_stored(&self) -> bool {
        self.deleted.is_none()
    }
}

/// Who wrote a solution: an alert of this start and fingerprint, or a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Author {
    Alert(i64, usize),
    Person,
}

#[derive(Clone, Debug)]
struct Pattern {
    solution: String,
    author: Author,
    /// The latest start of an instance that was deleted while it belonged here.
    deleted_start: Option<i64>,
}

/// What a pattern shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    pub occurrences: i64,
    pub firing: i64,
    pub success_rate: Option<f64>,
    pub mean_ms: Option<i64>,
    pub last_fired: Option<i64>,
    pub solution: String,
}

/// All that there is.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    instances: Vec<Occurred>,
    patterns: BTreeMap<usize, Pattern>,
    questions: BTreeMap<usize, i64>,
    /// The solutions of what answers a question.
    answers: BTreeMap<usize, Vec<String>>,
}

/// When an alert began, if it says so.
pub fn start_of(sent: &Sent, beginning: i64) -> Option<i64> {
    sent.start.map(|minutes| beginning + minutes * MINUTE)
}

/// When it ended, if it says so.
pub fn end_of(sent: &Sent, beginning: i64, now: i64) -> Option<i64> {
    let start = start_of(sent, beginning).unwrap_or(now);
    sent.over.flatten().map(|minutes| start + minutes * MINUTE)
}

/// The solution that an alert tells.
pub fn solution_of(sent: &Sent, beginning: i64, now: i64) -> String {
    let began = start_of(sent, beginning).unwrap_or(now);
    format!("as f{} of {began} says", sent.fingerprint)
}

impl Reference {
    /// Alerts that are received at one moment.
    pub fn receive(&mut self, group: &[Sent], beginning: i64, now: i64) {
        let mut changed = Vec::new();
        for sent in group {
            changed.extend(self.receive_one(sent, beginning, now));
        }
        let named = |cause: &usize| group.iter().any(|sent| sent.cause == *cause);
        for cause in changed.into_iter().filter(named) {
            // The first alert of a pattern makes it; a mere repeat does not bring it back.
            self.patterns.entry(cause).or_insert(Pattern {
                solution: String::new(),
                author: Author::Alert(i64::MIN, 0),
                deleted_start: None,
            });
        }
        for sent in group {
            let Some(pattern) = self.patterns.get_mut(&sent.cause) else { continue };
            let began = start_of(sent, beginning).unwrap_or(now);
            let author = Author::Alert(began, sent.fingerprint);
            // The newest alert's text wins, unless a person wrote it.
            if author >= pattern.author {
                pattern.solution = solution_of(sent, beginning, now);
                pattern.author = author;
            }
        }
    }

    /// Returns the causes of the instances that it changed.
    fn receive_one(&mut self, sent: &Sent, beginning: i64, now: i64) -> Vec<usize> {
        let start = start_of(sent, beginning)
            .or_else(|| self.open(sent.fingerprint))
            .or_else(|| sent.over.and_then(|_| self.latest(sent.fingerprint)))
            .unwrap_or(now);
        let later_is_open = self.open(sent.fingerprint).is_some_and(|open| open > start);
        let same = |i: &&mut Occurred| i.fingerprint == sent.fingerprint && i.start == start;
        let end = end_of(sent, beginning, now).unwrap_or(now).max(start);
        let told = match sent.over {
            Some(_) => State::Resolved { end },
            None if later_is_open => State::Superseded,
            None => State::Firing,
        };
        let changed = match self.instances.iter_mut().find(same) {
            // It is another that occurs.
            None => {
                self.instances.push(Occurred {
                    fingerprint: sent.fingerprint,
                    start,
                    cause: sent.cause,
                    state: told,
                    last_received: now,
                    deleted: None,
                });
                true
            }
            // It comes back.
            Some(known) if !known.is_stored() => {
                (known.state, known.cause) = (told, sent.cause);
                (known.last_received, known.deleted) = (now, None);
                true
            }
            Some(known) => {
                let state = match (known.state, told) {
                    // What was sent before a later instance began opens nothing.
                    (State::Resolved { .. }, State::Superseded) => known.state,
                    // Said again without an end, it ended when it did.
                    (State::Resolved { .. }, State::Resolved { .. }) if sent.over == Some(None) => {
                        known.state
                    }
                    _ => told,
                };
                let changed = known.state != state || known.cause != sent.cause;
                (known.state, known.cause) = (state, sent.cause);
                known.last_received = now.max(known.last_received);
                changed
            }
        };
        let mut causes = Vec::new();
        if changed {
            causes.push(sent.cause);
        }
        // At most one is open: the latest.
        let latest = self.open(sent.fingerprint);
        for known in &mut self.instances {
            let open = known.is_stored() && known.state == State::Firing;
            if open && known.fingerprint == sent.fingerprint && Some(known.start) != latest {
                known.state = State::Superseded;
                causes.push(known.cause);
            }
        }
        causes
    }

    /// The latest start of an open instance.
    fn open(&self, fingerprint: usize) -> Option<i64> {
        let of = self.stored(fingerprint).filter(|known| known.state == State::Firing);
        of.map(|known| known.start).max()
    }

    fn latest(&self, fingerprint: usize) -> Option<i64> {
        self.stored(fingerprint).map(|known| known.start).max()
    }

    fn stored(&self, fingerprint: usize) -> impl Iterator<Item = &Occurred> {
        let of = self.instances.iter().filter(move |known| known.fingerprint == fingerprint);
        of.filter(|known| known.is_stored())
    }

    /// Retention: what is old is deleted, and counts on where its entry is.
    pub fn retain(&mut self, now: i64) {
        for known in &mut self.instances {
            if known.is_stored() && known.last_received < now - ALERTS_LIVE {
                known.deleted = Some(now);
                if let Some(pattern) = self.patterns.get_mut(&known.cause) {
                    pattern.deleted_start = pattern.deleted_start.max(Some(known.start));
                }
            }
        }
        self.drop_lost();
        for known in &mut self.instances {
            // Whoever comes back after that is another: this one is no fingerprint's any more.
            if known.deleted.is_some_and(|at| at < now - REMEMBERED) {
                known.fingerprint = usize::MAX;
            }
        }
    }

    /// What is deleted counts nowhere once its entry is deleted too.
    fn drop_lost(&mut self) {
        let patterns = &self.patterns;
        self.instances.retain(|known| known.is_stored() || patterns.contains_key(&known.cause));
    }

    /// Whether there is a pattern of this cause.
    pub fn has(&self, cause: usize) -> bool {
        self.patterns.contains_key(&cause)
    }

    /// A person writes a solution.
    pub fn edit(&mut self, cause: usize, solution: &str) {
        let pattern = self.patterns.get_mut(&cause).expect("it is there");
        (pattern.solution, pattern.author) = (solution.to_owned(), Author::Person);
    }

    /// A person deletes a pattern.
    pub fn delete(&mut self, cause: usize) {
        self.patterns.remove(&cause);
        self.drop_lost();
    }

    /// A question is asked.
    pub fn ask(&mut self, topic: usize) {
        if !self.is_answered(topic) {
            *self.questions.entry(topic).or_default() += 1;
        }
    }

    /// It is answered.
    pub fn answer(&mut self, topic: usize) {
        self.questions.remove(&topic);
        self.answers.entry(topic).or_default().push(String::new());
    }

    /// Whether anything answers it.
    pub fn is_answered(&self, topic: usize) -> bool {
        self.answers.contains_key(&topic)
    }

    /// The text of what answers it is imported anew.
    pub fn import(&mut self, topic: usize, solution: &str) {
        self.answers.entry(topic).or_default().fill(solution.to_owned());
    }

    /// The solutions of what answers a question, in their order.
    pub fn answers(&self, topic: usize) -> Vec<String> {
        let mut solutions = self.answers.get(&topic).cloned().unwrap_or_default();
        solutions.sort();
        solutions
    }

    /// How often open questions were asked.
    pub fn questions(&self) -> BTreeMap<String, i64> {
        self.questions.iter().map(|(topic, times)| (TOPICS[*topic].to_owned(), *times)).collect()
    }

    /// How many alerts fire.
    pub fn firing(&self) -> u64 {
        let firing = |known: &&Occurred| known.is_stored() && known.state == State::Firing;
        self.instances.iter().filter(firing).count() as u64
    }

    /// What the pattern of a cause shows, if there is one.
    pub fn shown(&self, cause: usize) -> Option<Shown> {
        let pattern = self.patterns.get(&cause)?;
        let own: Vec<_> = self.instances.iter().filter(|known| known.cause == cause).collect();
        let lasted = own.iter().filter_map(|known| match known.state {
            State::Resolved { end } => Some(end - known.start),
            _ => None,
        });
        let lasted: Vec<i64> = lasted.collect();
        let superseded = own.iter().filter(|known| known.state == State::Superseded).count();
        let firing =
            own.iter().filter(|known| known.is_stored() && known.state == State::Firing).count();
        let (resolved, rated) = (lasted.len(), own.len() - superseded);
        let starts = own.iter().filter(|known| known.is_stored()).map(|known| known.start);
        Some(Shown {
            occurrences: own.len() as i64,
            firing: firing as i64,
            success_rate: (rated > 0).then(|| resolved as f64 / rated as f64),
            mean_ms: (resolved > 0).then(|| lasted.iter().sum::<i64>() / resolved as i64),
            last_fired: starts.max().max(pattern.deleted_start),
            solution: pattern.solution.clone(),
        })
    }
}
