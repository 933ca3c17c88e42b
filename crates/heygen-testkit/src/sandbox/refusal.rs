//! [`Refusal`]: why an operation was not carried out, told in the words of either version.

use axum::response::{IntoResponse, Response};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{operation::Operation, reply};

/// Which of the two APIs is spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Api {
    V1,
    V3,
}

impl From<Operation> for Api {
    fn from(operation: Operation) -> Self {
        if operation.path().starts_with("/v1/") {
            Self::V1
        } else {
            Self::V3
        }
    }
}

/// Why an operation was not carried out.
///
/// As a response it speaks as v3 does and is among the extensions, so that the gate before an
/// operation of v1 can say it in v1's words.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    /// No key, or a wrong one.
    Unauthorized,
    /// A parameter that has to be there is not.
    Missing(&'static str),
    /// A parameter, or the body as a whole, is not as it has to be.
    Invalid(Option<&'static str>, String),
    /// The address did not pass the probe.
    Unreachable(String),
    /// No endpoint has that id.
    NoSuchEndpoint,
    /// A request with the same `Idempotency-Key` is being worked on.
    InProgress,
    /// The body is longer than the sandbox reads.
    TooLarge,
}

impl Refusal {
    pub(super) fn invalid(param: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid(Some(param), message.into())
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
            Self::InProgress => {
                "A request with the same Idempotency-Key is still being processed.".to_owned()
            }
            Self::TooLarge => "The request body is too large.".to_owned(),
        }
    }

    /// Why an address is rejected, where the answer does not say it: in v1.
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
    /// HeyGen's OpenAPI text of v1 shows the 404 of an update, and no other refusal, as `text/plain`: documented.
    pub(super) fn reply_to(&self, operation: Operation) -> Response {
        let mut response = self.reply(Api::from(operation));
        if let (Self::NoSuchEndpoint, Operation::V1Update) = (self, operation) {
            let text = HeaderValue::from_static("text/plain");
            response.headers_mut().insert(CONTENT_TYPE, text);
        }
        response
    }

    /// # Source
    ///
    /// The envelopes and codes are documented, and of v1 the answers to an id that no endpoint has and to an address that is not
    /// valid. Which v1 code goes with any other refusal is assumed, and so is what both versions say to a failed probe.
    fn reply(&self, api: Api) -> Response {
        match api {
            Api::V1 => {
                let (status, code) = self.v1_code();
                let body = match self.v1_message() {
                    Some(message) => json!({"code": code, "message": message}),
                    None => json!({"code": code, "message": self.message(), "data": null}),
                };
                reply::json(status, &body)
            }
            Api::V3 => {
                let (status, code, param) = self.v3_code();
                reply::json(status, &v3_error(code, &self.message(), param))
            }
        }
    }

    fn v1_code(&self) -> (StatusCode, u32) {
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, 400_112),
            Self::Missing(_) => (StatusCode::BAD_REQUEST, 40_001),
            Self::Unreachable(_) | Self::Invalid(Some(URL), _) => {
                (StatusCode::BAD_REQUEST, 400_542)
            }
            Self::Invalid(..) => (StatusCode::BAD_REQUEST, 400_175),
            Self::NoSuchEndpoint => (StatusCode::NOT_FOUND, 400_131),
            Self::InProgress => (StatusCode::CONFLICT, 400_175),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, 400_175),
        }
    }

    /// The message of v1, word for word, where it is documented; nothing else stands beside it and the code.
    fn v1_message(&self) -> Option<&'static str> {
        match self {
            Self::NoSuchEndpoint => Some("Webhook endpoint not found"),
            _ if self.is_about_url() => Some("Url of this webhook endpoint is invalid"),
            _ => None,
        }
    }

    fn v3_code(&self) -> (StatusCode, &'static str, Option<&'static str>) {
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", None),
            Self::Missing(param) => (StatusCode::BAD_REQUEST, INVALID, Some(param)),
            Self::Invalid(param, _) => (StatusCode::BAD_REQUEST, INVALID, *param),
            Self::Unreachable(_) => (StatusCode::BAD_REQUEST, INVALID, Some(URL)),
            Self::NoSuchEndpoint => (StatusCode::NOT_FOUND, "webhook_not_found", None),
            Self::InProgress => (StatusCode::CONFLICT, "request_in_progress", None),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", None),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.reply(Api::V3);
        response.extensions_mut().insert(self);
        response
    }
}

/// What is answered where no operation is.
///
/// v3 has a code for it; for v1 none is documented, so the body is empty, as a gateway's would be (assumed).
pub(super) fn nothing_here(path: &str) -> Response {
    let status = StatusCode::NOT_FOUND;
    if path.starts_with("/v1/") {
        return status.into_response();
    }
    let message = "There is nothing at this path.";
    reply::json(status, &v3_error("not_found", message, None))
}

/// A refusal on request, with a status that HeyGen documents a code for or a gateway's without a body.
///
/// v1 documents no code for a status alone, so that its answers are empty (assumed).
pub(super) fn on_request(status: StatusCode, retry_after: Option<u64>, api: Api) -> Response {
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
            let message = "The sandbox was asked to refuse this call.";
            reply::json(status, &v3_error(code, message, None))
        }
        (None, _) | (_, Api::V1) => status.into_response(),
    };
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn v3_error(code: &'static str, message: &str, param: Option<&str>) -> Value {
    #[derive(Serialize)]
    struct Error<'a> {
        code: &'static str,
        message: &'a str,
        /// Only where a parameter is at fault.
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

/// The parameter that v1 has a code of its own for.
pub(super) const URL: &str = "url";

const INVALID: &str = "invalid_parameter";
const DOC_URL: &str = "https://developers.heygen.com/docs/error-codes";
