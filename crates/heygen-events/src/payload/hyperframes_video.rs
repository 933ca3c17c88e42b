//! HyperFrames cloud renders.

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::id::{CallbackId, RenderId, Text, VideoId};
use crate::payload::setters;

/// A HyperFrames render that ended: data of `hyperframes_video.success` and
/// `hyperframes_video.fail`.
///
/// This data is neither documented nor captured. The fields are those of the render that HeyGen's
/// API returns, and those that public receivers read; none is required.
///
/// # Source
///
/// HeyGen's API client for HyperFrames, the render resource; that events carry it: assumed.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct HyperframesVideo {
    /// The render (assumed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub render_id: Option<RenderId>,
    /// The render, under another name (assumed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_id: Option<VideoId>,
    /// How far the render is: `queued`, `rendering`, `completed` or `failed` (assumed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Text>,
    /// The container: `mp4`, `webm` or `mov` (assumed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Text>,
    /// The caller's label (assumed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Text>,
    /// The `callback_id` given when starting the render (assumed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_id: Option<CallbackId>,
    /// Where the video is: a presigned link that expires (assumed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_url: Option<Text>,
    /// Where the video is, under another name (assumed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text>,
    /// Where a still of the video is (assumed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_url: Option<Text>,
    /// How long the video is, in seconds (assumed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<Number>,
    /// Frames per second (assumed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fps: Option<Number>,
    /// The quality preset: `draft`, `standard` or `high` (assumed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<Text>,
    /// The resolution tier: `1080p` or `4k` (assumed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Text>,
    /// The aspect ratio: `16:9`, `9:16` or `1:1` (assumed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aspect_ratio: Option<Text>,
    /// The HTML file that was rendered (assumed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub composition: Option<Text>,
    /// When the render was started (assumed): seconds since 1970 in the resource, text elsewhere at
    /// HeyGen, so any JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Value>,
    /// When the render ended (assumed): any JSON, as `created_at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Value>,
    /// Why it failed, for a person to read (assumed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_message: Option<Text>,
    /// Why it failed, under another name (assumed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<Text>,
    /// Why it failed, under a third name (assumed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Text>,
}

setters! {
    HyperframesVideo {
        with_render_id sets render_id: RenderId;
        with_video_id sets video_id: VideoId;
        with_status sets status: Text;
        with_format sets format: Text;
        with_title sets title: Text;
        with_callback_id sets callback_id: CallbackId;
        with_video_url sets video_url: Text;
        with_url sets url: Text;
        with_thumbnail_url sets thumbnail_url: Text;
        with_duration sets duration: Number;
        with_fps sets fps: Number;
        with_quality sets quality: Text;
        with_resolution sets resolution: Text;
        with_aspect_ratio sets aspect_ratio: Text;
        with_composition sets composition: Text;
        with_created_at sets created_at: Value;
        with_completed_at sets completed_at: Value;
        with_failure_message sets failure_message: Text;
        with_error_message sets error_message: Text;
        with_message sets message: Text;
    }
}
