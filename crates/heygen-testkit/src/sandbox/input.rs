//! What clients send, read as strictly as HeyGen's schemas say.

use std::net::IpAddr;

use bytes::Bytes;
use heygen_events::EventType;
use reqwest::Url;
use serde_json::{Map, Value};

use super::refusal::{Api, Refusal};

/// One request for an operation.
#[derive(Debug)]
pub(super) struct Call {
    /// The id in the path; empty where the path has none.
    pub(super) id: String,
    pub(super) query: Query,
    pub(super) body: Bytes,
    /// The header `Idempotency-Key`; what is not text is not valid either.
    pub(super) idempotency_key: Option<String>,
}

/// The parameters of a query, decoded.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn read(query: &str) -> Self {
        let mut pairs = Vec::new();
        if let Ok(mut url) = Url::parse("http://sandbox/") {
            url.set_query(Some(query));
            pairs.extend(url.query_pairs().into_owned());
        }
        Self(pairs)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// The fields of a JSON body; those that no operation names are ignored.
#[derive(Debug)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Refusal::Invalid(
                None,
                "The request body is not a JSON object.".to_owned(),
            )),
            Err(error) => Err(Refusal::Invalid(
                None,
                format!("The request body is not JSON: {error}."),
            )),
        }
    }

    /// A text; `null` and absence are the same.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<String>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Err(Refusal::invalid(name, format!("{name} must be a string.")))
            }
        }
    }

    /// The list of events: `None` when the field is absent, `Some(None)` for `null`.
    pub(super) fn events(&self) -> Result<Option<Option<Vec<String>>>, Refusal> {
        let items = match self.0.get(EVENTS) {
            None => return Ok(None),
            Some(Value::Null) => return Ok(Some(None)),
            Some(Value::Array(items)) => items,
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                return Err(Refusal::invalid(EVENTS, "events must be an array."));
            }
        };
        let names = items.iter().map(|item| match item.as_str() {
            Some(name) => event_type(EVENTS, name).map(|()| name.to_owned()),
            None => Err(Refusal::invalid(
                EVENTS,
                "events must be an array of strings.",
            )),
        });
        names
            .collect::<Result<_, _>>()
            .map(|names| Some(Some(names)))
    }
}

/// Refuses a name that HeyGen's list does not have.
pub(super) fn event_type(param: &'static str, name: &str) -> Result<(), Refusal> {
    if EventType::from(name).is_known() {
        return Ok(());
    }
    Err(Refusal::invalid(
        param,
        format!("{name:?} is not an event type."),
    ))
}

/// Refuses an address that cannot be an endpoint.
///
/// v3 wants `https`. On loopback the sandbox takes `http` as well, which HeyGen could not reach anyway: tests have no
/// certificates. v1 takes both everywhere.
pub(super) fn address(text: &str, api: Api) -> Result<(), Refusal> {
    let Ok(url) = Url::parse(text) else {
        return Err(Refusal::invalid(URL, "url must be a valid URL."));
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if api == Api::V1 || is_loopback(&url) => Ok(()),
        "http" => Err(Refusal::invalid(URL, "url must use https.")),
        _ => Err(Refusal::invalid(URL, "url must be an http or https URL.")),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

pub(super) const URL: &str = "url";
pub(super) const ENTITY_ID: &str = "entity_id";
const EVENTS: &str = "events";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, v1: bool, v3: bool) {
        assert_eq!(address(url, Api::V1).is_ok(), v1, "v1 {url}");
        assert_eq!(address(url, Api::V3).is_ok(), v3, "v3 {url}");
    }

    #[test]
    fn an_address_is_https_or_on_loopback() {
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
        let query = Query::read("a=1&b=x%2By&a=2&c=");
        assert_eq!(query.get("a"), Some("1"));
        assert_eq!(query.get("b"), Some("x+y"));
        assert_eq!(query.get("c"), Some(""));
        assert_eq!(query.get("d"), None);
    }
}
