//! AI clipping: short clips cut from a long video.

use std::borrow::Cow;

use serde::de::SeqAccess;
use serde::ser::{Serialize, Serializer};
use serde_json::{Number, Value};

use super::define::payload;
use super::field::FieldType;
use crate::id::{CallbackId, ClipId, ClippingJobId};
use crate::lookup::is_completed;

payload! {
    /// A clipping job that ended: data of `ai_clipping.success` and `ai_clipping.fail`.
    ///
    /// # Source
    ///
    /// HeyGen's API description, the clipping job “returned by Get / List / webhook payloads”: documented.
    pub struct AiClipping {
        required {
            /// The job.
            id: ClippingJobId,
        }
        optional {
            /// How far the job is: `pending`, `running`, `completed`, `failed` or `cancelled`.
            status: String,
            /// The caller's title.
            title: String,
            /// What the caller gave when starting the job.
            callback_id: CallbackId,
            /// When the job was started: seconds since 1970 in the resource, text elsewhere at HeyGen, so any JSON.
            created_at: Value,
            /// Why the job failed, for a person to read.
            failure_message: String,
            /// The language spoken in the source.
            input_language: String,
            /// How much is done, 0 to 100 percent.
            progress: Number,
            /// How long the source is, in seconds.
            source_duration: Number,
            /// The output asked for: any JSON, and so far always absent.
            output_settings: Value,
            /// The clips, in HeyGen's order.
            clips: Vec<Clip>,
        }
    }
}

payload! {
    /// One clip of a clipping job.
    ///
    /// # Source
    ///
    /// HeyGen's API description, the clipping job: documented. There `id` is required; a clip without one still has its link.
    pub struct Clip {
        optional {
            /// The clip.
            id: ClipId,
            /// How far the clip is: `pending`, `completed` or `failed`.
            status: String,
            /// A title made for the clip.
            title: String,
            /// Where the clip is: a presigned link that expires.
            video_url: String,
            /// Where a still of the clip is.
            thumbnail_url: String,
            /// How long the clip is, in seconds.
            duration_seconds: Number,
            /// `landscape`, `portrait` or `square`.
            aspect_ratio: String,
            /// How well HeyGen expects the clip to spread, 0 to 100.
            virality_score: Number,
            /// Why the clip was not made; so far always `null`.
            failure_message: String,
        }
    }
}

impl FieldType for Vec<Clip> {
    const WANTS: &'static str = "an array";

    fn from_seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Option<Self>, A::Error> {
        let mut clips = Self::new();
        while let Some(clip) = seq.next_element()? {
            clips.push(clip);
        }
        Ok(Some(clips))
    }

    fn write<S: Serializer>(&self, _: bool, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }

    fn unknown_fields(&self, name: &str, into: &mut Vec<String>) {
        let keys = self.iter().flat_map(|clip| clip.extra.keys());
        into.extend(keys.map(|key| format!("{name}[].{key}")));
    }

    fn clip_link(&self) -> Option<Cow<'_, str>> {
        self.iter().find_map(|clip| {
            let link = clip.video_url.as_deref().filter(|link| !link.is_empty())?;
            is_completed(clip.status.as_deref().unwrap_or_default()).then_some(Cow::Borrowed(link))
        })
    }

    #[cfg(feature = "schema")]
    fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "array", "items": generator.subschema_for::<Clip>() })
    }
}
