//! [`RingOptions`], and the [`Quota`] of each class of requests.

use std::time::Duration;

use crate::setters::setters;

/// Limits of a [`RejectedRing`](super::RejectedRing).
///
/// # Examples
///
/// ```
/// use heygen_inbox::sqlite::RingOptions;
///
/// let options = RingOptions::default().with_max_requests(100).with_max_bytes(1 << 20);
/// assert_eq!((options.max_requests, options.max_bytes), (100, 1 << 20));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RingOptions {
    /// How many requests the file holds. Default: 1,000.
    pub max_requests: usize,
    /// How many bytes the file holds; a request counts in whole pages of 4 KiB. The write-ahead log
    /// adds a few MiB. Default: 64 MiB.
    pub max_bytes: u64,
    /// The least pause between two commits, which limits the disk load of a flood. Default: 100 ms.
    pub commit_pause: Duration,
}

setters! {
    RingOptions {
        with_max_requests sets max_requests: usize;
        with_max_bytes sets max_bytes: u64;
        with_commit_pause sets commit_pause: Duration;
    }
}

/// A limit in requests and bytes, or how much of it is used.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Quota {
    pub(super) requests: u64,
    pub(super) bytes: u64,
}

impl Quota {
    pub(super) fn new(requests: u64, bytes: u64) -> Self {
        Self { requests, bytes }
    }

    /// A quarter for requests without a well-formed signature, the rest for those with one. Neither
    /// class evicts the other.
    pub(super) fn shares(self) -> [Self; 2] {
        let unsigned = Self::new(self.requests / 4, self.bytes / 4);
        let signed = Self::new(
            self.requests - unsigned.requests,
            self.bytes - unsigned.bytes,
        );
        [unsigned, signed]
    }
}

impl Default for RingOptions {
    fn default() -> Self {
        Self {
            max_requests: 1000,
            max_bytes: 64 * 1024 * 1024,
            commit_pause: Duration::from_millis(100),
        }
    }
}
