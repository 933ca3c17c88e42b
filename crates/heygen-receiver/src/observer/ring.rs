//! A ring of rejected requests is an observer: it records those that may be worth a second look.

use heygen_inbox::sqlite::{NewRejected, RejectedRing};

use super::{ObservedRejection, Observer};
use crate::rejection::Rejection;

impl Observer for RejectedRing {
    fn rejected(&self, rejected: &ObservedRejection<'_>) {
        let Some(post) = &rejected.post else {
            return;
        };
        if !is_worth_recording(rejected.rejection) {
            return;
        }
        let reason = post
            .diagnosis
            .map_or(rejected.reason, |diagnosis| diagnosis.label());
        let record = NewRejected::new(rejected.at, reason)
            .explanation(post.diagnosis.map(ToString::to_string))
            .header_names(post.header_names())
            .signatures(post.signatures(), post.is_signed());
        self.record(match post.body {
            Some(body) => record.body(body.clone()),
            None => record,
        });
    }
}

/// HeyGen sends again what was answered 503 for load or storage. Of requests to a path that is not
/// served only those with a well-formed signature get here.
fn is_worth_recording(rejection: Rejection) -> bool {
    match rejection {
        Rejection::Unauthorized
        | Rejection::NotFound
        | Rejection::HeadersTooLarge
        | Rejection::EncodedBody
        | Rejection::BodyTooLarge
        | Rejection::BodyTooSlow
        | Rejection::BodyBroken
        | Rejection::NoSecret => true,
        Rejection::MethodNotAllowed
        | Rejection::Overloaded
        | Rejection::NotStored
        | Rejection::Loop => false,
    }
}
