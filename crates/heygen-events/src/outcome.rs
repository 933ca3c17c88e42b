//! [`Outcome`] and [`MediaKind`]: what the name of an event already tells.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::EventType;

/// How the work behind an event ended, as its name says.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The name ends in `.success`.
    Success,
    /// The last part of the name is `fail`, or ends in `failed`.
    Failure,
    /// The name does not say: `personalized_video`, `batch.finished`, most names this version does not know.
    Other,
}

/// What a media link leads to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum MediaKind {
    /// A video.
    Video,
    /// An animated preview, not the video.
    Gif,
    /// A file of captions, not the video.
    Caption,
}

impl Outcome {
    /// `success`, `failure` or `other`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Other => "other",
        }
    }

    /// The rule by which every name is judged, known or not.
    pub(crate) fn of_name(name: &str) -> Self {
        match name.rsplit('.').next() {
            // A bare word is a subject, not an outcome, so `success` alone says nothing.
            _ if !name.contains('.') => Self::Other,
            Some("success") => Self::Success,
            Some(last) if last == "fail" || last.ends_with("failed") => Self::Failure,
            _ => Self::Other,
        }
    }
}

impl MediaKind {
    /// `video`, `gif` or `caption`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Gif => "gif",
            Self::Caption => "caption",
        }
    }

    /// The kind that a word of an unknown name gives away, if any does.
    pub(crate) fn of_unknown_name(name: &str) -> Option<Self> {
        name.split(|c: char| !c.is_ascii_alphanumeric())
            .find_map(|word| match word {
                "gif" | "gifs" => Some(Self::Gif),
                "caption" | "captions" | "subtitle" | "subtitles" => Some(Self::Caption),
                _ => None,
            })
    }
}

impl EventType {
    /// How the work ended, as far as the name says.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome::of_name(self.as_str())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Serialize for MediaKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, outcome: &str, kind: Option<&str>) {
        let event_type = EventType::from(name);
        assert_eq!(event_type.outcome().as_str(), outcome, "{name}");
        assert_eq!(
            event_type.media_kind().map(MediaKind::as_str),
            kind,
            "{name}"
        );
    }

    #[test]
    fn what_a_name_tells() {
        check("avatar_video.success", "success", Some("video"));
        check("avatar_video.fail", "failure", None);
        check("avatar_video_gif.success", "success", Some("gif"));
        check("avatar_video_gif.fail", "failure", None);
        check("avatar_video_caption.success", "success", Some("caption"));
        check("avatar_video_caption.fail", "failure", None);
        check("video_agent.success", "success", Some("video"));
        check("video_translate.success", "success", Some("video"));
        check(
            "video_translate.preflight.validation_failed",
            "failure",
            None,
        );
        check("video_translate.preflight.download_failed", "failure", None);
        check("personalized_video", "other", Some("video"));
        check("instant_avatar.success", "success", None);
        check("live_avatar.success", "success", None);
        check("hyperframes_video.success", "success", Some("video"));
        check("ai_clipping.success", "success", Some("video"));
        check("ai_clipping.fail", "failure", None);
        check("batch.finished", "other", None);
    }

    #[test]
    fn what_an_unknown_name_tells() {
        check("podcast.success", "success", None);
        check("podcast.fail", "failure", None);
        check("podcast.upload_failed", "failure", None);
        check("podcast.failed", "failure", None);
        check("podcast.failure", "other", None);
        check("podcast.completed", "other", None);
        check("podcast_gif.success", "success", Some("gif"));
        check("podcast_gif.fail", "failure", None);
        check("video-subtitle.success", "success", Some("caption"));
        check("video.captions.success", "success", Some("caption"));
        check("gift_video.success", "success", None);
        check("success", "other", None);
        check("", "other", None);
    }
}
