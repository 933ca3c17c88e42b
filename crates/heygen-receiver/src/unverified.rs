//! [`Unverified`] and [`Verified`]: a request before and after its signature is checked.

use std::fmt;

use bytes::Bytes;
use heygen_events::{Event, ParseError};
#[cfg(feature = "inbox")]
use heygen_inbox::Header;
use heygen_signature::{Diagnosis, Match, Secrets, VerifyError, diagnose, verify};
use http::HeaderMap;

#[cfg(feature = "inbox")]
use crate::observer::ObservedPost;
use crate::rejection::Rejection;

/// A request whose body was read to its end and whose signature is not yet checked.
///
/// For a server of your own that stores nothing: [`verify`](Self::verify) is the only way to the
/// event.
///
/// # Examples
///
/// ```
/// use heygen_receiver::{Secret, Secrets, Unverified};
///
/// let secrets = Secrets::from(Secret::new("whsec_test")?);
/// let body = r#"{"event_type":"avatar_video.fail","event_data":{"video_id":"a","msg":"no credit"}}"#;
///
/// let mut headers = http::HeaderMap::new();
/// let signature = secrets.iter().next().map(|secret| secret.sign(body.as_bytes()).to_string());
/// headers.insert("Signature", signature.unwrap_or_default().parse()?);
///
/// let verified = Unverified::new(headers.clone(), body).verify(&secrets)?;
/// assert_eq!(verified.event()?.failure_message(), Some("no credit"));
///
/// assert!(Unverified::new(headers, "{}").verify(&secrets).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Unverified {
    headers: HeaderMap,
    body: Bytes,
}

/// A request whose body HeyGen signed.
#[derive(Debug)]
pub struct Verified {
    request: Unverified,
}

impl Unverified {
    /// The headers and the body of a request, byte for byte as received.
    #[must_use]
    pub fn new(headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        Self {
            headers,
            body: body.into(),
        }
    }

    /// Checks the signature of the body. `secrets` holds several while a secret is being replaced.
    ///
    /// # Errors
    ///
    /// [`Rejection::Unauthorized`] when the signature is missing, malformed or ambiguous, or
    /// matches no secret.
    pub fn verify(self, secrets: &Secrets) -> Result<Verified, Rejection> {
        match self.check(secrets) {
            Ok(_) => Ok(self.accept()),
            Err(_) => Err(Rejection::Unauthorized),
        }
    }

    /// Why the check fails, for the operator and never for the sender. Costs several times the
    /// check.
    #[must_use]
    pub fn diagnose(&self, secrets: &Secrets) -> Diagnosis {
        diagnose(&self.headers, &self.body, secrets)
    }

    /// The check alone, for a caller that still needs the request if it fails.
    pub(crate) fn check(&self, secrets: &Secrets) -> Result<Match, VerifyError> {
        verify(&self.headers, &self.body, secrets)
    }

    /// Only for a request that passed [`check`](Self::check), or that came to a path without
    /// signatures.
    pub(crate) fn accept(self) -> Verified {
        Verified { request: self }
    }

    #[cfg(feature = "inbox")]
    pub(crate) fn observed<'a>(&'a self, diagnosis: Option<&'a Diagnosis>) -> ObservedPost<'a> {
        let mut post = ObservedPost::new(&self.headers);
        post.body = Some(&self.body);
        post.diagnosis = diagnosis;
        post
    }

    #[cfg(feature = "inbox")]
    pub(crate) fn header_names(&self) -> impl Iterator<Item = &str> {
        self.headers.keys().map(http::HeaderName::as_str)
    }
}

impl Verified {
    /// The event in the body.
    ///
    /// # Errors
    ///
    /// [`ParseError`] when the body is not JSON or not an event, although HeyGen signed it.
    pub fn event(&self) -> Result<Event, ParseError> {
        Event::from_slice(self.body())
    }

    /// The bytes that were signed.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.request.body
    }

    /// The headers to store: all but credentials and those of the connection. None of them is
    /// signed.
    #[cfg(feature = "inbox")]
    #[must_use]
    pub fn headers(&self) -> Vec<Header> {
        let headers = self.request.headers.iter();
        headers
            .filter(|(name, _)| !is_dropped(name.as_str()))
            .map(|(name, value)| Header::new(name.as_str(), value.as_bytes()))
            .collect()
    }

    #[cfg(feature = "inbox")]
    pub(crate) fn into_body(self) -> Bytes {
        self.request.body
    }
}

/// Names and a length: headers can hold credentials, bodies hold presigned links.
impl fmt::Debug for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.keys().map(http::HeaderName::as_str).collect();
        f.debug_struct("Unverified")
            .field("header_names", &names)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// Whether the value of that header is never stored: a credential, or about the connection only.
#[cfg(feature = "inbox")]
pub(crate) fn is_dropped(name: &str) -> bool {
    DROPPED.contains(&name)
}

#[cfg(feature = "inbox")]
const DROPPED: [&str; 14] = [
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
