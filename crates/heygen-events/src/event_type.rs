//! The table of event names, and [`EventType`] made from it.
//!
//! Everything that must agree on the names comes from `event_types!`: the enum, its texts, the list, the variants of
//! [`Payload`](crate::Payload) and the schemas. A new event is one entry here.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::outcome::{MediaKind, Outcome};

/// Hands the table to `$view!`, in the order of HeyGen's documentation with each family together.
///
/// An entry reads: one sentence that describes the event, the variant, the name on the wire, the type of its data in
/// [`payload`](crate::payload), and the kind of media that the event brings.
macro_rules! event_types {
    ($view:ident) => {
        $view! {
            /// An avatar video finished rendering.
            AvatarVideoSuccess = "avatar_video.success", AvatarVideoSuccess, brings Video;
            /// An avatar video could not be rendered.
            AvatarVideoFail = "avatar_video.fail", AvatarVideoFail, brings Nothing;
            /// The animated preview of an avatar video is ready.
            AvatarVideoGifSuccess = "avatar_video_gif.success", AvatarVideoSuccess, brings Gif;
            /// The animated preview of an avatar video could not be made.
            AvatarVideoGifFail = "avatar_video_gif.fail", AvatarVideoFail, brings Nothing;
            /// The captions of an avatar video are ready.
            AvatarVideoCaptionSuccess = "avatar_video_caption.success", AvatarVideoCaptionSuccess, brings Caption;
            /// The captions of an avatar video could not be made.
            AvatarVideoCaptionFail = "avatar_video_caption.fail", Untyped, brings Nothing;
            /// A Video Agent session finished its video.
            VideoAgentSuccess = "video_agent.success", VideoAgentSuccess, brings Video;
            /// A Video Agent session ended without a video.
            VideoAgentFail = "video_agent.fail", VideoAgentFail, brings Nothing;
            /// A translated video is ready.
            VideoTranslateSuccess = "video_translate.success", VideoTranslateSuccess, brings Video;
            /// A video could not be translated.
            VideoTranslateFail = "video_translate.fail", VideoTranslateFail, brings Nothing;
            /// The source of a translation did not pass the checks made before the work starts.
            VideoTranslatePreflightValidationFailed = "video_translate.preflight.validation_failed", Untyped, brings Nothing;
            /// The source of a translation could not be downloaded before the work starts.
            VideoTranslatePreflightDownloadFailed = "video_translate.preflight.download_failed", Untyped, brings Nothing;
            /// A personalized video was generated.
            PersonalizedVideo = "personalized_video", PersonalizedVideo, brings Video;
            /// An instant avatar was created.
            InstantAvatarSuccess = "instant_avatar.success", Untyped, brings Nothing;
            /// An instant avatar could not be created.
            InstantAvatarFail = "instant_avatar.fail", Untyped, brings Nothing;
            /// A photo avatar was generated.
            PhotoAvatarGenerationSuccess = "photo_avatar_generation.success", Untyped, brings Nothing;
            /// A photo avatar could not be generated.
            PhotoAvatarGenerationFail = "photo_avatar_generation.fail", Untyped, brings Nothing;
            /// A photo avatar was trained.
            PhotoAvatarTrainSuccess = "photo_avatar_train.success", Untyped, brings Nothing;
            /// A photo avatar could not be trained.
            PhotoAvatarTrainFail = "photo_avatar_train.fail", Untyped, brings Nothing;
            /// Motion was added to a photo avatar.
            PhotoAvatarAddMotionSuccess = "photo_avatar_add_motion.success", Untyped, brings Nothing;
            /// Motion could not be added to a photo avatar.
            PhotoAvatarAddMotionFail = "photo_avatar_add_motion.fail", Untyped, brings Nothing;
            /// A proofread of a translation was created.
            ProofreadCreationSuccess = "proofread_creation.success", Untyped, brings Nothing;
            /// A proofread of a translation could not be created.
            ProofreadCreationFail = "proofread_creation.fail", Untyped, brings Nothing;
            /// A live avatar session ended as it should.
            LiveAvatarSuccess = "live_avatar.success", Untyped, brings Nothing;
            /// A live avatar session failed.
            LiveAvatarFail = "live_avatar.fail", Untyped, brings Nothing;
            /// A HyperFrames cloud render finished.
            HyperframesVideoSuccess = "hyperframes_video.success", HyperframesVideo, brings Video;
            /// A HyperFrames cloud render failed.
            HyperframesVideoFail = "hyperframes_video.fail", HyperframesVideo, brings Nothing;
            /// An AI clipping job finished.
            AiClippingSuccess = "ai_clipping.success", AiClipping, brings Video;
            /// An AI clipping job failed.
            AiClippingFail = "ai_clipping.fail", AiClipping, brings Nothing;
            /// Every item of a batch has ended, well or not.
            BatchFinished = "batch.finished", Untyped, brings Nothing;
        }
    };
}
pub(crate) use event_types;

