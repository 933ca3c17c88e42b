//! [`RingOptions`], and the [`Room`] that they leave.

use std::time::Duration;

/// How much a [`RejectedRing`](super::RejectedRing) holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RingOptions {
    /// How many posts. Default: 1,000.
    pub max_posts: usize,
    /// How many bytes; a post counts with whole pages of 4 KiB. The file's write-ahead log comes on top, with a few MiB.
    /// Default: 64 MiB.
    pub max_bytes: u64,
    /// How many posts may wait to be written. Default: 512.
    pub queue_capacity: usize,
    /// How many bytes of bodies may wait to be written. Default: 8 MiB.
    pub queue_bytes: usize,
    /// How long to wait at least between two commits, so that a flood costs the disk little. Default: 100 ms.
    pub commit_pause: Duration,
    /// How long to wait for a lock that another program holds on the file. Default: 5 s.
    pub lock_timeout: Duration,
}

/// How much there may be, or how much there is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Room {
    pub(super) posts: u64,
    pub(super) bytes: u64,
}

impl Room {
    pub(super) fn new(posts: u64, bytes: u64) -> Self {
        Self { posts, bytes }
    }

    /// A quarter is for what carries no well-formed signature, the rest for what does. Neither kind displaces the other.
    pub(super) fn shares(self) -> [Self; 2] {
        let unsigned = Self::new(self.posts / 4, self.bytes / 4);
        let signed = Self::new(self.posts - unsigned.posts, self.bytes - unsigned.bytes);
        [unsigned, signed]
    }
}

impl Default for RingOptions {
    fn default() -> Self {
        Self {
            max_posts: 1000,
            max_bytes: 64 * 1024 * 1024,
            queue_capacity: 512,
            queue_bytes: 8 * 1024 * 1024,
            commit_pause: Duration::from_millis(100),
            lock_timeout: Duration::from_secs(5),
        }
    }
}
