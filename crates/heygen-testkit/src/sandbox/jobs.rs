//! The routes that start jobs and report their state.
//!
//! # Source
//!
//! Paths, required fields and answers are documented by HeyGen's API reference and its command line,
//! generated from the OpenAPI text. Only the fields that come back later are read; all others are
//! accepted, except `test` in v3, which has no such field.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::{FromRequestParts, Path, Query, State},
    response::Response,
};
use bytes::Bytes;
use http::{StatusCode, header::HOST, request::Parts};
use serde_json::{Value, json};

use super::{
    api_error::{ApiError, ApiResult},
    clock,
    input::{self, Fields, Params},
    job::{Job, JobRequest, Kind, Stage},
    media::Media,
    reply::{self, data},
    shared::Shared,
};

type Sandbox = State<Arc<Shared>>;

pub(super) async fn v2_video(State(shared): Sandbox, media: Media, body: Bytes) -> ApiResult {
    let (_, request) = read(&body, &["video_inputs"])?;
    let id = shared.start_job(Kind::Video, request, &media).id;
    Ok(v2(&json!({"video_id": id})))
}

pub(super) async fn v2_template(State(shared): Sandbox, media: Media, body: Bytes) -> ApiResult {
    let (_, request) = read(&body, &[])?;
    let id = shared.start_job(Kind::Video, request, &media).id;
    Ok(v2(&json!({"video_id": id})))
}

pub(super) async fn v2_translation(State(shared): Sandbox, media: Media, body: Bytes) -> ApiResult {
    let (fields, mut request) = read(&body, &["video_url", OUTPUT_LANGUAGE])?;
    request.language = fields.text(OUTPUT_LANGUAGE)?;
    let id = shared.start_job(Kind::Translation, request, &media).id;
    Ok(v2(&json!({"video_translate_id": id})))
}

pub(super) async fn v3_video(State(shared): Sandbox, media: Media, body: Bytes) -> ApiResult {
    let (fields, request) = read_v3(&body, &[TYPE])?;
    let kind = fields.text(TYPE)?.unwrap_or_default();
    if !VIDEO_TYPES.contains(&kind.as_str()) {
        let message = "Input should be 'avatar', 'image', 'studio' or 'cinematic_avatar'";
        return Err(ApiError::invalid(TYPE, message));
    }
    if kind == "cinematic_avatar" {
        fields.refuse(CALLBACK_ID)?;
        fields.refuse(CALLBACK_URL)?;
    }
    let format = request.format.clone().unwrap_or_else(|| "mp4".to_owned());
    let id = shared.start_job(Kind::Video, request, &media).id;
    Ok(data(
        json!({"video_id": id, "status": "waiting", "output_format": format}),
    ))
}

pub(super) async fn v3_template(State(shared): Sandbox, media: Media, body: Bytes) -> ApiResult {
    let (_, request) = read_v3(&body, &["variables"])?;
    let job = shared.start_job(Kind::Video, request, &media);
    Ok(data(job.v3_video(&media)))
}

pub(super) async fn v3_agent(State(shared): Sandbox, media: Media, body: Bytes) -> ApiResult {
    let (fields, request) = read_v3(&body, &[PROMPT])?;
    let prompt = fields.text(PROMPT)?.unwrap_or_default();
    if !(1..=10_000).contains(&prompt.chars().count()) {
        return Err(ApiError::invalid(
            PROMPT,
            "prompt must have 1 to 10,000 characters.",
        ));
    }
    let job = shared.start_job(Kind::Agent, request, &media);
    Ok(data(json!({
        "session_id": job.id,
        "status": "generating",
        "video_id": null,
        "created_at": job.created_at,
    })))
}

pub(super) async fn v3_translation(State(shared): Sandbox, media: Media, body: Bytes) -> ApiResult {
    let (fields, request) = read_v3(&body, &["video", OUTPUT_LANGUAGES])?;
    let languages = fields.texts(OUTPUT_LANGUAGES)?;
    if languages.is_empty() {
        return Err(ApiError::invalid(
            OUTPUT_LANGUAGES,
            "output_languages is empty.",
        ));
    }
    let start = |language| {
        let request = JobRequest {
            language: Some(language),
            ..request.clone()
        };
        shared.start_job(Kind::Translation, request, &media).id
    };
    let ids: Vec<_> = languages.into_iter().map(start).collect();
    Ok(data(json!({"video_translation_ids": ids})))
}

pub(super) async fn v3_clipping(State(shared): Sandbox, media: Media, body: Bytes) -> ApiResult {
    let (_, request) = read_v3(&body, &["video"])?;
    let id = shared.start_job(Kind::Clipping, request, &media).id;
    Ok(accepted(&json!({"ai_clipping_id": id})))
}

pub(super) async fn v3_render(State(shared): Sandbox, media: Media, body: Bytes) -> ApiResult {
    let (fields, mut request) = read_v3(&body, &["project"])?;
    request.format = fields.text("format")?;
    let id = shared.start_job(Kind::Render, request, &media).id;
    Ok(accepted(&json!({"render_id": id})))
}

pub(super) async fn v1_video_status(
    State(shared): Sandbox,
    media: Media,
    Query(params): Query<Params>,
) -> ApiResult {
    let id = params.get(VIDEO_ID).filter(|id| !id.is_empty());
    let id = id.ok_or(ApiError::Missing(VIDEO_ID))?;
    let job = shared.job(&[Kind::Video, Kind::Agent], id)?;
    let shown = job.v1_video(&media);
    let body = json!({"code": 100, "data": shown, "message": "Success"});
    Ok(reply::json(StatusCode::OK, &body))
}

