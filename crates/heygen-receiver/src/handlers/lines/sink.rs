//! [`LineSink`]: a stream of lines, written by a thread of its own so that nothing else waits for
//! its reader.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::stream::{self, Line, Stream, Written};
use crate::panics::locked;

/// Lines for standard output, a file or a pipe, written by one thread: neither a runtime nor a log
/// waits for the reader.
///
/// Two kinds of line share an order. One that someone answers for ([`write`](Self::write)) is
/// acknowledged once it is written. Any other ([`offer`](Self::offer)) is dropped and counted if it
/// cannot be written, or if 1 MiB of such lines waits.
///
/// Clones share the stream. Once the last is gone, the thread writes what waits and ends.
///
/// # Examples
///
/// ```
/// use heygen_receiver::handlers::{LineSink, Lines};
///
/// # fn main() -> std::io::Result<()> {
/// let stdout = LineSink::stdout()?;
/// stdout.offer("ready\n");
/// let names = Lines::to(stdout, |delivery| {
///     delivery.event_type().unwrap_or("(unreadable)").to_owned()
/// });
/// # let _ = names;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LineSink {
    handle: Arc<Handle>,
}

/// Shared by all clones, and not by the thread.
struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    name: &'static str,
    queue: Mutex<Queue>,
    /// A line has come, what was taken is written, or no more will come.
    changed: Condvar,
    is_reader_gone: watch::Sender<bool>,
    /// How many lines were dropped, and how many of them the log has reported.
    dropped: AtomicU64,
    reported: AtomicU64,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Line>,
    /// How much of it was offered.
    offered_bytes: usize,
    is_writing: bool,
    is_closed: bool,
}

impl LineSink {
    /// Standard output. Separate from the handle of the standard library, whose lock is held for as
    /// long as a write takes.
    ///
    /// # Errors
    ///
    /// If the stream is closed or no thread can be started.
    pub fn stdout() -> io::Result<Self> {
        Self::new("standard output", stream::stdout()?)
    }

    /// Standard error.
    ///
    /// # Errors
    ///
    /// As [`stdout`](Self::stdout).
    pub fn stderr() -> io::Result<Self> {
        Self::new("standard error", stream::stderr()?)
    }

    /// Lines into `writer`, which `name` stands for in the log.
    ///
    /// # Errors
    ///
    /// If no thread can be started.
    pub fn new(name: &'static str, writer: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            name,
            queue: Mutex::default(),
            changed: Condvar::new(),
            is_reader_gone: watch::Sender::new(false),
            dropped: AtomicU64::new(0),
            reported: AtomicU64::new(0),
        });
        let mut stream = Stream::new(writer);
        let ours = Arc::clone(&shared);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // After a panic it goes on with the lines that have come since.
                while catch_unwind(AssertUnwindSafe(|| ours.write_all(&mut stream))).is_err() {
                    tracing::error!("the output thread panicked and continues");
                }
            })?;
        let handle = Arc::new(Handle { shared });
        Ok(Self { handle })
    }

    /// Returns once the line, which ends in a line end, is written, after those before it. Dropped
    /// before that, the line is not begun any more.
    ///
    /// # Errors
    ///
    /// If the line was not written, or only its beginning; the next line then begins a new one.
    pub async fn write(&self, line: String) -> io::Result<()> {
        let (written, result) = oneshot::channel();
        self.handle.shared.push(Line {
            text: line.into_bytes(),
            written: Some(written),
        });
        result
            .await
            .map_err(|_| io::Error::other("the line was not written"))?
    }

    /// Has the line, which ends in a line end, written soon; or counts it as dropped. Never waits.
    pub fn offer(&self, line: impl Into<Vec<u8>>) {
        let text = line.into();
        let shared = &self.handle.shared;
        let mut queue = shared.queue();
        if queue.offered_bytes + text.len() > ROOM {
            drop(queue);
            shared.drop_lines(1);
            return;
        }
        queue.offered_bytes += text.len();
        queue.waiting.push_back(Line {
            text,
            written: None,
        });
        drop(queue);
        shared.changed.notify_all();
    }

    /// How many offered lines were dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.handle.shared.dropped.load(Ordering::Relaxed)
    }

    /// Logs how many lines were dropped, if some were since it was logged last.
    pub fn report_dropped(&self) {
        self.handle.shared.report_dropped();
    }

    /// Returns once the reader of the stream, a pipe, is gone.
    pub async fn reader_gone(&self) {
        let mut is_gone = self.handle.shared.is_reader_gone.subscribe();
        // The sender is ours.
        let _ = is_gone.wait_for(|is_gone| *is_gone).await;
    }

    /// Blocks until all that waits is written or dropped, for at most a second: before the process
    /// ends.
    pub fn flush(&self) {
        let shared = &self.handle.shared;
        let is_busy = |queue: &mut Queue| queue.is_writing || !queue.waiting.is_empty();
        // The lock is of no use to who only waited.
        drop(
            shared
                .changed
                .wait_timeout_while(shared.queue(), FLUSH_TIME, is_busy),
        );
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.queue().is_closed = true;
        self.shared.changed.notify_all();
    }
}

