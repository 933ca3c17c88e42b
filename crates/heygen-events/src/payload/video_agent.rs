//! Videos made by the Video Agent.

use serde::{Deserialize, Serialize};

use crate::id::{CallbackId, FolderId, SessionId, Text, VideoId};
use crate::payload::setters;

/// A finished Video Agent video: data of `video_agent.success`.
///
/// Receivers report that `callback_id` may stand at the top level of the body instead;
/// [`Event::callback_id`](crate::Event::callback_id) looks there too.
///
/// # Source
///
/// HeyGen documentation, “Webhook Events”: documented. `session_id` and `video_url`: read by
/// several public receivers.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct VideoAgentSuccess {
    /// The video.
    pub video_id: VideoId,
    /// The session that made the video (read by public receivers, not documented).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// Where the video is: a presigned link that expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text>,
    /// Where the video is, under another name (read by public receivers, not documented).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_url: Option<Text>,
    /// A page for people to watch the video on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_share_page_url: Option<Text>,
    /// The folder that the video was put into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder_id: Option<FolderId>,
    /// The `callback_id` given when starting the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_id: Option<CallbackId>,
    /// The `callback_url` given when starting the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<Text>,
}

/// A Video Agent session without a video: data of `video_agent.fail`.
///
/// # Source
///
/// HeyGen documentation, “Webhook Events”: documented. `session_id`: read by several public
/// receivers.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct VideoAgentFail {
    /// The video that was not made.
    pub video_id: VideoId,
    /// The session that failed (read by public receivers, not documented).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// Why, for a person to read. The wording is not stable; do not match on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg: Option<Text>,
    /// The `callback_id` given when starting the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_id: Option<CallbackId>,
    /// The `callback_url` given when starting the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<Text>,
}

setters! {
    VideoAgentSuccess new(video_id: VideoId) {
        with_session_id sets session_id: SessionId;
        with_url sets url: Text;
        with_video_url sets video_url: Text;
        with_video_share_page_url sets video_share_page_url: Text;
        with_folder_id sets folder_id: FolderId;
        with_callback_id sets callback_id: CallbackId;
        with_callback_url sets callback_url: Text;
    }
    VideoAgentFail new(video_id: VideoId) {
        with_session_id sets session_id: SessionId;
        with_msg sets msg: Text;
        with_callback_id sets callback_id: CallbackId;
        with_callback_url sets callback_url: Text;
    }
}
