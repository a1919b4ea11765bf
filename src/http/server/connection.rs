//! One connection: its handshake, its requests, and what ends it before its peer does.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    body::Body,
    http::{HeaderValue, Request, Response, StatusCode, Version, header},
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::Watcher},
};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Duration, Instant, timeout},
};
use tower::Service;

use super::{
    Server,
    activity::{Activity, AnswerBy, Broken, Tracked},
    admission::Admitted,
    watched::Watched,
};
use crate::{
    http::{
        Error,
        guard::request_id::{RequestId, X_REQUEST_ID},
    },
    shutdown::Phase,
};

/// HTTP/2 streams of one connection.
const STREAMS: u32 = 64;
/// What an HTTP/2 client may send ahead, a stream and a connection, in bytes.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What is buffered of an answer, in bytes: a stream of HTTP/2, a connection of HTTP/1.
const BUFFER: usize = 64 * 1024;
/// The largest head of a request, in bytes.
const HEAD_BYTES: u32 = 32 * 1024;
/// How often an HTTP/2 peer is asked whether it is still there, and how long it may think.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may hold up the end after its last answer, or without ever asking.
const LINGER: Duration = Duration::from_secs(2);
/// How long a connection beyond the caps may take for its one probe.
const RESERVE_LIFE: Duration = Duration::from_secs(2);
/// What the kernel may hold unsent, so that a peer's pace shows in what can be written, in bytes.
const UNSENT: u32 = 128 * 1024;
/// HTTP/1 only; on HTTP/2 the connection is given up.
const CLOSE: HeaderValue = HeaderValue::from_static("close");
/// For a year, browsers ask by TLS only.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// On a request: who sends it, and when it must have been answered; handlers are given up at that
/// moment.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The other end of its connection.
    pub peer: SocketAddr,
    /// That moment.
    pub deadline: Instant,
}

/// Nobody knows where a request comes from: a defect of the listener. To make up an address would
/// be to count all such requests as one client's.
#[derive(Debug, thiserror::Error)]
#[error("the request has no client address")]
pub struct NoAddress;

impl Arrival {
    /// Of this request.
    ///
    /// # Errors
    /// If the listener has not said it.
    pub fn of<B>(request: &Request<B>) -> Result<Self, NoAddress> {
        request.extensions().get().copied().ok_or(NoAddress)
    }
}

/// A connection that was let in.
pub struct Connection {
    server: Arc<Server>,
    admitted: Admitted,
    peer: SocketAddr,
    activity: Activity,
    watcher: Watcher,
    phase: Phase,
    /// A request came, or, beyond the caps, a probe was answered.
    welcome: Arc<AtomicBool>,
}

impl Connection {
    /// Not served yet.
    pub fn new(
        server: Arc<Server>,
        admitted: Admitted,
        peer: SocketAddr,
        watcher: Watcher,
        phase: Phase,
    ) -> Self {
        let activity = Activity::new(&server.limits);
        let welcome = Arc::default();
        Self { server, admitted, peer, activity, watcher, phase, welcome }
    }

    /// Serves it to its end.
    pub async fn serve(self, stream: TcpStream) {
        tune(&stream, self.server.limits.idle);
        let (server, welcome) = (Arc::clone(&self.server), Arc::clone(&self.welcome));
        let Some(reason) = self.admitted.probes_only else {
            return self.handshake(stream).await;
        };
        // Whatever it does: the reserve is for everybody.
        let _ = timeout(RESERVE_LIFE, self.handshake(stream)).await;
        if !welcome.load(Ordering::Relaxed) {
            server.metrics.refused(reason);
        }
    }

    async fn handshake(self, stream: TcpStream) {
        let Some(tls) = &self.server.tls else {
            return self.requests(stream).await;
        };
        let shaken = tokio::select! {
            shaken = timeout(self.server.limits.head, tls.accept(stream)) => shaken,
            () = self.phase.draining() => return,
        };
        match shaken {
            Ok(Ok(stream)) => self.requests(stream).await,
            Ok(Err(error)) => {
                self.server.metrics.refused("tls_handshake");
                tracing::debug!(peer = %self.peer, %error, "a TLS handshake failed");
            }
            Err(_) => self.server.metrics.refused("too_slow"),
        }
    }

