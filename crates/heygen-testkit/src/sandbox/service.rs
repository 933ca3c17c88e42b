//! One request in, one answer out.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{
    HeaderMap, Request, Response, StatusCode,
    header::{ALLOW, AUTHORIZATION},
    request,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{
    idempotency,
    input::{Call, Query},
    operation::Operation,
    refusal::{Api, Refusal, nothing_here},
    reply::{Reply, ReplyBody},
    route::{Found, Route, find},
    shared::Shared,
    v1, v3,
};

/// Answers whatever comes.
pub(super) async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Infallible> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let (route, id) = match find(&head.method, path) {
        Found::Route(route, id) => (route, id.unwrap_or_default()),
        Found::OtherMethod(allowed) => {
            let reply = Reply::empty(StatusCode::METHOD_NOT_ALLOWED).header(ALLOW, &allowed);
            return Ok(reply.into_response(false));
        }
        Found::Nothing => return Ok(nothing_here(path).into_response(false)),
    };
    let read = read(&head, id, body).await;
    let (reply, cut_off) = match route {
        Route::Api(operation) => api(&shared, operation, &head.headers, read).await,
        Route::Control(control) => match read {
            Ok(call) => (control.answer(&shared, &call).await, false),
            Err(refusal) => (refusal.reply(Api::V3), false),
        },
    };
    Ok(reply.into_response(cut_off))
}

async fn read(head: &request::Parts, id: &str, body: Incoming) -> Result<Call, Refusal> {
    let whole = Limited::new(body, MAX_BODY_BYTES).collect();
    let Ok(body) = timeout(BODY_TIMEOUT, whole).await else {
        let message = "The request body did not come in time.".to_owned();
        return Err(Refusal::Invalid(None, message));
    };
    let body = match body {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(Refusal::TooLarge),
        // Most likely nobody is there to read this; what matters is that nothing is carried out.
        Err(_) => {
            let message = "The request body broke off.".to_owned();
            return Err(Refusal::Invalid(None, message));
        }
    };
    let key = head.headers.get(idempotency::HEADER);
    Ok(Call {
        id: id.to_owned(),
        query: Query::read(head.uri.query().unwrap_or_default()),
        body,
        idempotency_key: key.map(|key| key.to_str().unwrap_or_default().to_owned()),
    })
}

/// The answer of an operation, and whether it is cut off.
async fn api(
    shared: &Arc<Shared>,
    operation: Operation,
    headers: &HeaderMap,
    call: Result<Call, Refusal>,
) -> (Reply, bool) {
    let api = Api::from(operation);
    if let Err(refusal) = authorize(shared, operation, headers) {
        return (refusal.reply(api), false);
    }
    let fault = {
        let mut state = shared.state();
        let faults = &mut state.misbehaviour.faults;
        let fault = faults
            .iter_mut()
            .find_map(|fault| fault.takes(operation).then(|| fault.clone()));
        fault.unwrap_or_default()
    };
    let reply = match (fault.refusal(api), call) {
        (Some(reply), _) => Ok(reply),
        (None, Ok(call)) => carry_out(shared, operation, &call).await,
        (None, Err(refusal)) => Err(refusal),
    };
    shared.pause(fault.delay()).await;
    let reply = reply.unwrap_or_else(|refusal| {
        if let Some(reason) = refusal.undisclosed(api) {
            shared.note(format!("{operation}: {reason}"));
        }
        refusal.reply_to(operation)
    });
    (reply, fault.cuts_off())
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

async fn carry_out(
    shared: &Arc<Shared>,
    operation: Operation,
    call: &Call,
) -> Result<Reply, Refusal> {
    match operation {
        Operation::V1Add => v1::add(shared, call).await,
        Operation::V1List => Ok(v1::list(shared)),
        Operation::V1Update => v1::update(shared, call).await,
        Operation::V1Delete => v1::delete(shared, call),
        Operation::V1EventTypes => Ok(v1::event_types()),
        Operation::Create => v3::create(shared, call).await,
        Operation::List => v3::list(shared, call),
        Operation::Update => v3::update(shared, call).await,
        Operation::Delete => v3::delete(shared, call),
        Operation::RotateSecret => v3::rotate_secret(shared, call).await,
        Operation::EventTypes => Ok(v3::event_types()),
        Operation::Events => v3::events(shared, call),
    }
}

/// As long as the sandbox lets a receiver take for an answer.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// More than any documented body needs.
const MAX_BODY_BYTES: usize = 1024 * 1024;
