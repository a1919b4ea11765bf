//! The accept loop: how many connections, how long they may be silent, and how they end.
//!
//! `axum::serve` has no header timeout, no cap and no deadline for draining; this has all three.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::ConnectInfo,
    http::Request,
};
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use tower::ServiceExt;

use crate::shutdown::Phase;

/// How long a connection may take to send a request's head, and stay idle between requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// HTTP/2 streams of one connection.
const STREAMS: u32 = 128;
/// How often an HTTP/2 peer is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long a connection may hold up the end after its last answer, or without ever asking.
const LINGER: Duration = Duration::from_secs(2);
/// Pause after a failed accept (out of file descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until the phase turns to draining, then until every connection has finished.
///
/// The caller sets the deadline by dropping the future.
pub async fn serve(listener: TcpListener, router: Router, max_connections: usize, phase: Phase) {
    let permits = Arc::new(Semaphore::new(max_connections));
    let graceful = GracefulShutdown::new();
    let connections = TaskTracker::new();
    let mut draining = std::pin::pin!(phase.draining());
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&permits).acquire_owned() => permit,
            () = &mut draining => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut draining => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let served = connection(stream, peer, router.clone(), &graceful, phase.clone());
                connections.spawn(async move {
                    served.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                if !phase.pause(ACCEPT_PAUSE).await {
                    break;
                }
            }
        }
    }
    drop(listener);
    connections.close();
    graceful.shutdown().await;
    connections.wait().await;
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    graceful: &GracefulShutdown,
    phase: Phase,
) -> impl Future<Output = ()> + use<> {
    // Only ever an optimisation.
    let _ = stream.set_nodelay(true);
    let spoke = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&spoke);
    let requests = TaskTracker::new();
    let tracked = requests.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        heard.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(ConnectInfo(peer));
        let (answering, token) = (router.clone().oneshot(request.map(Body::new)), tracked.token());
        async move { Ok::<_, Infallible>(answering.await?.map(|body| Tracked { body, token })) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(PING_EVERY);
    let served = builder.serve_connection(TokioIo::new(stream), service);
    let served = graceful.watch(served.into_owned());
    async move {
        let mut served = std::pin::pin!(served);
        let result = tokio::select! {
            result = &mut served => result,
            () = silent(&spoke) => return,
            () = idle_while_draining(&phase, &requests) => return,
        };
        if let Err(error) = result {
            tracing::debug!(%peer, error, "a connection broke");
        }
    }
}

/// Returns if a peer has said nothing for too long: hyper's timer starts once it knows the
/// protocol, and a peer that never says so much would hold its place for ever.
async fn silent(spoke: &AtomicBool) {
    tokio::time::sleep(HEAD_TIMEOUT).await;
    if spoke.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// Returns once draining has begun and the connection has had nothing to do for a while:
/// hyper waits for the rest of a head that has begun, the end of the process does not.
async fn idle_while_draining(phase: &Phase, requests: &TaskTracker) {
    phase.draining().await;
    let mut idle = false;
    while !(idle && requests.is_empty()) {
        idle = requests.is_empty();
        tokio::time::sleep(LINGER).await;
    }
}

/// An answer's body; its request counts as under way until it is sent.
struct Tracked {
    body: Body,
    #[allow(dead_code)] // why: held, not read
    token: TaskTrackerToken,
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
