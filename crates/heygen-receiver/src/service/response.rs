//! The responses, each made in one place.

use std::time::Duration;

use bytes::Bytes;
use heygen_inbox::Appended;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

use crate::rejection::Rejection;

/// The response to the `OPTIONS` that HeyGen sends before it registers an endpoint.
pub(super) fn probe() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::ALLOW, ALLOWED);
    response
}

pub(super) fn stored(appended: Appended) -> Response<Full<Bytes>> {
    let status = match appended {
        Appended::New(_) => "accepted",
        _ => "duplicate",
    };
    json(format!(
        r#"{{"status":"{status}","id":"{}"}}"#,
        appended.id()
    ))
}

pub(super) fn rejected(
    rejection: Rejection,
    retry_after: Duration,
    is_unread: bool,
) -> Response<Full<Bytes>> {
    let mut response = json(format!(r#"{{"error":"{rejection}"}}"#));
    *response.status_mut() = rejection.status();
    let headers = response.headers_mut();
    match rejection.status() {
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(header::RETRY_AFTER, retry_after.as_secs().max(1).into());
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(header::ALLOW, ALLOWED);
        }
        _ => {}
    }
    if is_unread {
        headers.insert(header::CONNECTION, CLOSE);
    }
    response
}

fn json(text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

const ALLOWED: HeaderValue = HeaderValue::from_static("POST, OPTIONS, GET, HEAD");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
