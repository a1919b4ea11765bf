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

    /// Sends; false once the other side is gone.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Sends again and again and reads nothing; whether the other side is gone in time.
    pub async fn flood(&mut self, bytes: &str, patience: Duration) -> bool {
        let many = bytes.repeat(100);
        let gone = timeout(patience, async { while self.try_send(&many).await {} });
        gone.await.is_ok()
    }

    /// Sends a little at a time until there is an answer.
    pub async fn read_while_sending(&mut self, bytes: &str, pause: Duration) -> String {
        let mut read = vec![0; 4096];
        loop {
            if let Ok(answer) = timeout(pause, self.0.read(&mut read)).await {
                return String::from_utf8_lossy(&read[..answer.unwrap_or(0)]).into_owned();
            }
            self.try_send(bytes).await;
        }
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
