//! Why posts are turned away: what each reason means, and which of them may have been HeyGen's.

use heygen_inbox::sqlite::RejectedSummary;

/// What a post was turned away for and what to do about it, as far as that is known.
pub(crate) fn explanation(summary: &RejectedSummary) -> &str {
    summary
        .explanation
        .as_deref()
        .unwrap_or_else(|| of_reason(&summary.reason))
}

/// Whether it tells something of HeyGen. A request without any signature is a stranger's; one with a signature that does
/// not verify, or cannot be read, may well be HeyGen's.
pub(crate) fn may_be_heygens(summary: &RejectedSummary) -> bool {
    summary.is_signed || BROKEN_SIGNATURE.contains(&summary.reason.as_str())
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
        "not-found" => {
            "it came to a path that is not served: compare the address registered at HeyGen (`endpoints list`) with --path, and with what a proxy makes of it"
        }
        "encoded-body" => {
            "its Content-Encoding names a compression, and HeyGen signs the plain body: see what on the way compresses requests"
        }
        "headers-too-large" => "it had more than 100 headers: see what on the way adds them",
        "body-too-large" => "the body is longer than --max-body-bytes",
        "body-too-slow" => "the body did not come within --body-timeout",
        "body-broken" => "the body ended before its end: the connection broke, here or at a proxy",
        _ => "",
    }
}

/// What a signature of HeyGen's may have become on its way, or in another program's hands.
const BROKEN_SIGNATURE: &[&str] = &[
    "malformed-signature",
    "ambiguous-signature",
    "not-hex",
    "sha256-prefix",
    "only-x-heygen-signature",
];
