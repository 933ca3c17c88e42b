//! The table of HeyGen's operations, and [`Operation`] made from it.

use std::{error::Error, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

macro_rules! operations {
    ($($(#[doc = $doc:literal])+ $variant:ident = $method:literal $path:literal;)+) => {
        /// An operation of HeyGen's API that the sandbox plays: those of webhooks, and those that start and
        /// follow jobs.
        ///
        /// # Wire shape
        ///
        /// In JSON it is its method and path: `"POST /v3/webhooks/endpoints"`.
        ///
        /// # Source
        ///
        /// HeyGen's API reference, v1 to v3: documented.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Operation {
            $(
                $(#[doc = $doc])+
                #[doc = ""]
                #[doc = concat!("`", $method, " ", $path, "`")]
                $variant,
            )+
        }

        impl Operation {
            /// Every operation: those of webhooks, v1 before v3, and then those of jobs.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The HTTP method.
            #[must_use]
            pub fn method(self) -> &'static str {
                match self {
                    $(Self::$variant => $method,)+
                }
            }

            /// The path; a name in braces stands for an id.
            #[must_use]
            pub fn path(self) -> &'static str {
                match self {
                    $(Self::$variant => $path,)+
                }
            }
        }
    };
}

operations! {
    /// Creates an endpoint (v1).
    V1Add = "POST" "/v1/webhook/endpoint.add";
    /// Lists endpoints with their secrets (v1).
    V1List = "GET" "/v1/webhook/endpoint.list";
    /// Changes the URL and the events of an endpoint (v1).
    V1Update = "PATCH" "/v1/webhook/endpoint.update";
    /// Deletes an endpoint (v1).
    V1Delete = "DELETE" "/v1/webhook/endpoint.delete";
    /// Lists the names of events (v1).
    V1EventTypes = "GET" "/v1/webhook/webhook.list";
    /// Creates an endpoint (v3).
    Create = "POST" "/v3/webhooks/endpoints";
    /// Lists endpoints without their secrets (v3).
    List = "GET" "/v3/webhooks/endpoints";
    /// Changes the URL or the events of an endpoint (v3).
    Update = "PATCH" "/v3/webhooks/endpoints/{endpoint_id}";
    /// Deletes an endpoint (v3).
    Delete = "DELETE" "/v3/webhooks/endpoints/{endpoint_id}";
    /// Replaces the secret of an endpoint (v3).
    RotateSecret = "POST" "/v3/webhooks/endpoints/{endpoint_id}/rotate-secret";
    /// Lists event types with descriptions (v3).
    EventTypes = "GET" "/v3/webhooks/event-types";
    /// Lists the event log (v3).
    Events = "GET" "/v3/webhooks/events";
    /// Starts an avatar video (v2).
    V2CreateVideo = "POST" "/v2/video/generate";
    /// Starts a video of a template (v2).
    V2CreateTemplateVideo = "POST" "/v2/template/{template_id}/generate";
    /// Shows the state of a video (v1).
    V1VideoStatus = "GET" "/v1/video_status.get";
    /// Starts a translation (v2).
    V2CreateTranslation = "POST" "/v2/video_translate";
    /// Shows the state of a translation (v2).
    V2TranslationStatus = "GET" "/v2/video_translate/{video_translate_id}";
    /// Starts a video (v3).
    CreateVideo = "POST" "/v3/videos";
    /// Starts a video of a template (v3).
    CreateTemplateVideo = "POST" "/v3/templates/{template_id}";
    /// Shows the state of a video (v3).
    VideoStatus = "GET" "/v3/videos/{video_id}";
    /// Starts a session of the video agent (v3).
    CreateVideoAgent = "POST" "/v3/video-agents";
    /// Shows the state of a session (v3).
    VideoAgentStatus = "GET" "/v3/video-agents/{session_id}";
    /// Starts a translation into each language (v3).
    CreateTranslation = "POST" "/v3/video-translations";
    /// Shows the state of a translation (v3).
    TranslationStatus = "GET" "/v3/video-translations/{video_translation_id}";
    /// Starts an AI clipping job (v3).
    CreateAiClipping = "POST" "/v3/ai-clipping";
    /// Shows the state of an AI clipping job (v3).
    AiClippingStatus = "GET" "/v3/ai-clipping/{job_id}";
    /// Starts a HyperFrames render (v3).
    CreateRender = "POST" "/v3/hyperframes/renders";
    /// Shows the state of a render (v3).
    RenderStatus = "GET" "/v3/hyperframes/renders/{render_id}";
}

impl Operation {
    /// What a path that is none of an operation may mean.
    pub(super) fn hint(method: &str, path: &str) -> String {
        let known = |path: &str| Self::ALL.iter().find(|operation| operation.path() == path);
        let without_slash = path.trim_end_matches('/');
        if known(without_slash).is_some() {
            return format!("there is no slash at the end of {without_slash}");
        }
        if let Some((shorter, id)) = without_slash.rsplit_once('/') {
            match known(shorter) {
                Some(Self::V1Delete) => {
                    return format!(
                        "the id goes in the query: {method} {shorter}?endpoint_id={id}"
                    );
                }
                Some(Self::V1Update) => {
                    return "the id goes in the body, as endpoint_id".to_owned();
                }
                Some(_) | None => {}
            }
        }
        "there is no such path in the sandbox".to_owned()
    }
}

/// The text is not the method and path of an [`Operation`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct OperationError;

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method(), self.path())
    }
}

impl FromStr for Operation {
    type Err = OperationError;

    fn from_str(text: &str) -> Result<Self, OperationError> {
        let mut known = Self::ALL.iter().copied();
        known
            .find(|operation| operation.to_string() == text)
            .ok_or(OperationError)
    }
}

impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl fmt::Display for OperationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no operation of HeyGen's API in the sandbox has that method and path")
    }
}

impl Error for OperationError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_parsed_from_their_text() {
        assert_eq!(Operation::ALL.len(), 28);
        for operation in Operation::ALL {
            assert_eq!(operation.to_string().parse(), Ok(*operation));
        }
        assert_eq!("GET /v3/webhooks".parse::<Operation>(), Err(OperationError));
    }
}
