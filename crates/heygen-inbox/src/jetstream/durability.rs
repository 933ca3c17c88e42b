//! [`DurabilityWarning`]: what keeps a server or a stream from keeping what it acknowledged.

use std::fmt;

use async_nats::ServerInfo;
use async_nats::jetstream::stream::{Config, PersistenceMode, StorageType};

/// The first version that can be told to write to the disk before it acknowledges: `sync_interval:
/// always`.
///
/// # Source
///
/// nats-server, pull request 4483 of 2023-09-04; that 2.10.0 is the first release with it is
/// assumed.
pub const MIN_SYNC_VERSION: (u64, u64, u64) = (2, 10, 0);

/// The first version of which the log of a replicated stream follows that setting too.
///
/// # Source
///
/// nats-server, pull request 6041 of 2024-10-25; that 2.10.23 is the first release with it is
/// assumed.
pub const MIN_SYNC_VERSION_REPLICATED: (u64, u64, u64) = (2, 10, 23);

/// Something that keeps “acknowledged means kept” from holding, as far as a client is told.
///
/// Whether a server has `sync_interval: always` set, clients are not told: its monitoring port says
/// so (`/varz`).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DurabilityWarning {
    /// The server is older than [`MIN_SYNC_VERSION`], or [`MIN_SYNC_VERSION_REPLICATED`] for a
    /// replicated stream: it acknowledges what is not on its disk yet, and cannot be told
    /// otherwise.
    CannotSync {
        /// The server's version.
        version: String,
        /// The first version that can.
        first: (u64, u64, u64),
    },
    /// Each message is on so many servers, fewer than three: one that is lost takes it along, or
    /// stops everything.
    FewReplicas {
        /// How many.
        replicas: usize,
    },
    /// The stream itself says that it acknowledges before it writes.
    AsyncPersistence,
    /// The stream is kept in memory.
    MemoryStorage,
    /// When the stream is full or old, what was not handled is deleted too.
    DropsUnhandled,
    /// The servers know duplicates for a shorter time than HeyGen sends again (24 h).
    ShortDuplicateWindow {
        /// How long they do, in seconds.
        seconds: u64,
    },
}

impl DurabilityWarning {
    /// Whether what was acknowledged can be lost, and not merely doubled.
    #[must_use]
    pub fn is_about_loss(&self) -> bool {
        match self {
            Self::ShortDuplicateWindow { .. } => false,
            Self::CannotSync { .. }
            | Self::FewReplicas { .. }
            | Self::AsyncPersistence
            | Self::MemoryStorage
            | Self::DropsUnhandled => true,
        }
    }
}

impl fmt::Display for DurabilityWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CannotSync { version, first } => {
                let (major, minor, patch) = first;
                write!(
                    f,
                    "NATS {version} acknowledges before it writes to the disk; {major}.{minor}.{patch} and later can be told to \
                     write first (sync_interval: always)"
                )
            }
            Self::FewReplicas { replicas: 1 } => f.write_str(
                "each message is on one server alone: while that is away nothing is taken in, and its disk is the only copy",
            ),
            Self::FewReplicas { replicas } => write!(
                f,
                "each message is on {replicas} servers: with fewer than 3, one that is away stops everything"
            ),
            Self::AsyncPersistence => {
                f.write_str("the stream's persist_mode is async: it acknowledges before it writes")
            }
            Self::MemoryStorage => f.write_str("the stream is kept in memory, not in files"),
            Self::DropsUnhandled => f.write_str(
                "the stream deletes old messages for room, handled or not; its discard policy should be `new`",
            ),
            Self::ShortDuplicateWindow { seconds } => write!(
                f,
                "the servers know duplicates for {seconds} s, and HeyGen sends a delivery again for 24 h"
            ),
        }
    }
}

