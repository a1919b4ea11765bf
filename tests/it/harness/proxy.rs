//! A connection that can be cut, or slowed down.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
};

/// What stands between the store and its server, to be cut or to fall silent.
pub struct Proxy {
    pub address: SocketAddr,
    mode: watch::Sender<Mode>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Open,
    Slow(Duration),
    Silent,
    Unanswered,
    Cut,
}

impl Proxy {
    pub async fn start(target: String) -> Self {
        let place = bind("127.0.0.1:0".parse().unwrap());
        let address = place.local_addr().unwrap();
        let listener = bind(address).listen(1024).unwrap();
        let (mode, seen) = watch::channel(Mode::Open);
        tokio::spawn(serve(place, Some(listener), target, seen));
        Self { address, mode }
    }

    pub fn open(&self) {
        self.mode.send_replace(Mode::Open);
    }

    /// New connections pass on everything, each piece so much later.
    pub fn slow_down(&self, by: Duration) {
        self.mode.send_replace(Mode::Slow(by));
    }

    /// Connections stay, nothing passes.
    pub fn silence(&self) {
        self.mode.send_replace(Mode::Silent);
    }

    /// What is asked arrives, what is answered does not.
    pub fn swallow_answers(&self) {
        self.mode.send_replace(Mode::Unanswered);
    }

    /// Connections break, new ones are refused.
    pub fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }
}

/// A socket at this address that may share it with others that do not listen either.
fn bind(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

/// `place` keeps the port while nothing listens there: whoever asks is refused, and nobody else
/// gets it.
async fn serve(
    place: TcpSocket,
    mut listener: Option<TcpListener>,
    target: String,
    mut mode: watch::Receiver<Mode>,
) {
    let address = place.local_addr().unwrap();
    loop {
        let now = *mode.borrow_and_update();
        if now == Mode::Cut {
            listener = None;
            if mode.changed().await.is_err() {
                return;
            }
            continue;
        }
        let accepting = listener.get_or_insert_with(|| bind(address).listen(1024).unwrap());
        tokio::select! {
            accepted = accepting.accept() => {
                let (client, _) = accepted.unwrap();
                tokio::spawn(pass(client, target.clone(), mode.clone()));
            }
            changed = mode.changed() => if changed.is_err() { return },
        }
    }
}

async fn pass(mut client: TcpStream, target: String, mut mode: watch::Receiver<Mode>) {
    let now = *mode.borrow_and_update();
    if now != Mode::Silent {
        let Ok(mut server) = TcpStream::connect(target).await else { return };
        if matches!(now, Mode::Open | Mode::Slow(_)) {
            tokio::select! {
                () = pass_on(&mut client, &mut server, now) => return,
                _ = mode.changed() => {}
            }
        }
        if *mode.borrow_and_update() == Mode::Unanswered {
            let (mut answers, mut asked) = server.split();
            let mut nowhere = tokio::io::sink();
            tokio::select! {
                _ = tokio::io::copy(&mut client, &mut asked) => {}
                _ = tokio::io::copy(&mut answers, &mut nowhere) => {}
                _ = mode.changed() => {}
            }
            return;
        }
    }
    if *mode.borrow_and_update() == Mode::Silent {
        drop(mode.changed().await);
    }
}

async fn pass_on(client: &mut TcpStream, server: &mut TcpStream, mode: Mode) {
    match mode {
        Mode::Slow(by) => drop(pass_slowly(client, server, by).await),
        _ => drop(tokio::io::copy_bidirectional(client, server).await),
    }
}

async fn pass_slowly(one: &mut TcpStream, other: &mut TcpStream, by: Duration) -> io::Result<()> {
    let ((from_one, to_one), (from_other, to_other)) = (one.split(), other.split());
    let there = pass_pieces(from_one, to_other, by);
    let back = pass_pieces(from_other, to_one, by);
    tokio::try_join!(there, back).map(drop)
}

async fn pass_pieces(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    by: Duration,
) -> io::Result<()> {
    let mut piece = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        tokio::time::sleep(by).await;
        to.write_all(&piece[..length]).await?;
    }
}
