//! Captions of avatar videos.

use serde::{Deserialize, Serialize};

use crate::id::{CallbackId, Text, VideoId};
use crate::payload::setters;

/// Finished captions: data of `avatar_video_caption.success`, which comes some seconds after
/// `avatar_video.success`.
///
/// No field is required, since none is documented.
///
/// # Source
///
/// A production receiver: `caption_url` or `subtitle_url`, and `callback_id`, observed (2026).
/// `video_id`: assumed.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AvatarVideoCaptionSuccess {
    /// The video that the captions belong to (assumed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_id: Option<VideoId>,
    /// Where the captions are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caption_url: Option<Text>,
    /// Where the captions are, under another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtitle_url: Option<Text>,
    /// The `callback_id` given when starting the video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_id: Option<CallbackId>,
}

setters! {
    AvatarVideoCaptionSuccess {
        with_video_id sets video_id: VideoId;
        with_caption_url sets caption_url: Text;
        with_subtitle_url sets subtitle_url: Text;
        with_callback_id sets callback_id: CallbackId;
    }
}
