//! [`Limits`]: bounds on size, time, connections and memory.

use std::time::Duration;

use crate::setters::setters;

/// Bounds on size, time, connections and memory. The defaults suit one machine on the open
/// internet.
///
/// # Examples
///
/// ```
/// use heygen_receiver::Limits;
///
/// let limits = Limits::default().with_max_body_bytes(256 * 1024);
/// assert_eq!(limits.max_body_bytes, 256 * 1024);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The maximum size of a body; larger ones are answered 413, as are those that exceed
    /// [`Inbox::max_body_bytes`](heygen_inbox::Inbox::max_body_bytes). Default: 1 MiB.
    pub max_body_bytes: usize,
    /// How long a client may take to send the headers of a request, from their first byte; for the
    /// first request, from connecting. Default: 5 s.
    pub header_timeout: Duration,
    /// How long a client may take to send the body of a request; after that 408. Default: 10 s.
    pub body_timeout: Duration,
    /// How long the inbox may take to store a delivery; after that 503. HeyGen itself waits 10 s
    /// for a response. Default: 8 s.
    pub commit_timeout: Duration,
    /// How many connections are served at a time. An extra 10 % (at least 16) is accepted for
    /// probes only; POSTs on them get 503. Each further connection closes the slowest one: one that
    /// is still sending headers, that has been idle for longer than
    /// [`header_timeout`](Self::header_timeout), or that is for probes only and has its answer. If
    /// there is none, the new connection is closed.
    /// Default: 10,000.
    pub max_connections: usize,
    /// How long a connection may be idle between requests. Default: 75 s, longer than load
    /// balancers keep theirs (60 s is common), so that a request never meets a connection that was
    /// just closed.
    pub keep_alive: Duration,
    /// How many bytes of headers and bodies may be in memory at a time, over all connections; more
    /// is answered 503. The first 20 KiB of each request (16 of body, 4 of headers) are taken from
    /// a separate reserve of 20 KiB for each of [`max_connections`](Self::max_connections).
    /// Default: 64 MiB.
    pub max_buffered_bytes: usize,
    /// The value of `Retry-After` with a 503. Default: 10 s.
    pub retry_after: Duration,
    /// How long requests in progress may take to end after shutdown began. Default: 20 s.
    pub shutdown_timeout: Duration,
}

setters! {
    Limits {
        with_max_body_bytes sets max_body_bytes: usize;
        with_header_timeout sets header_timeout: Duration;
        with_body_timeout sets body_timeout: Duration;
        with_commit_timeout sets commit_timeout: Duration;
        with_max_connections sets max_connections: usize;
        with_keep_alive sets keep_alive: Duration;
        with_max_buffered_bytes sets max_buffered_bytes: usize;
        with_retry_after sets retry_after: Duration;
        with_shutdown_timeout sets shutdown_timeout: Duration;
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 1024 * 1024,
            header_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(10),
            commit_timeout: Duration::from_secs(8),
            max_connections: 10_000,
            keep_alive: Duration::from_secs(75),
            max_buffered_bytes: 64 * 1024 * 1024,
            retry_after: Duration::from_secs(10),
            shutdown_timeout: Duration::from_secs(20),
        }
    }
}
