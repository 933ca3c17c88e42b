//! What vouches for a delivery, in a word for programs.

use heygen_inbox::Source;

/// `signature` for what HeyGen signed; for other ways in, their own word.
pub(super) fn authenticity(source: Source) -> &'static str {
    match source {
        Source::Webhook => "signature",
        _ => source.as_str(),
    }
}
