//! Deliveries that must be refused.

use heygen_signature::Secret;
use http::StatusCode;

use super::{Session, Told};
use crate::drill::{Verdict, bodies};
use crate::{
    random,
    sender::{SendError, Sender},
};

impl Session<'_> {
    /// A delivery that is to be refused. That it is proves something only where a good one is taken.
    pub(super) async fn forged(&mut self, sender: Sender) -> Result<Told, SendError> {
        let plain = match self.signed.clone() {
            Some(signed) => Some(self.plain(&signed).await?.1),
            None => None,
        };
        if let Some(plain) = plain.as_ref().filter(|plain| plain.status.is_none()) {
            return Ok((
                Verdict::Skip,
                format!("the plain delivery got none: {}", plain.words),
            ));
        }
        let seen = self.deliver(&sender, bodies::plain()).await?;
        let words = seen.words.clone();
        if seen.accepted() {
            return Ok((Verdict::Fail, format!("taken: {words}")));
        }
        let is_refusal = seen.status.is_some_and(|status| status.is_client_error());
        let nobody_there = matches!(
            seen.status,
            Some(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE)
        );
        Ok(match plain {
            Some(plain) if plain.accepted() && is_refusal => (Verdict::Pass, words),
            Some(plain) if plain.accepted() => (
                Verdict::Fail,
                format!("not taken, and not refused with a 4xx: {words}"),
            ),
            Some(_) => (
                Verdict::Skip,
                format!(
                    "the plain delivery is not accepted either, so this proves nothing: {words}"
                ),
            ),
            None if is_refusal && !nobody_there => (Verdict::Pass, words),
            None => (
                Verdict::Skip,
                format!("nothing seems to take deliveries there: {words}"),
            ),
        })
    }
}

/// A secret that is nobody's.
pub(super) fn another_secret() -> Option<Secret> {
    Secret::new(format!("whsec_{}", random::id())).ok()
}