    async fn requests<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Self { server, admitted, peer, activity, watcher, phase, welcome } = self;
        // The handshake had a limit of its own.
        activity.restart();
        let answering = Arc::new(Answering {
            server: Arc::clone(&server),
            activity: activity.clone(),
            peer,
            probes_only: admitted.probes_only,
            welcome,
        });
        let service = service_fn(move |request| Arc::clone(&answering).answer(request));
        let stream = TokioIo::new(Watched::new(stream, activity.clone()));
        let builder = builder(admitted.probes_only.is_none());
        let served = watcher.watch(builder.serve_connection(stream, service).into_owned());
        let mut served = std::pin::pin!(served);
        tokio::select! {
            result = &mut served => {
                if let Err(error) = result {
                    tracing::debug!(%peer, error, "a connection broke");
                }
            }
            broken = broken(&activity, server.limits.head) => {
                if matches!(broken, Broken::Head | Broken::Stalled) {
                    server.metrics.refused("too_slow");
                }
                tracing::debug!(%peer, ?broken, "a connection was given up");
            }
            () = idle_while_draining(&phase, &activity) => {}
        }
    }
}

/// Only ever an optimisation, or a limit that the service has besides.
fn tune(stream: &TcpStream, patience: Duration) {
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let _ = socket.set_tcp_notsent_lowat(UNSENT);
    // So that what is left of a connection after its end does not linger in the kernel.
    let _ = socket.set_tcp_user_timeout(Some(patience));
}

fn builder(keep_alive: bool) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // The time for heads is kept by `activity`, on both protocols.
    let mut http1 = builder.http1();
    http1.timer(TokioTimer::new()).header_read_timeout(None);
    http1.keep_alive(keep_alive).max_buf_size(BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(BUFFER)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Returns once the peer has broken a rule.
async fn broken(activity: &Activity, head: Duration) -> Broken {
    let every = (head / 8).clamp(Duration::from_millis(50), Duration::from_secs(1));
    loop {
        tokio::time::sleep(every).await;
        if let Some(broken) = activity.broken() {
            return broken;
        }
    }
}

/// Returns once draining has begun and the connection has had nothing to do for a while:
/// hyper waits for the rest of a head that has begun, the end of the process does not.
async fn idle_while_draining(phase: &Phase, activity: &Activity) {
    phase.draining().await;
    let mut idle = false;
    while !(idle && activity.is_quiet()) {
        idle = activity.is_quiet();
        tokio::time::sleep(LINGER).await;
    }
}

/// Answers the requests of one connection.
struct Answering {
    server: Arc<Server>,
    activity: Activity,
    peer: SocketAddr,
    probes_only: Option<&'static str>,
    welcome: Arc<AtomicBool>,
}

impl Answering {
    async fn answer(
        self: Arc<Self>,
        mut request: Request<Incoming>,
    ) -> Result<Response<Tracked>, Infallible> {
        let http2 = request.version() == Version::HTTP_2;
        let (under_way, deadline) = self.activity.begin(http2);
        request.extensions_mut().insert(Arrival { peer: self.peer, deadline });
        if self.activity.is_heaped() {
            tokio::task::yield_now().await;
        }
        let mut response = match self.probes_only {
            Some(reason) if !self.server.limits.probes.contains(&request.uri().path()) => {
                self.server.metrics.refused(reason);
                refusal(&request)
            }
            // A router is always ready.
            _ => self.server.router.clone().call(request.map(Body::new)).await?,
        };
        self.welcome.store(true, Ordering::Relaxed);
        let refused = response.status() == StatusCode::TOO_MANY_REQUESTS;
        if self.activity.answered(refused) && !http2 {
            response.headers_mut().insert(header::CONNECTION, CLOSE);
        }
        if self.server.tls.is_some() {
            response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
        }
        if let Some(AnswerBy(by)) = response.extensions().get() {
            under_way.answer_by(*by);
        }
        Ok(response.map(|body| Tracked::new(body, under_way)))
    }
}

/// The answer to a connection beyond the caps that asks for more than a probe.
fn refusal(request: &Request<Incoming>) -> Response<Body> {
    let id = RequestId::of(request.headers());
    let error = Error::unavailable("The service has too many connections");
    let mut response = error.into_response(id.as_str());
    let headers = response.headers_mut();
    headers.insert(X_REQUEST_ID, id.header_value());
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
