//! The routes: the handler of each operation, and the layers in front of it.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    middleware,
    response::Response,
    routing::{MethodRouter, delete, get, patch, post},
};
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header::ALLOW};

use super::{
    api_error::not_found,
    callers, clock, control, gate, idempotency,
    job::Kind,
    jobs::{self, status},
    media,
    operation::Operation,
    reply::data,
    shared::Shared,
    v1, v3,
};

/// The router of all operations.
pub(super) fn router(shared: &Arc<Shared>) -> Router {
    let api = Operation::ALL
        .iter()
        .fold(Router::new(), |router, &operation| {
            let gate = middleware::from_fn_with_state((shared.clone(), operation), gate::pass);
            router.route(
                operation.path(),
                handler(shared, operation).route_layer(gate),
            )
        });
    let routes = api
        .merge(control::routes())
        .route(media::ROUTE, get(media::file))
        .fallback(no_such_path)
        .with_state(shared.clone());
    // Around the whole router: it sets `Allow` outside its own layers.
    Router::new()
        .fallback_service(routes)
        .layer(middleware::from_fn_with_state(
            shared.clone(),
            callers::admit,
        ))
        .layer(middleware::map_response(finish))
        .layer(middleware::map_request(without_head))
}

/// Says in a note what may have been meant: HeyGen's own answer does not.
async fn no_such_path(State(shared): State<Arc<Shared>>, method: Method, uri: Uri) -> Response {
    let path: String = uri.path().chars().take(MAX_NOTED_CHARS).collect();
    let hint = Operation::hint(method.as_str(), &path);
    shared.note(format!("{method} {path}: {hint}"));
    not_found(uri.path())
}

const MAX_NOTED_CHARS: usize = 200;

/// The router would answer HEAD like GET. HeyGen's API is not known to have HEAD.
async fn without_head(mut request: Request) -> Request {
    if request.method() == Method::HEAD {
        *request.method_mut() = Method::TRACE;
    }
    request
}

fn handler(shared: &Arc<Shared>, operation: Operation) -> MethodRouter<Arc<Shared>> {
    let once = middleware::from_fn_with_state((shared.clone(), operation), idempotency::once);
    match operation {
        Operation::V1Add => post(v1::add),
        Operation::V1List => get(v1::list),
        Operation::V1Update => patch(v1::update),
        Operation::V1Delete => delete(v1::delete),
        Operation::V1EventTypes => get(v1::event_types),
        Operation::Create => post(v3::create).route_layer(once),
        Operation::List => get(v3::list),
        Operation::Update => patch(v3::update),
        Operation::Delete => delete(v3::delete),
        Operation::RotateSecret => post(v3::rotate_secret).route_layer(once),
        Operation::EventTypes => get(v3::event_types),
        Operation::Events => get(v3::events),
        Operation::V2CreateVideo => post(jobs::v2_video),
        Operation::V2CreateTemplateVideo => post(jobs::v2_template),
        Operation::V1VideoStatus => get(jobs::v1_video_status),
        Operation::V2CreateTranslation => post(jobs::v2_translation),
        Operation::V2TranslationStatus => get(status(&[Kind::Translation], |job, media| {
            jobs::v2(&job.v2_translation(media))
        })),
        Operation::CreateVideo => post(jobs::v3_video).route_layer(once),
        Operation::CreateTemplateVideo => post(jobs::v3_template).route_layer(once),
        Operation::VideoStatus => get(status(&[Kind::Video, Kind::Agent], |job, media| {
            data(job.v3_video(media))
        })),
        Operation::CreateVideoAgent => post(jobs::v3_agent).route_layer(once),
        Operation::VideoAgentStatus => get(jobs::v3_agent_status),
        Operation::CreateTranslation => post(jobs::v3_translation).route_layer(once),
        Operation::TranslationStatus => get(status(&[Kind::Translation], |job, media| {
            data(job.v3_translation(media))
        })),
        Operation::CreateAiClipping => post(jobs::v3_clipping).route_layer(once),
        Operation::AiClippingStatus => get(status(&[Kind::Clipping], |job, media| {
            data(job.resource(media))
        })),
        Operation::CreateRender => post(jobs::v3_render).route_layer(once),
        Operation::RenderStatus => get(status(&[Kind::Render], |job, media| {
            data(job.resource(media))
        })),
    }
}

/// Adds an id to every answer, and removes HEAD from `Allow`: HeyGen's API has no such operation.
async fn finish(mut response: Response) -> Response {
    let is_not_allowed = response.status() == StatusCode::METHOD_NOT_ALLOWED;
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(clock::new_id()) {
        headers.insert(REQUEST_ID, id);
    }
    let allowed = headers.get(ALLOW).filter(|_| is_not_allowed);
    if let Some(allowed) = allowed.and_then(|allowed| allowed.to_str().ok()) {
        let methods = allowed.split(',').filter(|method| *method != "HEAD");
        let methods = methods.collect::<Vec<_>>().join(", ");
        if let Ok(methods) = HeaderValue::try_from(methods) {
            headers.insert(ALLOW, methods);
        }
    }
    response
}

/// HeyGen's own command line reads it from answers.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
