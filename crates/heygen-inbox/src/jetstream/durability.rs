//! [`DurabilityWarning`]: why an acknowledged delivery may be lost all the same.

use std::fmt;

use async_nats::ServerInfo;
use async_nats::jetstream::stream::{Config, DiscardPolicy, PersistenceMode, StorageType};

/// The first version that can be configured to write to the disk before it acknowledges:
/// `sync_interval: always`.
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

/// Why an acknowledged delivery may be lost all the same, as far as a client can see.
///
/// Whether a server has `sync_interval: always`, a client cannot see: its monitoring port shows it
/// (`/varz`).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DurabilityWarning {
    /// The server is older than [`MIN_SYNC_VERSION`], or [`MIN_SYNC_VERSION_REPLICATED`] for a
    /// replicated stream: it acknowledges what is not on its disk yet, and cannot be configured
    /// otherwise.
    CannotSync {
        /// The server's version.
        version: String,
        /// The first version that can.
        first: (u64, u64, u64),
    },
    /// Each message is on fewer than three servers: when one is lost, so are its messages, or
    /// nothing works until it is back.
    FewReplicas {
        /// How many.
        replicas: usize,
    },
    /// The stream is configured to acknowledge before it writes.
    AsyncPersistence,
    /// The stream is stored in memory.
    MemoryStorage,
    /// When the stream is full or old, it deletes unhandled deliveries too.
    DropsUnhandled,
    /// The stream of retries deletes some when it is full or after a time: such a delivery is not
    /// dispatched again.
    DropsRetries,
    /// The servers recognise duplicates for a shorter time than HeyGen retries (24 h).
    ShortDuplicateWindow {
        /// For how long, in seconds.
        seconds: u64,
    },
}

impl DurabilityWarning {
    /// Whether an acknowledged delivery can be lost, and not merely dispatched twice.
    #[must_use]
    pub fn is_about_loss(&self) -> bool {
        match self {
            Self::ShortDuplicateWindow { .. } => false,
            Self::CannotSync { .. }
            | Self::FewReplicas { .. }
            | Self::AsyncPersistence
            | Self::MemoryStorage
            | Self::DropsUnhandled
            | Self::DropsRetries => true,
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
                    "NATS {version} acknowledges before it writes to the disk; {major}.{minor}.{patch} and later can be \
                     configured to write first (sync_interval: always)"
                )
            }
            Self::FewReplicas { replicas: 1 } => f.write_str(
                "each message is on one server only: nothing is stored while it is down, and its disk is the only copy",
            ),
            Self::FewReplicas { replicas } => write!(
                f,
                "each message is on {replicas} servers: with fewer than 3, one that is down stops everything"
            ),
            Self::AsyncPersistence => {
                f.write_str("the stream's persist_mode is async: it acknowledges before it writes")
            }
            Self::MemoryStorage => f.write_str("the stream is stored in memory, not in files"),
            Self::DropsUnhandled => f.write_str(
                "the stream deletes old messages for new ones, handled or not; its discard policy should be `new`",
            ),
            Self::DropsRetries => f.write_str(
                "the stream of retries has a max age, or a limit and the discard policy `old`: retries it deletes are lost",
            ),
            Self::ShortDuplicateWindow { seconds } => write!(
                f,
                "the servers recognise duplicates for {seconds} s, and HeyGen retries a delivery for 24 h"
            ),
        }
    }
}

/// What can be seen of this server, of the stream of events and of the stream of retries.
pub(super) fn warnings(
    server: &ServerInfo,
    stream: &Config,
    retries: &Config,
) -> Vec<DurabilityWarning> {
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
    if drops_old(stream) {
        warnings.push(DurabilityWarning::DropsUnhandled);
    }
    if drops_old(retries) || !retries.max_age.is_zero() {
        warnings.push(DurabilityWarning::DropsRetries);
    }
    let seconds = stream.duplicate_window.as_secs();
    if seconds < 24 * 3600 {
        warnings.push(DurabilityWarning::ShortDuplicateWindow { seconds });
    }
    warnings
}

/// Whether a new message may take the place of an old one.
fn drops_old(stream: &Config) -> bool {
    let has_limit = stream.max_bytes > 0 || stream.max_messages > 0;
    (has_limit && stream.discard == DiscardPolicy::Old) || stream.max_messages_per_subject > 0
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
        assert_eq!(warnings(&server, &stream, &Config::default()), expected);
    }

    #[track_caller]
    fn check_retries(change: impl FnOnce(&mut Config), expected: &[DurabilityWarning]) {
        let (server, stream) = sound();
        let mut retries = Config::default();
        change(&mut retries);
        assert_eq!(warnings(&server, &stream, &retries), expected);
    }

    #[test]
    fn retries_that_can_be_deleted_are_reported() {
        let lost = [DurabilityWarning::DropsRetries];
        check_retries(|retries| retries.max_messages = 1, &lost);
        check_retries(|retries| retries.max_age = Duration::from_secs(1), &lost);
        let is_full = |retries: &mut Config| {
            retries.max_bytes = 1;
            retries.discard = DiscardPolicy::New;
        };
        check_retries(is_full, &[]);
    }

    #[test]
    fn each_cause_is_reported() {
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
