//! `Idempotency-Key`: a request that is repeated gets the answer of the first one.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{input::Call, operation::Operation, refusal::Refusal, reply::Reply, shared::Shared};

/// The answers that may be given again.
///
/// # Source
///
/// HeyGen's API reference, create and rotate: 24 h, replay also for another body, 409 while the first is being worked on,
/// scope by route and path parameter, documented. That refused requests leave the key free is assumed.
#[derive(Debug, Default)]
pub(super) struct Answers(HashMap<Scope, Entry>);

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Scope {
    operation: Operation,
    id: String,
    key: String,
}

#[derive(Debug)]
enum Entry {
    InFlight,
    Done {
        reply: Reply,
        body: Bytes,
        expires: Instant,
    },
}

impl Answers {
    /// Marks a request as begun, or gives the answer of the one before, and whether its body was the same.
    fn begin(&mut self, scope: &Scope, body: &Bytes) -> Result<Option<(Reply, bool)>, Refusal> {
        let now = Instant::now();
        self.0.retain(|_, entry| match entry {
            Entry::InFlight => true,
            Entry::Done { expires, .. } => *expires > now,
        });
        match self.0.get(scope) {
            Some(Entry::InFlight) => Err(Refusal::InProgress),
            Some(Entry::Done {
                reply, body: first, ..
            }) => Ok(Some((reply.clone(), first == body))),
            None => {
                self.0.insert(scope.clone(), Entry::InFlight);
                Ok(None)
            }
        }
    }
}

/// Carries an operation out once for each key.
pub(super) async fn once(
    shared: &Arc<Shared>,
    operation: Operation,
    call: &Call,
    work: impl Future<Output = Result<Reply, Refusal>>,
) -> Result<Reply, Refusal> {
    let Some(key) = &call.idempotency_key else {
        return work.await;
    };
    if !is_valid(key) {
        let message = "Idempotency-Key must be 1 to 255 letters, digits, '_', '-', ':' or '.'.";
        return Err(Refusal::invalid(HEADER, message));
    }
    let scope = Scope {
        operation,
        id: call.id.clone(),
        key: key.clone(),
    };
    let before = shared.state().answers.begin(&scope, &call.body)?;
    if let Some((reply, same_body)) = before {
        if !same_body {
            shared.note(format!(
                "{operation} was repeated under its Idempotency-Key with another body"
            ));
        }
        return Ok(reply);
    }
    // Whatever ends the work, also a client that hangs up, must not leave the key in flight.
    let begun = Begun { shared, scope };
    let reply = work.await?;
    begun.done(&reply, &call.body);
    Ok(reply)
}

struct Begun<'a> {
    shared: &'a Shared,
    scope: Scope,
}

impl Begun<'_> {
    fn done(&self, reply: &Reply, body: &Bytes) {
        let lifetime = self.shared.settings.scaled(LIFETIME);
        let now = Instant::now();
        let entry = Entry::Done {
            reply: reply.clone(),
            body: body.clone(),
            expires: now.checked_add(lifetime).unwrap_or(now + LIFETIME),
        };
        let answers = &mut self.shared.state().answers;
        answers.0.insert(self.scope.clone(), entry);
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let answers = &mut self.shared.state().answers;
        if matches!(answers.0.get(&self.scope), Some(Entry::InFlight)) {
            answers.0.remove(&self.scope);
        }
    }
}

fn is_valid(key: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-:.".contains(&byte);
    (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(allowed)
}

pub(super) const HEADER: &str = "Idempotency-Key";
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_KEY_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, expected: bool) {
        assert_eq!(is_valid(key), expected, "{key:?}");
    }

    #[test]
    fn keys_are_short_and_plain() {
        check("a", true);
        check("0b9c-A:1.2_3", true);
        check(&"k".repeat(255), true);
        check(&"k".repeat(256), false);
        check("", false);
        check("a b", false);
        check("ä", false);
    }
}
