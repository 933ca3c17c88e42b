//! Translated videos. Receivers report that lipsync jobs send these events too.

use super::define::payload;
use crate::id::{CallbackId, VideoTranslateId};

payload! {
    /// A finished translation: data of `video_translate.success`.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “Webhook Events”: documented; its older editions have neither `callback_id` nor
    /// `output_language`. `video_url`: read by public receivers.
    pub struct VideoTranslateSuccess {
        required {
            /// The translation. HeyGen's v3 API calls the same id `video_translation_id`.
            video_translate_id: VideoTranslateId,
        }
        optional {
            /// Where the translated video is: a presigned link that expires.
            url: String,
            /// Where the translated video is, under another name (read by public receivers, not documented).
            video_url: String,
            /// What the caller gave when starting the translation.
            callback_id: CallbackId,
            /// The language translated into.
            output_language: String,
        }
    }
}

payload! {
    /// A translation that was not made: data of `video_translate.fail`.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “Webhook Events”: documented; its older editions have neither `callback_id` nor
    /// `output_language`.
    pub struct VideoTranslateFail {
        required {
            /// The translation that was not made.
            video_translate_id: VideoTranslateId,
        }
        optional {
            /// Why, for a person to read. Other events call this field `msg`. Do not match on the wording.
            message: String,
            /// What the caller gave when starting the translation.
            callback_id: CallbackId,
            /// The language that was to be translated into.
            output_language: String,
        }
    }
}
