//! Every inbox by the same rules, the SQLite one through restarts, faults and crowds, the one on
//! JetStream with real servers.

#![expect(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod support;

mod clock;
mod conformance;
mod hostile;
mod invariants_of_dedup;
#[cfg(all(feature = "transfer", feature = "sqlite"))]
mod invariants_of_import;
#[cfg(feature = "sqlite")]
mod json;
mod memory;
#[cfg(feature = "sqlite")]
mod order;
#[cfg(feature = "sqlite")]
mod rejected;
#[cfg(feature = "sqlite")]
mod sqlite_backlog;
#[cfg(feature = "sqlite")]
mod sqlite_concurrency;
#[cfg(feature = "sqlite")]
mod sqlite_damage;
#[cfg(feature = "sqlite")]
mod sqlite_destinations;
#[cfg(feature = "sqlite")]
mod sqlite_editor;
#[cfg(feature = "sqlite")]
mod sqlite_faults;
#[cfg(all(feature = "sqlite", unix))]
mod sqlite_full_disk;
#[cfg(feature = "sqlite")]
mod sqlite_log;
#[cfg(feature = "sqlite")]
mod sqlite_moved;
#[cfg(feature = "sqlite")]
mod sqlite_reopen;
#[cfg(feature = "sqlite")]
mod sqlite_snapshot;
#[cfg(feature = "sqlite")]
mod sqlite_traffic;
#[cfg(feature = "sqlite")]
mod sqlite_version_2;
#[cfg(feature = "sqlite")]
mod sqlite_versions;
#[cfg(feature = "sqlite")]
mod texts;

#[cfg(feature = "jetstream")]
mod jetstream_access;
#[cfg(feature = "jetstream")]
mod jetstream_away;
#[cfg(feature = "jetstream")]
mod jetstream_carry;
#[cfg(feature = "jetstream")]
mod jetstream_cluster;
#[cfg(feature = "jetstream")]
mod jetstream_consumers;
#[cfg(feature = "jetstream")]
mod jetstream_drift;
#[cfg(feature = "jetstream")]
mod jetstream_mixed;
#[cfg(feature = "jetstream")]
mod jetstream_streams;
#[cfg(feature = "jetstream")]
mod jetstream_support;
#[cfg(feature = "jetstream")]
mod jetstream_workers;