/// Shows a job of these kinds that its event names by the id in the path.
pub(super) fn status(
    kinds: &'static [Kind],
    show: fn(&Job, &Media) -> Response,
) -> impl Fn(Sandbox, Media, Path<String>) -> Ready<ApiResult> + Clone {
    move |State(shared), media, Path(id)| {
        let job = shared.job(kinds, &id);
        ready(job.map(|job| show(&job, &media)))
    }
}

pub(super) async fn v3_agent_status(State(shared): Sandbox, Path(id): Path<String>) -> ApiResult {
    let state = shared.state();
    let job = state.jobs.get(&id).filter(|job| job.kind == Kind::Agent);
    let job = job.ok_or_else(|| Kind::Agent.not_found(id.clone()))?;
    Ok(data(job.session()))
}

/// Links begin with the address by which the client called: it may know the sandbox by a name.
impl FromRequestParts<Arc<Shared>> for Media {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        shared: &Arc<Shared>,
    ) -> Result<Self, Infallible> {
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let base = host.map_or_else(|| shared.url.clone(), |host| format!("http://{host}"));
        Ok(shared.media(base))
    }
}

impl Shared {
    /// Links to files, as they are made now. They begin with `base`.
    pub(super) fn media(&self, base: String) -> Media {
        let life = self.state().misbehaviour.link_ms;
        let life = life.map_or(LINK_LIFE, Duration::from_millis);
        Media::new(base, life)
    }

    /// A job by what its event names, if it is one of these kinds.
    fn job(&self, kinds: &[Kind], id: &str) -> Result<Job, ApiError> {
        let state = self.state();
        let mut jobs = state.jobs.values();
        let job = jobs.find(|job| job.subject_id == id && kinds.contains(&job.kind));
        job.cloned()
            .ok_or_else(|| kinds[0].not_found(id.to_owned()))
    }

    fn start_job(self: &Arc<Self>, kind: Kind, request: JobRequest, media: &Media) -> Job {
        let id = clock::new_id();
        let mut state = self.state();
        let job = Job {
            kind,
            subject_id: if kind == Kind::Agent {
                clock::new_id()
            } else {
                id.clone()
            },
            id,
            stage: Stage::Waiting,
            is_announced: false,
            request,
            failure: state.misbehaviour.fail_jobs.clone(),
            failure_code: state.misbehaviour.fail_code.clone(),
            created_at: clock::unix_seconds(),
            completed_at: None,
        };
        let time = state
            .misbehaviour
            .job_ms
            .map_or(JOB_TIME, Duration::from_millis);
        state.add_job(job.clone());
        drop(state);
        self.spawn(run(self.clone(), job.id.clone(), media.base.clone(), time));
        job
    }
}

/// Plays a job to its end, and sends its event.
async fn run(shared: Arc<Shared>, id: String, base: String, time: Duration) {
    if !shared.pause(time / 2).await {
        return;
    }
    shared.state().set_stage(&id, Stage::Running);
    if !shared.pause(time / 2).await {
        return;
    }
    let media = shared.media(base);
    let outgoing = {
        let mut state = shared.state();
        let Some(job) = state.jobs.get_mut(&id) else {
            return;
        };
        let is_failed = job.failure.is_some();
        job.stage = if is_failed {
            Stage::Failed
        } else {
            Stage::Completed
        };
        job.completed_at = Some(clock::unix_seconds());
        job.outgoing(&media)
    };
    shared.send(&outgoing);
    if let Some(job) = shared.state().jobs.get_mut(&id) {
        job.is_announced = true;
    }
    shared.changed();
}

fn read_v3(body: &[u8], required: &[&'static str]) -> Result<(Fields, JobRequest), ApiError> {
    let (fields, request) = read(body, required)?;
    fields.refuse("test")?;
    Ok((fields, request))
}

fn read(body: &[u8], required: &[&'static str]) -> Result<(Fields, JobRequest), ApiError> {
    let fields = Fields::read(body)?;
    for name in required {
        fields.require(name)?;
    }
    let callback_url = fields.text(CALLBACK_URL)?;
    if let Some(url) = &callback_url {
        input::callback_url(url)?;
    }
    let request = JobRequest {
        title: fields.text("title")?,
        callback_id: fields.text(CALLBACK_ID)?,
        callback_url,
        folder_id: fields.text("folder_id")?,
        format: fields.text("output_format")?,
        language: None,
        include_gif: fields.is_set("include_gif"),
        enable_sharing: fields.is_set("enable_sharing"),
        has_captions: fields.is_set("caption") || fields.is_set("enable_caption"),
    };
    Ok((fields, request))
}

/// `{"error": null, "data": …}`
pub(super) fn v2(data: &Value) -> Response {
    reply::json(StatusCode::OK, &json!({"error": null, "data": data}))
}

fn accepted(data: &Value) -> Response {
    reply::json(StatusCode::ACCEPTED, &json!({ "data": data }))
}

/// Of a job: enough for a poller to see every state.
const JOB_TIME: Duration = Duration::from_secs(1);

/// Of a link of v1 and v2, documented.
const LINK_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

const VIDEO_TYPES: [&str; 4] = ["avatar", "image", "studio", "cinematic_avatar"];
const CALLBACK_ID: &str = "callback_id";
const CALLBACK_URL: &str = "callback_url";
const OUTPUT_LANGUAGE: &str = "output_language";
const OUTPUT_LANGUAGES: &str = "output_languages";
const PROMPT: &str = "prompt";
const TYPE: &str = "type";
const VIDEO_ID: &str = "video_id";