/// What there is to be said against this server and this stream of events.
pub(super) fn warnings(server: &ServerInfo, stream: &Config) -> Vec<DurabilityWarning> {
    let mut warnings = Vec::new();
    let first = match stream.num_replicas {
        0 | 1 => MIN_SYNC_VERSION,
        _ => MIN_SYNC_VERSION_REPLICATED,
    };
    if version(&server.version).is_none_or(|version| version < first) {
        warnings.push(DurabilityWarning::CannotSync {
            version: server.version.clone(),
            first,
        });
    }
    if stream.num_replicas < 3 {
        warnings.push(DurabilityWarning::FewReplicas {
            replicas: stream.num_replicas.max(1),
        });
    }
    if stream.persist_mode == Some(PersistenceMode::Async) {
        warnings.push(DurabilityWarning::AsyncPersistence);
    }
    if stream.storage == StorageType::Memory {
        warnings.push(DurabilityWarning::MemoryStorage);
    }
    let has_limit = stream.max_bytes > 0 || stream.max_messages > 0;
    let keeps_new = stream.discard == async_nats::jetstream::stream::DiscardPolicy::Old;
    if (has_limit && keeps_new) || stream.max_messages_per_subject > 0 {
        warnings.push(DurabilityWarning::DropsUnhandled);
    }
    let seconds = stream.duplicate_window.as_secs();
    if seconds < 24 * 3600 {
        warnings.push(DurabilityWarning::ShortDuplicateWindow { seconds });
    }
    warnings
}

/// `2.10.3-RC.1` is `(2, 10, 3)`.
fn version(text: &str) -> Option<(u64, u64, u64)> {
    let plain = text.split(['-', '+']).next()?;
    let mut parts = plain.split('.').map(|part| part.parse().ok());
    Some((
        parts.next()??,
        parts.next()??,
        parts.next().flatten().unwrap_or(0),
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_nats::jetstream::stream::DiscardPolicy;

    use super::*;

    fn sound() -> (ServerInfo, Config) {
        let server = ServerInfo {
            version: "2.10.23".to_owned(),
            ..ServerInfo::default()
        };
        let stream = Config {
            num_replicas: 3,
            discard: DiscardPolicy::New,
            duplicate_window: Duration::from_secs(25 * 3600),
            ..Config::default()
        };
        (server, stream)
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut ServerInfo, &mut Config), expected: &[DurabilityWarning]) {
        let (mut server, mut stream) = sound();
        change(&mut server, &mut stream);
        assert_eq!(warnings(&server, &stream), expected);
    }

    #[test]
    fn each_doubt_is_told() {
        check(|_, _| (), &[]);
        check(|server, _| server.version = "2.11.0-RC.2".to_owned(), &[]);
        for old in ["2.9.10", "2.10.22", "1.4.1", "dev"] {
            let version = old.to_owned();
            check(
                |server, _| server.version.clone_from(&version),
                &[DurabilityWarning::CannotSync {
                    version: version.clone(),
                    first: MIN_SYNC_VERSION_REPLICATED,
                }],
            );
        }
        check(
            |server, stream| {
                stream.num_replicas = 1;
                server.version = "2.10.0".to_owned();
            },
            &[DurabilityWarning::FewReplicas { replicas: 1 }],
        );
        check(
            |_, stream| stream.persist_mode = Some(PersistenceMode::Async),
            &[DurabilityWarning::AsyncPersistence],
        );
        check(
            |_, stream| stream.storage = StorageType::Memory,
            &[DurabilityWarning::MemoryStorage],
        );
        check(|_, stream| stream.max_bytes = 1, &[]);
        check(
            |_, stream| {
                stream.max_bytes = 1;
                stream.discard = DiscardPolicy::Old;
            },
            &[DurabilityWarning::DropsUnhandled],
        );
        check(
            |_, stream| stream.duplicate_window = Duration::from_secs(120),
            &[DurabilityWarning::ShortDuplicateWindow { seconds: 120 }],
        );
    }
}
