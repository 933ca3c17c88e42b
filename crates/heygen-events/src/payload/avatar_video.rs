//! Avatar videos, and the animated previews of them: HeyGen says that both send the same data.

use serde::{Deserialize, Serialize};

use crate::id::{CallbackId, FolderId, Text, VideoId};
use crate::payload::setters;

/// A finished avatar video, or its animated preview: data of `avatar_video.success` and
/// `avatar_video_gif.success`.
///
/// A success without any link has been observed; check
/// [`Event::is_missing_media`](crate::Event::is_missing_media).
///
/// # Wire shape
///
/// Older deliveries carry `video_id`, `url` and `callback_id` alone. Links are presigned and
/// expire.
///
/// # Source
///
/// HeyGen documentation, “Webhook Events”: documented. `video_page_url` in its v3 edition only;
/// `callback_url`, `null` for
/// most fields and `""` for `folder_id`: observed (January 2025).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AvatarVideoSuccess {
    /// The video.
    pub video_id: VideoId,
    /// Where the video is: a presigned link that expires. With captions switched on it has led to
    /// the captioned video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text>,
    /// Where the animated preview is, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gif_download_url: Option<Text>,
    /// The video in HeyGen's own application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_page_url: Option<Text>,
    /// A page for people to watch the video on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_share_page_url: Option<Text>,
    /// The folder that the video was put into; also seen empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder_id: Option<FolderId>,
    /// The `callback_id` given when starting the video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_id: Option<CallbackId>,
    /// The `callback_url` given when starting the video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<Text>,
}

/// An avatar video, or an animated preview, that was not made: data of `avatar_video.fail` and
/// `avatar_video_gif.fail`.
///
/// # Source
///
/// HeyGen documentation, “Webhook Events”: documented. Its older editions have no `callback_id`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AvatarVideoFail {
    /// The video that was not made.
    pub video_id: VideoId,
    /// Why, for a person to read. The wording is not stable; do not match on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg: Option<Text>,
    /// The `callback_id` given when starting the video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_id: Option<CallbackId>,
}

setters! {
    AvatarVideoSuccess new(video_id: VideoId) {
        with_url sets url: Text;
        with_gif_download_url sets gif_download_url: Text;
        with_video_page_url sets video_page_url: Text;
        with_video_share_page_url sets video_share_page_url: Text;
        with_folder_id sets folder_id: FolderId;
        with_callback_id sets callback_id: CallbackId;
        with_callback_url sets callback_url: Text;
    }
    AvatarVideoFail new(video_id: VideoId) {
        with_msg sets msg: Text;
        with_callback_id sets callback_id: CallbackId;
    }
}