impl fmt::Debug for LineSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineSink")
            .field("name", &self.handle.shared.name)
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A line is added or taken whole.
        locked(&self.queue)
    }

    fn push(&self, line: Line) {
        let mut queue = self.queue();
        // A stream that takes nothing must not gather what was given up and tried again.
        queue.waiting.retain(|line| !line.is_given_up());
        queue.waiting.push_back(line);
        drop(queue);
        self.changed.notify_all();
    }

    /// Writes what comes, until no more will come. What has gathered is written at once.
    fn write_all(&self, stream: &mut Stream<impl Write>) {
        while let Some(lines) = self.take() {
            let Written { result, dropped } = stream.write(lines);
            self.drop_lines(dropped);
            match result {
                Ok(()) => self.report_dropped(),
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.is_reader_gone.send_replace(true);
                }
                Err(_) => {}
            }
        }
    }

    fn take(&self) -> Option<Vec<Line>> {
        let mut queue = self.queue();
        queue.is_writing = false;
        self.changed.notify_all();
        let mut queue = self
            .changed
            .wait_while(queue, |queue| queue.waiting.is_empty() && !queue.is_closed)
            .unwrap_or_else(PoisonError::into_inner);
        if queue.waiting.is_empty() {
            return None;
        }
        queue.is_writing = true;
        let count = queue.waiting.len().min(AT_ONCE);
        let lines: Vec<_> = queue.waiting.drain(..count).collect();
        let offered = lines.iter().filter(|line| line.written.is_none());
        queue.offered_bytes -= offered.map(|line| line.text.len()).sum::<usize>();
        Some(lines)
    }

    fn drop_lines(&self, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }

    fn report_dropped(&self) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        if self.reported.fetch_max(dropped, Ordering::Relaxed) < dropped {
            tracing::warn!(dropped, "{} blocked: lines were dropped", self.name);
        }
    }
}

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
        lines: LineSink,
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
            let lines = LineSink::new("the script", to).expect("a thread");
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
        let is_gone = script.lines.handle.shared.is_reader_gone.borrow();
        assert!(!*is_gone);
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
        script.lines.reader_gone().await;
    }

    #[tokio::test]
    async fn line_that_was_given_up_is_not_begun() {
        let script = Script::start();
        // In the hands of the thread.
        script.lines.offer("first\n");
        while !script.lines.handle.shared.queue().is_writing {
            thread::yield_now();
        }
        for _ in 0..10 {
            let write = script.lines.write("given up\n".to_owned());
            let given_up = tokio::time::timeout(Duration::ZERO, write).await;
            given_up.expect_err("nothing is written yet");
        }
        assert!(script.lines.handle.shared.queue().waiting.len() <= 1);
        script.next(Ok(ALL));
        script.next(Ok(ALL));
        let last = script.lines.write("last\n".to_owned());
        last.await.expect("written");
        assert_eq!(script.seen(), "first\nlast\n");
    }

    #[test]
    fn offered_lines_beyond_the_room_are_dropped_and_flushing_ends() {
        let script = Script::start();
        let dropped = || script.lines.dropped();
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
        let queue = script.lines.handle.shared.queue();
        assert_eq!((queue.waiting.len(), queue.offered_bytes), (0, 0));
    }

    #[test]
    fn last_clone_that_is_dropped_ends_the_thread_after_what_waits() {
        let Script {
            lines,
            results,
            seen,
        } = Script::start();
        let clone = lines.clone();
        lines.offer("first\n");
        drop(lines);
        clone.offer("last\n");
        drop(clone);
        results.send(Ok(ALL)).expect("the thread goes on");
        // Where both are written at once, no second is asked for.
        let _ = results.send(Ok(ALL));
        let deadline = Instant::now() + Duration::from_secs(60);
        // The thread has the other end.
        while results.send(Ok(ALL)).is_ok() {
            assert!(Instant::now() < deadline);
            thread::yield_now();
        }
        let seen = seen.lock().expect("the only holder");
        assert_eq!(&*seen, b"first\nlast\n");
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
