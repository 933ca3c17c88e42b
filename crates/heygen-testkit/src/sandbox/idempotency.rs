//! `Idempotency-Key`: a repeated request gets the answer of the first one.

use std::{sync::Arc, time::Duration};

use axum::{
    body::to_bytes,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{answers::Scope, api_error::ApiError, operation::Operation, shared::Shared};

/// Carries an operation out once per key.
pub(super) async fn once(
    State((shared, operation)): State<(Arc<Shared>, Operation)>,
    request: Request,
    next: Next,
) -> Response {
    let Some(key) = request.headers().get(HEADER) else {
        return next.run(request).await;
    };
    // A key that is not text is invalid too.
    let key = key.to_str().unwrap_or_default().to_owned();
    if !is_valid(&key) {
        let message = "Idempotency-Key must be 1 to 255 letters, digits, '_', '-', ':' or '.'.";
        return ApiError::invalid(HEADER, message).into_response();
    }
    let (head, body) = request.into_parts();
    // The gate has read it.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let scope = (head.uri.path().to_owned(), key);
    let before = shared.state().answers.begin(&scope, &body);
    match before {
        Err(error) => return error.into_response(),
        Ok(Some((answer, same_body))) => {
            if !same_body {
                shared.note(format!(
                    "{operation} was repeated under its Idempotency-Key with another body"
                ));
            }
            return answer.into_response();
        }
        Ok(None) => {}
    }
    // However the request ends, even if the client disconnects, the key must not stay in flight.
    let begun = Begun {
        shared: &shared,
        scope,
    };
    let request = Request::from_parts(head, body.clone().into());
    let response = next.run(request).await;
    if response.extensions().get::<ApiError>().is_some() {
        return response;
    }
    let (head, answer) = response.into_parts();
    let answer = to_bytes(answer, usize::MAX).await.unwrap_or_default();
    let answer = (head.status, head.headers, answer);
    let lifetime = shared.settings.scaled(LIFETIME);
    let mut state = shared.state();
    let answers = &mut state.answers;
    answers.finish(begun.scope.clone(), answer.clone(), body, lifetime);
    drop(state);
    answer.into_response()
}

struct Begun<'a> {
    shared: &'a Shared,
    scope: Scope,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.shared.state().answers.abandon(&self.scope);
    }
}

fn is_valid(key: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-:.".contains(&byte);
    (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(allowed)
}

const HEADER: &str = "Idempotency-Key";
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_KEY_BYTES: usize = 255;
