//! What every call of HeyGen's API passes: the key, faults on request, and the words of its version
//! for refusals.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header::AUTHORIZATION};

use super::{
    input,
    operation::Operation,
    refusal::{Api, Refusal},
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
    if let Err(refusal) = authorize(&shared, operation, &head.headers) {
        return refusal.reply_to(operation);
    }
    let fault = shared.state().misbehaviour.take_fault(operation);
    let fault = fault.unwrap_or_default();
    let mut response = match (fault.refusal(api), body) {
        (Some(response), _) => response,
        (None, Ok(body)) => next.run(Request::from_parts(head, body.into())).await,
        (None, Err(refusal)) => refusal.into_response(),
    };
    shared.pause(fault.delay()).await;
    if let Some(refusal) = response.extensions().get::<Refusal>() {
        if let Some(reason) = refusal.undisclosed(api) {
            shared.note(format!("{operation}: {reason}"));
        }
        response = refusal.reply_to(operation);
    }
    if fault.cuts_off() {
        reply::cut_off(response).await
    } else {
        response
    }
}

/// Takes either kind of key.
///
/// # Source
///
/// Both headers are documented for v3, `X-Api-Key` alone for v1. What HeyGen does with both is not documented, and its
/// own client never sends both: the sandbox accepts if one is right, and notes it.
fn authorize(shared: &Shared, operation: Operation, headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let key = text("x-api-key");
    let token = text(AUTHORIZATION.as_str()).and_then(bearer);
    if key.is_some() && token.is_some() {
        shared.note(format!(
            "{operation} came with X-Api-Key and Authorization; HeyGen's own client sends one of them"
        ));
    }
    let is_right = |given: &str| match &shared.settings.api_key {
        Some(expected) => given == expected,
        None => !given.trim().is_empty(),
    };
    let mut given = [key, token].into_iter().flatten();
    if given.any(is_right) {
        Ok(())
    } else {
        Err(Refusal::Unauthorized)
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
