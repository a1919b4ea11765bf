//! A connection of the test's own, for what no well-behaved client sends.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::PATIENCE;

/// An open connection.
pub struct Raw(TcpStream);

impl Raw {
    pub async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads until what came holds `text`.
    pub async fn read_until(&mut self, text: &str) -> String {
        let mut read = Vec::new();
        let found = timeout(PATIENCE, async {
            while !String::from_utf8_lossy(&read).contains(text) {
                if self.0.read_buf(&mut read).await.unwrap_or(0) == 0 {
                    return false;
                }
            }
            true
        });
        let found = found.await.unwrap_or(false);
        let read = String::from_utf8_lossy(&read).into_owned();
        assert!(found, "no {text:?} in {read:?}");
        read
    }

    /// Reads until the other side closes.
    pub async fn read_to_end(&mut self) -> String {
        self.read_to_end_within(PATIENCE).await.expect("the connection ends")
    }

    /// Reads until the other side closes; `None` if it does not.
    pub async fn read_to_end_within(&mut self, patience: Duration) -> Option<String> {
        let mut read = Vec::new();
        let ended = timeout(patience, self.0.read_to_end(&mut read)).await.is_ok();
        ended.then(|| String::from_utf8_lossy(&read).into_owned())
    }
}
