//! What `trigger` and `drill` share: a delivery that could not be sent.

use heygen_testkit::{SendError, SendErrorKind};

use crate::api::error_chain;
use crate::failure::Failure;

/// A wrong address or header is a mistake on the command line; the rest is the system's.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what `map_err` hands over"
)]
pub(crate) fn failure(error: SendError) -> Failure {
    let text = error_chain(&error);
    match error.kind() {
        SendErrorKind::Client => anyhow::Error::msg(text).into(),
        _ => Failure::usage(text),
    }
}
