//! Videos made by the Video Agent.

use super::define::payload;
use crate::id::{CallbackId, FolderId, SessionId, VideoId};

payload! {
    /// A finished Video Agent video: data of `video_agent.success`.
    ///
    /// Receivers report that `callback_id` may stand at the top level of the body instead;
    /// [`Event::callback_id`](crate::Event::callback_id) looks there too.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “Webhook Events”: documented. `session_id` and `video_url`: read by several public receivers.
    pub struct VideoAgentSuccess {
        required {
            /// The video.
            video_id: VideoId,
        }
        optional {
            /// The session that made the video (read by public receivers, not documented).
            session_id: SessionId,
            /// Where the video is: a presigned link that expires.
            url: String,
            /// Where the video is, under another name (read by public receivers, not documented).
            video_url: String,
            /// A page for people to watch the video on.
            video_share_page_url: String,
            /// The folder that the video was put into.
            folder_id: FolderId,
            /// What the caller gave when starting the session.
            callback_id: CallbackId,
            /// The address that the caller gave when starting the session.
            callback_url: String,
        }
    }
}

payload! {
    /// A Video Agent session without a video: data of `video_agent.fail`.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “Webhook Events”: documented. `session_id`: read by several public receivers.
    pub struct VideoAgentFail {
        required {
            /// The video that was not made.
            video_id: VideoId,
        }
        optional {
            /// The session that failed (read by public receivers, not documented).
            session_id: SessionId,
            /// Why, for a person to read. The wording is not stable; do not match on it.
            msg: String,
            /// What the caller gave when starting the session.
            callback_id: CallbackId,
            /// The address that the caller gave when starting the session.
            callback_url: String,
        }
    }
}
