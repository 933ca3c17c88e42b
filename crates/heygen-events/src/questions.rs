//! What callers want in one shape, whatever the event: the questions on [`Event`].
//!
//! HeyGen names the same thing differently from event to event. Each question here is one list of names, tried in order on
//! typed, open, unknown and unfit data alike. An empty string counts as absent throughout.

use std::borrow::Cow;

use crate::envelope::{CREATED_AT, EVENT, EVENT_ID, EVENT_TYPE};
use crate::lookup::value_text;
use crate::{Event, MediaKind, Outcome};

impl Event {
    /// How the work ended, as the name says.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome::of_name(self.event_name())
    }

    /// What the event is about: the id of the video, translation, render, job, …
    ///
    /// The id that the family of the event is known for comes first, then `video_id`, `video_translate_id`, `render_id`,
    /// `<subject>_id` (`batch_id` for `batch.finished`), `session_id`, `project_id` and `id`, then the ids of the job resources
    /// of avatars and proofreads: `avatar_id`, `generation_id`, `group_id` and `proofread_id`.
    ///
    /// # Source
    ///
    /// HeyGen's API reference documents the last four for the resources; that events carry them is assumed.
    #[must_use]
    pub fn subject_id(&self) -> Option<Cow<'_, str>> {
        let subject = self.event_name().split('.').next().unwrap_or_default();
        let subject_id = format!("{subject}_id");
        let own: &[&str] = match subject {
            "video_translate" => &["video_translate_id", "video_translation_id"],
            "hyperframes_video" => &["render_id", "video_id"],
            "ai_clipping" => &["id"],
            _ => &[],
        };
        let any = [
            "video_id",
            "video_translate_id",
            "render_id",
            &subject_id,
            "session_id",
            "project_id",
            "id",
            "avatar_id",
            "generation_id",
            "group_id",
            "proofread_id",
        ];
        self.first(&[own, &any].concat())
    }

    /// What the caller gave when starting the job, from the data or, as seen for the Video Agent, from the top level.
    #[must_use]
    pub fn callback_id(&self) -> Option<Cow<'_, str>> {
        self.first_or_top(CALLBACK_ID)
    }

    /// The address that the caller gave when starting the job, looked for as [`callback_id`](Self::callback_id) is.
    #[must_use]
    pub fn callback_url(&self) -> Option<Cow<'_, str>> {
        self.first_or_top(CALLBACK_URL)
    }

    /// The link that the event is about: the preview for a gif event, the captions for a caption event, else the video.
    /// `None` for a failure.
    ///
    /// For a clipping job it is the first completed clip that has a link; the others are in
    /// [`AiClipping::clips`](crate::payload::AiClipping::clips). Links are presigned: they expire, and whoever holds one can
    /// use it.
    #[must_use]
    pub fn media_url(&self) -> Option<Cow<'_, str>> {
        let link = self.link().map(|(_, link)| link);
        link.or_else(|| match self.outcome() {
            Outcome::Success => self.payload.lookup().clip_link(),
            Outcome::Failure | Outcome::Other => None,
        })
    }

    /// What [`media_url`](Self::media_url) leads to, as far as it can be told.
    ///
    /// The name tells it for the events whose success brings media, also when the link is missing. An unknown event is
    /// judged by the words of its name, then by its link: a `video_url`, or an address that ends as a video file does.
    #[must_use]
    pub fn media_kind(&self) -> Option<MediaKind> {
        let event_type = self.event_type();
        let by_name = event_type.media_kind();
        if by_name.is_some() || event_type.is_known() {
            return by_name;
        }
        let (name, link) = self.link()?;
        (name == VIDEO_URL || is_video_file(&link)).then_some(MediaKind::Video)
    }

    /// Why it failed, for a person to read; `None` for a success.
    ///
    /// `msg`, `message`, `failure_message`, `error_message`, `error`, also as an object with a `message`, or `error_msg`, as the
    /// documented resource of a training has it (that its event does too is assumed).
    #[must_use]
    pub fn failure_message(&self) -> Option<Cow<'_, str>> {
        if self.outcome() == Outcome::Success {
            return None;
        }
        self.first(&[
            "msg",
            "message",
            "failure_message",
            "error_message",
            "error",
        ])
        .or_else(|| {
            let message = self.payload.lookup().inner_field("error", "message");
            message.filter(|message| !message.is_empty())
        })
        .or_else(|| self.first(&["error_msg"]))
    }

    /// A success of an event that brings media, without a link. It happens; fetch the job from HeyGen's API then.
    #[must_use]
    pub fn lacks_media(&self) -> bool {
        let event_type = self.event_type();
        let brings_media = event_type.is_known() && event_type.media_kind().is_some();
        brings_media && self.outcome() == Outcome::Success && self.media_url().is_none()
    }

    /// A failure that does not say why.
    #[must_use]
    pub fn lacks_reason(&self) -> bool {
        self.outcome() == Outcome::Failure && self.failure_message().is_none()
    }

    /// The names of fields that our types do not know, sorted: those of the data as they are, those of a clip as
    /// `clips[].name`, those of the top level as they are.
    ///
    /// Empty where the data has no type that names fields: open, unknown and unfit data.
    #[must_use]
    pub fn unknown_fields(&self) -> Vec<String> {
        let Some(mut names) = self.payload.lookup().unknown_fields() else {
            return Vec::new();
        };
        let odd = self.as_read.beyond_value.iter().map(|(key, _)| &**key);
        let top = self.extra.keys().map(String::as_str).chain(odd);
        names.extend(
            top.filter(|name| !KNOWN_AT_TOP.contains(name))
                .map(str::to_owned),
        );
        names.sort_unstable();
        names.dedup();
        names
    }

    fn first(&self, names: &[&str]) -> Option<Cow<'_, str>> {
        self.payload.lookup().first(names).map(|(_, text)| text)
    }

    fn first_or_top(&self, name: &str) -> Option<Cow<'_, str>> {
        let top = || self.extra.get(name).and_then(value_text);
        self.first(&[name])
            .or_else(|| top().filter(|text| !text.is_empty()))
    }

    /// The link with the name of the field that holds it.
    fn link(&self) -> Option<(&'static str, Cow<'_, str>)> {
        if self.outcome() == Outcome::Failure {
            return None;
        }
        let names = match self.event_type().media_kind() {
            Some(MediaKind::Gif) => GIF_LINKS,
            Some(MediaKind::Caption) => CAPTION_LINKS,
            Some(MediaKind::Video) | None => VIDEO_LINKS,
        };
        let (place, link) = self.payload.lookup().first(names)?;
        Some((names[place], link))
    }
}

/// Whether the path of an address ends as a video file does; presigned links have a query behind it.
fn is_video_file(link: &str) -> bool {
    let path = link.split(['?', '#']).next().unwrap_or_default();
    let file = path.rsplit('/').next().unwrap_or_default();
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
    VIDEO_EXTENSIONS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(extension))
}

const CALLBACK_ID: &str = "callback_id";
const CALLBACK_URL: &str = "callback_url";
const VIDEO_URL: &str = "video_url";
const VIDEO_LINKS: &[&str] = &["url", VIDEO_URL, "video_download_url"];
const GIF_LINKS: &[&str] = &["gif_download_url", "gif_url", "url"];
const CAPTION_LINKS: &[&str] = &["caption_url", "subtitle_url", "url"];
const VIDEO_EXTENSIONS: &[&str] = &["mp4", "mov", "webm", "m4v", "mkv", "avi"];

/// What is known at the top level, in whatever form it came.
const KNOWN_AT_TOP: &[&str] = &[
    EVENT_TYPE,
    EVENT,
    EVENT_ID,
    CREATED_AT,
    CALLBACK_ID,
    CALLBACK_URL,
];
