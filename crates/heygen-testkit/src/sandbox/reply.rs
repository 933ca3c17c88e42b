//! Answers of the sandbox, and truncated answers.

use axum::{
    body::{Body, to_bytes},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::CONTENT_TYPE};
use serde::Serialize;

use crate::{
    json,
    request::JSON,
    sender::{OutgoingBody, Pace},
};

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
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    Response::from_parts(head, Body::new(OutgoingBody::new(body, Pace::Truncated)))
}
