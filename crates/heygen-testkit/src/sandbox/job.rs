//! [`Job`]: what a create route starts, as its status routes show it and its event announces it.
//!
//! # Source
//!
//! Fields and state words of the status routes: documented, except where a function says otherwise.
//! Values that no request names (duration, progress) are invented. That a field without a value is
//! `null` and not missing is assumed, and so is the order of the states.

use serde_json::{Value, json};

use super::{
    api_error::ApiError,
    media::{File, Media},
    outgoing::Outgoing,
};
use crate::{builder::EventBuilder, json::Json};

/// What a job makes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A video of an avatar or a template.
    Video,
    /// A session of the video agent, which makes a video.
    Agent,
    Translation,
    Clipping,
    Render,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    Waiting,
    Running,
    Completed,
    Failed,
}

/// A job.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) kind: Kind,
    /// Its status route is asked for this.
    pub(super) id: String,
    /// Its event names this: another one than `id` for the video of an agent.
    pub(super) subject_id: String,
    pub(super) stage: Stage,
    /// Whether its event was sent.
    pub(super) is_announced: bool,
    pub(super) request: JobRequest,
    /// Why it fails, if it does.
    pub(super) failure: Option<String>,
    pub(super) failure_code: Option<String>,
    /// In Unix seconds.
    pub(super) created_at: i64,
    pub(super) completed_at: Option<i64>,
}

/// What a request said that comes back later.
#[derive(Clone, Debug, Default)]
pub(super) struct JobRequest {
    pub(super) title: Option<String>,
    pub(super) callback_id: Option<String>,
    pub(super) callback_url: Option<String>,
    pub(super) folder_id: Option<String>,
    pub(super) format: Option<String>,
    pub(super) language: Option<String>,
    pub(super) include_gif: bool,
    pub(super) enable_sharing: bool,
    pub(super) has_captions: bool,
}

impl Kind {
    /// The part of the event name before `.success` and `.fail`.
    ///
    /// # Source
    ///
    /// HeyGen's documentation names each pair: documented. That videos of v3 and templates are
    /// announced as `avatar_video` is documented too.
    fn family(self) -> &'static str {
        match self {
            Self::Video => "avatar_video",
            Self::Agent => "video_agent",
            Self::Translation => "video_translate",
            Self::Clipping => "ai_clipping",
            Self::Render => "hyperframes_video",
        }
    }

    /// The field of the event's data that has the id of the job.
    fn id_field(self) -> &'static str {
        match self {
            Self::Video | Self::Agent => "video_id",
            Self::Translation => "video_translate_id",
            Self::Clipping => "id",
            Self::Render => "render_id",
        }
    }

    fn reason_field(self) -> &'static str {
        match self {
            Self::Video | Self::Agent => "msg",
            Self::Translation => "message",
            Self::Clipping | Self::Render => "failure_message",
        }
    }

    /// The answer of v3 for an id that none has.
    pub(super) fn not_found(self, id: String) -> ApiError {
        let code = match self {
            Self::Video => "video_not_found",
            Self::Render => "hyperframes_render_not_found",
            Self::Agent | Self::Translation | Self::Clipping => "not_found",
        };
        let noun = self.noun();
        ApiError::NoSuchJob { id, noun, code }
    }

    /// In messages.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Video => "Video",
            Self::Agent => "Session",
            Self::Translation => "Video translation",
            Self::Clipping => "AI clipping",
            Self::Render => "Render",
        }
    }
}

