//! [`RefusalFile`]: why deliveries were refused lately, in a small file beside the inbox, for `doctor`.
//!
//! It holds reasons and header names and nothing of any body, and never more than a few notes, so that nobody who sends
//! without a secret can fill the disk with it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use heygen_receiver::RefusalNote;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::private_file;

/// The file of one inbox. It need not exist.
#[derive(Clone, Debug)]
pub(crate) struct RefusalFile {
    path: PathBuf,
}

/// A refusal as it stands in the file.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Refused {
    pub(crate) at: Timestamp,
    pub(crate) reason: String,
    pub(crate) explanation: String,
    pub(crate) signature_like_headers: Vec<String>,
    /// How many were refused before it without a note, since the note before.
    pub(crate) untold: u64,
}

impl RefusalFile {
    pub(crate) fn beside(inbox: &Path) -> Self {
        Self {
            path: private_file::beside(inbox, ".refused.json"),
        }
    }

    /// Oldest first; empty when nothing was ever refused.
    pub(crate) fn read(&self) -> anyhow::Result<Vec<Refused>> {
        match fs::read_to_string(&self.path) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("{} is damaged: delete it", self.path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => {
                Err(error).with_context(|| format!("cannot read {}", self.path.display()))
            }
        }
    }

    /// Writes the newest of them.
    pub(crate) fn write(&self, refused: &[Refused]) -> anyhow::Result<()> {
        let newest = &refused[refused.len().saturating_sub(KEPT)..];
        let text = serde_json::to_string_pretty(newest)?;
        private_file::replace(&self.path, &format!("{text}\n"))
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

impl From<&RefusalNote> for Refused {
    fn from(note: &RefusalNote) -> Self {
        Self {
            at: Timestamp::try_from(note.at).unwrap_or_default(),
            reason: note.reason.to_owned(),
            explanation: note.explanation.clone(),
            signature_like_headers: note.signature_like_headers.clone(),
            untold: note.untold,
        }
    }
}

const KEPT: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = RefusalFile::beside(&folder.path().join("inbox.db"));
        assert_eq!(file.read().expect("nothing yet"), []);
        let refused: Vec<_> = (0..50)
            .map(|untold| Refused {
                at: Timestamp::now(),
                reason: "matches-no-secret".to_owned(),
                explanation: "the signature matches no secret".to_owned(),
                signature_like_headers: vec!["signature".to_owned()],
                untold,
            })
            .collect();
        file.write(&refused).expect("written");
        assert_eq!(file.read().expect("readable"), refused[30..]);
    }
}
