//! [`Reply`]: an answer before it becomes HTTP, and [`ReplyBody`], which can break off.

use std::{
    io, mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, InvalidHeaderValue},
};
use hyper::body::{Body, Frame, SizeHint};
use serde::Serialize;

use crate::{builder::random, json, request::JSON};

/// An answer of the sandbox; it can be kept and given again.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Reply {
    /// 200 with a body.
    pub(super) fn ok(body: &impl Serialize) -> Self {
        Self::json(StatusCode::OK, body)
    }

    #[expect(
        clippy::expect_used,
        reason = "our answers have text for keys, and memory takes every write"
    )]
    pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("an answer can be written");
        Self {
            status,
            headers: vec![(CONTENT_TYPE, JSON)],
            body: body.into(),
        }
    }

    /// 200 with a body that has a space behind `:` and `,`.
    pub(super) fn spaced(body: &impl Serialize) -> Self {
        Self {
            status: StatusCode::OK,
            headers: vec![(CONTENT_TYPE, JSON)],
            body: json::spaced(body),
        }
    }

    /// A status and nothing else, as gateways answer.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// With another body, which need not be JSON and has no content type.
    #[must_use]
    pub(super) fn with_text(mut self, body: String) -> Self {
        self.headers.retain(|(name, _)| name != CONTENT_TYPE);
        self.body = body.into();
        self
    }

    /// The same body, said to be plain text.
    #[must_use]
    pub(super) fn into_text(mut self) -> Self {
        self.headers.retain(|(name, _)| name != CONTENT_TYPE);
        self.header(CONTENT_TYPE, "text/plain")
    }

    #[must_use]
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        let value: Result<HeaderValue, InvalidHeaderValue> = value.parse();
        self.headers.extend(value.ok().map(|value| (name, value)));
        self
    }

    /// As HTTP, with an id of its own, whole or cut off after the first half of the body.
    pub(super) fn into_response(self, cut_off: bool) -> Response<ReplyBody> {
        let length = self.body.len();
        let kept = if cut_off {
            self.body.slice(..length / 2)
        } else {
            self.body
        };
        let body = ReplyBody {
            remaining: length as u64,
            step: Step::Send(kept, cut_off),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        let id = format!("{:016x}{:016x}", random(), random());
        if let Ok(id) = id.parse() {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct ReplyBody {
    /// What is still promised to the client.
    remaining: u64,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// The bytes to send, and whether the connection breaks behind them.
    Send(Bytes, bool),
    /// Lets the server write what it has before the break; without that the client would not see a body at all.
    Flush,
    Break,
    End,
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match mem::replace(&mut self.step, Step::End) {
            Step::Send(bytes, breaks) => {
                self.step = if breaks { Step::Flush } else { Step::End };
                self.remaining -= bytes.len() as u64;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Step::Flush => {
                self.step = Step::Break;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Step::Break => Poll::Ready(Some(Err(io::Error::other("cut off")))),
            Step::End => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.step {
            Step::Send(bytes, breaks) => bytes.is_empty() && !breaks,
            Step::Flush | Step::Break => false,
            Step::End => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

/// HeyGen's own command line reads it from answers.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
