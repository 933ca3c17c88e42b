//! Captions of avatar videos.

use super::define::payload;
use crate::id::{CallbackId, VideoId};

payload! {
    /// Finished captions: data of `avatar_video_caption.success`, which comes some seconds after `avatar_video.success`.
    ///
    /// No field is required, since nobody has documented one.
    ///
    /// # Source
    ///
    /// A production receiver: `caption_url` or `subtitle_url`, and `callback_id`, observed (2026). `video_id`: assumed.
    pub struct AvatarVideoCaptionSuccess {
        optional {
            /// The video that the captions belong to (assumed).
            video_id: VideoId,
            /// Where the captions are.
            caption_url: String,
            /// Where the captions are, under another name.
            subtitle_url: String,
            /// What the caller gave when starting the video.
            callback_id: CallbackId,
        }
    }
}
