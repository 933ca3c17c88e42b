//! The layer in front of every API operation: the API key, faults, and errors in the format of the
//! version.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header::AUTHORIZATION};

use super::{
    api_error::{Api, ApiError},
    input,
    operation::Operation,
    reply,
    shared::Shared,
};

pub(super) async fn pass(
    State((shared, operation)): State<(Arc<Shared>, Operation)>,
    request: Request,
    next: Next,
) -> Response {
    let api = Api::from(operation);
    let (head, body) = request.into_parts();
    let body = input::read_body(body).await;
    if let Err(error) = authorize(&shared, operation, &head.headers) {
        return error.reply_to(operation);
    }
    let fault = shared.state().misbehaviour.take_fault(operation);
    let fault = fault.unwrap_or_default();
    let mut response = match (fault.error_response(api), body) {
        (Some(response), _) => response,
        (None, Ok(body)) => next.run(Request::from_parts(head, body.into())).await,
        (None, Err(error)) => error.into_response(),
    };
    shared.pause(fault.delay()).await;
    if let Some(error) = response.extensions().get::<ApiError>() {
        if let Some(reason) = error.undisclosed(api) {
            shared.note(format!("{operation}: {reason}"));
        }
        response = error.reply_to(operation);
    }
    if fault.cuts_off() {
        reply::cut_off(response).await
    } else {
        response
    }
}

/// Accepts an API key or a bearer token.
///
/// # Source
///
/// Both headers are documented for v3, `X-Api-Key` alone for v1. What HeyGen does with both is not
/// documented, and its own client never sends both: the sandbox accepts the request if one of them
/// is valid, and adds a note.
fn authorize(shared: &Shared, operation: Operation, headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let key = text("x-api-key");
    let token = text(AUTHORIZATION.as_str()).and_then(bearer);
    if key.is_some() && token.is_some() {
        shared.note(format!(
            "{operation} came with X-Api-Key and Authorization; HeyGen's own client sends one of them"
        ));
    }
    let is_valid = |given: &str| match &shared.settings.api_key {
        Some(expected) => given == expected,
        None => !given.trim().is_empty(),
    };
    let mut given = [key, token].into_iter().flatten();
    if given.any(is_valid) {
        Ok(())
    } else {
        Err(ApiError::Unauthorized)
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
