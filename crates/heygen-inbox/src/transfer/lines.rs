//! [`Lines`]: lines of bounded length.

use std::io::{self, BufRead, Read as _};

/// Iterates over lines without ever holding more of one than [`LONGEST_LINE`] bytes.
#[derive(Debug)]
pub struct Lines<R> {
    from: R,
}

/// One line.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum Line {
    /// Without its line break.
    Whole(Vec<u8>),
    /// A longer line, which was skipped.
    TooLong,
}

impl<R: BufRead> Lines<R> {
    /// The lines of `from`.
    pub fn new(from: R) -> Self {
        Self { from }
    }

    fn read(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        // One byte more than fits shows whether it is too long.
        let most = LONGEST_LINE as u64 + 1;
        self.from.by_ref().take(most).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.pop_if(|last| *last == b'\n').is_none() && line.len() > LONGEST_LINE {
            self.skip()?;
            return Ok(Some(Line::TooLong));
        }
        Ok(Some(Line::Whole(line)))
    }

    /// Skips the rest of a line.
    fn skip(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.from.fill_buf()?;
            let (len, is_end) = match buffer.iter().position(|byte| *byte == b'\n') {
                Some(position) => (position + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            };
            self.from.consume(len);
            if is_end {
                return Ok(());
            }
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

impl Line {
    /// How many bytes were read, as far as that is known.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "a line is never empty: it has an end"
    )]
    pub fn len(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64 + 1,
            Self::TooLong => LONGEST_LINE as u64,
        }
    }
}

/// How many bytes a line may have. Bodies are a megabyte at the most, unless the limit was raised;
/// JSON may make a few of one.
pub const LONGEST_LINE: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], expected: &[Line]) {
        let lines: io::Result<Vec<_>> = Lines::new(text).collect();
        assert!(lines.expect("readable") == expected);
    }

    #[test]
    fn lines_are_bounded() {
        let whole = |text: &[u8]| Line::Whole(text.to_vec());
        check(b"", &[]);
        check(b"a\n\nb", &[whole(b"a"), whole(b""), whole(b"b")]);
        let longest = vec![b'x'; LONGEST_LINE];
        check(&longest, &[whole(&longest)]);
        check(
            &[&longest[..], b"\na"].concat(),
            &[whole(&longest), whole(b"a")],
        );
        check(&[&longest[..], b"x"].concat(), &[Line::TooLong]);
        check(
            &[&longest[..], &longest[..], b"\na\n"].concat(),
            &[Line::TooLong, whole(b"a")],
        );
    }
}
