//! [`Lines`]: standard output and standard error, a line at a time, written by a thread of their
//! own so that nothing else waits for their reader.
//!
//! Two kinds of line share an order. One that a handler answers for ([`write`](Lines::write)) is
//! acknowledged once it is written. Any other ([`offer`](Lines::offer)) is dropped and counted
//! where it cannot be written or too many wait; nothing else happens.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

mod stream;

use stream::{Line, Stream, Written};

/// The lines of one stream. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: &'static str,
    queue: Mutex<Queue>,
    /// A line has come, or what was taken is written.
    changed: Condvar,
    /// Whether the reader has gone.
    is_unread: watch::Sender<bool>,
    /// How many lines were dropped here, and how many of them the log has reported.
    dropped: AtomicU64,
    reported: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Line>,
    /// How much of it was offered.
    offered_bytes: usize,
    is_writing: bool,
}

/// How many lines were dropped since the process started, on standard output and standard error.
pub(crate) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

impl Lines {
    /// Standard output.
    pub(crate) fn stdout() -> io::Result<Self> {
        Self::start("standard output", stream::stdout()?)
    }

    /// Standard error.
    pub(crate) fn stderr() -> io::Result<Self> {
        Self::start("standard error", stream::stderr()?)
    }

    /// The thread lives as long as the process, and holds up neither its work nor its end.
    fn start(name: &'static str, to: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            name,
            queue: Mutex::default(),
            changed: Condvar::new(),
            is_unread: watch::Sender::new(false),
            dropped: AtomicU64::new(0),
            reported: AtomicU64::new(0),
        });
        let mut stream = Stream::new(to);
        let ours = Arc::clone(&shared);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                loop {
                    let writing = AssertUnwindSafe(|| ours.write_all(&mut stream));
                    if catch_unwind(writing).is_err() {
                        tracing::error!("the output thread panicked and continues");
                    }
                }
            })?;
        Ok(Self { shared })
    }

    /// Returns once the line is written, after those before it. Dropped before that, the line is
    /// not begun any more.
    pub(crate) async fn write(&self, text: String) -> io::Result<()> {
        let (written, result) = oneshot::channel();
        self.shared.push(Line {
            text: text.into_bytes(),
            written: Some(written),
        });
        result
            .await
            .map_err(|_| io::Error::other("the line was not written"))?
    }

    /// Has the line written, soon; or counts it as dropped. Never waits.
    pub(crate) fn offer(&self, text: impl Into<Vec<u8>>) {
        let text = text.into();
        let mut queue = self.shared.queue();
        if queue.offered_bytes + text.len() > ROOM {
            drop(queue);
            self.shared.drop_lines(1);
            return;
        }
        queue.offered_bytes += text.len();
        queue.waiting.push_back(Line {
            text,
            written: None,
        });
        drop(queue);
        self.shared.changed.notify_all();
    }

    /// Becomes true when the reader has gone.
    pub(crate) fn unread(&self) -> watch::Receiver<bool> {
        self.shared.is_unread.subscribe()
    }

    /// Logs how many lines were dropped, where some were since it did so last.
    pub(crate) fn report_dropped(&self) {
        self.shared.report_dropped();
    }

    /// Returns once all that waits is written or dropped, at the latest after a second.
    pub(crate) fn flush(&self) {
        let queue = self.shared.queue();
        let is_busy = |queue: &mut Queue| queue.is_writing || !queue.waiting.is_empty();
        // The lock is of no use to who only waited.
        drop(
            self.shared
                .changed
                .wait_timeout_while(queue, FLUSH_TIME, is_busy),
        );
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A line is added or taken whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: Line) {
        let mut queue = self.queue();
        // A stream that takes nothing must not gather what was given up and tried again.
        queue.waiting.retain(|line| !line.is_given_up());
        queue.waiting.push_back(line);
        drop(queue);
        self.changed.notify_all();
    }

    /// Writes what comes, for ever. What has gathered is written at once.
    fn write_all(&self, stream: &mut Stream<impl Write>) {
        loop {
            let Written { result, dropped } = stream.write(self.take());
            self.drop_lines(dropped);
            match result {
                Ok(()) => self.report_dropped(),
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.is_unread.send_replace(true);
                }
                Err(_) => {}
            }
        }
    }

    fn take(&self) -> Vec<Line> {
        let mut queue = self.queue();
        queue.is_writing = false;
        self.changed.notify_all();
        let mut queue = self
            .changed
            .wait_while(queue, |queue| queue.waiting.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        queue.is_writing = true;
        let count = queue.waiting.len().min(AT_ONCE);
        let lines: Vec<_> = queue.waiting.drain(..count).collect();
        let offered = lines.iter().filter(|line| line.written.is_none());
        queue.offered_bytes -= offered.map(|line| line.text.len()).sum::<usize>();
        lines
    }

    fn drop_lines(&self, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
        DROPPED.fetch_add(count, Ordering::Relaxed);
    }

    fn report_dropped(&self) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        if self.reported.fetch_max(dropped, Ordering::Relaxed) < dropped {
            tracing::warn!(dropped, "{} blocked: lines were dropped", self.name);
        }
    }
}

static DROPPED: AtomicU64 = AtomicU64::new(0);

/// How many bytes of offered lines wait at the most.
const ROOM: usize = 1 << 20;

/// Bounds what is held in memory twice.
const AT_ONCE: usize = 256;

