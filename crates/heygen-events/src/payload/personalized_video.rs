//! Personalized videos.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{ProjectId, Text, VideoId};
use crate::payload::setters;

/// A generated personalized video: data of `personalized_video`, the one event whose name has no
/// outcome.
///
/// # Source
///
/// HeyGen documentation, “Webhook Events” and “Output Videos via API”, whose sample is filled in:
/// documented. That the keys of `contact_info` are
/// the variables of the project is assumed.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PersonalizedVideo {
    /// The video.
    pub video_id: VideoId,
    /// The project that the video belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// Where the video is. Other events call this field `url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_url: Option<Text>,
    /// The page made for the contact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub landing_page_url: Option<Text>,
    /// Where the animated preview is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gif_url: Option<Text>,
    /// The animated preview as HTML, for mails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gif_html: Option<Text>,
    /// The contact the video was made for: an object, `email` and `first_name` in HeyGen's sample.
    /// Any JSON is accepted. Personal data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact_info: Option<Value>,
}

setters! {
    PersonalizedVideo new(video_id: VideoId) {
        with_project_id sets project_id: ProjectId;
        with_video_url sets video_url: Text;
        with_landing_page_url sets landing_page_url: Text;
        with_gif_url sets gif_url: Text;
        with_gif_html sets gif_html: Text;
        with_contact_info sets contact_info: Value;
    }
}
