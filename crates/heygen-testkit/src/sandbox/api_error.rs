//! [`ApiError`]: an error answer of the API, in the format of v1 or v3.

use std::fmt;

use axum::response::{IntoResponse, Response};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{operation::Operation, reply};

/// The version of the API.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Api {
    V1,
    V2,
    V3,
}

impl From<Operation> for Api {
    fn from(operation: Operation) -> Self {
        if operation.path().starts_with("/v1/") {
            Self::V1
        } else if operation.path().starts_with("/v2/") {
            Self::V2
        } else {
            Self::V3
        }
    }
}

/// Why an operation was not carried out.
///
/// As a response it has the format of v3, and is also an extension of the response: the gate in
/// front of a v1 operation uses that to answer in the format of v1.
#[derive(Clone, Debug)]
pub(super) enum ApiError {
    /// No key, or a wrong one.
    Unauthorized,
    /// A required parameter is missing.
    Missing(&'static str),
    /// A parameter, or the whole body, is invalid.
    Invalid(Option<&'static str>, String),
    /// The URL did not pass the probe.
    Unreachable(String),
    /// No endpoint has that id.
    NoSuchEndpoint,
    /// No job of that kind has that id.
    NoSuchJob {
        id: String,
        /// The kind, in messages.
        noun: &'static str,
        /// The code of v3.
        code: &'static str,
    },
    /// A request with the same `Idempotency-Key` is in progress.
    InProgress,
    /// The body is too long.
    TooLarge,
}

impl ApiError {
    pub(super) fn invalid(param: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid(Some(param), message.into())
    }

    /// What is wrong with the body, to follow “The request body”.
    pub(super) fn body(what: impl fmt::Display) -> Self {
        Self::Invalid(None, format!("The request body {what}"))
    }

    pub(super) fn message(&self) -> String {
        match self {
            Self::Unauthorized => "The API key is missing or not valid.".to_owned(),
            Self::Missing(param) => format!("{param} is required."),
            Self::Invalid(_, message) => message.clone(),
            Self::Unreachable(reason) => {
                format!("The url did not answer an OPTIONS request with 2xx in time: {reason}.")
            }
            Self::NoSuchEndpoint => "There is no webhook endpoint with that id.".to_owned(),
            Self::NoSuchJob { id, noun, .. } => format!("{noun} {id} not found"),
            Self::InProgress => {
                "A request with the same Idempotency-Key is still being processed.".to_owned()
            }
            Self::TooLarge => "The request body is too large.".to_owned(),
        }
    }

    /// Why a URL is rejected, if the answer does not say it: in v1.
    pub(super) fn undisclosed(&self, api: Api) -> Option<String> {
        (api == Api::V1 && self.is_about_url()).then(|| self.message())
    }

    fn is_about_url(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Invalid(Some(URL), _))
    }

    /// The answer to an operation.
    ///
    /// # Source
    ///
    /// HeyGen's OpenAPI text of v1 shows the 404 of an update as `text/plain`, and no other error:
    /// documented. So is the answer of `video_status.get` without an id.
    pub(super) fn reply_to(&self, operation: Operation) -> Response {
        if let (Self::Missing(_), Operation::V1VideoStatus) = (self, operation) {
            // HeyGen's spelling.
            let body = json!({"code": 400, "message": "Invlid parameters"});
            return reply::json(StatusCode::BAD_REQUEST, &body);
        }
        let mut response = self.reply(Api::from(operation));
        if let (Self::NoSuchEndpoint, Operation::V1Update) = (self, operation) {
            let text = HeaderValue::from_static("text/plain");
            response.headers_mut().insert(CONTENT_TYPE, text);
        }
        response
    }

    /// # Source
    ///
    /// The envelopes and codes are documented. Of v1, the answers to an unknown id and to an
    /// invalid URL are documented; the codes of all other errors are assumed. The answers of both
    /// versions to a failed probe are assumed. Of v2, the bodies without a key (2025) and without a
    /// required field are observed, all others assumed. Of jobs, `video_not_found` is observed, the
    /// code of a render documented, the code of v1 that of deleting a video, and the others assumed.
    fn reply(&self, api: Api) -> Response {
        let (status, v1_code, code, param) = self.parts();
        let body = match (api, self) {
            (Api::V1, _) => match self.v1_message() {
                Some(message) => json!({"code": v1_code, "message": message}),
                None => json!({"code": v1_code, "message": self.message(), "data": null}),
            },
            (Api::V2, Self::Unauthorized) => v2_error("internal_error", "Unauthorized"),
            (Api::V2, Self::Missing(param)) => {
                v2_error(code, &format!("{param} is invalid: field required"))
            }
            (Api::V2, _) => v2_error(code, &self.message()),
            (Api::V3, _) => v3_error(code, &self.message(), param),
        };
        reply::json(status, &body)
    }

    /// The status, the code of v1, the code of v2 and v3, and the parameter that is at fault.
    fn parts(&self) -> (StatusCode, u32, &'static str, Option<&'static str>) {
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, 400_112, "unauthorized", None),
            Self::Missing(param) => (StatusCode::BAD_REQUEST, 40_001, INVALID, Some(param)),
            Self::Invalid(Some(URL), _) | Self::Unreachable(_) => {
                (StatusCode::BAD_REQUEST, 400_542, INVALID, Some(URL))
            }
            Self::Invalid(param, _) => (StatusCode::BAD_REQUEST, 400_175, INVALID, *param),
            Self::NoSuchEndpoint => (StatusCode::NOT_FOUND, 400_131, "webhook_not_found", None),
            Self::NoSuchJob { code, .. } => (StatusCode::NOT_FOUND, 40_104, code, None),
            Self::InProgress => (StatusCode::CONFLICT, 400_175, "request_in_progress", None),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                400_175,
                "payload_too_large",
                None,
            ),
        }
    }

    /// The documented message of v1. Such an answer has only the code and the message.
    fn v1_message(&self) -> Option<&'static str> {
        match self {
            Self::NoSuchEndpoint => Some("Webhook endpoint not found"),
            Self::NoSuchJob { .. } => Some("Video not found"),
            _ if self.is_about_url() => Some("Url of this webhook endpoint is invalid"),
            _ => None,
        }
    }
}

