//! [`Credentials`]: an API key or an OAuth access token.

use std::fmt;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use zeroize::Zeroizing;

/// An API key or an OAuth access token. HeyGen accepts either, never both.
///
/// `Debug` hides it, and its memory is wiped on drop. White space around the text is trimmed, so a
/// line of a file works.
///
/// # Source
///
/// HeyGen's API reference, “Authentication”: documented. That v1 accepts a bearer token is not
/// documented.
#[derive(Clone)]
pub struct Credentials {
    scheme: Scheme,
    text: Zeroizing<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scheme {
    ApiKey,
    Bearer,
}

impl Credentials {
    /// An API key, sent as `X-Api-Key`.
    #[must_use]
    pub fn api_key(key: impl Into<String>) -> Self {
        Self::new(Scheme::ApiKey, key.into())
    }

    /// An OAuth access token, sent as `Authorization: Bearer`. HeyGen bills its use to the web
    /// plan.
    #[must_use]
    pub fn bearer(token: impl Into<String>) -> Self {
        Self::new(Scheme::Bearer, token.into())
    }

    fn new(scheme: Scheme, text: String) -> Self {
        let given = Zeroizing::new(text);
        Self {
            scheme,
            text: Zeroizing::new(given.trim().to_owned()),
        }
    }

    /// The request header, or why there is none.
    pub(crate) fn header(&self) -> Result<(HeaderName, HeaderValue), &'static str> {
        if self.text.is_empty() {
            return Err("the API key or token is empty");
        }
        let (name, value) = match self.scheme {
            Scheme::ApiKey => (
                HeaderName::from_static("x-api-key"),
                HeaderValue::from_str(&self.text),
            ),
            Scheme::Bearer => {
                let value = Zeroizing::new(format!("Bearer {}", *self.text));
                (AUTHORIZATION, HeaderValue::from_str(&value))
            }
        };
        let mut value = value.map_err(|_| "the API key or token is not a valid header value")?;
        value.set_sensitive(true);
        Ok((name, value))
    }

    /// `text` with the credentials hidden, in case the server repeats them.
    pub(crate) fn hide_in(&self, text: &str) -> String {
        match self.text.is_empty() {
            true => text.to_owned(),
            false => text.replace(&*self.text, "[hidden]"),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.scheme {
            Scheme::ApiKey => "Credentials(API key, hidden)",
            Scheme::Bearer => "Credentials(bearer token, hidden)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(credentials: &Credentials, expected: Option<(&str, &str)>) {
        let header = credentials.header().ok();
        let found = header
            .as_ref()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        assert_eq!(found, expected);
        if let Some((_, value)) = header {
            assert!(value.is_sensitive());
        }
    }

    #[test]
    fn api_key_and_token_have_their_headers() {
        check(&Credentials::api_key("k1"), Some(("x-api-key", "k1")));
        check(&Credentials::api_key(" k1\r\n"), Some(("x-api-key", "k1")));
        check(
            &Credentials::bearer("t1"),
            Some(("authorization", "Bearer t1")),
        );
        check(&Credentials::api_key(""), None);
        check(&Credentials::bearer(" \n"), None);
        check(&Credentials::api_key("k1\nX-Evil: 1"), None);
    }

    #[test]
    fn debug_and_hide_in_hide_credentials() {
        let key = Credentials::api_key("k-visible");
        let token = Credentials::bearer("t-visible");
        let shown = format!("{key:?} {token:#?}");
        assert_eq!(
            shown,
            "Credentials(API key, hidden) Credentials(bearer token, hidden)"
        );
        assert_eq!(key.hide_in("no k-visible!"), "no [hidden]!");
        assert_eq!(Credentials::api_key("").hide_in("text"), "text");
    }
}
