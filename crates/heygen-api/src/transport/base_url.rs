//! [`BaseUrl`]: the base URL of the API, checked.

use std::net::IpAddr;

use http::Uri;
use url::Url;

use crate::error::ApiError;

/// A URL that requests with an API key may be sent to.
#[derive(Clone, Debug)]
pub(crate) struct BaseUrl {
    url: Url,
    is_loopback: bool,
}

impl BaseUrl {
    pub(crate) fn parse(text: &str, plain_http: bool) -> Result<Self, ApiError> {
        // The error does not quote the text: it might hold a password.
        let url = Url::parse(text.trim())
            .map_err(|error| ApiError::config("the base URL is not a URL").with_source(error))?;
        let is_loopback = url.host_str().is_some_and(is_loopback);
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ApiError::config("the base URL is neither https nor http"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ApiError::config("the base URL holds a user or a password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ApiError::config("the base URL holds a query or a fragment"));
        }
        if url.scheme() == "http" && !is_loopback && !plain_http {
            return Err(ApiError::config(
                "the base URL is plain http to another machine, which would expose the API key",
            ));
        }
        Ok(Self { url, is_loopback })
    }

    pub(crate) fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// For HTTP itself, which has a type of its own.
    pub(super) fn uri(&self) -> Result<Uri, ApiError> {
        let uri = Uri::try_from(self.as_str());
        uri.map_err(|error| ApiError::config("the base URL is not a URL").with_source(error))
    }

    pub(super) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// The URL of an operation: its path below that of the base.
    pub(super) fn join(&self, path: &[String], query: &[(&'static str, String)]) -> Url {
        let mut url = self.url.clone();
        // It fails only for URLs without a host, which `parse` rejects by their scheme.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, plain_http: bool, expected: Result<&str, &str>) {
        let found = BaseUrl::parse(text, plain_http);
        let found = found
            .as_ref()
            .map(|base| base.as_str().to_owned())
            .map_err(ToString::to_string);
        assert_eq!(
            found.as_deref().map_err(String::as_str),
            expected,
            "{text:?}"
        );
    }

    #[test]
    fn url_that_would_expose_the_key_is_rejected() {
        let plain = "the base URL is plain http to another machine, which would expose the API key";
        check(
            "https://api.heygen.com",
            false,
            Ok("https://api.heygen.com/"),
        );
        check(
            " https://api.heygen.com/\n",
            false,
            Ok("https://api.heygen.com/"),
        );
        check(
            "https://gate.example/heygen/",
            false,
            Ok("https://gate.example/heygen/"),
        );
        check("http://127.0.0.1:8090", false, Ok("http://127.0.0.1:8090/"));
        check("http://127.8.8.8/", false, Ok("http://127.8.8.8/"));
        check("http://[::1]:8090", false, Ok("http://[::1]:8090/"));
        check("http://localhost:8090", false, Ok("http://localhost:8090/"));
        check("http://sandbox:8090", false, Err(plain));
        check("http://localhost.example", false, Err(plain));
        check("http://127.0.0.1.example", false, Err(plain));
        check("http://sandbox:8090", true, Ok("http://sandbox:8090/"));
        check("api.heygen.com", false, Err("the base URL is not a URL"));
        check("", false, Err("the base URL is not a URL"));
        check(
            "ftp://api.heygen.com",
            true,
            Err("the base URL is neither https nor http"),
        );
        check(
            "data:text",
            true,
            Err("the base URL is neither https nor http"),
        );
        check(
            "https://key@api.heygen.com",
            false,
            Err("the base URL holds a user or a password"),
        );
        check(
            "https://api.heygen.com/?key=1",
            false,
            Err("the base URL holds a query or a fragment"),
        );
        check(
            "https://api.heygen.com/#v3",
            false,
            Err("the base URL holds a query or a fragment"),
        );
    }

    #[track_caller]
    fn check_join(base: &str, path: &[&str], query: &[(&'static str, &str)], expected: &str) {
        let base = BaseUrl::parse(base, false).unwrap();
        let path: Vec<_> = path.iter().copied().map(str::to_owned).collect();
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        assert_eq!(base.join(&path, &query).as_str(), expected);
    }

    #[test]
    fn paths_and_queries_are_encoded() {
        check_join(
            "https://a.example",
            &["v3", "x"],
            &[],
            "https://a.example/v3/x",
        );
        check_join(
            "https://a.example/p",
            &["v3"],
            &[],
            "https://a.example/p/v3",
        );
        check_join(
            "https://a.example/p/",
            &["v3"],
            &[],
            "https://a.example/p/v3",
        );
        check_join(
            "https://a.example",
            &["v3", "a/b?c#d%2e é"],
            &[("token", "a&b=c+d /"), ("limit", "5")],
            "https://a.example/v3/a%2Fb%3Fc%23d%252e%20%C3%A9?token=a%26b%3Dc%2Bd+%2F&limit=5",
        );
    }
}
