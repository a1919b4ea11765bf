//! HTTP/2 by hand, for what no well-behaved client does: frames as they are on the wire.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A frame's type, flags and content.
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub content: Vec<u8>,
}

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A connection without TLS, by prior knowledge.
pub struct H2(TcpStream);

/// The frame on the wire.
pub fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(content);
    bytes
}

/// The preface and settings; a window of 0 means that no answer's body can be sent.
pub fn preface(window: Option<u32>) -> Vec<u8> {
    let mut settings = Vec::new();
    if let Some(window) = window {
        settings.extend([0, 4]);
        settings.extend(window.to_be_bytes());
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &settings));
    bytes
}

/// The head of a GET, by HPACK's static table and a literal path.
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    // :method GET, :scheme http, :path and :authority literal without indexing.
    let mut block = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    block.extend(path.as_bytes());
    block.extend([0x01, 1, b'x']);
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)
}

impl H2 {
    pub async fn open(address: SocketAddr, window: Option<u32>) -> Self {
        Self::on(TcpStream::connect(address).await.unwrap(), window).await
    }

    /// On a connection that is open.
    pub async fn on(mut stream: TcpStream, window: Option<u32>) -> Self {
        // Whoever is turned away at once notices with the next frame.
        let _ = stream.write_all(&preface(window)).await;
        Self(stream)
    }

    /// False once the other side is gone.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// The next frame; settings and pings are acknowledged. `None` once the other side is gone.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut content = vec![0; length as usize];
        self.0.read_exact(&mut content).await.ok()?;
        let frame_read = Frame { kind: head[3], flags: head[4], content };
        if matches!(frame_read.kind, SETTINGS | PING) && frame_read.flags & ACK == 0 {
            let content: &[u8] =
                if frame_read.kind == PING { &frame_read.content } else { Default::default() };
            self.send(&frame(frame_read.kind, ACK, 0, content)).await;
        }
        Some(frame_read)
    }

    /// Reads on, acknowledging, until the other side is gone.
    pub async fn until_gone(&mut self) {
        while self.next().await.is_some() {}
    }
}
