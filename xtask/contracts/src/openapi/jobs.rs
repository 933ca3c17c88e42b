//! HeyGen's routes that start and follow jobs, as far as the sandbox plays them: `docs/sandbox.md` has the table of them.

use serde_json::{Value, json};

use super::operation::{Operation, data, nullable_text, object, parameter, reference, text};

pub(super) fn operations() -> Vec<Operation> {
    let string = text();
    let any = json!({});
    let list = json!({ "type": "array", "items": {} });
    let languages = json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 });
    let kind =
        json!({ "type": "string", "enum": ["avatar", "image", "studio", "cinematic_avatar"] });
    let prompt = json!({ "type": "string", "minLength": 1, "maxLength": 10_000 });
    let state = reference("JobState");
    vec![
        start("createVideoV2", "/v2/video/generate", "Start an avatar video", &[("video_inputs", &list)])
            .answer("200", "It is started.", &v2(&id("video_id"))),
        start("createTemplateVideoV2", "/v2/template/{template_id}/generate", "Start a video of a template", &[])
            .answer("200", "It is started.", &v2(&id("video_id"))),
        follow("getVideoStatusV1", "/v1/video_status.get", "Follow a video")
            .parameter(parameter("query", "video_id", true, "The video.", &string))
            .answer("200", "Its state.", &v1(&state)),
        start(
            "createTranslationV2",
            "/v2/video_translate",
            "Start a translation",
            &[("video_url", &string), ("output_language", &string)],
        )
        .answer("200", "It is started.", &v2(&id("video_translate_id"))),
        follow("getTranslationV2", "/v2/video_translate/{video_translate_id}", "Follow a translation")
            .answer("200", "Its state.", &v2(&state)),
        start("createVideo", "/v3/videos", "Start a video", &[("type", &kind)])
            .answer("200", "It is started.", &data(&id("video_id"))),
        follow("getVideo", "/v3/videos/{video_id}", "Follow a video")
            .answer("200", "Its state.", &data(&state)),
        start("createTemplateVideo", "/v3/templates/{template_id}", "Start a video of a template", &[("variables", &any)])
            .answer("200", "The video.", &data(&id("id"))),
        start("createVideoAgent", "/v3/video-agents", "Start a session of the video agent", &[("prompt", &prompt)])
            .answer("200", "It is started.", &data(&id("session_id"))),
        follow("getVideoAgent", "/v3/video-agents/{session_id}", "Follow a session of the video agent")
            .with("description", "It has the `video_id` of its event. When that appears is assumed.")
            .answer("200", "Its state.", &data(&state)),
        start(
            "createTranslation",
            "/v3/video-translations",
            "Start a translation into each language",
            &[("video", &any), ("output_languages", &languages)],
        )
        .answer("200", "They are started.", &data(&object(
            &["video_translation_ids"],
            &json!({ "video_translation_ids": { "type": "array", "items": { "type": "string" } } }),
        ))),
        follow("getTranslation", "/v3/video-translations/{video_translation_id}", "Follow a translation")
            .with("description", "That the language is called `output_language` is assumed.")
            .answer("200", "Its state.", &data(&state)),
        start("createAiClipping", "/v3/ai-clipping", "Start a clipping job", &[("video", &any)])
            .answer("202", "It is started.", &data(&id("ai_clipping_id"))),
        follow("getAiClipping", "/v3/ai-clipping/{job_id}", "Follow a clipping job")
            .answer("200", "The job, which its event has as well.", &data(&reference("AiClippingData"))),
        start("createRender", "/v3/hyperframes/renders", "Start a HyperFrames render", &[("project", &any)])
            .answer("202", "It is started.", &data(&id("render_id"))),
        follow("getRender", "/v3/hyperframes/renders/{render_id}", "Follow a HyperFrames render")
            .with("description", "That the event has the whole render is assumed.")
            .answer("200", "The render.", &data(&reference("HyperframesVideoData"))),
    ]
}

pub(super) fn schema() -> Value {
    object(
        &["status"],
        &json!({
            "status": { "type": "string", "description": "How far it is. The words differ from route to route: docs/sandbox.md." },
            "video_url": nullable_text("Where the video is, for a while."),
        }),
    )
}

fn start(id: &str, path: &'static str, summary: &str, required: &[(&str, &Value)]) -> Operation {
    let mut properties = json!({
        "callback_id": nullable_text("Comes back in the event."),
        "callback_url": nullable_text("Gets the event of this job too, unsigned."),
    });
    for (name, schema) in required {
        properties[*name] = (*schema).clone();
    }
    let names: Vec<&str> = required.iter().map(|(name, _)| *name).collect();
    job(id, "post", path, summary).body(&object(&names, &properties))
}

fn follow(id: &str, path: &'static str, summary: &str) -> Operation {
    job(id, "get", path, summary)
}

fn job(id: &str, method: &'static str, path: &'static str, summary: &str) -> Operation {
    let operation = Operation::new(id, method, path, summary)
        .mark(
            "documented",
            "HeyGen's API reference and command line; docs/sandbox.md",
        )
        .with("tags", json!(["jobs"]));
    match path.starts_with("/v3/") {
        true => operation.shared_answers(&[("429", "TooManyRequestsV3"), ("default", "ErrorV3")]),
        false => operation.with("security", json!([{ "ApiKey": [] }])),
    }
}

fn id(name: &str) -> Value {
    object(&[name], &json!({ name: text() }))
}

fn v1(schema: &Value) -> Value {
    object(
        &["code", "data"],
        &json!({ "code": { "type": "integer" }, "data": schema, "message": nullable_text("`Success`.") }),
    )
}

fn v2(schema: &Value) -> Value {
    object(&[], &json!({ "data": schema, "error": {} }))
}
