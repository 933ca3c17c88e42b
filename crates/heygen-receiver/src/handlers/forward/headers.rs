//! The headers of a forwarded delivery.

use std::time::{SystemTime, UNIX_EPOCH};

use heygen_events::text::one_line;
use heygen_signature::{HEYGEN_SIGNATURE, SIGNATURE, Signature};
use http::header::{
    ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};

use crate::delivery::{Delivery, FORWARDED_ID, FORWARDED_VIA};
use crate::handlers::timestamp::rfc3339;

pub(super) fn headers(
    delivery: &Delivery,
    signature: Option<&Signature>,
    now: SystemTime,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for header in delivery.headers() {
        // A received header is valid unless a store changed it; an invalid one is left out.
        let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(header.name.as_bytes()),
            HeaderValue::from_bytes(header.value.as_bytes()),
        ) else {
            continue;
        };
        if name == CONTENT_TYPE || name.as_str() == TIMESTAMP {
            headers.insert(name, value);
        } else if is_for_the_application(name.as_str()) {
            headers.append(name, value);
        }
    }
    headers
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/json"));
    if let Some(timestamp) = headers.get_mut(TIMESTAMP) {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        *timestamp = since.as_secs().into();
    }
    // Some servers and proxies reject a POST without it, also one with an empty body.
    headers.insert(CONTENT_LENGTH, delivery.body().len().into());
    headers.insert(USER_AGENT, PRODUCT);
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert("heygen-webhooks-attempt", delivery.attempt().into());
    let signed = [HEYGEN_SIGNATURE, SIGNATURE]
        .into_iter()
        .filter_map(|name| Some((name, signature?.to_string())));
    let about = [
        (
            "heygen-webhooks-authenticity",
            delivery.source().authenticity().as_str().to_owned(),
        ),
        (FORWARDED_ID, delivery.id().to_string()),
        (
            "heygen-webhooks-received-at",
            rfc3339(delivery.received_at()),
        ),
    ];
    let given_up = delivery
        .dead_letter_reason()
        .map(|reason| ("heygen-webhooks-dead-letter", in_header(reason)));
    let via = via(delivery).map(|ids| (FORWARDED_VIA, ids));
    for (name, text) in signed.chain(about).chain(given_up).chain(via) {
        // Only letters, digits and punctuation that are valid in a header.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(text)) {
            headers.insert(name, value);
        }
    }
    headers
}

/// The ids that the delivery had at the receivers that forwarded it here: one that gets it back
/// finds its own among them.
fn via(delivery: &Delivery) -> Option<String> {
    let of_name = |wanted: &'static str| {
        let headers = delivery.headers().iter();
        headers.filter(move |header| header.name == wanted)
    };
    let ids = of_name(FORWARDED_VIA).chain(of_name(FORWARDED_ID));
    let ids: Vec<&str> = ids.map(|header| header.value.as_str()).collect();
    (!ids.is_empty()).then(|| ids.join(", "))
}

/// A reason in what a header can hold.
fn in_header(reason: &str) -> String {
    let printable = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    let text = one_line(reason);
    let text = text
        .chars()
        .map(|c| if c == ' ' { c } else { printable(c) });
    text.take(MAX_REASON).collect()
}

/// Neither the signature of the original nor the headers that this handler sets.
fn is_for_the_application(name: &str) -> bool {
    match name {
        HEYGEN_SIGNATURE => false,
        "x-request-id" | "traceparent" | "tracestate" => true,
        name => name.starts_with("heygen-") && !name.starts_with("heygen-webhooks-"),
    }
}

/// Servers limit their headers.
const MAX_REASON: usize = 500;

const TIMESTAMP: &str = "heygen-timestamp";
const PRODUCT: HeaderValue =
    HeaderValue::from_static(concat!("heygen-webhooks/", env!("CARGO_PKG_VERSION")));
