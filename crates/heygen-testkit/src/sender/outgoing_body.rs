//! [`OutgoingBody`]: the body of a request or an answer, sent whole, slowly, or not to its end.

use std::{
    io, mem,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// How a body is sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Pace {
    #[default]
    Whole,
    /// The first half, and after this time the second.
    Slow(Duration),
    /// The first half, and then the connection is closed.
    Truncated,
}

/// Always announced in full by `Content-Length`.
#[derive(Debug)]
pub(crate) struct OutgoingBody {
    len: u64,
    next: Next,
}

#[derive(Debug)]
enum Next {
    Whole(Bytes),
    First(Bytes, Rest),
    Rest(Rest),
    End,
}

#[derive(Debug)]
enum Rest {
    After(Pin<Box<Sleep>>, Bytes),
    /// Lets the connection write the first half before it breaks.
    Flush,
    Break,
}

impl OutgoingBody {
    pub(crate) fn new(mut body: Bytes, pace: Pace) -> Self {
        let len = u64::try_from(body.len()).unwrap_or(u64::MAX);
        let half = body.len() / 2;
        let next = match pace {
            Pace::Whole => Next::Whole(body),
            Pace::Slow(time) => {
                let first = body.split_to(half);
                Next::First(first, Rest::After(Box::pin(sleep(time)), body))
            }
            Pace::Truncated => Next::First(body.split_to(half), Rest::Flush),
        };
        Self { len, next }
    }
}

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match mem::replace(&mut self.next, Next::End) {
            Next::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Next::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Next::First(bytes, rest) => {
                self.next = Next::Rest(rest);
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Next::Rest(Rest::After(mut pause, bytes)) => {
                if pause.as_mut().poll(context).is_pending() {
                    self.next = Next::Rest(Rest::After(pause, bytes));
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Next::Rest(Rest::Flush) => {
                self.next = Next::Rest(Rest::Break);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Next::Rest(Rest::Break) => {
                let error = io::Error::other("truncated on purpose");
                Poll::Ready(Some(Err(error)))
            }
            Next::End => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.next {
            Next::Whole(bytes) => bytes.is_empty(),
            Next::End => true,
            Next::First(..) | Next::Rest(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len)
    }
}
