//! The accept loop: how many connections, how long they may be silent, and how they end.
//!
//! `axum::serve` has no header timeout, no cap and no deadline for draining; this has all three.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::shutdown::Phase;

/// How long a connection may take to send a request's head, and stay idle between requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// HTTP/2 streams of one connection.
const STREAMS: u32 = 128;
/// How often an HTTP/2 peer is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(20);
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
                let served = connection(stream, peer, router.clone(), &graceful);
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
) -> impl Future<Output = ()> + use<> {
    // Only ever an optimisation.
    let _ = stream.set_nodelay(true);
    let spoke = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&spoke);
    let service = router.map_request(move |mut request: Request<hyper::body::Incoming>| {
        heard.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(ConnectInfo(peer));
        request.map(Body::new)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(PING_EVERY);
    let served = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let served = graceful.watch(served.into_owned());
    async move {
        let mut served = std::pin::pin!(served);
        let result = tokio::select! {
            result = &mut served => result,
            // Hyper's timer starts once it knows the protocol; a peer that never says so much
            // would hold its place for ever.
            () = tokio::time::sleep(HEAD_TIMEOUT) => {
                if !spoke.load(Ordering::Relaxed) {
                    return;
                }
                served.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(%peer, error, "a connection broke");
        }
    }
}
