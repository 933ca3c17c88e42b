//! HyperFrames cloud renders.

use serde_json::{Number, Value};

use super::define::payload;
use crate::id::{CallbackId, RenderId, VideoId};

payload! {
    /// A HyperFrames render that ended: data of `hyperframes_video.success` and `hyperframes_video.fail`.
    ///
    /// Nobody has documented or captured this data. The fields are those of the render that HeyGen's API returns, and those that
    /// public receivers look for; none is required.
    ///
    /// # Source
    ///
    /// HeyGen's API client for HyperFrames, the render resource; that events carry it: assumed.
    pub struct HyperframesVideo {
        optional {
            /// The render (assumed).
            render_id: RenderId,
            /// The render, under another name (assumed).
            video_id: VideoId,
            /// How far the render is: `queued`, `rendering`, `completed` or `failed` (assumed).
            status: String,
            /// The container: `mp4`, `webm` or `mov` (assumed).
            format: String,
            /// The caller's label (assumed).
            title: String,
            /// What the caller gave when starting the render (assumed).
            callback_id: CallbackId,
            /// Where the video is: a presigned link that expires (assumed).
            video_url: String,
            /// Where the video is, under another name (assumed).
            url: String,
            /// Where a still of the video is (assumed).
            thumbnail_url: String,
            /// How long the video is, in seconds (assumed).
            duration: Number,
            /// Frames per second (assumed).
            fps: Number,
            /// The quality preset: `draft`, `standard` or `high` (assumed).
            quality: String,
            /// The resolution tier: `1080p` or `4k` (assumed).
            resolution: String,
            /// The aspect ratio: `16:9`, `9:16` or `1:1` (assumed).
            aspect_ratio: String,
            /// The HTML file that was rendered (assumed).
            composition: String,
            /// When the render was started (assumed): seconds since 1970 in the resource, text elsewhere at HeyGen, so any JSON.
            created_at: Value,
            /// When the render ended (assumed): any JSON, as `created_at`.
            completed_at: Value,
            /// Why it failed, for a person to read (assumed).
            failure_message: String,
            /// Why it failed, under another name (assumed).
            error_message: String,
            /// Why it failed, under a third name (assumed).
            message: String,
        }
    }
}
