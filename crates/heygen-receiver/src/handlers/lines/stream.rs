//! [`Stream`]: where lines go, and how much of them comes through.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

/// A line, and who waits for it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) text: Vec<u8>,
    /// Of a line that someone answers for.
    pub(super) written: Option<oneshot::Sender<io::Result<()>>>,
}

impl Line {
    pub(super) fn is_given_up(&self) -> bool {
        self.written
            .as_ref()
            .is_some_and(oneshot::Sender::is_closed)
    }

    /// Says whether it was dropped: no one answers for it.
    fn end(self, result: io::Result<()>) -> bool {
        match self.written {
            Some(written) => {
                // Its handler may have given up meanwhile.
                let _ = written.send(result);
                false
            }
            None => result.is_err(),
        }
    }
}

/// What came of some lines.
pub(super) struct Written {
    pub(super) result: io::Result<()>,
    pub(super) dropped: u64,
}

/// Where lines go.
pub(super) struct Stream<W> {
    to: W,
    /// Whether the last thing written is the beginning of a line.
    is_torn: bool,
}

impl<W: Write> Stream<W> {
    pub(super) fn new(to: W) -> Self {
        let is_torn = false;
        Self { to, is_torn }
    }

    /// Writes them at once and answers each. What comes after half a line begins a new one.
    pub(super) fn write(&mut self, lines: Vec<Line>) -> Written {
        let mut together = Vec::new();
        if self.is_torn {
            together.push(b'\n');
        }
        let mut ends = Vec::new();
        for line in lines.into_iter().filter(|line| !line.is_given_up()) {
            together.extend_from_slice(&line.text);
            ends.push((together.len(), line));
        }
        if ends.is_empty() {
            let (result, dropped) = (Ok(()), 0);
            return Written { result, dropped };
        }
        let (written, result) = self.write_bytes(&together);
        if let Some(last) = written.checked_sub(1) {
            self.is_torn = together[last] != b'\n';
        }
        let mut dropped = 0;
        for (end, line) in ends {
            let ended = match &result {
                Err(error) if end > written => Err(io::Error::new(error.kind(), error.to_string())),
                Ok(()) | Err(_) => Ok(()),
            };
            dropped += u64::from(line.end(ended));
        }
        Written { result, dropped }
    }

    /// How many bytes came through, and what stopped the others. Waits for a pipe that is full,
    /// whether it blocks or not.
    fn write_bytes(&mut self, bytes: &[u8]) -> (usize, io::Result<()>) {
        let mut written = 0;
        while written < bytes.len() {
            match self.to.write(&bytes[written..]) {
                Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(TRY_AGAIN),
                Err(error) => return (written, Err(error)),
            }
        }
        (written, self.to.flush())
    }
}

pub(super) fn stdout() -> io::Result<impl Write + Send> {
    apart(io::stdout())
}

pub(super) fn stderr() -> io::Result<impl Write + Send> {
    apart(io::stderr())
}

/// Apart from std's handles, whose locks are held for as long as a write takes, and which would
/// write again what had failed.
#[cfg(unix)]
fn apart(stream: impl std::os::fd::AsFd) -> io::Result<std::fs::File> {
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
fn apart<W>(stream: W) -> io::Result<W> {
    Ok(stream)
}

/// How often a full pipe that does not block is tried.
const TRY_AGAIN: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_before_the_failure_are_acknowledged() {
        let mut stream = Stream::new(io::Cursor::new([0; 6]));
        let line = |text: &str| {
            let (written, result) = oneshot::channel();
            let text = text.into();
            let written = Some(written);
            (Line { text, written }, result)
        };
        let (first, first_result) = line("one\n");
        let (second, second_result) = line("two\n");
        let (given_up, _) = line("never\n");
        let written = stream.write(vec![given_up, first, second]);
        assert!(written.result.is_err());
        assert_eq!(written.dropped, 0, "handlers answer for them");
        first_result.await.expect("an answer").expect("written");
        second_result
            .await
            .expect("an answer")
            .expect_err("half of it");
        assert_eq!(&stream.to.into_inner(), b"one\ntw");
    }
}
