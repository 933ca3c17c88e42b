//! Reads a body to its end: bounded in size, time and memory over all requests.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt as _;

use crate::limits::Limits;
use crate::rejection::Rejection;

/// Rejects a body whose declared length is too long, before a byte of it is read.
pub(super) fn check_declared_len(body: &impl Body, limits: &Limits) -> Result<(), Rejection> {
    if body.size_hint().lower() > limits.max_body_bytes as u64 {
        return Err(Rejection::BodyTooLarge);
    }
    Ok(())
}

/// Reads the body; its memory is taken from `share`.
pub(super) async fn read<B>(body: B, limits: &Limits, share: &mut Share) -> Result<Bytes, Rejection>
where
    B: Body<Data = Bytes>,
{
    tokio::time::timeout(
        limits.body_timeout,
        collect(body, limits.max_body_bytes, share),
    )
    .await
    .map_err(|_| Rejection::BodyTooSlow)?
}

async fn collect<B>(body: B, max_bytes: usize, share: &mut Share) -> Result<Bytes, Rejection>
where
    B: Body<Data = Bytes>,
{
    let mut body = pin!(body);
    // The declared length was checked, but is not allocated in advance.
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(0);
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Rejection::BodyBroken)?;
        // Trailers are not used.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if whole.len() + data.len() > max_bytes {
            return Err(Rejection::BodyTooLarge);
        }
        share.take(data.len())?;
        if whole.is_empty() {
            whole.reserve(declared.min(FIRST_BYTES));
        }
        // Copied, also when it arrives in one piece: the piece borrows the connection's buffer,
        // many times its size, which would be held uncounted while the body waits, and allocated
        // again for the next request.
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// How many bytes of headers and bodies may be in memory at a time.
///
/// The first bytes of each request are taken from a reserve for every connection, so that large
/// bodies leave room for the small ones that HeyGen sends.
#[derive(Debug)]
pub(super) struct Budget {
    pools: Arc<Pools>,
}

#[derive(Debug)]
struct Pools {
    shared: AtomicUsize,
    reserve: AtomicUsize,
}

/// What one request uses of the budget; returned when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    pools: Arc<Pools>,
    shared: usize,
    reserved: usize,
}

impl Budget {
    pub(super) fn new(bytes: usize, max_connections: usize) -> Self {
        Self {
            pools: Arc::new(Pools {
                shared: AtomicUsize::new(bytes),
                reserve: AtomicUsize::new(RESERVED_BYTES.saturating_mul(max_connections)),
            }),
        }
    }

    pub(super) fn share(&self) -> Share {
        Share {
            pools: Arc::clone(&self.pools),
            shared: 0,
            reserved: 0,
        }
    }
}

impl Share {
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Rejection> {
        let reserved = take_up_to(
            &self.pools.reserve,
            bytes.min(RESERVED_BYTES - self.reserved),
        );
        self.reserved += reserved;
        let rest = bytes - reserved;
        self.pools
            .shared
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(rest)
            })
            .map_err(|_| Rejection::Overloaded)?;
        self.shared += rest;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.pools.shared.fetch_add(self.shared, Ordering::Relaxed);
        self.pools
            .reserve
            .fetch_add(self.reserved, Ordering::Relaxed);
    }
}

fn take_up_to(pool: &AtomicUsize, wanted: usize) -> usize {
    let taken = pool.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
        Some(left.saturating_sub(wanted))
    });
    taken.map_or(0, |left| left.min(wanted))
}

/// For each request 16 KiB of body and 4 KiB of headers, more than HeyGen and a proxy or two send.
const RESERVED_BYTES: usize = (16 + 4) * 1024;

/// The initial capacity; more is allocated as data arrives, since a declared length may never be
/// sent.
const FIRST_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::Frame;

    use super::*;

    #[tokio::test]
    async fn body_at_the_limit_is_read_and_one_byte_over_is_not() {
        let budget = Budget::new(1000, 1);
        let limits = Limits {
            max_body_bytes: 10,
            ..Limits::default()
        };
        for (len, expected) in [(0, Ok(0)), (10, Ok(10)), (11, Err(Rejection::BodyTooLarge))] {
            let body = http_body_util::Full::new(Bytes::from(vec![b'x'; len]));
            let read = read(body, &limits, &mut budget.share()).await;
            assert_eq!(read.map(|body| body.len()), expected);
        }
        let left = |pool: &AtomicUsize| pool.load(Ordering::Relaxed);
        assert_eq!(left(&budget.pools.shared), 1000, "all was returned");
        assert_eq!(left(&budget.pools.reserve), RESERVED_BYTES);
    }

    #[tokio::test]
    async fn small_bodies_pass_while_large_ones_use_the_budget() {
        let limits = Limits::default();
        let body = |len| http_body_util::Full::new(Bytes::from(vec![b'x'; len]));
        let budget = Budget::new(50_000, 2);
        let mut greedy = budget.share();
        let whole = body(50_000 + RESERVED_BYTES);
        assert!(read(whole, &limits, &mut greedy).await.is_ok());
        let (mut small, mut other) = (budget.share(), budget.share());
        assert!(read(body(16 * 1024), &limits, &mut small).await.is_ok());
        assert_eq!(
            read(body(RESERVED_BYTES + 1), &limits, &mut other).await,
            Err(Rejection::Overloaded),
            "beyond the reserve there is nothing left"
        );
        assert!(read(body(700), &limits, &mut budget.share()).await.is_err());
        drop(other);
        assert!(read(body(700), &limits, &mut budget.share()).await.is_ok());
    }

    struct Pieces(VecDeque<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    #[tokio::test]
    async fn pieces_are_joined_in_order() {
        let body = Pieces(["", "ab", "", "c", "def"].map(Bytes::from).into());
        let whole = read(body, &Limits::default(), &mut Budget::new(10, 0).share()).await;
        assert_eq!(whole, Ok(Bytes::from("abcdef")));
    }

    #[tokio::test]
    async fn read_body_holds_no_more_memory_than_is_counted() {
        let buffer = Bytes::from(vec![b'x'; 8192]);
        let body = http_body_util::Full::new(buffer.slice(100..200));
        let read = read(body, &Limits::default(), &mut Budget::new(100, 0).share()).await;
        assert_eq!(read.map(|body| body.len()), Ok(100));
        assert!(buffer.is_unique(), "the buffer was released");
    }
}
