//! The steps of which histories are made, drawn at random.

use std::fmt;

use proptest::prelude::*;

/// How many processes there are, and how they know of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One.
    One,
    /// Two; each takes over what the other did before it does something.
    InStep,
    /// Two; they take over what the other did only before they are compared.
    Lagging,
}

/// Fingerprints, causes and questions that there are.
pub const FINGERPRINTS: usize = 3;
pub const CAUSES: [&str; 3] = ["", "logs", "dumps"];
pub const TOPICS: [&str; 2] = ["zebra", "walrus"];

/// One alert of a webhook.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    pub fingerprint: usize,
    pub cause: usize,
    /// Minutes after the beginning of the history; `None`: it does not say.
    pub start: Option<i64>,
    /// Over since so many minutes after its start, or `Some(None)`: it does not say since when.
    pub over: Option<Option<i64>>,
}

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// Webhooks that arrive at the same moment, at this process.
    Send(usize, Vec<Sent>),
    /// The process crashes while it takes this alert, which is then sent again.
    CrashWhileSending(usize, Sent),
    /// A person writes the solution of the pattern of this cause.
    Edit(usize, usize),
    /// A person deletes the pattern of this cause.
    Delete(usize, usize),
    /// A question is asked.
    Ask(usize, usize),
    /// A person writes what answers it.
    Answer(usize, usize),
    /// An answered question is asked where nothing answers it, the command line changes the text
    /// of what does, and it is asked again everywhere.
    AskAroundImport(usize, usize),
    /// A person writes the solution of the pattern of this cause while another deletes it; both
    /// name the version that they see.
    EditAndDelete(usize),
    /// Two people write the solution of the pattern of this cause; the later one, at the last
    /// process, has not seen what the other wrote.
    EditUnseen(usize, usize),
    /// So many minutes go by.
    Wait(i64),
    /// Retention runs.
    Retain(usize),
    /// The process is stopped and started.
    Restart(usize),
    /// The process dies and is started.
    Crash(usize),
}

impl Step {
    /// Whether processes that lag have followed after it.
    pub fn is_a_pause(&self) -> bool {
        matches!(self, Self::Wait(_) | Self::Retain(_) | Self::Restart(_) | Self::Crash(_))
    }
}

/// A list of steps.
pub struct History(pub Vec<Step>);

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            write!(f, "\n  {:>2}. {step:?}", place + 1)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = if self.over.is_some() { "resolved" } else { "firing" };
        write!(f, "f{} {:?} {status}", self.fingerprint, CAUSES[self.cause])?;
        match self.start {
            Some(minutes) => write!(f, " from {minutes}")?,
            None => write!(f, " without a start")?,
        }
        match self.over {
            Some(Some(minutes)) => write!(f, " for {minutes}"),
            Some(None) => write!(f, " without an end"),
            None => Ok(()),
        }
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    // Few values, so that alerts meet each other.
    let cause = prop_oneof![6 => Just(1_usize), 2 => Just(2), 1 => Just(0)];
    let start = prop_oneof![1 => Just(None), 5 => (0..4_i64).prop_map(Some)];
    let end = prop_oneof![1 => Just(None), 3 => (0..5_i64).prop_map(Some)];
    let over = prop_oneof![Just(None), end.prop_map(Some)];
    (0..FINGERPRINTS, cause, start, over).prop_map(|(fingerprint, cause, start, over)| Sent {
        fingerprint,
        cause,
        start,
        over,
    })
}

fn step(processes: usize) -> impl Strategy<Value = Step> {
    let at = move || 0..processes;
    let pattern = || prop_oneof![3 => Just(1_usize), 1 => Just(2), 1 => Just(0)];
    let webhooks = prop::collection::vec(sent(), 1..4).prop_map(|sent| {
        // One alert a fingerprint: those of one moment have no order.
        let mut kept: Vec<Sent> = Vec::new();
        for one in sent {
            if kept.iter().all(|known| known.fingerprint != one.fingerprint) {
                kept.push(one);
            }
        }
        kept
    });
    // A minute, an hour, a day, what retention waits for, and what it remembers.
    let minutes = prop_oneof![
        Just(1_i64),
        Just(60),
        Just(24 * 60),
        Just(48 * 60 + 1),
        Just(5 * 24 * 60),
        Just(31 * 24 * 60)
    ];
    prop_oneof![
        12 => (at(), webhooks).prop_map(|(at, sent)| Step::Send(at, sent)),
        1 => (at(), sent(), 0..4_i64).prop_map(|(at, sent, start)| {
            // Without a start, what is sent twice cannot be told from what happens twice.
            Step::CrashWhileSending(at, Sent { start: Some(start), ..sent })
        }),
        2 => (at(), pattern()).prop_map(|(at, cause)| Step::Edit(at, cause)),
        2 => (at(), pattern()).prop_map(|(at, cause)| Step::Delete(at, cause)),
        1 => (at(), 0..TOPICS.len()).prop_map(|(at, topic)| Step::Ask(at, topic)),
        1 => (at(), 0..TOPICS.len()).prop_map(|(at, topic)| Step::Answer(at, topic)),
        1 => (at(), 0..TOPICS.len()).prop_map(|(at, topic)| Step::AskAroundImport(at, topic)),
        1 => pattern().prop_map(Step::EditAndDelete),
        1 => (at(), pattern()).prop_map(|(at, cause)| Step::EditUnseen(at, cause)),
        4 => minutes.prop_map(Step::Wait),
        4 => at().prop_map(Step::Retain),
        1 => at().prop_map(Step::Restart),
        1 => at().prop_map(Step::Crash),
    ]
}

/// A history of this mode.
pub fn history(mode: Mode) -> impl Strategy<Value = Vec<Step>> {
    let processes = if mode == Mode::One { 1 } else { 2 };
    prop::collection::vec(step(processes), 3..25)
}
