//! [`signed_request`]: one signed delivery as a value.

use bytes::Bytes;
use heygen_signature::{SIGNATURE, Secret};
use http::{
    HeaderName, HeaderValue, Method, Request,
    header::{CONTENT_TYPE, InvalidHeaderValue},
};
use http_body_util::Full;

/// The request that HeyGen sends for a body: a signed POST to `url`.
///
/// For handlers that can be called without a socket. `url` may be only a path. To change the header
/// or the method, modify the returned request.
///
/// # Wire shape
///
/// `POST`, `Content-Type: application/json`, and `Signature` over the body as given.
///
/// # Panics
///
/// If `url` is not a URI.
///
/// # Examples
///
/// ```
/// use heygen_signature::Secret;
/// use heygen_testkit::{fixtures, signed_request};
///
/// let secret = Secret::new("whsec_test")?;
/// let body = fixtures::VIDEO_AGENT_FAIL_DOCUMENTED.body;
/// let request = signed_request("/webhooks/heygen", body, &secret);
/// assert!(request.headers().contains_key("signature"));
/// # Ok::<(), heygen_signature::SecretError>(())
/// ```
#[track_caller]
pub fn signed_request(url: &str, body: impl Into<Bytes>, secret: &Secret) -> Request<Full<Bytes>> {
    let body = body.into();
    let signature = signature_value(secret, &body);
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    match url.parse() {
        Ok(uri) => *request.uri_mut() = uri,
        Err(error) => panic!("{url} is not a URI: {error}"),
    }
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(HeaderName::from_static(SIGNATURE), signature);
    request
}

/// The value of the signature header for a body.
#[expect(
    clippy::expect_used,
    reason = "hexadecimal digits are a valid header value"
)]
pub(crate) fn signature_value(secret: &Secret, body: &[u8]) -> HeaderValue {
    let value: Result<_, InvalidHeaderValue> = secret.sign(body).to_string().try_into();
    value.expect("digits make a header value")
}

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
