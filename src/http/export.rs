//! An export as a streamed body: how many at once, compressed if the client takes it, and broken
//! off if the client stops reading.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Error;
use crate::{
    history::export::{ExportError, Format, Taken, gzip},
    model::Time,
};

/// Exports at a time: each holds a snapshot, which keeps the store from tidying up.
const AT_ONCE: usize = 2;
/// Pieces that wait for a slow client.
const PIECES_WAITING: usize = 2;
/// How long a client may read nothing.
const STALLED_AFTER: Duration = Duration::from_secs(60);

/// The right to export, for few at a time.
#[derive(Clone)]
pub struct ExportPermits(Arc<Semaphore>);

impl Default for ExportPermits {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl ExportPermits {
    /// One of them.
    ///
    /// # Errors
    /// 503 if all are in use.
    pub fn take(&self) -> Result<OwnedSemaphorePermit, Error> {
        let permit = Arc::clone(&self.0).try_acquire_owned();
        permit.map_err(|_| Error::unavailable("Two exports are under way, please retry later"))
    }
}

/// Whether the client takes gzip: it names it, or anything, with a weight above 0.
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    let mut any = false;
    let lists = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    for coding in lists.flat_map(|list| list.split(',')) {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok());
        let wanted = weight.unwrap_or(1.0) > 0.0;
        match name.trim() {
            name if name.eq_ignore_ascii_case("gzip") => return wanted,
            "*" => any = wanted,
            _ => {}
        }
    }
    any
}

/// The answer; the permit is given back when the last byte is sent or the client has gone.
pub fn response(taken: Taken, format: Format, zip: bool, permit: OwnedSemaphorePermit) -> Response {
    let name = file_name(taken.head.export_date, format);
    let bytes = if zip { gzip(taken.bytes) } else { taken.bytes };
    let (pieces, body) = mpsc::channel(PIECES_WAITING);
    tokio::spawn(pump(bytes, pieces, permit));
    let body = tokio_stream::wrappers::ReceiverStream::new(body);
    let mut response = Response::new(Body::from_stream(until_end(body)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    if zip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn file_name(at: Time, format: Format) -> String {
    let at: String = at.to_string().chars().filter(|c| !matches!(c, '-' | ':')).take(15).collect();
    format!("orchestrator-{at}Z.{}", format.as_str())
}

/// What goes to the body's stream: bytes, or `None` for the end.
type Piece = Result<Option<Bytes>, ExportError>;

/// Reads ahead of the client, a little; a client that stalls loses its export, and with it the
/// snapshot that it holds.
async fn pump(
    mut bytes: futures::stream::BoxStream<'static, Result<Bytes, ExportError>>,
    pieces: mpsc::Sender<Piece>,
    permit: OwnedSemaphorePermit,
) {
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
        if pieces.send_timeout(piece, STALLED_AFTER).await.is_err() {
            tracing::warn!("an export was given up: its client stopped reading");
            break;
        }
        if last {
            break;
        }
    }
    drop(permit);
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

    fn accepting(value: &'static str) -> bool {
        let value = HeaderValue::from_static(value);
        accepts_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, value)]))
    }

    #[test]
    fn gzip_is_taken_by_who_names_it_and_not_by_who_forbids_it() {
        for yes in ["gzip", "br, GZIP;q=0.5", "*", "identity, *;q=0.1"] {
            assert!(accepting(yes), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "*, gzip;q=0", "*;q=0"] {
            assert!(!accepting(no), "{no}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_third_export_must_wait() {
        let permits = ExportPermits::default();
        let first = permits.take().unwrap();
        let _second = permits.take().unwrap();
        let refused = permits.take().unwrap_err();
        assert_eq!(refused.status(), axum::http::StatusCode::SERVICE_UNAVAILABLE);
        drop(first);
        assert!(permits.take().is_ok());
    }

    #[tokio::test]
    async fn a_body_without_its_end_is_broken() {
        let whole = vec![Ok(Some(Bytes::from("a"))), Ok(None)];
        let read: Vec<_> = until_end(stream::iter(whole)).try_collect().await.unwrap();
        assert_eq!(read, ["a"]);
        let cut = vec![Ok(Some(Bytes::from("a")))];
        assert!(until_end(stream::iter(cut)).try_collect::<Vec<_>>().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_reading_loses_its_permit() {
        let permits = ExportPermits::default();
        let _other = permits.take().unwrap();
        let (pieces, mut body) = mpsc::channel(PIECES_WAITING);
        let endless = stream::repeat_with(|| Ok(Bytes::from("x"))).boxed();
        tokio::spawn(pump(endless, pieces, permits.take().unwrap()));
        tokio::time::sleep(STALLED_AFTER * 2).await;
        assert!(permits.take().is_ok());
        let mut last = None;
        while let Some(piece) = body.recv().await {
            last = Some(piece);
        }
        assert!(matches!(last, Some(Ok(Some(_)))), "and no end");
    }
}
