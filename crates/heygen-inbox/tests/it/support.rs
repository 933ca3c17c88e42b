//! Deliveries to append, servers to keep them, and the answers taken apart.

pub(crate) use heygen_inbox::conformance::support::*;

/// A file to be made, in a folder of its own.
#[cfg(feature = "sqlite")]
pub(crate) fn file() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inbox.db");
    (folder, path)
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

/// Polls a future once, and drops it.
#[cfg(feature = "sqlite")]
pub(crate) async fn poll_once_and_drop<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        value = future => Some(value),
        () = std::future::ready(()) => None,
    }
}
