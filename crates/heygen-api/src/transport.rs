//! [`Transport`]: sends calls over HTTP. Nothing else in the crate does.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use heygen_http::retry_after;
use http::header::{
    ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue,
    USER_AGENT,
};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::capture_connection;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::answer::{Answer, Top};
use crate::call::Call;
use crate::error::Reach;
use crate::error::response::find_error;
use crate::fields::Mismatch;
use crate::{ApiError, ApiErrorKind, Credentials, RetryPolicy};

mod base_url;
mod http_client;

use self::http_client::HttpClient;

pub(crate) use base_url::BaseUrl;

/// Sends calls: the HTTP client, where the API is, and the settings of both.
pub(crate) struct Transport {
    http: HttpClient,
    base: BaseUrl,
    credentials: Credentials,
    headers: HeaderMap,
    timeout: Duration,
    retry: RetryPolicy,
}

impl Transport {
    pub(crate) fn new(
        base: BaseUrl,
        credentials: Credentials,
        user_agent: &str,
        timeout: Duration,
        retry: RetryPolicy,
    ) -> Result<Self, ApiError> {
        let user_agent = HeaderValue::from_str(user_agent)
            .map_err(|_| ApiError::config("the user agent is not a valid header value"))?;
        let headers = HeaderMap::from_iter([
            credentials.header().map_err(ApiError::config)?,
            (ACCEPT, JSON),
            (USER_AGENT, user_agent),
        ]);
        Ok(Self {
            http: HttpClient::new(&base, timeout)?,
            base,
            credentials,
            headers,
            timeout,
            retry,
        })
    }

