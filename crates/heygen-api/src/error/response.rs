//! Recognizes an error response and makes an [`ApiError`] of it. HeyGen has three envelopes:
//!
//! | envelope | shape |
//! |---|---|
//! | v3 | `{"error":{"code":"…","message":"…","param":…,"doc_url":…}}` |
//! | v1 | `{"code":400112,"message":"…","data":null}`, also with status 200 |
//! | v2, on old paths | `{"data":null,"error":{"code":"…","message":"…"}}` |
//!
//! Gateways answer in HTML or without a body: then only the status counts.

use serde_json::{Map, Value};

use super::{ApiError, ApiErrorKind, ErrorDetails};
use crate::credentials::Credentials;

/// The error in a response, or `None` for a success. `body` is `None` when it is not a JSON object.
pub(crate) fn find_error(
    status: u16,
    body: Option<&Map<String, Value>>,
    credentials: &Credentials,
) -> Option<ApiError> {
    let success = (200..300).contains(&status);
    let details = body
        .map(|body| details(body, credentials))
        .unwrap_or_default();
    if success && !body.is_some_and(is_error) {
        return None;
    }
    Some(ApiError::refused(
        kind(status, details.code.as_deref().unwrap_or_default()),
        details,
    ))
}

/// Whether the body of a 2xx answer is an error: v1 with a `code` other than 100, or a non-null
/// `error`.
fn is_error(body: &Map<String, Value>) -> bool {
    let code = body.get("code").filter(|code| !code.is_null());
    let error = body.get("error").filter(|error| !error.is_null());
    error.is_some() || code.is_some_and(|code| text(Some(code)).as_deref() != Some(V1_SUCCESS))
}

fn details(body: &Map<String, Value>, credentials: &Credentials) -> ErrorDetails {
    let nested = body.get("error").and_then(Value::as_object);
    let from = nested.unwrap_or(body);
    let clean = |value: Option<String>| {
        let value = credentials.hide_in(&value?);
        Some(value.chars().take(MAX_CHARS).collect())
    };
    let get = |name: &str| text(from.get(name));
    let code = get("code");
    // v1 names no parameter, but this code is about a single one.
    let of_code = (code.as_deref() == Some(V1_INVALID_URL)).then(|| "url".to_owned());
    ErrorDetails {
        code: clean(code),
        // v1 has two names for it, and `error` was observed as a plain string too.
        message: clean(
            get("message")
                .or_else(|| get("msg"))
                .or_else(|| text(body.get("error"))),
        ),
        param: clean(get("param").or(of_code)),
        doc_url: clean(get("doc_url")),
    }
}

/// A string that is not empty, or a number.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A specific status decides the kind. Of a generic one (2xx, 400, 422, any other), the code does.
fn kind(status: u16, code: &str) -> ApiErrorKind {
    let by_code = || {
        CODES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(code))
            .map(|(_, kind)| *kind)
    };
    match status {
        401 => ApiErrorKind::Authentication,
        402 => ApiErrorKind::PaymentRequired,
        403 => ApiErrorKind::Forbidden,
        404 | 410 => ApiErrorKind::NotFound,
        409 => ApiErrorKind::Conflict,
        429 if code.eq_ignore_ascii_case("quota_exceeded") => ApiErrorKind::QuotaExceeded,
        429 => ApiErrorKind::RateLimited,
        500.. => ApiErrorKind::Server,
        400 | 422 => by_code().unwrap_or(ApiErrorKind::InvalidParameter),
        _ => by_code().unwrap_or(ApiErrorKind::Refused),
    }
}

const V1_SUCCESS: &str = "100";

/// “Webhook endpoint not found”, with status 404, from v1's update and deletion.
pub(crate) const V1_NO_SUCH_ENDPOINT: &str = "400131";

/// “Url of this webhook endpoint is invalid”, with status 400, from v1's addition and update.
const V1_INVALID_URL: &str = "400542";

/// The longest text that an error keeps.
const MAX_CHARS: usize = 1000;