/// The answer to a call.
pub(super) type ApiResult = Result<Response, ApiError>;

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.reply(Api::V3);
        response.extensions_mut().insert(self);
        response
    }
}

/// The answer for a path without an operation.
///
/// v3 has a code for it. For v1 none is documented, so the body is empty, as from a gateway
/// (assumed).
pub(super) fn not_found(path: &str) -> Response {
    let status = StatusCode::NOT_FOUND;
    if path.starts_with("/v1/") {
        return status.into_response();
    }
    let message = "This path does not exist.";
    reply::json(status, &v3_error("not_found", message, None))
}

/// The answer of a fault: HeyGen's error for this status if a code is documented, otherwise an
/// empty body, as from a gateway.
///
/// v1 documents no code for a status, so its answers are empty (assumed).
pub(super) fn fault_response(status: StatusCode, retry_after: Option<u64>, api: Api) -> Response {
    let code = match status.as_u16() {
        400 => Some(INVALID),
        401 => Some("unauthorized"),
        402 => Some("insufficient_credit"),
        403 => Some("forbidden"),
        404 => Some("not_found"),
        409 => Some("conflict"),
        413 => Some("payload_too_large"),
        429 => Some("rate_limit_exceeded"),
        500 => Some("internal_error"),
        504 => Some("gateway_timeout"),
        _ => None,
    };
    let mut response = match (code, api) {
        (Some(code), Api::V3) => {
            let message = "The sandbox was configured to reject this call.";
            reply::json(status, &v3_error(code, message, None))
        }
        (Some(code), Api::V2) => {
            let message = "The sandbox was configured to reject this call.";
            reply::json(status, &v2_error(code, message))
        }
        (None, _) | (_, Api::V1) => status.into_response(),
    };
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn v2_error(code: &'static str, message: &str) -> Value {
    json!({"data": null, "error": {"code": code, "message": message}})
}

fn v3_error(code: &'static str, message: &str, param: Option<&str>) -> Value {
    #[derive(Serialize)]
    struct Error<'a> {
        code: &'static str,
        message: &'a str,
        /// Only if a parameter is invalid.
        #[serde(skip_serializing_if = "Option::is_none")]
        param: Option<&'a str>,
        doc_url: String,
    }
    let error = Error {
        code,
        message,
        param,
        doc_url: format!("{DOC_URL}#{}", code.replace('_', "-")),
    };
    json!({ "error": error })
}

/// The parameter with its own code in v1.
pub(super) const URL: &str = "url";

const INVALID: &str = "invalid_parameter";
const DOC_URL: &str = "https://developers.heygen.com/docs/error-codes";
