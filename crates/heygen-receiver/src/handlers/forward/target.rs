//! [`Target`]: the address that deliveries are forwarded to.

use std::fmt;

use http::Uri;
use url::Url;

use super::error::ForwardError;

/// The address of an application. `Display` omits its query, which may hold a key.
pub(super) struct Target {
    uri: Uri,
    shown: Url,
}

impl Target {
    pub(super) fn parse(text: &str) -> Result<Self, ForwardError> {
        let mut url = Url::parse(text.trim()).map_err(ForwardError::no_url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ForwardError::url(
                "the address to forward to is neither http nor https",
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ForwardError::url(
                "the address to forward to holds a user or a password",
            ));
        }
        url.set_fragment(None);
        let uri = url.as_str().parse().map_err(ForwardError::no_url)?;
        url.set_query(None);
        Ok(Self { uri, shown: url })
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(super) fn is_https(&self) -> bool {
        self.shown.scheme() == "https"
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, &str), &str>) {
        let found = Target::parse(text);
        let found = found
            .as_ref()
            .map(|target| (target.uri().to_string(), target.to_string()))
            .map_err(ToString::to_string);
        let found = found
            .as_ref()
            .map(|(url, shown)| (url.as_str(), shown.as_str()));
        assert_eq!(found.map_err(String::as_str), expected, "{text:?}");
    }

    #[test]
    fn address_is_http_without_credentials() {
        let scheme = Err("the address to forward to is neither http nor https");
        let user = Err("the address to forward to holds a user or a password");
        let no_url = Err("the address to forward to is not a URL");
        check(
            " http://127.0.0.1:3000\n",
            Ok(("http://127.0.0.1:3000/", "http://127.0.0.1:3000/")),
        );
        check(
            "https://a.example/b?key=1#c",
            Ok(("https://a.example/b?key=1", "https://a.example/b")),
        );
        check(
            "HTTP://[::1]:80/é",
            Ok(("http://[::1]/%C3%A9", "http://[::1]/%C3%A9")),
        );
        check("ftp://a.example", scheme);
        check("localhost:3000", scheme);
        check("file:///etc/passwd", scheme);
        check("http://user@a.example", user);
        check("http://:password@a.example", user);
        check("", no_url);
        check("a.example/hook", no_url);
        check("http://", no_url);
    }
}
