//! TLS on accepted connections, with a certificate that may change while connections are served.

use std::{io, sync::Arc};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// What new connections are encrypted with; both listeners share it.
#[derive(Clone)]
pub struct SharedTls(Arc<ArcSwap<ServerConfig>>);

impl SharedTls {
    /// With this certificate, until another one is put in its place.
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self(Arc::new(ArcSwap::new(config)))
    }

    /// From now on new connections get this certificate; open ones keep what they have.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        self.0.store(config);
    }

    /// Shakes hands.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.0.load_full()).accept(stream).await
    }
}
