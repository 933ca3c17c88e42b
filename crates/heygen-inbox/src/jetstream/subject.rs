//! [`Names`]: the names of streams and subjects, and event names as parts of subjects.

use percent_encoding::{percent_decode_str, percent_encode_byte};
use sha2::{Digest as _, Sha256};

use crate::drift::Drift;

/// The names of one inbox's streams and subjects.
#[derive(Clone, Debug)]
pub(super) struct Names {
    stream: String,
    prefix: String,
}

impl Names {
    pub(super) fn new(stream: &str, prefix: &str) -> Self {
        Self {
            stream: stream.to_owned(),
            prefix: prefix.to_owned(),
        }
    }

    /// One message per event.
    pub(super) fn events(&self) -> String {
        self.stream.clone()
    }

    /// A copy of each dead-lettered event.
    pub(super) fn dead(&self) -> String {
        format!("{}_DEAD", self.stream)
    }

    /// The newest record of each event.
    pub(super) fn records(&self) -> String {
        format!("{}_RECORDS", self.stream)
    }

    /// References to deliveries due for another attempt.
    pub(super) fn again(&self) -> String {
        format!("{}_AGAIN", self.stream)
    }

    pub(super) fn all_of(&self, part: &str) -> String {
        format!("{}.{part}.>", self.prefix)
    }

    pub(super) fn event(&self, event_type: Option<&str>) -> String {
        format!("{}.events.{}", self.prefix, tokens(event_type))
    }

    pub(super) fn dead_letter(&self, event_type: Option<&str>) -> String {
        format!("{}.dead.{}", self.prefix, tokens(event_type))
    }

    pub(super) fn record(&self, sequence: u64) -> String {
        format!("{}.records.event.{sequence}", self.prefix)
    }

    pub(super) fn record_filter(&self) -> String {
        format!("{}.records.event.*", self.prefix)
    }

    pub(super) fn bookmark(&self, name: &str) -> String {
        format!("{}.records.bookmark.{}", self.prefix, token(name))
    }

    /// The count of one thing in which events differ from what is known.
    pub(super) fn drift(&self, drift: &Drift) -> String {
        let mut hash = Sha256::new();
        for part in [drift.kind.as_str(), &drift.event_type, &drift.name] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let digest: [u8; 32] = hash.finalize().into();
        let digest = digest[..16].iter().map(|byte| format!("{byte:02x}"));
        format!(
            "{}.records.drift.{}",
            self.prefix,
            digest.collect::<String>()
        )
    }

    pub(super) fn drift_filter(&self) -> String {
        format!("{}.records.drift.*", self.prefix)
    }

    pub(super) fn readiness(&self) -> String {
        format!("{}.records.ready", self.prefix)
    }

    pub(super) fn reference(&self, sequence: u64) -> String {
        format!("{}.again.{sequence}", self.prefix)
    }

    /// No stream stores it: it wakes workers.
    pub(super) fn wake(&self) -> String {
        format!("{}.wake", self.prefix)
    }

    /// The event's name, from the subject it was published on; `None` for a body that is not an
    /// event. A long name is truncated.
    pub(super) fn event_type_of(&self, subject: &str) -> Option<String> {
        let name = subject
            .strip_prefix(self.prefix.as_str())?
            .strip_prefix(".events.")?;
        (name != UNREADABLE).then(|| decoded(name))
    }
}

/// The number at the end of a subject.
pub(super) fn number_of(subject: &str) -> Option<u64> {
    subject.rsplit('.').next()?.parse().ok()
}

/// An event's name as the last tokens of a subject: its dots separate tokens, as in
/// `avatar_video.success`. Characters that a subject cannot hold are percent-encoded, and a long name
/// is truncated.
fn tokens(event_type: Option<&str>) -> String {
    let Some(name) = event_type else {
        return UNREADABLE.to_owned();
    };
    let tokens: Vec<String> = name.split('.').map(token).collect();
    // A subject cannot hold an empty token: the dot beside it is encoded. So is every dot of a name
    // of many tokens, which is truncated as a whole.
    let len = tokens.iter().map(|token| token.len() + 1).sum::<usize>();
    let whole = match tokens.iter().any(String::is_empty) || len > MAX_JOINED {
        true => token(name),
        false => tokens.join("."),
    };
    match whole.as_str() {
        "" => "%".to_owned(),
        UNREADABLE => UNREADABLE.replacen('_', percent_encode_byte(b'_'), 1),
        _ => whole,
    }
}

fn token(text: &str) -> String {
    let mut token = String::with_capacity(text.len().min(MAX_NAME));
    for byte in text.bytes() {
        if token.len() + 3 > MAX_NAME {
            break;
        }
        let is_plain = byte.is_ascii_graphic() && !matches!(byte, b'.' | b'*' | b'>' | b'%');
        if is_plain {
            token.push(char::from(byte));
        } else {
            token.push_str(percent_encode_byte(byte));
        }
    }
    token
}

fn decoded(text: &str) -> String {
    // A `%` alone is the empty name.
    let text = text.strip_suffix('%').unwrap_or(text);
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The last token for a body that is not an event.
const UNREADABLE: &str = "_unreadable";

/// Longer than any token of an event name there is.
const MAX_NAME: usize = 200;

/// Short of what servers take for a subject (4 KiB with everything else on the line): they close
/// the connection on a longer one, and with it everything else that is under way there.
const MAX_JOINED: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(event_type: Option<&str>, subject: &str) {
        let names = Names::new("HEYGEN", "heygen");
        let found = names.event(event_type);
        assert_eq!(found, subject);
        assert_eq!(names.event_type_of(&found).as_deref(), event_type);
        assert!(
            !subject.contains("..") && !subject.ends_with('.') && !subject.contains(' '),
            "{subject}"
        );
    }

    #[test]
    fn event_names_are_encoded_and_decoded() {
        check(
            Some("avatar_video.success"),
            "heygen.events.avatar_video.success",
        );
        check(None, "heygen.events._unreadable");
        check(Some("_unreadable"), "heygen.events.%5Funreadable");
        check(Some(""), "heygen.events.%");
        check(Some("a..b"), "heygen.events.a%2E%2Eb");
        check(Some(".a"), "heygen.events.%2Ea");
        check(Some("a."), "heygen.events.a%2E");
        check(Some("a b.*.>"), "heygen.events.a%20b.%2A.%3E");
        check(Some("100%"), "heygen.events.100%25");
        check(Some("é\n"), "heygen.events.%C3%A9%0A");
    }

    #[test]
    fn a_name_of_any_length_fits() {
        let names = Names::new("HEYGEN", "heygen");
        for name in [
            "x".repeat(100_000),
            "é".repeat(100_000),
            "a.".repeat(5_000),
            "a.".repeat(5_000) + "a",
            ("x".repeat(199) + ".").repeat(20) + "x",
        ] {
            let subject = names.event(Some(&name));
            assert!(subject.len() <= 1100, "{}", subject.len());
        }
    }
}
