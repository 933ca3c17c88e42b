//! [`Outcome`] and [`MediaKind`]: derived from the name of an event.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How the job behind an event ended, according to its name.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Outcome {
    /// The name ends in `.success`, or is `personalized_video`, which is sent for a finished video
    /// and has no counterpart for failures.
    Success,
    /// The last part of the name is `fail`, or ends in `failed`.
    Failure,
    /// The name does not say: `batch.finished`, most names this version does not know.
    Other,
}

/// What a media link points to.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
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
    /// The rule for every name, known or not.
    pub(crate) fn of_name(name: &str) -> Self {
        match name.rsplit('.').next() {
            // HeyGen sends it when the video was generated, and nothing for a failure.
            _ if name == "personalized_video" => Self::Success,
            // A single word is a subject, not an outcome, even if it is `success`.
            _ if !name.contains('.') => Self::Other,
            Some("success") => Self::Success,
            Some(last) if last == "fail" || last.ends_with("failed") => Self::Failure,
            _ => Self::Other,
        }
    }
}

impl MediaKind {
    /// The kind named by a word of an unknown name.
    pub(crate) fn of_unknown_name(name: &str) -> Option<Self> {
        name.split(|c: char| !c.is_ascii_alphanumeric())
            .find_map(|word| match word {
                "gif" | "gifs" => Some(Self::Gif),
                "caption" | "captions" | "subtitle" | "subtitles" => Some(Self::Caption),
                _ => None,
            })
    }
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident is $what:literal: $($variant:ident = $word:literal)+;)+) => {$(
        impl $name {
            $(#[$doc])*
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = WordError;

            fn from_str(word: &str) -> Result<Self, WordError> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(WordError($what)),
                }
            }
        }
    )+};
}
words! {
    /// `success`, `failure` or `other`.
    Outcome is "an outcome: success, failure or other":
        Success = "success" Failure = "failure" Other = "other";
    /// `video`, `gif` or `caption`.
    MediaKind is "a kind of media: video, gif or caption":
        Video = "video" Gif = "gif" Caption = "caption";
}

/// The error for a text that is not one of the expected words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WordError(&'static str);

impl fmt::Display for WordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not {}", self.0)
    }
}

impl std::error::Error for WordError {}
