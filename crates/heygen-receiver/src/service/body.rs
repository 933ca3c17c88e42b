//! Reading a body whole: bounded, timed, and within what memory allows over all requests.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt as _;

use crate::{Limits, Rejection};

/// Refuses a body that says it is too long, before a byte of it is read.
pub(super) fn check_declared_len(body: &impl Body, limits: &Limits) -> Result<(), Rejection> {
    if body.size_hint().lower() > limits.max_body_bytes as u64 {
        return Err(Rejection::BodyTooLarge);
    }
    Ok(())
}

/// Reads the body; what it holds in memory is on `share`.
pub(super) async fn read<B>(body: B, limits: &Limits, share: &mut Share) -> Result<Bytes, Rejection>
where
    B: Body<Data = Bytes>,
{
    tokio::time::timeout(
        limits.body_time,
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
    // What is declared was checked, and is not trusted with memory beforehand.
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(0);
    let mut whole = BytesMut::with_capacity(declared.min(FIRST_BYTES));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Rejection::BodyBroken)?;
        // Trailers carry nothing that we use.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if whole.len() + data.len() > max_bytes {
            return Err(Rejection::BodyTooLarge);
        }
        share.take(data.len())?;
        // Copied, also when it came in one piece: the piece lies in the connection's buffer, many times its size, which would
        // be held for as long as the body waits, uncounted, and have to be made anew for the next request.
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// How many bytes of bodies may be in memory at a time.
#[derive(Debug)]
pub(super) struct Budget {
    left: Arc<AtomicUsize>,
}

/// What one request holds of the budget; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    left: Arc<AtomicUsize>,
    held: usize,
}

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            left: Arc::new(AtomicUsize::new(bytes)),
        }
    }

    pub(super) fn share(&self) -> Share {
        Share {
            left: Arc::clone(&self.left),
            held: 0,
        }
    }
}

impl Share {
    fn take(&mut self, bytes: usize) -> Result<(), Rejection> {
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            })
            .map_err(|_| Rejection::Overloaded)?;
        self.held += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.left.fetch_add(self.held, Ordering::Relaxed);
    }
}

/// More is made room for as it comes.
const FIRST_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::Frame;

    use super::*;

    #[tokio::test]
    async fn a_body_at_the_limit_is_read_and_one_byte_over_is_not() {
        let budget = Budget::new(1000);
        let limits = Limits {
            max_body_bytes: 10,
            ..Limits::default()
        };
        for (len, expected) in [(0, Ok(0)), (10, Ok(10)), (11, Err(Rejection::BodyTooLarge))] {
            let body = http_body_util::Full::new(Bytes::from(vec![b'x'; len]));
            let read = read(body, &limits, &mut budget.share()).await;
            assert_eq!(read.map(|body| body.len()), expected);
        }
        assert_eq!(
            budget.left.load(Ordering::Relaxed),
            1000,
            "everything was given back"
        );
    }

    #[tokio::test]
    async fn bodies_share_one_budget() {
        let budget = Budget::new(15);
        let limits = Limits::default();
        let body = || http_body_util::Full::new(Bytes::from_static(b"0123456789"));
        let mut first = budget.share();
        assert!(read(body(), &limits, &mut first).await.is_ok());
        assert_eq!(
            read(body(), &limits, &mut budget.share()).await,
            Err(Rejection::Overloaded)
        );
        drop(first);
        assert!(read(body(), &limits, &mut budget.share()).await.is_ok());
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
    async fn pieces_come_together_in_order() {
        let body = Pieces(["", "ab", "", "c", "def"].map(Bytes::from).into());
        let whole = read(body, &Limits::default(), &mut Budget::new(10).share()).await;
        assert_eq!(whole, Ok(Bytes::from("abcdef")));
    }

    #[tokio::test]
    async fn what_is_read_holds_no_more_memory_than_it_is_counted_with() {
        let buffer = Bytes::from(vec![b'x'; 8192]);
        let body = http_body_util::Full::new(buffer.slice(100..200));
        let read = read(body, &Limits::default(), &mut Budget::new(100).share()).await;
        assert_eq!(read.map(|body| body.len()), Ok(100));
        assert!(buffer.is_unique(), "nobody else holds the buffer");
    }
}
