//! Deliveries to append, servers to keep them, and the answers taken apart.

pub(crate) use heygen_inbox::conformance::support::*;

/// A file to be made, in a folder of its own.
#[cfg(feature = "sqlite")]
pub(crate) fn file() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = xtask_nats::folder().unwrap();
    let path = folder.path().join("inbox.db");
    (folder, path)
}

/// An inbox in a new file, in a folder of its own.
#[cfg(feature = "sqlite")]
pub(crate) fn opened() -> (
    tempfile::TempDir,
    std::path::PathBuf,
    heygen_inbox::sqlite::SqliteInbox,
) {
    let (folder, path) = file();
    let inbox = heygen_inbox::sqlite::SqliteInbox::open(&path).unwrap();
    (folder, path, inbox)
}

/// An inbox with runs of so few fingerprints that a test makes many.
#[cfg(feature = "sqlite")]
pub(crate) fn open_with_short_runs(path: &std::path::Path) -> heygen_inbox::sqlite::SqliteInbox {
    let options = heygen_inbox::sqlite::SqliteOptions::default();
    let options = options.with_run_len(8).with_batch_len(3);
    heygen_inbox::sqlite::SqliteInbox::open_with(path, options).unwrap()
}

/// Pending deliveries as appends would have left them, except that no run of the index was written:
/// the harder case for an open. Event type and subject are SQL over `n`, which counts from 1.
#[cfg(feature = "sqlite")]
pub(crate) fn fill(path: &std::path::Path, count: u64, event_type: &str, subject_id: &str) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous = OFF;
             BEGIN;
             WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {count})
             INSERT INTO delivery (id, received_at, source, event_type, subject_id, digest, state, due_at, attempts, outcome)
             SELECT 1700000000000000 + n, 1700000000000000 + n, 'webhook', {event_type}, {subject_id},
                    randomblob(16), 'pending', 1700000000000000 + n, 0, 'success' FROM number;
             INSERT INTO content (id, headers, body)
             SELECT id, '[]', x'7b7d' FROM delivery WHERE id < 1790000000000000;
             COMMIT;"
        ))
        .unwrap();
}

/// A server of its own for a test.
#[cfg(feature = "jetstream")]
pub(crate) fn server(program: xtask_nats::Program) -> xtask_nats::Server {
    xtask_nats::Server::start(program, &xtask_nats::Options::new()).unwrap()
}

/// The inbox on a server.
#[cfg(feature = "jetstream")]
pub(crate) async fn on_server(
    server: &xtask_nats::Server,
) -> heygen_inbox::jetstream::JetStreamInbox {
    use heygen_inbox::jetstream::{JetStreamInbox, JetStreamOptions};
    let address = format!("{}/HEYGEN", server.url()).parse().unwrap();
    JetStreamInbox::open(&address, JetStreamOptions::default())
        .await
        .unwrap()
}

/// An inbox of its own on a server that all share who run at the same time: to start one takes longer than most tests.
#[cfg(feature = "jetstream")]
pub(crate) async fn on_shared_server(
    program: xtask_nats::Program,
) -> (
    heygen_inbox::jetstream::JetStreamInbox,
    std::sync::Arc<xtask_nats::Server>,
) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex, PoisonError, Weak};

    use heygen_inbox::jetstream::{JetStreamInbox, JetStreamOptions};
    use xtask_nats::{Options, Server};

    static SERVERS: [Mutex<Weak<Server>>; 2] = [const { Mutex::new(Weak::new()) }; 2];
    static INBOXES: AtomicUsize = AtomicUsize::new(0);
    let server = {
        let shared = SERVERS[program as usize].lock();
        let mut shared = shared.unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let options = Options::new().sync_interval("2m");
            let server = Arc::new(Server::start(program, &options).unwrap());
            *shared = Arc::downgrade(&server);
            server
        })
    };
    let number = INBOXES.fetch_add(1, Ordering::Relaxed);
    let address = format!("{}/HEYGEN_{number}", server.url());
    let mut options = JetStreamOptions::default();
    options.streams.subject_prefix = format!("heygen-{number}");
    let inbox = JetStreamInbox::open(&address.parse().unwrap(), options).await;
    (inbox.unwrap(), server)
}

/// Waits until it is so.
#[cfg(any(feature = "sqlite", feature = "jetstream"))]
pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    use std::time::Duration;
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    assert!(waited.is_ok(), "it never came to be");
}

/// Polls a future once, and drops it.
pub(crate) async fn poll_once_and_drop<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        value = future => Some(value),
        () = std::future::ready(()) => None,
    }
}
