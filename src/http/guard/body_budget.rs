//! How many bytes of bodies are held at a time, so that no flood of them takes all memory.
//!
//! There are two pools: one for bodies whose sender has proven itself by a header, and a smaller
//! one for those that must be held before they can be judged. In the second, whoever has been
//! sending for longest gives way when it is full, so that slow strangers keep no honest sender
//! out; a body that is complete and judged is safe.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::http::Error;

/// Bytes of bodies of proven senders. What is parsed from a body costs about as much again as the
/// body, twice.
const PROVEN_BYTES: usize = 48 << 20;
/// Bytes of bodies that nobody has vouched for yet.
const UNPROVEN_BYTES: usize = 16 << 20;
/// A body whose length is not known takes this much at a time.
const STEP_BYTES: usize = 64 << 10;

/// The room for bodies.
pub struct BodyBudget {
    proven: Arc<Pool>,
    unproven: Arc<Pool>,
}

impl BodyBudget {
    /// Room for at least two of the largest bodies that may come.
    pub fn new(body_limit: usize, webhook_limit: usize) -> Self {
        let largest = body_limit.max(webhook_limit);
        Self {
            proven: Pool::new(PROVEN_BYTES.max(2 * largest)),
            unproven: Pool::new(UNPROVEN_BYTES.max(2 * body_limit)),
        }
    }

    /// For a body of a sender who has proven itself.
    pub fn proven(&self) -> Held {
        Held::new(&self.proven, false)
    }

    /// For a body that proves its sender.
    pub fn unproven(&self) -> Held {
        Held::new(&self.unproven, true)
    }
}

struct Pool {
    free: Arc<Semaphore>,
    /// Who may have to give way, the oldest first.
    under_way: Mutex<BTreeMap<u64, UnderWay>>,
    next: AtomicU64,
}

struct UnderWay {
    bytes: usize,
    give_way: CancellationToken,
}

impl Pool {
    fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(bytes)),
            under_way: Mutex::default(),
            next: AtomicU64::new(0),
        })
    }

    /// Has older bodies give way until `bytes` are free or about to be; not if there are too few.
    fn make_room(&self, bytes: usize, but: u64) -> bool {
        let mut under_way = self.under_way.lock();
        let mut room = self.free.available_permits();
        let older: Vec<u64> = under_way.range(..but).map(|(id, _)| *id).collect();
        let enough = older.iter().filter_map(|id| under_way.get(id)).map(|body| body.bytes);
        if room + enough.sum::<usize>() < bytes {
            return false;
        }
        for id in older {
            if room >= bytes {
                break;
            }
            if let Some(body) = under_way.remove(&id) {
                body.give_way.cancel();
                room += body.bytes;
            }
        }
        true
    }
}

/// The part of the room that one body takes; given back when dropped.
pub struct Held {
    pool: Arc<Pool>,
    permit: Option<OwnedSemaphorePermit>,
    id: u64,
    /// Whether it may have to give way.
    yields: bool,
    give_way: CancellationToken,
}

impl Held {
    fn new(pool: &Arc<Pool>, yields: bool) -> Self {
        let id = pool.next.fetch_add(1, Ordering::Relaxed);
        let give_way = CancellationToken::new();
        Self { pool: Arc::clone(pool), permit: None, id, yields, give_way }
    }

    fn bytes(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Takes room for `total` bytes in all: at once if `exact`, else in steps.
    ///
    /// # Errors
    /// 503 if there is none.
    pub async fn cover(&mut self, total: usize, exact: bool) -> Result<(), Error> {
        let more = total.saturating_sub(self.bytes());
        if more == 0 {
            return Ok(());
        }
        let more = if exact { more } else { more.next_multiple_of(STEP_BYTES) };
        let count = u32::try_from(more).map_err(|_| overloaded())?;
        let free = Arc::clone(&self.pool.free);
        let permit = match Arc::clone(&free).try_acquire_many_owned(count) {
            Ok(permit) => permit,
            Err(_) if self.yields && self.pool.make_room(more, self.id) => {
                free.acquire_many_owned(count).await.map_err(|_| overloaded())?
            }
            Err(_) => return Err(overloaded()),
        };
        match &mut self.permit {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        if self.yields {
            let body = UnderWay { bytes: self.bytes(), give_way: self.give_way.clone() };
            self.pool.under_way.lock().insert(self.id, body);
        }
        Ok(())
    }

    /// Returns when this body has to give way.
    pub async fn given_way(&self) {
        self.give_way.cancelled().await;
    }

    /// The body is complete: from now on it gives way to nobody.
    pub fn complete(mut self, bytes: Bytes) -> HeldBody {
        self.settle();
        HeldBody { bytes, held: self }
    }

    fn settle(&mut self) {
        self.yields = false;
        self.pool.under_way.lock().remove(&self.id);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.settle();
    }
}

/// A body as received, and the room that it takes.
pub struct HeldBody {
    bytes: Bytes,
    held: Held,
}

impl HeldBody {
    /// The bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The bytes are not needed any more; what was made of them goes on taking the room.
    pub fn parsed(self) -> Held {
        self.held
    }
}

impl std::ops::Deref for HeldBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// 503: there is no room.
pub fn overloaded() -> Error {
    Error::unavailable("Too many request bodies at a time, please retry later")
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn budget() -> BodyBudget {
        BodyBudget { proven: Pool::new(3 * STEP_BYTES), unproven: Pool::new(3 * STEP_BYTES) }
    }

    #[tokio::test]
    async fn room_is_taken_as_it_is_needed_and_given_back() {
        let budget = budget();
        let mut body = budget.proven();
        body.cover(1, false).await.unwrap();
        body.cover(STEP_BYTES, false).await.unwrap();
        assert_eq!(budget.proven.free.available_permits(), 2 * STEP_BYTES);
        body.cover(2 * STEP_BYTES + 1, true).await.unwrap();
        assert_eq!(budget.proven.free.available_permits(), STEP_BYTES - 1);
        let body = body.complete(Bytes::from("x"));
        assert_eq!(budget.proven.free.available_permits(), STEP_BYTES - 1);
        drop(body);
        assert_eq!(budget.proven.free.available_permits(), 3 * STEP_BYTES);
    }

    #[tokio::test]
    async fn a_proven_sender_gives_way_to_nobody() {
        let budget = budget();
        let mut first = budget.proven();
        first.cover(3 * STEP_BYTES, true).await.unwrap();
        assert!(budget.proven().cover(1, false).await.is_err());
        assert!(first.given_way().now_or_never().is_none());
    }

    #[tokio::test]
    async fn of_the_unproven_the_oldest_gives_way() {
        let budget = budget();
        let mut bodies: Vec<Held> = (0..3).map(|_| budget.unproven()).collect();
        for body in &mut bodies {
            body.cover(1, false).await.unwrap();
        }
        let mut newcomer = budget.unproven();
        assert!(newcomer.cover(1, false).now_or_never().is_none(), "it waits for the room");
        assert!(bodies[0].given_way().now_or_never().is_some());
        assert!(bodies[1].given_way().now_or_never().is_none());
        // The oldest of all has nobody to give way to it.
        assert!(bodies[1].cover(STEP_BYTES + 1, false).await.is_err());
        drop(bodies.remove(0));
        newcomer.cover(1, false).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_complete_gives_way_no_more() {
        let budget = budget();
        let mut complete = budget.unproven();
        complete.cover(3 * STEP_BYTES, true).await.unwrap();
        let _complete = complete.complete(Bytes::new());
        assert!(budget.unproven().cover(1, false).await.is_err());
    }
}
