//! An export as a streamed body: how many at once, how long, and how slowly it may be read.
//!
//! An open export holds a snapshot, and while a snapshot is held the store cannot tidy up: SQLite's
//! write-ahead log grows with every alert. So no client may hold one for as long as it likes.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use bytes::Bytes;
use futures::StreamExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, timeout, timeout_at},
};

use super::{Error, server::AnswerBy};
use crate::{
    history::export::{ExportError, Format, OpenExport},
    model::Time,
};

/// Exports at a time: each holds a snapshot, which keeps the store from tidying up.
const AT_ONCE: usize = 2;
/// How long a request waits for its turn: most exports take less.
const TURN: Duration = Duration::from_secs(10);
/// Pieces that wait for a slow client.
const PIECES_WAITING: usize = 2;
/// How long an export may take in all.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// How long a client may keep an export waiting, besides a second for each [`LEAST_RATE`] that it
/// took.
const PATIENCE: Duration = Duration::from_secs(15);
/// The least that a client must read, in bytes a second, before compression.
const LEAST_RATE: u32 = 128 * 1024;

/// The right to export, for few at a time.
#[derive(Clone)]
pub struct ExportPermits(Arc<Semaphore>);

impl Default for ExportPermits {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl ExportPermits {
    /// One of them, in the order of asking.
    ///
    /// # Errors
    /// 503 if all stay in use for ten seconds.
    pub async fn acquire(&self) -> Result<OwnedSemaphorePermit, Error> {
        match timeout(TURN, Arc::clone(&self.0).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Error::unavailable("Two exports are under way, please retry later")),
        }
    }
}

