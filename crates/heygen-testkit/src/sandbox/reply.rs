//! Answers of the sandbox, and truncated answers.

use std::{
    io, mem,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, HttpBody, to_bytes},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{
    StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use hyper::body::Frame;
use serde::Serialize;

use crate::{json, request::JSON};

#[expect(
    clippy::expect_used,
    reason = "keys of answers are strings, and writing to memory cannot fail"
)]
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let body = serde_json::to_vec(body).expect("an answer can be written");
    (status, [(CONTENT_TYPE, JSON)], body).into_response()
}

/// 200 with a body that has a space after `:` and `,`.
pub(super) fn spaced(body: &impl Serialize) -> Response {
    ([(CONTENT_TYPE, JSON)], json::spaced(body)).into_response()
}

/// `{"data": …}`
pub(super) fn data(data: impl Serialize) -> Response {
    #[derive(Serialize)]
    struct Envelope<T> {
        data: T,
    }
    json(StatusCode::OK, &Envelope { data })
}

/// The same answer, but the connection breaks after half of the body.
pub(super) async fn cut_off(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    head.headers.insert(CONTENT_LENGTH, body.len().into());
    let half = body.slice(..body.len() / 2);
    Response::from_parts(head, Body::new(CutOff::Send(half)))
}

#[derive(Debug)]
enum CutOff {
    Send(Bytes),
    /// Lets the server write before the break. Otherwise the client would get no body at all.
    Flush,
    Break,
}

impl HttpBody for CutOff {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match mem::replace(&mut *self, Self::Break) {
            Self::Send(bytes) => {
                *self = Self::Flush;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Flush => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Self::Break => Poll::Ready(Some(Err(io::Error::other("cut off")))),
        }
    }
}
