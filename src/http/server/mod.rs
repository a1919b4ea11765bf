//! The accept loop: who is let in, and how the listener ends.
//!
//! `axum::serve` has no header timeout, no cap, no TLS and no deadline for draining; this has all
//! of them. `admission` says how many connections there may be, `connection` serves one,
//! `activity` and `watched` notice a peer that holds its connection up.

mod activity;
mod admission;
mod connection;
pub mod limits;
mod tls;
mod watched;

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

pub use self::{activity::AnswerBy, connection::Arrival, limits::Limits, tls::SharedTls};
use self::{admission::Admission, connection::Connection};
use crate::{shutdown::Phase, telemetry::ListenerMetrics};

/// Pause after a failed accept (out of file descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a listener serves, and how much of it.
pub struct Server {
    /// Answers requests.
    pub router: Router,
    /// How many connections, and how long each step of them may take.
    pub limits: Limits,
    /// Set: only TLS is spoken.
    pub tls: Option<SharedTls>,
    /// What is counted.
    pub metrics: ListenerMetrics,
}

/// Serves until the phase turns to draining, then until every connection has finished.
///
/// The caller sets the deadline by dropping the future.
pub async fn serve(listener: TcpListener, server: Server, phase: Phase) {
    let server = Arc::new(server);
    let admission = Admission::new(&server.limits);
    let graceful = GracefulShutdown::new();
    let connections = TaskTracker::new();
    let mut draining = std::pin::pin!(phase.draining());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut draining => break,
        };
        match accepted {
            Ok((stream, peer)) => match admission.admit(peer.ip()) {
                Ok(admitted) => {
                    let connection = Connection::new(
                        Arc::clone(&server),
                        admitted,
                        peer,
                        graceful.watcher(),
                        phase.clone(),
                    );
                    let open = server.metrics.open();
                    connections.spawn(async move {
                        connection.serve(stream).await;
                        drop(open);
                    });
                }
                Err(reason) => server.metrics.refused(reason),
            },
            Err(error) => {
                server.metrics.refused("accept_failed");
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
