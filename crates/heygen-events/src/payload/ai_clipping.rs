//! AI clipping: short clips cut from a long video.

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::id::{CallbackId, ClipId, ClippingJobId, Text};
use crate::payload::setters;

/// A clipping job that ended: data of `ai_clipping.success` and `ai_clipping.fail`.
///
/// # Source
///
/// HeyGen's API description, the clipping job “returned by Get / List / webhook payloads”:
/// documented.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AiClipping {
    /// The job.
    pub id: ClippingJobId,
    /// How far the job is: `pending`, `running`, `completed`, `failed` or `cancelled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Text>,
    /// The caller's title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Text>,
    /// The `callback_id` given when starting the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_id: Option<CallbackId>,
    /// When the job was started: seconds since 1970 in the resource, text elsewhere at HeyGen, so
    /// any JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Value>,
    /// Why the job failed, for a person to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_message: Option<Text>,
    /// The language spoken in the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_language: Option<Text>,
    /// How much is done, 0 to 100 percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Number>,
    /// How long the source is, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_duration: Option<Number>,
    /// The output asked for: any JSON, and so far always absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_settings: Option<Value>,
    /// The clips, in HeyGen's order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clips: Option<Vec<Clip>>,
}

/// One clip of a clipping job.
///
/// # Source
///
/// HeyGen's API description, the clipping job: documented. There `id` is required; a clip without
/// one still has its link.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Clip {
    /// The clip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<ClipId>,
    /// How far the clip is: `pending`, `completed` or `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Text>,
    /// A title made for the clip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Text>,
    /// Where the clip is: a presigned link that expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_url: Option<Text>,
    /// Where a still of the clip is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_url: Option<Text>,
    /// How long the clip is, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<Number>,
    /// `landscape`, `portrait` or `square`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aspect_ratio: Option<Text>,
    /// How well HeyGen expects the clip to spread, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virality_score: Option<Number>,
    /// Why the clip was not made; so far always `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_message: Option<Text>,
}

setters! {
    AiClipping new(id: ClippingJobId) {
        with_status sets status: Text;
        with_title sets title: Text;
        with_callback_id sets callback_id: CallbackId;
        with_created_at sets created_at: Value;
        with_failure_message sets failure_message: Text;
        with_input_language sets input_language: Text;
        with_progress sets progress: Number;
        with_source_duration sets source_duration: Number;
        with_output_settings sets output_settings: Value;
        with_clips sets clips: Vec<Clip>;
    }
    Clip {
        with_id sets id: ClipId;
        with_status sets status: Text;
        with_title sets title: Text;
        with_video_url sets video_url: Text;
        with_thumbnail_url sets thumbnail_url: Text;
        with_duration_seconds sets duration_seconds: Number;
        with_aspect_ratio sets aspect_ratio: Text;
        with_virality_score sets virality_score: Number;
        with_failure_message sets failure_message: Text;
    }
}
