//! [`Answers`]: stored answers by `Idempotency-Key`.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::api_error::ApiError;

/// A finished answer.
pub(super) type Answer = (StatusCode, HeaderMap, Bytes);

/// The path of the operation, and the key.
pub(super) type Scope = (String, String);

/// Stored answers by `Idempotency-Key`, for repeated requests.
///
/// # Source
///
/// HeyGen's API reference, create and rotate: 24 h, the same answer even for another body, 409
/// while the first is in progress, scope by route and path parameter: documented. That a rejected
/// request leaves the key free is assumed.
#[derive(Debug, Default)]
pub(super) struct Answers(HashMap<Scope, Entry>);

#[derive(Debug)]
enum Entry {
    InFlight,
    Done {
        answer: Answer,
        body: Bytes,
        expires: Instant,
    },
}

impl Answers {
    /// Marks a request as in progress, or returns the stored answer and whether the body was the
    /// same.
    pub(super) fn begin(
        &mut self,
        scope: &Scope,
        body: &Bytes,
    ) -> Result<Option<(Answer, bool)>, ApiError> {
        let now = Instant::now();
        self.0.retain(|_, entry| match entry {
            Entry::InFlight => true,
            Entry::Done { expires, .. } => *expires > now,
        });
        match self.0.get(scope) {
            Some(Entry::InFlight) => Err(ApiError::InProgress),
            Some(Entry::Done {
                answer,
                body: first,
                ..
            }) => Ok(Some((answer.clone(), first == body))),
            None => {
                self.0.insert(scope.clone(), Entry::InFlight);
                Ok(None)
            }
        }
    }

    pub(super) fn finish(&mut self, scope: Scope, answer: Answer, body: Bytes, lifetime: Duration) {
        let now = Instant::now();
        let entry = Entry::Done {
            answer,
            body,
            // The clock cannot hold a longer lifetime.
            expires: now.checked_add(lifetime).unwrap_or(now + CENTURY),
        };
        self.0.insert(scope, entry);
    }

    /// Frees the key, unless its request is done.
    pub(super) fn abandon(&mut self, scope: &Scope) {
        if matches!(self.0.get(scope), Some(Entry::InFlight)) {
            self.0.remove(scope);
        }
    }
}

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
