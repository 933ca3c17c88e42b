//! Translated videos. Receivers report that lipsync jobs send these events too.

use serde::{Deserialize, Serialize};

use crate::id::{CallbackId, Text, VideoTranslateId};
use crate::payload::setters;

/// A finished translation: data of `video_translate.success`.
///
/// # Source
///
/// HeyGen documentation, “Webhook Events”: documented; its older editions have neither
/// `callback_id` nor `output_language`. `video_url`: read by public receivers.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct VideoTranslateSuccess {
    /// The translation. HeyGen's v3 API calls the same id `video_translation_id`.
    pub video_translate_id: VideoTranslateId,
    /// Where the translated video is: a presigned link that expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text>,
    /// Where the translated video is, under another name (read by public receivers, not
    /// documented).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_url: Option<Text>,
    /// The `callback_id` given when starting the translation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_id: Option<CallbackId>,
    /// The language translated into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_language: Option<Text>,
}

/// A translation that was not made: data of `video_translate.fail`.
///
/// # Source
///
/// HeyGen documentation, “Webhook Events”: documented; its older editions have neither
/// `callback_id` nor `output_language`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct VideoTranslateFail {
    /// The translation that was not made.
    pub video_translate_id: VideoTranslateId,
    /// Why, for a person to read. Other events call this field `msg`. Do not match on the wording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Text>,
    /// The `callback_id` given when starting the translation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_id: Option<CallbackId>,
    /// The language that was to be translated into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_language: Option<Text>,
}

setters! {
    VideoTranslateSuccess new(video_translate_id: VideoTranslateId) {
        with_url sets url: Text;
        with_video_url sets video_url: Text;
        with_callback_id sets callback_id: CallbackId;
        with_output_language sets output_language: Text;
    }
    VideoTranslateFail new(video_translate_id: VideoTranslateId) {
        with_message sets message: Text;
        with_callback_id sets callback_id: CallbackId;
        with_output_language sets output_language: Text;
    }
}
