//! The service's log lines are written by a thread: a reader of standard error that stands still
//! (a stopped log driver, a full pipe) must not make requests wait.

use std::{
    io::{self, Write},
    sync::mpsc::{self, Receiver, SyncSender},
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

use super::log_lines::FAILURES;

/// Lines that wait for a slow reader; more are lost and counted.
const MOST: usize = 4096;
/// How long the end of the process may wait for a reader.
const PATIENCE: Duration = Duration::from_secs(1);

enum Message {
    Line(Vec<u8>),
    /// Answer when everything before is written.
    Flush(mpsc::Sender<()>),
}

/// The queue of this process, to be flushed at its end.
static QUEUE: Mutex<Option<LogQueue>> = Mutex::new(None);

/// Hands lines to the thread.
#[derive(Clone)]
pub(super) struct LogQueue(SyncSender<Message>);

impl LogQueue {
    /// Starts the thread that writes to `out`.
    pub fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, messages) = mpsc::sync_channel(MOST);
        thread::Builder::new().name("log".into()).spawn(move || write_all(&messages, out))?;
        Ok(Self(sender))
    }

    /// Makes it the one that [`flush`] waits for.
    pub fn flushed_at_the_end(self) {
        *QUEUE.lock() = Some(self);
    }

    fn flush(&self) {
        let (done, written) = mpsc::channel();
        let queue = self.0.clone();
        // The queue is full while nobody reads; then the thread waits, and ends with the process.
        let asking = thread::Builder::new().name("log flush".into());
        if asking.spawn(move || queue.send(Message::Flush(done))).is_ok() {
            // Whoever does not read by then loses the last lines.
            let _ = written.recv_timeout(PATIENCE);
        }
    }
}

/// Waits a moment until what was logged is written; before the process ends.
pub fn flush() {
    if let Some(queue) = QUEUE.lock().as_ref() {
        queue.flush();
    }
}

fn write_all(messages: &Receiver<Message>, mut out: impl Write) {
    for message in messages {
        match message {
            // The writer counts its failures itself.
            Message::Line(line) => drop(out.write_all(&line)),
            Message::Flush(done) => drop(done.send(())),
        }
    }
}

impl<'w> MakeWriter<'w> for LogQueue {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

impl Write for LogQueue {
    /// The subscriber hands over one line at a time.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.0.try_send(Message::Line(line.to_vec())).is_err() {
            FAILURES.inc();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_reader_that_stands_still_makes_nobody_wait_and_what_is_lost_is_counted() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut queue = LogQueue::start(writer).unwrap();
        let before = FAILURES.get();
        let line = [b'x'; 1024];
        let began = Instant::now();
        // More than the pipe and the queue hold together.
        (0..MOST + 1000).for_each(|_| queue.write_all(&line).unwrap());
        queue.flush();
        assert!(began.elapsed() < PATIENCE * 5, "{:?}", began.elapsed());
        assert!(FAILURES.get() - before > 100);
        // Once it reads, it gets the rest.
        drop(queue);
        let read = io::copy(&mut reader, &mut io::sink()).unwrap();
        assert!(read >= (MOST * line.len()) as u64, "{read}");
    }

    #[test]
    fn what_is_flushed_is_written() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut queue = LogQueue::start(writer).unwrap();
        queue.write_all(b"last words\n").unwrap();
        queue.flush();
        let mut read = [0; 11];
        io::Read::read_exact(&mut reader, &mut read).unwrap();
        assert_eq!(&read, b"last words\n");
    }
}
