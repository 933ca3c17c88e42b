//! Reads requests as strictly as HeyGen's schemas.

use std::{net::IpAddr, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use heygen_events::EventType;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::timeout;
use url::Url;

use super::api_error::{Api, ApiError, URL};

/// The parameters of a query, decoded.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Reads a whole body, within limits.
pub(super) async fn read_body(body: Body) -> Result<Bytes, ApiError> {
    match timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::TooLarge),
        // The client is most likely gone; what matters is that nothing is carried out.
        Ok(Err(_)) => Err(ApiError::body("is incomplete.")),
        Err(_) => Err(ApiError::body("timed out.")),
    }
}

/// The fields of a JSON body. Unknown fields are ignored.
#[derive(Debug)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn read(body: &[u8]) -> Result<Self, ApiError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(ApiError::body("is not a JSON object.")),
            Err(error) => Err(ApiError::body(format_args!("is not JSON: {error}."))),
        }
    }

    /// A string. `null` counts as missing.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<String>, ApiError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Err(ApiError::invalid(name, format!("{name} must be a string.")))
            }
        }
    }

    /// Rejects a body without this field.
    pub(super) fn require(&self, name: &'static str) -> Result<(), ApiError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Err(ApiError::Missing(name)),
            Some(_) => Ok(()),
        }
    }

    /// Rejects a field that the operation does not have, in HeyGen's words (observed).
    pub(super) fn refuse(&self, name: &'static str) -> Result<(), ApiError> {
        match self.0.get(name) {
            None => Ok(()),
            Some(_) => Err(ApiError::invalid(name, "Extra inputs are not permitted")),
        }
    }

    /// Whether a switch is on, or an object of settings is there.
    pub(super) fn is_set(&self, name: &'static str) -> bool {
        match self.0.get(name) {
            Some(Value::Bool(is_set)) => *is_set,
            Some(Value::Object(_)) => true,
            None | Some(Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                false
            }
        }
    }

    /// A list of strings. A missing one is empty.
    pub(super) fn texts(&self, name: &'static str) -> Result<Vec<String>, ApiError> {
        let items = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                return Err(ApiError::invalid(name, format!("{name} must be an array.")));
            }
        };
        let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
        let texts: Option<_> = texts.collect();
        texts.ok_or_else(|| ApiError::invalid(name, format!("{name} must be an array of strings.")))
    }

    /// The list of events: `None` when the field is absent, `Some(None)` for `null`.
    pub(super) fn events(&self) -> Result<Option<Option<Vec<String>>>, ApiError> {
        let names = match self.0.get(EVENTS) {
            None => return Ok(None),
            Some(Value::Null) => return Ok(Some(None)),
            Some(_) => self.texts(EVENTS)?,
        };
        for name in &names {
            event_type(EVENTS, name)?;
        }
        Ok(Some(Some(names)))
    }
}

/// Rejects an unknown event type.
pub(super) fn event_type(param: &'static str, name: &str) -> Result<(), ApiError> {
    if EventType::from(name).is_known() {
        return Ok(());
    }
    Err(ApiError::invalid(
        param,
        format!("{name:?} is not an event type."),
    ))
}

/// Rejects a URL that cannot be an endpoint.
///
/// v3 requires `https`. The sandbox also accepts `http` on loopback, because tests have no
/// certificates. v1 accepts both.
pub(super) fn address(text: &str, api: Api) -> Result<(), ApiError> {
    let Ok(url) = Url::parse(text) else {
        return Err(ApiError::invalid(URL, "url must be a valid URL."));
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if api == Api::V1 || is_loopback(&url) => Ok(()),
        "http" => Err(ApiError::invalid(URL, "url must use https.")),
        _ => Err(ApiError::invalid(URL, "url must be an http or https URL.")),
    }
}

/// Rejects a `callback_url` to which nothing could be sent.
pub(super) fn callback_url(text: &str) -> Result<(), ApiError> {
    let is_http = |url: Url| matches!(url.scheme(), "http" | "https");
    if Url::parse(text).is_ok_and(is_http) {
        return Ok(());
    }
    Err(ApiError::invalid(
        "callback_url",
        "callback_url must be an http or https URL.",
    ))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

pub(super) const ENTITY_ID: &str = "entity_id";
pub(super) const EVENTS: &str = "events";

/// The same as for the answer of a receiver.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// More than any documented body needs.
const MAX_BODY_BYTES: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use axum::extract::Query;

    use super::*;

    #[track_caller]
    fn check(url: &str, v1: bool, v3: bool) {
        assert_eq!(address(url, Api::V1).is_ok(), v1, "v1 {url}");
        assert_eq!(address(url, Api::V3).is_ok(), v3, "v3 {url}");
    }

    #[test]
    fn v3_url_is_https_or_on_loopback() {
        check("https://example.com/hook", true, true);
        check("http://example.com/hook", true, false);
        check("http://127.0.0.1:8080/hook", true, true);
        check("http://127.9.9.9/", true, true);
        check("http://[::1]:8080/", true, true);
        check("http://localhost/", true, true);
        check("http://localhost.example.com/", true, false);
        check("http://10.0.0.1/", true, false);
        check("ftp://127.0.0.1/", false, false);
        check("/hook", false, false);
        check("", false, false);
    }

    #[test]
    fn queries_are_decoded() {
        let uri = "/?a=1&b=x%2By&a=2&c=".parse().unwrap();
        let Query(query) = Query::<Params>::try_from_uri(&uri).unwrap();
        assert_eq!(query.get("a"), Some("1"));
        assert_eq!(query.get("b"), Some("x+y"));
        assert_eq!(query.get("c"), Some(""));
        assert_eq!(query.get("d"), None);
    }
}
