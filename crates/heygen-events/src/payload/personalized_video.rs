//! Personalized videos.

use serde_json::Value;

use super::define::payload;
use crate::id::{ProjectId, VideoId};

payload! {
    /// A generated personalized video: data of `personalized_video`, the one event whose name tells no outcome.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “Webhook Events” and “Output Videos via API”, whose sample is filled in: documented. That the keys of
    /// `contact_info` are the variables of the project is assumed.
    pub struct PersonalizedVideo {
        required {
            /// The video.
            video_id: VideoId,
        }
        optional {
            /// The project that the video belongs to.
            project_id: ProjectId,
            /// Where the video is. Other events call this field `url`.
            video_url: String,
            /// The page made for the contact.
            landing_page_url: String,
            /// Where the animated preview is.
            gif_url: String,
            /// The animated preview as HTML, for mails.
            gif_html: String,
            /// Whom the video was made for: an object, `email` and `first_name` in HeyGen's sample. Any JSON is read. Personal data.
            contact_info: Value,
        }
    }
}
