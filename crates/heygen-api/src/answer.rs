//! [`Answer`]: a successful response.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::ApiError;
use crate::fields::{Fields, Mismatch};
use crate::idempotency::IdempotencyKey;
use crate::page::{Page, PageRequest};

/// The top level of an answer, its fields not yet decoded: a nested one may be unneeded, or hold
/// more than a [`Value`] can.
pub(crate) type Top = BTreeMap<String, Box<RawValue>>;

/// A successful response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) request_id: Option<String>,
    pub(crate) attempts: u32,
    pub(crate) key: Option<IdempotencyKey>,
    pub(crate) top: Top,
}

impl Answer {
    /// The object under `data`.
    pub(crate) fn object(&self) -> Result<Fields, ApiError> {
        let read = || Fields::new(value(self.data()?, DATA)?, DATA);
        read().map_err(|mismatch| self.unexpected(&mismatch))
    }

    /// The array under `data`, each element read.
    pub(crate) fn list<T>(&self, read: ReadItem<T>) -> Result<Vec<T>, ApiError> {
        let list = || {
            let items: Vec<Box<RawValue>> = serde_json::from_str(self.data()?.get())
                .map_err(|_| Mismatch::new(DATA, "is not an array"))?;
            let items = items.iter().enumerate();
            items
                .map(|(index, item)| read(item, &format!("{DATA}[{index}]")))
                .collect::<Result<_, _>>()
        };
        list().map_err(|mismatch| self.unexpected(&mismatch))
    }

    /// The array under `data`, with the fields that lead to the next page.
    pub(crate) fn page<T>(
        &self,
        request: &PageRequest,
        read: ReadItem<T>,
    ) -> Result<Page<T>, ApiError> {
        let next_token = self.top_as::<Option<String>>("next_token").flatten();
        let next_token = next_token.filter(|token| !token.is_empty());
        let has_more = self.top_as("has_more");
        Ok(Page {
            items: self.list(read)?,
            has_more: has_more.unwrap_or(next_token.is_some()),
            next_token,
            limit: request.limit,
        })
    }

    /// The error for an answer without the data that was requested.
    pub(crate) fn unexpected(&self, mismatch: &Mismatch) -> ApiError {
        ApiError::unexpected(mismatch)
            .with_answer(self.status, self.request_id.clone())
            .with_attempts(self.attempts, self.key.as_ref())
    }

    fn data(&self) -> Result<&RawValue, Mismatch> {
        match self.top.get(DATA) {
            Some(data) if data.get() != "null" => Ok(data),
            _ => Err(Mismatch::new(DATA, "is missing")),
        }
    }

    fn top_as<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.top.get(name)?.get()).ok()
    }
}

/// Reads one element of a list, at the path given.
pub(crate) type ReadItem<T> = fn(&RawValue, &str) -> Result<T, Mismatch>;

/// The value at `path`, decoded.
pub(crate) fn value(raw: &RawValue, path: &str) -> Result<Value, Mismatch> {
    // The error would quote what it could not read.
    serde_json::from_str(raw.get()).map_err(|_| Mismatch::new(path, "cannot be read"))
}

const DATA: &str = "data";
