//! [`Call`]: one operation as a request, which may be sent more than once.

use heygen_events::id::EndpointId;
use http::Method;
use serde_json::Value;

use crate::retry::Repeat;
use crate::{ApiError, IdempotencyKey};

/// A request and how to read its answer. The operations make it, the transport sends it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Not yet percent-encoded.
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
    pub(crate) key: Option<IdempotencyKey>,
    pub(crate) repeat: Repeat,
    /// Whether an answer without a body is a success.
    pub(crate) needs_no_body: bool,
}

impl Call {
    pub(crate) fn get(path: &[&str]) -> Self {
        Self::new(Method::GET, path, Repeat::Read)
    }

    /// An update: the body names the final values.
    pub(crate) fn patch(path: &[&str], body: Value) -> Self {
        Self::new(Method::PATCH, path, Repeat::SetsState).body(body)
    }

    /// A creation that is not safe to repeat.
    pub(crate) fn post(path: &[&str], body: Value) -> Self {
        Self::new(Method::POST, path, Repeat::Unsafe).body(body)
    }

    /// A creation that the server carries out once per key.
    pub(crate) fn post_once(path: &[&str], key: &IdempotencyKey) -> Self {
        let mut call = Self::new(Method::POST, path, Repeat::Keyed);
        call.key = Some(key.clone());
        call
    }

    pub(crate) fn delete(path: &[&str]) -> Self {
        let mut call = Self::new(Method::DELETE, path, Repeat::SetsState);
        call.needs_no_body = true;
        call
    }

    fn new(method: Method, path: &[&str], repeat: Repeat) -> Self {
        Self {
            method,
            path: path.iter().copied().map(str::to_owned).collect(),
            query: Vec::new(),
            body: None,
            key: None,
            repeat,
            needs_no_body: false,
        }
    }

    pub(crate) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub(crate) fn query(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query
            .extend(value.map(|value| (name, value.to_string())));
        self
    }
}

/// The id as a segment of a path.
///
/// An empty id, `.` and `..` would change the path, so that the operation would apply to something
/// else.
pub(crate) fn segment(id: &EndpointId) -> Result<&str, ApiError> {
    match id.as_str() {
        "" | "." | ".." => Err(ApiError::invalid_id()),
        text => Ok(text),
    }
}