    /// Makes the request, retries it as the policy says, and returns the answer of a success.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, ApiError> {
        let mut attempts = 0;
        let mut outcome_unknown = false;
        loop {
            attempts += 1;
            let error = match self.attempt(call, attempts).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error.with_attempts(attempts, call.key.as_ref()),
            };
            outcome_unknown |= error.outcome_unknown();
            // Without random bytes there is no jitter, which is acceptable.
            let roll = getrandom::u32().unwrap_or(u32::MAX / 2);
            let Some(wait) = self.retry.wait(call.repeat, &error, attempts, roll) else {
                return Err(match outcome_unknown {
                    // Also if it was an earlier attempt that HeyGen may have carried out.
                    true => error.with_reach(Reach::Unknown),
                    false => error,
                });
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// As [`send`](Self::send), for a deletion. `code` is the one of a “not found” that is about the
    /// endpoint.
    pub(crate) async fn delete(&self, call: &Call, code: Option<&str>) -> Result<(), ApiError> {
        match self.send(call).await {
            // An earlier attempt did it, and its answer was lost.
            Err(error)
                if error.kind() == ApiErrorKind::NotFound
                    && error.outcome_unknown()
                    && code.is_none_or(|code| error.has_code(code)) =>
            {
                Ok(())
            }
            sent => sent.map(drop),
        }
    }

    async fn attempt(&self, call: &Call, attempts: u32) -> Result<Answer, ApiError> {
        let mut request = self.request(call)?;
        let connection = capture_connection(&mut request);
        let started_at = Instant::now();
        let response = self.in_time(started_at, self.http.send(request)).await;
        let response = match response {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if !error.is_connect() => return Err(ApiError::broken(error)),
            // The share of the last address ends when the whole time does, and was noticed first.
            Ok(Err(error)) if started_at.elapsed() >= self.timeout => {
                return Err(ApiError::not_connected_in_time(self.timeout).with_source(error));
            }
            Ok(Err(error)) => return Err(ApiError::not_connected(error)),
            Err(elapsed) => {
                let error = match connection.connection_metadata().is_some() {
                    true => ApiError::timeout(self.timeout),
                    false => ApiError::not_connected_in_time(self.timeout),
                };
                return Err(error.with_source(elapsed));
            }
        };
        let status = response.status().as_u16();
        let request_id = response.headers().get("x-request-id").map(|id| {
            self.credentials
                .hide_in(&String::from_utf8_lossy(id.as_bytes()))
        });
        let wait = retry_after(response.headers(), SystemTime::now());

        let body = self.in_time(started_at, read(response.into_body())).await;
        let late = |elapsed| ApiError::timeout(self.timeout).with_source(elapsed);
        let read = match body.map_err(late).and_then(|body| body) {
            Ok(body) => self.read_body(status, &body, call),
            // The body is truncated, but the status already says that this is an error.
            Err(_) if status >= 300 => self.read_body(status, b"", call),
            Err(error) => Err(error),
        };
        match read {
            Ok(top) => Ok(Answer {
                status,
                request_id,
                attempts,
                key: call.key.clone(),
                top,
            }),
            Err(error) => Err(error.with_answer(status, request_id).with_retry_after(wait)),
        }
    }

    /// What `io` makes of the rest of the time.
    async fn in_time<T>(
        &self,
        started_at: Instant,
        io: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        timeout(self.timeout.saturating_sub(started_at.elapsed()), io).await
    }

    fn request(&self, call: &Call) -> Result<Request<Full<Bytes>>, ApiError> {
        let url = self.base.join(&call.path, &call.query);
        let uri = Uri::try_from(url.as_str())
            .map_err(|error| ApiError::config("the request cannot be made").with_source(error))?;
        let mut headers = self.headers.clone();
        let mut text = String::new();
        if let Some(key) = &call.key {
            let value: Result<HeaderValue, InvalidHeaderValue> = key.as_str().try_into();
            let value = value.map_err(|error| {
                ApiError::config("the idempotency key cannot be a header value").with_source(error)
            })?;
            headers.insert(IDEMPOTENCY_KEY, value);
        }
        if let Some(body) = &call.body {
            headers.insert(CONTENT_TYPE, JSON);
            text = body.to_string();
        } else if call.method == Method::POST {
            // Some servers and proxies reject an empty POST without a length.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let mut request = Request::new(Full::from(text));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// The top level of a successful answer, or the error.
    fn read_body(&self, status: u16, body: &[u8], call: &Call) -> Result<Top, ApiError> {
        let top: Result<Top, _> = serde_json::from_slice(body);
        let error_fields = top.as_ref().ok().map(error_fields);
        if let Some(error) = find_error(status, error_fields.as_ref(), &self.credentials) {
            return Err(match status {
                300..400 => error.with_context("redirected, and redirects are not followed"),
                _ => error,
            });
        }
        match top {
            Ok(top) => Ok(top),
            Err(_) if body.trim_ascii().is_empty() => match call.needs_no_body {
                true => Ok(Top::new()),
                false => Err(ApiError::unexpected(&Mismatch::new("the body", "is empty"))),
            },
            Err(error) if error.is_data() => Err(ApiError::unexpected(&Mismatch::new(
                "the body",
                "is not an object",
            ))),
            Err(error) => Err(ApiError::not_json(error)),
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("base_url", &self.base.as_str())
            .field("credentials", &self.credentials)
            .field("timeout", &self.timeout)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

async fn read(mut body: Incoming) -> Result<Vec<u8>, ApiError> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        // Trailers are not used.
        let Ok(data) = frame.map_err(ApiError::broken)?.into_data() else {
            continue;
        };
        if whole.len() + data.len() > MAX_BODY_BYTES {
            return Err(ApiError::unexpected(&Mismatch::new(
                "the body",
                "is longer than 32 MiB",
            )));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole)
}

/// The fields of an error, decoded. The rest may be long.
fn error_fields(top: &Top) -> Map<String, Value> {
    let decode = |raw: &RawValue| serde_json::from_str(raw.get()).ok();
    ["code", "error", "message", "msg"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), decode(top.get(name)?)?)))
        .collect()
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A page of 100 events is some hundred kilobytes.
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;