/// Codes that are more specific than a generic status: words of v3, numbers of v1.
const CODES: &[(&str, ApiErrorKind)] = &[
    ("unauthorized", ApiErrorKind::Authentication),
    ("authentication_failed", ApiErrorKind::Authentication),
    ("insufficient_credit", ApiErrorKind::PaymentRequired),
    ("trial_limit_exceeded", ApiErrorKind::PaymentRequired),
    ("plan_upgrade_required", ApiErrorKind::PaymentRequired),
    ("forbidden", ApiErrorKind::Forbidden),
    ("resource_access_denied", ApiErrorKind::Forbidden),
    ("webhook_not_found", ApiErrorKind::NotFound),
    ("not_found", ApiErrorKind::NotFound),
    ("resource_not_found", ApiErrorKind::NotFound),
    ("invalid_parameter", ApiErrorKind::InvalidParameter),
    ("conflict", ApiErrorKind::Conflict),
    ("request_in_progress", ApiErrorKind::Conflict),
    ("rate_limit_exceeded", ApiErrorKind::RateLimited),
    ("quota_exceeded", ApiErrorKind::QuotaExceeded),
    ("internal_error", ApiErrorKind::Server),
    ("40001", ApiErrorKind::InvalidParameter), // MISSING_PARAMS
    ("40009", ApiErrorKind::Authentication),   // INVALID_CREDENTIALS
    ("40012", ApiErrorKind::InvalidParameter), // INVALID_QUERY_PARAM
    ("400101", ApiErrorKind::NotFound),        // USER_NOT_FOUND
    ("400112", ApiErrorKind::Authentication),  // UNAUTHORIZED
    (V1_NO_SUCH_ENDPOINT, ApiErrorKind::NotFound),
    ("400175", ApiErrorKind::InvalidParameter), // INVALID_PARAMETER
    (V1_INVALID_URL, ApiErrorKind::InvalidParameter),
    ("400561", ApiErrorKind::NotFound),        // SPACE_NOT_FOUND
    ("400562", ApiErrorKind::Forbidden),       // FORBIDDEN
    ("400573", ApiErrorKind::Forbidden),       // PERMISSION_DENIED
    ("400599", ApiErrorKind::PaymentRequired), // TIER_NOT_SUPPORT
    ("400631", ApiErrorKind::Forbidden),       // USER_BLOCKED
    ("401056", ApiErrorKind::Authentication),  // ACCESS_TOKEN_EXPIRED
    ("401057", ApiErrorKind::Authentication),  // INVALID_ACCESS_TOKEN
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        status: u16,
        body: &str,
        expected: Option<(ApiErrorKind, Option<&str>, Option<&str>)>,
    ) {
        let value: Option<Value> = serde_json::from_str(body).ok();
        let object = value.as_ref().and_then(Value::as_object);
        let found = find_error(status, object, &Credentials::api_key("key-visible"));
        let found = found
            .as_ref()
            .map(|error| (error.kind(), error.code(), error.message()));
        assert_eq!(found, expected, "{status} {body}");
    }

    #[test]
    fn success_is_no_error() {
        check(200, r#"{"data":[]}"#, None);
        check(201, r#"{"data":{},"error":null}"#, None);
        check(
            200,
            r#"{"code":100,"data":null,"msg":null,"message":null}"#,
            None,
        );
        check(200, r#"{"code":"100","data":null}"#, None);
        check(200, r#"{"code":null,"data":[],"warning":{}}"#, None);
        check(204, "", None);
    }

    #[test]
    fn v1_code_other_than_100_is_an_error_with_any_status() {
        use ApiErrorKind as K;
        let refused = |kind, code| Some((kind, Some(code), Some("no")));
        let v1 = |code: &str| format!(r#"{{"code":{code},"message":"no","data":null}}"#);
        check(200, &v1("400112"), refused(K::Authentication, "400112"));
        check(200, &v1("400175"), refused(K::InvalidParameter, "400175"));
        check(
            200,
            &v1("\"400562\""),
            refused(ApiErrorKind::Forbidden, "400562"),
        );
        check(200, &v1("0"), refused(K::Refused, "0"));
        check(400, &v1("400561"), refused(K::NotFound, "400561"));
        check(400, &v1("499999"), refused(K::InvalidParameter, "499999"));
        check(401, &v1("499999"), refused(K::Authentication, "499999"));
        check(
            400,
            r#"{"code":40001,"msg":"no","message":null}"#,
            refused(K::InvalidParameter, "40001"),
        );
    }

    #[test]
    fn v1_webhook_codes_have_their_kinds() {
        use ApiErrorKind as K;
        let url = r#"{"code":400542,"message":"Url of this webhook endpoint is invalid"}"#;
        let gone = r#"{"code":400131,"message":"Webhook endpoint not found"}"#;
        let invalid = "Url of this webhook endpoint is invalid";
        for status in [400, 422, 200] {
            let expected = (K::InvalidParameter, Some("400542"), Some(invalid));
            check(status, url, Some(expected));
        }
        for status in [404, 400, 200] {
            let expected = (
                K::NotFound,
                Some("400131"),
                Some("Webhook endpoint not found"),
            );
            check(status, gone, Some(expected));
        }
        let param = |body: &str| {
            let value: Value = serde_json::from_str(body).unwrap();
            let error = find_error(400, value.as_object(), &Credentials::api_key("key")).unwrap();
            error.param().map(str::to_owned)
        };
        assert_eq!(param(url).as_deref(), Some("url"));
        assert_eq!(
            param(&url.replace("400542", r#""400542""#)).as_deref(),
            Some("url")
        );
        assert_eq!(param(gone), None);
        assert_eq!(param(r#"{"code":400175,"message":"no"}"#), None);
    }

    #[test]
    fn v2_and_v3_error_object_has_its_kind() {
        use ApiErrorKind as K;
        let refused = |kind, code| Some((kind, Some(code), Some("no")));
        let v3 = |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"no"}}}}"#);
        check(
            400,
            &v3("invalid_parameter"),
            refused(K::InvalidParameter, "invalid_parameter"),
        );
        check(
            400,
            &v3("WEBHOOK_NOT_FOUND"),
            refused(K::NotFound, "WEBHOOK_NOT_FOUND"),
        );
        check(
            200,
            &v3("internal_error"),
            refused(K::Server, "internal_error"),
        );
        check(200, &v3("new"), refused(K::Refused, "new"));
        check(
            429,
            &v3("quota_exceeded"),
            refused(K::QuotaExceeded, "quota_exceeded"),
        );
        check(
            429,
            &v3("Quota_Exceeded"),
            refused(K::QuotaExceeded, "Quota_Exceeded"),
        );
        check(
            429,
            &v3("rate_limit_exceeded"),
            refused(K::RateLimited, "rate_limit_exceeded"),
        );
        check(
            400,
            r#"{"data":null,"error":{"code":"unauthorized","message":"no"}}"#,
            refused(K::Authentication, "unauthorized"),
        );
        check(
            400,
            r#"{"error":"no"}"#,
            Some((K::InvalidParameter, None, Some("no"))),
        );
    }

    #[test]
    fn status_decides_without_json() {
        use ApiErrorKind as K;
        for (status, kind) in [
            (301, K::Refused),
            (400, K::InvalidParameter),
            (401, K::Authentication),
            (402, K::PaymentRequired),
            (403, K::Forbidden),
            (404, K::NotFound),
            (405, K::Refused),
            (409, K::Conflict),
            (410, K::NotFound),
            (413, K::Refused),
            (422, K::InvalidParameter),
            (429, K::RateLimited),
            (500, K::Server),
            (504, K::Server),
            (599, K::Server),
        ] {
            check(status, "<html>key-visible</html>", Some((kind, None, None)));
            check(status, "", Some((kind, None, None)));
            check(status, "[1]", Some((kind, None, None)));
            check(status, r#"{"error":null}"#, Some((kind, None, None)));
        }
    }

    #[test]
    fn api_key_is_hidden_and_long_text_is_cut() {
        let long = "x".repeat(5000);
        let body = serde_json::json!({"error": {"code": "key-visible", "message": "no key-visible", "param": "key-visible",
            "doc_url": format!("key-visible{long}")}});
        let error =
            find_error(400, body.as_object(), &Credentials::api_key("key-visible")).unwrap();
        let shown = format!("{error:?} {error}");
        assert!(!shown.contains("visible") && shown.contains("no [hidden]"));
        assert_eq!(error.doc_url().unwrap().chars().count(), MAX_CHARS);
    }
}
