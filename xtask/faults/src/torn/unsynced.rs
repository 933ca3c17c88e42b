//! [`Unsynced`]: what of the files no fsync had brought to the disk when the process died, from the notes of the shim.

use std::path::Path;

/// Ranges, as offset and length.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Unsynced {
    file: Vec<(u64, u64)>,
    log: Vec<(u64, u64)>,
}

impl Unsynced {
    /// A line that was cut off when the process died is of a write that was not made.
    pub(super) fn read(notes: &str, inbox: &Path) -> Self {
        let inbox = inbox.display().to_string();
        let log = format!("{inbox}-wal");
        let mut unsynced = Self::default();
        for line in notes.lines() {
            if let Some(path) = line.strip_prefix("sync ") {
                if let Some(ranges) = unsynced.of(path, &inbox, &log) {
                    ranges.clear();
                }
            } else if let Some((path, range)) = line.strip_prefix("write ").and_then(write)
                && let Some(ranges) = unsynced.of(path, &inbox, &log)
            {
                ranges.push(range);
            }
        }
        unsynced
    }

    pub(super) fn file(&self) -> &[(u64, u64)] {
        &self.file
    }

    pub(super) fn log(&self) -> &[(u64, u64)] {
        &self.log
    }

    pub(super) fn file_bytes(&self) -> u64 {
        self.file.iter().map(|(_, length)| length).sum()
    }

    pub(super) fn log_bytes(&self) -> u64 {
        self.log.iter().map(|(_, length)| length).sum()
    }

    /// From the first to the last byte of the log that is not on the disk; where all of it is, beyond its end.
    pub(super) fn span_of_log(&self) -> (u64, u64) {
        let begin = self.log.iter().map(|(offset, _)| *offset).min();
        let end = self
            .log
            .iter()
            .map(|(offset, length)| offset + length)
            .max();
        (begin.unwrap_or(u64::MAX / 2), end.unwrap_or(u64::MAX / 2))
    }

    fn of(&mut self, path: &str, inbox: &str, log: &str) -> Option<&mut Vec<(u64, u64)>> {
        match path {
            path if path == inbox => Some(&mut self.file),
            path if path == log => Some(&mut self.log),
            _ => None,
        }
    }
}

/// `PATH OFFSET LENGTH`
fn write(line: &str) -> Option<(&str, (u64, u64))> {
    let mut words = line.rsplitn(3, ' ');
    let length = words.next()?.parse().ok()?;
    let offset = words.next()?.parse().ok()?;
    Some((words.next()?, (offset, length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_fsync_ends_what_was_written_before_it_to_that_file() {
        let notes = "\
            write /a b/inbox.db-wal 0 32\n\
            sync /a b/inbox.db-wal\n\
            write /a b/inbox.db-wal 32 24\n\
            write /a b/inbox.db 4096 4096\n\
            write /a b/inbox.db-shm 0 1\n\
            write /a b/inbox.db-wal 56 4096\n\
            sync /a b/inbox.db-shm\n\
            write /a b/inb";
        let unsynced = Unsynced::read(notes, Path::new("/a b/inbox.db"));
        assert_eq!(unsynced.log(), [(32, 24), (56, 4096)]);
        assert_eq!(unsynced.file(), [(4096, 4096)]);
        assert_eq!(unsynced.span_of_log(), (32, 4152));
        assert_eq!((unsynced.log_bytes(), unsynced.file_bytes()), (4120, 4096));
        let nothing = Unsynced::read("", Path::new("/a"));
        assert_eq!(nothing, Unsynced::default());
    }
}