const FLUSH_TIME: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Instant;

    use super::*;

    /// Takes what it is told to, and shows it.
    struct Scripted {
        results: Receiver<io::Result<usize>>,
        seen: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Scripted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.results.recv().expect("the test goes on")?;
            let count = room.min(bytes.len());
            let mut seen = self.seen.lock().expect("the only holder");
            seen.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Script {
        lines: Lines,
        results: Sender<io::Result<usize>>,
        seen: Arc<Mutex<Vec<u8>>>,
    }

    impl Script {
        fn start() -> Self {
            let (results, next) = channel();
            let seen = Arc::<Mutex<Vec<u8>>>::default();
            let to = Scripted {
                results: next,
                seen: Arc::clone(&seen),
            };
            let lines = Lines::start("the script", to).expect("a thread");
            Self {
                lines,
                results,
                seen,
            }
        }

        /// What the next writes come to.
        fn next(&self, result: io::Result<usize>) {
            self.results.send(result).expect("the thread goes on");
        }

        fn seen(&self) -> String {
            let seen = self.seen.lock().expect("the only holder");
            String::from_utf8(seen.clone()).expect("text")
        }
    }

    const ALL: usize = usize::MAX;

    #[tokio::test]
    async fn lines_come_out_whole_in_order_and_together() {
        let script = Script::start();
        let mut writing: Vec<_> = ["a\n", "b\n", "c\n"]
            .into_iter()
            .map(|line| Box::pin(script.lines.write(line.to_owned())))
            .collect();
        // Each is in the queue once it was polled; the first may be taken before the others come.
        for write in &mut writing {
            let polled = std::future::poll_fn(|cx| {
                std::task::Poll::Ready(write.as_mut().poll(cx).is_pending())
            });
            assert!(polled.await, "nothing is written yet");
        }
        for _ in 0..3 {
            script.next(Ok(ALL));
        }
        for write in writing {
            write.await.expect("written");
        }
        assert_eq!(script.seen(), "a\nb\nc\n");
    }

    #[tokio::test]
    async fn failure_of_half_a_line_is_reported_and_the_next_begins_a_new_one() {
        let script = Script::start();
        script.next(Ok(3));
        script.next(Err(io::ErrorKind::StorageFull.into()));
        let failed = script.lines.write("first\n".to_owned()).await;
        let failed = failed.expect_err("no room");
        assert_eq!(failed.kind(), io::ErrorKind::StorageFull);
        // Nothing at all comes through: the half line is still without an end.
        script.next(Err(io::ErrorKind::StorageFull.into()));
        script
            .lines
            .write("second\n".to_owned())
            .await
            .expect_err("no room");
        script.next(Ok(ALL));
        script
            .lines
            .write("third\n".to_owned())
            .await
            .expect("written");
        assert_eq!(script.seen(), "fir\nthird\n");
        assert!(!*script.lines.unread().borrow());
    }

    #[tokio::test]
    async fn pipe_that_does_not_block_is_waited_for() {
        let script = Script::start();
        script.next(Ok(2));
        for _ in 0..3 {
            script.next(Err(io::ErrorKind::WouldBlock.into()));
        }
        script.next(Err(io::ErrorKind::Interrupted.into()));
        script.next(Ok(ALL));
        script
            .lines
            .write("whole\n".to_owned())
            .await
            .expect("written");
        assert_eq!(script.seen(), "whole\n");
    }

    #[tokio::test]
    async fn closed_pipe_is_detected() {
        let script = Script::start();
        script.next(Err(io::ErrorKind::BrokenPipe.into()));
        let failed = script.lines.write("a\n".to_owned()).await;
        assert_eq!(
            failed.expect_err("no pipe").kind(),
            io::ErrorKind::BrokenPipe
        );
        let mut unread = script.lines.unread();
        unread.wait_for(|is_so| *is_so).await.expect("it is told");
    }

    #[tokio::test]
    async fn line_that_was_given_up_is_not_begun() {
        let script = Script::start();
        // In the hands of the thread.
        script.lines.offer("first\n");
        while !script.lines.shared.queue().is_writing {
            thread::yield_now();
        }
        for _ in 0..10 {
            let write = script.lines.write("given up\n".to_owned());
            let given_up = tokio::time::timeout(Duration::ZERO, write).await;
            given_up.expect_err("nothing is written yet");
        }
        assert!(script.lines.shared.queue().waiting.len() <= 1);
        script.next(Ok(ALL));
        script.next(Ok(ALL));
        let last = script.lines.write("last\n".to_owned());
        last.await.expect("written");
        assert_eq!(script.seen(), "first\nlast\n");
    }

    #[test]
    fn offered_lines_beyond_the_room_are_dropped_and_flushing_ends() {
        let script = Script::start();
        let dropped = || script.lines.shared.dropped.load(Ordering::Relaxed);
        let line = vec![b'x'; ROOM / 8];
        for _ in 0..32 {
            script.lines.offer(line.clone());
        }
        // Some may be with the thread already, which waits.
        assert!(dropped() >= 32 - 8 - 8, "{}", dropped());
        let started = Instant::now();
        script.lines.flush();
        assert!(started.elapsed() >= FLUSH_TIME);
        for _ in 0..32 {
            script.next(Ok(ALL));
        }
        script.lines.flush();
        let queue = script.lines.shared.queue();
        assert_eq!((queue.waiting.len(), queue.offered_bytes), (0, 0));
    }

    #[tokio::test]
    async fn thread_survives_a_panic() {
        let script = Script::start();
        let Script {
            lines,
            results,
            seen: _seen,
        } = script;
        // Without a script it panics at every line.
        drop(results);
        for _ in 0..2 {
            let failed = lines.write("a\n".to_owned()).await;
            failed.expect_err("a panic is no success");
        }
    }
}
