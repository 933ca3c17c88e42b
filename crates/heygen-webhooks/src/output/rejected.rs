//! Why requests are rejected: what each reason means, and which requests may have been HeyGen's.

use heygen_inbox::sqlite::RejectedSummary;

/// Why a request was rejected and what to do about it, as far as that is known.
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

/// Where no one looked into the post itself: what its reason says.
fn of_reason(reason: &str) -> &'static str {
    match reason {
        "missing-signature" | "no-signature-header" => {
            "no signature header: HeyGen signs every delivery to a registered endpoint"
        }
        "malformed-signature" => "the signature header is not 64 hexadecimal digits",
        "ambiguous-signature" => "more than one signature in the headers",
        "signature-mismatch" => {
            "the signature matches no secret: `inbox rejected show ID` tells more"
        }
        "no-secret" => {
            "no secret was configured: set HEYGEN_WEBHOOK_SECRET or --secret-file; the body was not read"
        }
        "not-found" => {
            "the path is not served: compare the address registered at HeyGen (`endpoints list`) with --path, and check whether a proxy rewrites it"
        }
        "encoded-body" => {
            "the body is compressed (Content-Encoding), but HeyGen signs the plain body: find the proxy that compresses requests"
        }
        "headers-too-large" => "more than 100 headers: find the proxy that adds them",
        "body-too-large" => "the body is longer than --max-body-bytes",
        "body-too-slow" => "the body did not arrive within --body-timeout",
        "body-broken" => "the body was incomplete: the connection broke, here or at a proxy",
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
