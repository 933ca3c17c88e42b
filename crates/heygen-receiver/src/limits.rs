//! [`Limits`]: how much a receiver takes on, and for how long.

use std::time::Duration;

/// How much a receiver takes on, and for how long. The defaults suit one machine on the open internet.
///
/// # Examples
///
/// ```
/// use heygen_receiver::Limits;
///
/// let mut limits = Limits::default();
/// limits.max_body_bytes = 256 * 1024;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The longest body taken; more is answered 413. Default: 1 MiB.
    pub max_body_bytes: usize,
    /// How long a client may take for a request's header, from the first byte; for the first one, from connecting.
    /// Default: 5 s.
    pub header_timeout: Duration,
    /// How long a client may take for a request's body; after that 408. Default: 10 s.
    pub body_timeout: Duration,
    /// How long the inbox may take to keep a delivery; after that 503. HeyGen itself waits 10 s for an answer. Default: 8 s.
    pub commit_timeout: Duration,
    /// How many connections are served at a time. A tenth more, at least 16, is answered, but only as far as probes go:
    /// their posts get 503. For one beyond that the slowest connection is closed: one in the middle of a header, or without a
    /// request for longer than [`header_timeout`](Self::header_timeout); where there is none, the new one. Default: 10,000.
    pub max_connections: usize,
    /// How long a connection may stay open without a request. Default: 75 s, longer than load balancers keep theirs (60 s is
    /// common): who closes last never closes under a request.
    pub keep_alive: Duration,
    /// How many bytes of headers and bodies are in memory at a time, over all connections; more is answered 503. The first
    /// 20 KiB of each request, 16 of its body and 4 of its headers, come out of a reserve of so many for each of
    /// [`max_connections`](Self::max_connections). Default: 64 MiB.
    pub max_buffered_bytes: usize,
    /// What `Retry-After` says with a 503. Default: 10 s.
    pub retry_after: Duration,
    /// How long requests under way may take to end once the server is to stop. Default: 20 s.
    pub shutdown_timeout: Duration,
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
