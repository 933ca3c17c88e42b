//! [`Lines`]: lines for standard output, written by a thread that may wait for whoever reads them.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use tokio::sync::oneshot;

use crate::output;

/// Standard output, a line at a time and in the order in which they were given. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    queue: Sender<Line>,
}

#[derive(Debug)]
struct Line {
    text: String,
    written: oneshot::Sender<io::Result<()>>,
}

impl Lines {
    /// Starts the thread. It ends with the last clone, or with the process: a line that nobody reads holds nobody up.
    pub(crate) fn start() -> io::Result<Self> {
        Self::start_with(output::write)
    }

    fn start_with(
        write: impl FnMut(String) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, lines) = channel();
        thread::Builder::new()
            .name("lines".to_owned())
            .spawn(move || write_all(&lines, write))?;
        Ok(Self { queue })
    }

    /// Returns when the line is written and flushed, whatever waited before it.
    pub(crate) async fn write(&self, text: String) -> io::Result<()> {
        let (written, result) = oneshot::channel();
        // Fails only when the thread is gone, and then so is the other end.
        let _ = self.queue.send(Line { text, written });
        result
            .await
            .map_err(|_| io::Error::other("nobody writes any more"))?
    }
}

/// What has gathered is written at once. Where that fails it is unknown how much of it came through, and all of it has failed.
fn write_all(lines: &Receiver<Line>, mut write: impl FnMut(String) -> io::Result<()>) {
    while let Ok(first) = lines.recv() {
        let mut together = first.text;
        let mut written = vec![first.written];
        for line in lines.try_iter().take(AT_ONCE) {
            together.push_str(&line.text);
            written.push(line.written);
        }
        let result = write(together);
        for written in written {
            let result = match &result {
                Ok(()) => Ok(()),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            // Whoever asked may have given up; the line is written all the same.
            let _ = written.send(result);
        }
    }
}

/// Bounds what is held in memory twice.
const AT_ONCE: usize = 256;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn lines_come_out_whole_in_order_and_together() {
        let (go, wait) = channel::<io::Result<()>>();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let lines = Lines::start_with({
            let seen = Arc::clone(&seen);
            move |text| {
                seen.lock().expect("the only holder").push(text);
                wait.recv().expect("the test goes on")
            }
        })
        .expect("a thread");
        let mut writing: Vec<_> = ["a\n", "b\n", "c\n"]
            .into_iter()
            .map(|line| Box::pin(lines.write(line.to_owned())))
            .collect();
        // Each is in the queue once it was polled; the first may be taken before the others come.
        for write in &mut writing {
            let polled = std::future::poll_fn(|cx| {
                std::task::Poll::Ready(write.as_mut().poll(cx).is_pending())
            });
            assert!(polled.await, "nothing is written yet");
        }
        for _ in 0..3 {
            go.send(Ok(())).expect("the thread goes on");
        }
        for write in writing {
            write.await.expect("written");
        }
        assert_eq!(seen.lock().expect("the only holder").concat(), "a\nb\nc\n");
    }

    #[tokio::test]
    async fn a_failure_is_told_to_everybody_it_concerns() {
        let mut results = [Err(io::ErrorKind::BrokenPipe.into()), Ok(())].into_iter();
        let lines = Lines::start_with(move |_| results.next().unwrap_or(Ok(()))).expect("a thread");
        let failed = lines.write("a\n".to_owned()).await.expect_err("no pipe");
        assert_eq!(failed.kind(), io::ErrorKind::BrokenPipe);
        lines.write("b\n".to_owned()).await.expect("written");
    }
}
