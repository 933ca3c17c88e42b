//! [`Place`]: where an inbox is, in a file or on streams.

use std::fmt;
use std::path::{Path, PathBuf};

use heygen_inbox::jetstream::Address;

use crate::failure::Failure;

/// Where an inbox is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// In a SQLite file.
    File(PathBuf),
    /// On streams of NATS JetStream.
    Streams(Address),
}

impl Place {
    /// `text` is a path, or `nats://…`.
    pub(crate) fn read(text: PathBuf) -> Result<Self, Failure> {
        match text.to_str() {
            Some(address) if Address::is_meant_by(address) => match address.parse() {
                Ok(address) => Ok(Self::Streams(address)),
                Err(error) => Err(Failure::usage(format!("--inbox: {error}"))),
            },
            Some(address) if looks_like_address(address) => Err(Failure::usage(format!(
                "--inbox: `{address}` is neither a file nor an inbox on streams, which is written nats://host:4222/STREAM, or tls://…"
            ))),
            Some(_) | None => Ok(Self::File(text)),
        }
    }

    /// What this machine keeps beside the inbox (secrets that HeyGen told, what was turned away) has names that begin so.
    pub(crate) fn beside(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Streams(address) => format!("./heygen-inbox-{}", address.stream()).into(),
        }
    }

    /// The file; a stream has none, and `instead` says what serves there.
    pub(crate) fn file(&self, command: &str, instead: &str) -> Result<&Path, Failure> {
        match self {
            Self::File(path) => Ok(path),
            Self::Streams(_) => Err(Failure::usage(format!(
                "`{command}` is for an inbox in a file, and {self} is on streams: {instead}"
            ))),
        }
    }

    /// Whether there may be something: nobody can tell without asking the servers.
    pub(crate) fn may_exist(&self) -> bool {
        match self {
            Self::File(path) => path.exists(),
            Self::Streams(_) => true,
        }
    }
}

/// Whether it was meant as an address, and would be a strange name for a file.
fn looks_like_address(text: &str) -> bool {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    let is_known = scheme.is_some_and(|scheme| {
        ["nats", "tls"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
    });
    is_known || text.contains("://")
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Streams(address) => address.fmt(f),
        }
    }
}
