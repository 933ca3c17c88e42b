//! Avatar videos, and the animated previews of them: HeyGen says that both send the same data.

use super::define::payload;
use crate::id::{CallbackId, FolderId, VideoId};

payload! {
    /// A finished avatar video, or its animated preview: data of `avatar_video.success` and `avatar_video_gif.success`.
    ///
    /// A success without any link has been observed; [`Event::lacks_media`](crate::Event::lacks_media) tells.
    ///
    /// # Wire shape
    ///
    /// Older deliveries carry `video_id`, `url` and `callback_id` alone. Links are presigned and expire.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “Webhook Events”: documented. `video_page_url` in its v3 edition only; `callback_url`, `null`
    /// for most fields and `""` for `folder_id`: observed (January 2025).
    pub struct AvatarVideoSuccess {
        required {
            /// The video.
            video_id: VideoId,
        }
        optional {
            /// Where the video is: a presigned link that expires. With captions switched on it has led to the captioned video.
            url: String,
            /// Where the animated preview is, if one was asked for.
            gif_download_url: String,
            /// The video in HeyGen's own application.
            video_page_url: String,
            /// A page for people to watch the video on.
            video_share_page_url: String,
            /// The folder that the video was put into; also seen empty.
            folder_id: FolderId,
            /// What the caller gave when starting the video.
            callback_id: CallbackId,
            /// The address that the caller gave when starting the video.
            callback_url: String,
        }
    }
}

payload! {
    /// An avatar video, or an animated preview, that was not made: data of `avatar_video.fail` and `avatar_video_gif.fail`.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “Webhook Events”: documented. Its older editions have no `callback_id`.
    pub struct AvatarVideoFail {
        required {
            /// The video that was not made.
            video_id: VideoId,
        }
        optional {
            /// Why, for a person to read. The wording is not stable; do not match on it.
            msg: String,
            /// What the caller gave when starting the video.
            callback_id: CallbackId,
        }
    }
}