impl Stage {
    fn word(self, words: [&'static str; 4]) -> &'static str {
        let [waiting, running, completed, failed] = words;
        match self {
            Self::Waiting => waiting,
            Self::Running => running,
            Self::Completed => completed,
            Self::Failed => failed,
        }
    }
}

const VIDEO_WORDS: [&str; 4] = ["pending", "processing", "completed", "failed"];
const RUN_WORDS: [&str; 4] = ["pending", "running", "completed", "failed"];

impl Job {
    /// The event that announces its end.
    pub(super) fn outgoing(&self, media: &Media) -> Outgoing {
        let event = Outgoing::new(self.event(media));
        match &self.request.callback_url {
            Some(url) => event.callback_url(url),
            None => event,
        }
    }

    fn event(&self, media: &Media) -> EventBuilder {
        let (kind, request) = (self.kind, &self.request);
        let result = if self.failure.is_none() {
            "success"
        } else {
            "fail"
        };
        let mut event = EventBuilder::new(format!("{}.{result}", kind.family()))
            .edit_sample(|sample| media.localize(sample))
            .with_id(kind.id_field(), &self.subject_id)
            .set("callback_id", request.callback_id.clone());
        if let Some(failure) = &self.failure {
            event = event.set(kind.reason_field(), failure.as_str());
        }
        match kind {
            Kind::Video | Kind::Agent => {
                if kind == Kind::Agent {
                    event = event.set("callback_url", request.callback_url.clone());
                }
                if self.failure.is_none() {
                    event = event.set("folder_id", request.folder_id.clone());
                    if kind == Kind::Video && !request.include_gif {
                        event = event.null("gif_download_url");
                    }
                    if !request.enable_sharing {
                        event = event.null("video_share_page_url");
                    }
                }
                event
            }
            Kind::Translation => event.set("output_language", request.language.clone()),
            Kind::Clipping => event
                .set("title", request.title.clone())
                .set("created_at", self.created_at),
            Kind::Render => event
                .set("title", request.title.clone())
                .set("format", request.format.as_deref().unwrap_or("mp4"))
                .set("created_at", self.created_at)
                .set("completed_at", self.completed_at),
        }
    }

    /// A clipping job or a render, as its status route and its event have it.
    ///
    /// # Source
    ///
    /// HeyGen's command line, generated from the OpenAPI text: documented. That the event of a
    /// render has the resource too is assumed.
    pub(super) fn resource(&self, media: &Media) -> Json {
        let unfinished = || Self {
            failure: Some(String::new()),
            ..self.clone()
        };
        let is_ended = self.is_ended();
        let shown = if is_ended { self.clone() } else { unfinished() };
        let words = match self.kind {
            Kind::Render => ["queued", "rendering", "completed", "failed"],
            Kind::Video | Kind::Agent | Kind::Translation | Kind::Clipping => RUN_WORDS,
        };
        let mut event = shown.event(media).set("status", self.stage.word(words));
        if !is_ended {
            event = event.null("failure_message");
        }
        if self.kind == Kind::Clipping && self.stage != Stage::Failed {
            event = event.set("progress", self.progress());
        }
        let body = event.build();
        body.field("event_data").cloned().unwrap_or(Json::object())
    }

    /// A video in `GET /v1/video_status.get`.
    pub(super) fn v1_video(&self, media: &Media) -> Value {
        let link = self.links(media);
        json!({
            "callback_id": self.request.callback_id,
            "caption_url": link(self.request.has_captions, File::Ass),
            "created_at": self.created_at,
            "duration": self.duration(),
            "error": self.shown_failure().map(|message| json!({
                "code": self.failure_code, "detail": message, "message": message,
            })),
            "gif_url": link(self.request.include_gif, File::Gif),
            "id": self.id,
            "status": self.stage.word(VIDEO_WORDS),
            "thumbnail_url": link(true, File::Thumbnail),
            "video_url": link(true, File::Video),
            "video_url_caption": link(self.request.has_captions, File::Video),
        })
    }

    /// A video in `GET /v3/videos/{video_id}`, which shows no `callback_id`.
    pub(super) fn v3_video(&self, media: &Media) -> Value {
        let link = self.links(media);
        let page = format!("https://app.heygen.com/videos/{}", self.subject_id);
        json!({
            "id": self.subject_id,
            "status": self.stage.word(VIDEO_WORDS),
            "title": self.request.title,
            "created_at": self.created_at,
            "completed_at": self.completed_at,
            "video_url": link(true, File::Video),
            "captioned_video_url": link(self.request.has_captions, File::Video),
            "subtitle_url": link(self.request.has_captions, File::Srt),
            "thumbnail_url": link(true, File::Thumbnail),
            "gif_url": link(self.request.include_gif, File::Gif),
            "duration": self.duration(),
            "folder_id": self.request.folder_id,
            "output_language": null,
            "failure_code": self.shown_failure().and(self.failure_code.as_deref()),
            "failure_message": self.shown_failure(),
            "video_page_url": (self.stage == Stage::Completed).then_some(page),
        })
    }

    /// A session in `GET /v3/video-agents/{session_id}`. When it gets its `video_id` is not
    /// documented: here when the video is being made.
    pub(super) fn session(&self) -> Value {
        let words = ["thinking", "generating", "completed", "failed"];
        json!({
            "session_id": self.id,
            "status": self.stage.word(words),
            "progress": self.progress(),
            "title": self.request.title,
            "video_id": (self.stage != Stage::Waiting).then_some(&self.subject_id),
            "created_at": self.created_at,
            "messages": [],
        })
    }

    /// A translation in `GET /v2/video_translate/{video_translate_id}`.
    pub(super) fn v2_translation(&self, media: &Media) -> Value {
        json!({
            "video_translate_id": self.id,
            "title": self.request.title,
            "status": self.stage.word(["pending", "running", "success", "failed"]),
            "url": self.links(media)(true, File::Video),
            "message": self.shown_failure(),
        })
    }

    /// A translation in `GET /v3/video-translations/{video_translation_id}`. Caption fields are
    /// absent until the file exists (observed).
    pub(super) fn v3_translation(&self, media: &Media) -> Value {
        let link = self.links(media);
        let mut shown = json!({
            "id": self.id,
            "status": self.stage.word(RUN_WORDS),
            "title": self.request.title,
            "callback_id": self.request.callback_id,
            "output_language": self.request.language,
            "duration": self.duration(),
            "created_at": self.created_at,
            "video_url": link(true, File::Video),
            "audio_url": null,
            "failure_message": self.shown_failure(),
        });
        if self.stage == Stage::Completed && self.request.has_captions {
            shown["srt_caption_url"] = link(true, File::Srt).into();
            shown["vtt_caption_url"] = link(true, File::Vtt).into();
        }
        shown
    }

    pub(super) fn is_ended(&self) -> bool {
        match self.stage {
            Stage::Waiting | Stage::Running => false,
            Stage::Completed | Stage::Failed => true,
        }
    }

    /// Links of a completed job to the files that were asked for. They are made when the status is
    /// asked, as HeyGen documents.
    fn links(&self, media: &Media) -> impl Fn(bool, File) -> Option<String> {
        let is_completed = self.stage == Stage::Completed;
        move |is_wanted, file| {
            (is_completed && is_wanted).then(|| media.link(&self.subject_id, file))
        }
    }

    fn shown_failure(&self) -> Option<&str> {
        let is_failed = self.stage == Stage::Failed;
        self.failure.as_deref().filter(|_| is_failed)
    }

    fn duration(&self) -> Option<f64> {
        (self.stage == Stage::Completed).then_some(File::VIDEO_SECONDS)
    }

    fn progress(&self) -> u8 {
        match self.stage {
            Stage::Waiting => 0,
            Stage::Running => 50,
            Stage::Completed | Stage::Failed => 100,
        }
    }
}