/// The answer; the permit is given back when the last byte is sent or the client has disconnected.
pub fn response(export: OpenExport, format: Format, permit: OwnedSemaphorePermit) -> Response {
    let name = file_name(export.head.export_date, format);
    let (pieces, body) = mpsc::channel(PIECES_WAITING);
    tokio::spawn(pump(export.bytes, pieces, permit));
    let body = tokio_stream::wrappers::ReceiverStream::new(body);
    let mut response = Response::new(Body::from_stream(until_end(body)));
    response.extensions_mut().insert(answer_by());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

/// The time that an export has, for the connection that it goes out on.
pub fn answer_by() -> AnswerBy {
    AnswerBy(Instant::now() + LONGEST)
}

fn file_name(at: Time, format: Format) -> String {
    let at: String = at.to_string().chars().filter(|c| !matches!(c, '-' | ':')).take(15).collect();
    format!("orchestrator-{at}Z.{}", format.as_str())
}

/// What goes to the body's stream: bytes, or `None` for the end.
type Piece = Result<Option<Bytes>, ExportError>;

/// How long a client has kept an export waiting, and how long it may.
#[derive(Default)]
struct Pace {
    waited: Duration,
    taken: u64,
}

impl Pace {
    /// How long the client may take for the next piece.
    fn left(&self) -> Duration {
        let earned = Duration::from_secs(self.taken) / LEAST_RATE;
        (PATIENCE + earned).saturating_sub(self.waited)
    }

    fn took(&mut self, bytes: usize, waited: Duration) {
        self.waited += waited;
        self.taken += bytes as u64;
    }
}

/// Reads ahead of the client, a little; a client that is too slow loses its export, and with it
/// the snapshot that it holds.
async fn pump(
    bytes: futures::stream::BoxStream<'static, Result<Bytes, ExportError>>,
    pieces: mpsc::Sender<Piece>,
    permit: OwnedSemaphorePermit,
) {
    match timeout_at(Instant::now() + LONGEST, forward(bytes, pieces)).await {
        Ok(true) => {}
        Ok(false) => tracing::warn!("an export was given up: its client went away or is too slow"),
        Err(_) => tracing::warn!("an export was given up: it took longer than {LONGEST:?}"),
    }
    drop(permit);
}

/// Hands on piece after piece; false if the client does not take them.
async fn forward(
    mut bytes: futures::stream::BoxStream<'static, Result<Bytes, ExportError>>,
    pieces: mpsc::Sender<Piece>,
) -> bool {
    let mut pace = Pace::default();
    loop {
        let piece = match bytes.next().await {
            Some(Ok(bytes)) => Ok(Some(bytes)),
            Some(Err(error)) => {
                tracing::error!(%error, "an export broke off");
                Err(error)
            }
            None => Ok(None),
        };
        let last = !matches!(piece, Ok(Some(_)));
        let length = piece.as_ref().map_or(0, |bytes| bytes.as_ref().map_or(0, Bytes::len));
        let offered = Instant::now();
        if pieces.send_timeout(piece, pace.left()).await.is_err() {
            return false;
        }
        pace.took(length, offered.elapsed());
        if last {
            return true;
        }
    }
}

/// The bytes until the end; a stream that stops without its end is an error, which breaks the
/// transfer.
fn until_end(
    pieces: impl futures::Stream<Item = Piece> + Send + 'static,
) -> impl futures::Stream<Item = Result<Bytes, ExportError>> + Send {
    let broken = || ExportError::Format(std::io::ErrorKind::TimedOut.into());
    let closed = futures::stream::once(async move { Err(broken()) });
    pieces.chain(closed).scan(false, |over, piece| {
        let next = match (std::mem::take(over), piece) {
            (true, _) | (_, Ok(None)) => {
                *over = true;
                None
            }
            (false, Ok(Some(bytes))) => Some(Ok(bytes)),
            (false, Err(error)) => {
                *over = true;
                Some(Err(error))
            }
        };
        futures::future::ready(next)
    })
}

#[cfg(test)]
mod tests {
    use futures::{TryStreamExt, stream};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_third_export_waits_for_its_turn_and_not_for_ever() {
        let permits = ExportPermits::default();
        let first = permits.acquire().await.unwrap();
        let _second = permits.acquire().await.unwrap();
        let refused = permits.acquire().await.unwrap_err();
        assert_eq!(refused.status(), axum::http::StatusCode::SERVICE_UNAVAILABLE);
        let (third, ()) = tokio::join!(permits.acquire(), async {
            tokio::time::sleep(TURN / 2).await;
            drop(first);
        });
        drop(third.unwrap());
    }

    #[tokio::test]
    async fn a_body_without_its_end_is_broken() {
        let whole = vec![Ok(Some(Bytes::from("a"))), Ok(None)];
        let read: Vec<_> = until_end(stream::iter(whole)).try_collect().await.unwrap();
        assert_eq!(read, ["a"]);
        let cut = vec![Ok(Some(Bytes::from("a")))];
        assert!(until_end(stream::iter(cut)).try_collect::<Vec<_>>().await.is_err());
    }

    /// Starts an export without end for a client that reads this many bytes, once a second.
    async fn read_slowly(piece: usize, seconds: u32) -> (ExportPermits, mpsc::Receiver<Piece>) {
        let permits = ExportPermits::default();
        std::mem::forget(permits.acquire().await.unwrap());
        let (pieces, mut body) = mpsc::channel(PIECES_WAITING);
        let endless = stream::repeat_with(move || Ok(Bytes::from(vec![0; piece]))).boxed();
        tokio::spawn(pump(endless, pieces, permits.acquire().await.unwrap()));
        for _ in 0..seconds {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let _ = body.try_recv();
        }
        (permits, body)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_too_slow_loses_its_permit_and_never_sees_an_end() {
        for piece in [1, LEAST_RATE as usize / 2] {
            let (permits, mut body) = read_slowly(piece, 40).await;
            assert!(permits.acquire().await.is_ok(), "{piece} bytes a second");
            let mut last = None;
            while let Some(piece) = body.recv().await {
                last = Some(piece);
            }
            assert!(!matches!(last, Some(Ok(None))), "and no end");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_at_the_least_rate_is_waited_for_until_the_longest_time() {
        let (permits, _body) = read_slowly(LEAST_RATE as usize, 800).await;
        assert!(permits.acquire().await.is_err());
        let (permits, _body) = read_slowly(LEAST_RATE as usize, 901).await;
        assert!(permits.acquire().await.is_ok());
    }
}
