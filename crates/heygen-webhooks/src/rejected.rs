//! Why posts are turned away: what each reason means.

use heygen_inbox::sqlite::RejectedSummary;

/// What a post was turned away for and what to do about it, as far as that is known.
pub(crate) fn explanation(summary: &RejectedSummary) -> &str {
    summary
        .explanation
        .as_deref()
        .unwrap_or_else(|| of_reason(&summary.reason))
}

/// Where nobody looked into the post itself: what its reason says.
fn of_reason(reason: &str) -> &'static str {
    match reason {
        "missing-signature" | "no-signature-header" => {
            "no signature header: HeyGen signs what it sends to a registered endpoint"
        }
        "malformed-signature" => "the signature header is not 64 hexadecimal digits",
        "ambiguous-signature" => "more than one signature in the headers",
        "signature-mismatch" => {
            "the signature matches no secret: `inbox rejected show ID` finds out more"
        }
        "no-secret" => {
            "there was no secret to check it with: set HEYGEN_WEBHOOK_SECRET or --secret-file; its body was not read"
        }
        "encoded-body" => {
            "the body was compressed, and HeyGen signs it plain: see what on the way compresses requests"
        }
        "body-too-large" => "the body is longer than --max-body-bytes",
        "body-too-slow" => "the body did not come within --body-time",
        "body-broken" => "the body ended before its end: the connection broke, here or at a proxy",
        _ => "",
    }
}
