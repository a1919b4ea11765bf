//! What goes on on one connection, and the rule that it breaks, if any.
//!
//! Nothing here waits: the connection's parts note what they see, and whoever serves it asks
//! [`Activity::broken`] now and then. So HTTP/1 and HTTP/2 go by the same rules, although hyper
//! has a timer for the heads of HTTP/1 only.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::{Duration, Instant};

use super::limits::{LEAST_BYTES, Limits};

/// How long after a request's deadline its answer may still be on its way: the 503 that says so
/// is written at the deadline itself.
const GRACE: Duration = Duration::from_secs(2);

/// Refusals with 429, one after the other, that a connection survives: who asks on regardless has
/// to connect anew, and what it sent ahead is not looked at.
const MOST_REFUSALS: u32 = 32;

/// On an answer: its client may take longer than the request's own deadline, until this.
#[derive(Clone, Copy, Debug)]
pub struct AnswerBy(pub Instant);

/// The rule that a peer broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// No request, or none whose head came in time.
    Head,
    /// Nothing was asked for a while.
    Idle,
    /// What is written is not read, or too slowly.
    Stalled,
    /// Request after request was refused with 429.
    Refused,
}

/// What is known of one connection.
#[derive(Clone)]
pub struct Activity(Arc<Mutex<State>>);

struct State {
    limits: Limits,
    /// A request has been under way.
    asked: bool,
    http2: bool,
    /// Since when no request is under way.
    quiet_since: Instant,
    /// Since when bytes have come without a request.
    head_since: Option<Instant>,
    /// The requests under way, by when each must be over.
    under_way: Vec<(u64, Instant)>,
    begun: u64,
    /// Bytes came since the last request: the next one is not of the same read.
    fresh: bool,
    /// Refusals with 429, one after the other.
    refusals: u32,
    /// The last write had to wait.
    blocked: bool,
    /// The span in which what was written is counted, from the first write that had to wait.
    window: Option<Window>,
}

struct Window {
    since: Instant,
    written: u64,
}

impl Activity {
    /// Of a connection that was opened just now.
    pub fn new(limits: &Limits) -> Self {
        Self(Arc::new(Mutex::new(State {
            limits: limits.clone(),
            asked: false,
            http2: false,
            quiet_since: Instant::now(),
            head_since: None,
            under_way: Vec::new(),
            begun: 0,
            fresh: false,
            refusals: 0,
            blocked: false,
            window: None,
        })))
    }

    /// Its time begins now.
    pub fn restart(&self) {
        self.0.lock().quiet_since = Instant::now();
    }

    /// Bytes came.
    pub fn read(&self) {
        let mut state = self.0.lock();
        state.fresh = true;
        if state.under_way.is_empty() && state.head_since.is_none() {
            state.head_since = Some(Instant::now());
        }
    }

    /// So many bytes went out.
    pub fn wrote(&self, bytes: usize) {
        let mut state = self.0.lock();
        state.blocked = false;
        if let Some(window) = &mut state.window {
            window.written += bytes as u64;
        }
    }

    /// The peer does not take what is to be written.
    pub fn blocked(&self) {
        let mut state = self.0.lock();
        state.blocked = true;
        state.window.get_or_insert_with(|| Window { since: Instant::now(), written: 0 });
    }

    /// A request's head is there. It must have been answered by the moment that is returned.
    pub fn begin(&self, http2: bool) -> (UnderWay, Instant) {
        let mut state = self.0.lock();
        // The head counts as part of the request; on HTTP/2 its bytes cannot be told from others'.
        let head = state.head_since.take().filter(|_| !http2);
        let deadline = head.unwrap_or_else(Instant::now) + state.limits.request;
        let id = state.begun;
        state.begun += 1;
        (state.asked, state.http2) = (true, http2);
        state.under_way.push((id, deadline + GRACE));
        (UnderWay { activity: self.clone(), id }, deadline)
    }

    /// Whether the request that begins came together with the one before it. Whoever sends many at
    /// once lets others go first between two of them.
    pub fn is_heaped(&self) -> bool {
        !std::mem::take(&mut self.0.lock().fresh)
    }

    /// A request was answered, with 429 or not; whether there have been so many of the former that
    /// the connection is to be closed.
    pub fn answered(&self, refused: bool) -> bool {
        let mut state = self.0.lock();
        state.refusals = if refused { state.refusals + 1 } else { 0 };
        state.refusals >= MOST_REFUSALS
    }

    /// No request is under way.
    pub fn is_quiet(&self) -> bool {
        self.0.lock().under_way.is_empty()
    }

    /// The rule that the peer has broken by now.
    pub fn broken(&self) -> Option<Broken> {
        self.0.lock().broken(Instant::now())
    }
}

impl State {
    fn broken(&mut self, now: Instant) -> Option<Broken> {
        let late = |since: Instant, span: Duration| now.duration_since(since) >= span;
        if self.under_way.iter().any(|(_, by)| now >= *by) || self.is_stalled(now) {
            return Some(Broken::Stalled);
        }
        if !self.under_way.is_empty() {
            return None;
        }
        if self.refusals >= MOST_REFUSALS {
            return Some(Broken::Refused);
        }
        // The bytes of an HTTP/2 connection may be answered pings: only requests count there.
        let head_since = match (self.asked, self.http2) {
            (false, _) => Some(self.quiet_since),
            (true, false) => self.head_since,
            (true, true) => None,
        };
        if head_since.is_some_and(|since| late(since, self.limits.head)) {
            return Some(Broken::Head);
        }
        late(self.quiet_since, self.limits.idle).then_some(Broken::Idle)
    }

    fn is_stalled(&mut self, now: Instant) -> bool {
        let Some(window) = &self.window else { return false };
        if now.duration_since(window.since) < self.limits.stalled {
            return false;
        }
        let slow = self.blocked && window.written < LEAST_BYTES;
        self.window = self.blocked.then_some(Window { since: now, written: 0 });
        slow
    }
}

/// A request under way, until this is dropped.
pub struct UnderWay {
    activity: Activity,
    id: u64,
}

impl UnderWay {
    /// Gives the answer until then.
    pub fn answer_by(&self, by: Instant) {
        let mut state = self.activity.0.lock();
        let of_this = state.under_way.iter_mut().filter(|(id, _)| *id == self.id);
        of_this.for_each(|(_, until)| *until = by + GRACE);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.activity.0.lock();
        state.under_way.retain(|(id, _)| *id != self.id);
        if state.under_way.is_empty() {
            state.quiet_since = Instant::now();
            // What was read ahead of time shows as a request at once, or waits for more bytes.
            state.head_since = None;
        }
    }
}

/// An answer's body; its request counts as under way until it is sent.
pub struct Tracked {
    body: Body,
    #[allow(dead_code)] // why: held, not read
    under_way: UnderWay,
}

impl Tracked {
    /// The body of the answer to this request.
    pub fn new(body: Body, under_way: UnderWay) -> Self {
        Self { body, under_way }
    }
}

impl HttpBody for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
#[path = "activity_tests.rs"]
mod tests;
