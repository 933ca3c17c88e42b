//! [`SqliteOptions`].

use std::time::Duration;

use crate::setters::setters;

/// Options of an inbox; the defaults suit a server.
///
/// # Examples
///
/// ```
/// use heygen_inbox::sqlite::SqliteOptions;
///
/// let options = SqliteOptions::default().with_queue_capacity(1024);
/// assert_eq!(options.queue_capacity, 1024);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// How many appends may wait for the writer before more are rejected as busy. Default: 4,096.
    pub queue_capacity: usize,
    /// How many requests share one commit at most. Default: 1,024.
    pub batch_len: usize,
    /// How many fingerprints are held in memory before they are written to the deduplication index
    /// as one sorted run. Default: 524,288 (about 18 MiB).
    pub run_len: usize,
    /// How long to wait for a lock that another program holds on the file before a write fails.
    /// Default: 5 s.
    pub lock_timeout: Duration,
}

setters! {
    SqliteOptions {
        with_queue_capacity sets queue_capacity: usize;
        with_batch_len sets batch_len: usize;
        with_run_len sets run_len: usize;
        with_lock_timeout sets lock_timeout: Duration;
    }
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            queue_capacity: 4096,
            batch_len: 1024,
            run_len: 1 << 19,
            lock_timeout: Duration::from_secs(5),
        }
    }
}
