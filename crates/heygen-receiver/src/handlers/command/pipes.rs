//! The pipes of a program: the body in, the end of standard error out.

use bytes::Bytes;
use heygen_events::text::lines;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStderr, ChildStdin};
/// Writes and reads at the same time: a program may write before it reads.
pub(super) async fn pump(
    (stdin, stderr): (Option<ChildStdin>, Option<ChildStderr>),
    body: Bytes,
    tail: &mut Tail,
) {
    let write = async move {
        if let Some(mut stdin) = stdin {
            // A program that closes it needs no more. Dropping it marks the end.
            let _ = stdin.write_all(&body).await;
        }
    };
    let read = async {
        let Some(mut stderr) = stderr else { return };
        let mut buffer = vec![0; MAX_BYTES];
        while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
            tail.push(&buffer[..count]);
        }
    };
    tokio::join!(write, read);
}

/// The end of standard error.
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
