//! [`Fault`]: API calls that fail on request.

use std::time::Duration;

use axum::response::Response;
use http::{StatusCode, header::CONTENT_TYPE};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::{
    api_error::{Api, fault_response},
    clock::millis,
    operation::Operation,
};
use crate::setters::setters;

/// How the next API calls fail.
///
/// # Wire shape
///
/// An item of `api` in [`Misbehaviour`](super::Misbehaviour): an object with the names below, each
/// optional.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Fault {
    on: Option<Operation>,
    times: u32,
    #[serde(deserialize_with = "read_status")]
    status: Option<u16>,
    retry_after: Option<u64>,
    body: Option<String>,
    cut_off: bool,
    delay_ms: u64,
}

impl Fault {
    /// `status`: answers with this status and does not carry the operation out. 429 has a
    /// `Retry-After`.
    ///
    /// Any number outside 200 to 599 counts as 500.
    #[must_use]
    pub fn refuse(status: u16) -> Self {
        let status = if is_final(status) { status } else { 500 };
        Self {
            status: Some(status),
            ..Self::default()
        }
    }

    /// `cut_off`: carries the operation out, and closes the connection in the middle of the
    /// answer.
    #[must_use]
    pub fn cut_off() -> Self {
        Self {
            cut_off: true,
            ..Self::default()
        }
    }

    /// `delay_ms`: carries the operation out and delays the answer, in whole milliseconds.
    #[must_use]
    pub fn slow(delay: Duration) -> Self {
        Self {
            delay_ms: millis(delay),
            ..Self::default()
        }
    }

    /// Whether this call fails. If so, one call fewer remains.
    pub(super) fn applies_to(&mut self, operation: Operation) -> bool {
        let is_matched = self.on.is_none_or(|on| on == operation);
        if !is_matched || self.times == 0 {
            return false;
        }
        self.times -= 1;
        true
    }

    /// The answer instead of the operation, if there is one.
    pub(super) fn error_response(&self, api: Api) -> Option<Response> {
        let status = StatusCode::from_u16(self.status?).ok()?;
        let is_limit = status == StatusCode::TOO_MANY_REQUESTS;
        let retry_after = self.retry_after.or(is_limit.then_some(1));
        let mut response = fault_response(status, retry_after, api);
        if let Some(body) = &self.body {
            *response.body_mut() = body.clone().into();
            response.headers_mut().remove(CONTENT_TYPE);
        }
        Some(response)
    }

    pub(super) fn cuts_off(&self) -> bool {
        self.cut_off
    }

    pub(super) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }
}

setters! {
    impl Fault;

    /// `on`: only calls of this operation. Default: every operation.
    on(operation: Operation) sets on: Some(operation);

    /// `times`: how many calls fail. Default: 1.
    times(calls: u32) sets times: calls;

    /// `retry_after`: the `Retry-After` of the answer in seconds. Default: 1 with status 429,
    /// otherwise none.
    retry_after(seconds: u64) sets retry_after: Some(seconds);

    /// `body`: answers with this body and no content type, as gateways do. Default: HeyGen's error
    /// for the status.
    body(body: impl Into<String>) sets body: Some(body.into());
}

impl Default for Fault {
    fn default() -> Self {
        Self {
            on: None,
            times: 1,
            status: None,
            retry_after: None,
            body: None,
            cut_off: false,
            delay_ms: 0,
        }
    }
}

fn is_final(status: u16) -> bool {
    (200..600).contains(&status)
}

fn read_status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    let status = Option::<u16>::deserialize(deserializer)?;
    if status.is_none_or(is_final) {
        Ok(status)
    } else {
        Err(de::Error::custom("status must be from 200 to 599"))
    }
}
