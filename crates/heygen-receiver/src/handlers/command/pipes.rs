//! The pipes of a program: the body in, the ends of its output out.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use heygen_events::text::lines;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};

use crate::panics::locked;

/// The pipes of a program that are ours: those that are not are closed, or someone else's.
pub(super) struct Streams {
    pub(super) stdin: Option<ChildStdin>,
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
}

/// The ends of what a program wrote.
#[derive(Debug, Default)]
pub(super) struct Tails {
    pub(super) stdout: Mutex<Tail>,
    pub(super) stderr: Mutex<Tail>,
}

/// Writes and reads at the same time: a program may write before it reads.
pub(super) async fn pump(pipes: Streams, body: Bytes, tails: Arc<Tails>) {
    let write = async move {
        if let Some(mut stdin) = pipes.stdin {
            // A program that closes it needs no more. Dropping it marks the end.
            let _ = stdin.write_all(&body).await;
        }
    };
    tokio::join!(
        write,
        read(pipes.stdout, &tails.stdout),
        read(pipes.stderr, &tails.stderr)
    );
}

async fn read(from: Option<impl AsyncRead + Unpin>, tail: &Mutex<Tail>) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; MAX_BYTES];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        locked(tail).push(&buffer[..count]);
    }
}

/// The end of what was written.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if let Some(too_many @ 1..) = self.bytes.len().checked_sub(MAX_BYTES) {
            self.bytes.drain(..too_many);
            self.is_cut = true;
        }
    }

    /// Lines, without other control characters.
    pub(super) fn text(&self) -> String {
        if !self.is_cut {
            return lines(&String::from_utf8_lossy(&self.bytes));
        }
        // The first character may be cut.
        let is_rest = |byte: &&u8| **byte & 0b1100_0000 == 0b1000_0000;
        let rest = self.bytes.iter().take(3).take_while(is_rest).count();
        format!("…{}", lines(&String::from_utf8_lossy(&self.bytes[rest..])))
    }
}

const MAX_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pushed: &[&[u8]], expected: &str) {
        let mut tail = Tail::default();
        for bytes in pushed {
            tail.push(bytes);
        }
        assert_eq!(tail.text(), expected);
    }

    #[test]
    fn last_bytes_are_recorded() {
        check(&[], "");
        check(&[b"a\n", b"b\n"], "a\nb");
        let full = [b'a'; MAX_BYTES];
        let text = "a".repeat(MAX_BYTES);
        check(&[&full], &text);
        check(&[b"lost", &full], &format!("…{text}"));
        check(&[&full, b"b"], &format!("…{}b", &text[1..]));
        check(&["é".as_bytes(), &full[1..]], &format!("…{}", &text[1..]));
    }
}