macro_rules! brings {
    (Nothing) => {
        None
    };
    ($kind:ident) => {
        Some(MediaKind::$kind)
    };
}

macro_rules! names {
    ($(#[doc = $doc:literal] $variant:ident = $name:literal, $payload:ident, brings $media:ident;)+) => {
        /// The name of an event: one that HeyGen documents, or whatever else was received.
        ///
        /// # Wire shape
        ///
        /// A string: `<subject>.<outcome>`, a bare `<subject>`, or `<subject>.preflight.<reason>`. HeyGen adds names about
        /// every month, so reading one cannot fail. Names are compared exactly; case matters.
        ///
        /// # Source
        ///
        /// HeyGen's API reference, the event types that an endpoint can subscribe to: documented (30 names, July 2026).
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum EventType {
            $(
                #[doc = $doc]
                #[doc = ""]
                #[doc = concat!("On the wire `", $name, "`; its data is [`payload::", stringify!($payload),
                    "`](crate::payload::", stringify!($payload), ").")]
                $variant,
            )+
            /// A name this version does not know.
            Unknown(UnknownName),
        }

        impl EventType {
            /// Every name this version knows, in the order of the table.
            pub const KNOWN: &[Self] = &[$(Self::$variant),+];

            /// The name as it stands on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::Unknown(name) => name.as_str(),
                }
            }

            /// One sentence saying when HeyGen sends it.
            #[must_use]
            pub fn description(&self) -> &'static str {
                match self {
                    $(Self::$variant => $doc.trim_ascii(),)+
                    Self::Unknown(_) => "An event that this version does not know.",
                }
            }

            /// The kind of media that such an event brings, as far as the name says; `None` for failures.
            ///
            /// An unknown name is judged by its words: `gif`, `caption` and `subtitle` tell, nothing else does.
            #[must_use]
            pub fn media_kind(&self) -> Option<MediaKind> {
                match self {
                    $(Self::$variant => brings!($media),)+
                    Self::Unknown(_) if self.outcome() == Outcome::Failure => None,
                    Self::Unknown(name) => MediaKind::of_unknown_name(name.as_str()),
                }
            }
        }

        impl From<&str> for EventType {
            fn from(name: &str) -> Self {
                match name {
                    $($name => Self::$variant,)+
                    other => Self::Unknown(UnknownName(other.into())),
                }
            }
        }
    };
}
event_types!(names);

/// A name this version does not know, kept as received.
///
/// The field is private: only failing to match a documented name makes one, so it never shadows a variant.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UnknownName(Box<str>);

impl EventType {
    /// Whether this version knows the name.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown(_))
    }

    /// How the work ended, as far as the name says.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome::of_name(self.as_str())
    }
}

impl UnknownName {
    /// The name as received.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for EventType {
    fn from(name: String) -> Self {
        Self::from(name.as_str())
    }
}

impl FromStr for EventType {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(Self::from(name))
    }
}

impl PartialEq<str> for EventType {
    fn eq(&self, name: &str) -> bool {
        self.as_str() == name
    }
}

impl PartialEq<&str> for EventType {
    fn eq(&self, name: &&str) -> bool {
        self.as_str() == *name
    }
}

impl AsRef<str> for EventType {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}
