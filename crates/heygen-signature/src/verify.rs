//! The whole check of a request: find the signature, then compare it.

use std::{error::Error, fmt};

use crate::header::{HeaderError, find_signature};
use crate::secret::{Match, Mismatch, Secrets};

/// Checks that HeyGen signed `body`, given the headers of the request and the raw bytes of its body.
///
/// Call it before anything parses the body: a body that was parsed and written again is another body.
///
/// # Wire shape
///
/// Header `Signature` (or, when there is none, `Heygen-Signature`): the lower-case hexadecimal HMAC-SHA256 of the raw
/// body under the endpoint's secret. No timestamp, event id or other header is part of what is signed. A delivery to the
/// `callback_url` of a single job is never signed and never passes.
///
/// # Errors
///
/// [`Refusal`]. For the sender it is one thing, 401; [`diagnose`](crate::diagnose) finds out more for the operator.
///
/// # Examples
///
/// ```
/// use heygen_signature::{Secret, Secrets, verify};
///
/// let secrets = Secrets::from(Secret::new("whsec_test")?);
/// let signature = "43c0f4d23c8e8841358fad4624b1a592799222b29f25bb59baea43cdcb522ed1";
///
/// assert!(verify([("Signature", signature.as_bytes())], b"", &secrets).is_ok());
/// assert!(verify([("Signature", signature.as_bytes())], b" ", &secrets).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// HeyGen documentation, “Webhooks”: documented.
pub fn verify<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    body: &[u8],
    secrets: &Secrets,
) -> Result<Match, Refusal> {
    let signature = find_signature(headers).map_err(Refusal::Header)?;
    secrets.verify(&signature, body).map_err(Refusal::Mismatch)
}

/// Why a request does not count as sent by HeyGen.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// There is no readable signature.
    Header(HeaderError),
    /// There is one, and no secret made it.
    Mismatch(Mismatch),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header(_) => "the request carries no usable signature",
            Self::Mismatch(_) => "the request is not signed by HeyGen",
        })
    }
}

impl Error for Refusal {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Header(error) => Some(error),
            Self::Mismatch(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    const SAMPLE: &str = concat!(
        r#"{"event_type":"avatar_video.success","event_data":{"video_id":"abc123","#,
        r#""url":"https://example.com/v.mp4","callback_id":null}}"#
    );

    #[track_caller]
    fn check(secret: &str, body: &str, signature: &str, expected: bool) {
        let secrets = Secrets::from(Secret::new(secret).unwrap());
        let verdict = verify(
            [("Signature", signature.as_bytes())],
            body.as_bytes(),
            &secrets,
        );
        assert_eq!(verdict.is_ok(), expected, "{verdict:?}");
    }

    #[test]
    fn the_reference_vectors_verify() {
        let secret = "whsec_TS_YwqJ-HujAT0KvEMqxrg==";
        let signature = "8d8bcdb9c5823dfa062f5844c409a5bc737f7e02a685b3091944e2d1ad78db8e";
        assert_eq!(SAMPLE.len(), 125);
        assert_eq!(
            Secret::new(secret)
                .unwrap()
                .sign(SAMPLE.as_bytes())
                .to_string(),
            signature
        );
        check(secret, SAMPLE, signature, true);
        check(secret, SAMPLE, &signature.to_uppercase(), true);
        let of_nothing = "43c0f4d23c8e8841358fad4624b1a592799222b29f25bb59baea43cdcb522ed1";
        check("whsec_test", "", of_nothing, true);

        check(secret, SAMPLE, of_nothing, false);
        check(
            secret,
            &SAMPLE.replace("abc123", "abc124"),
            signature,
            false,
        );
        check(secret, &format!("{SAMPLE}\n"), signature, false);
        check("TS_YwqJ-HujAT0KvEMqxrg==", SAMPLE, signature, false);
        check(secret, SAMPLE, &signature.replacen('8', "9", 1), false);
    }

    #[test]
    fn one_flipped_bit_of_the_body_is_enough() {
        let secret = Secret::new("whsec_test").unwrap();
        let signature = secret.sign(SAMPLE.as_bytes());
        let secrets = Secrets::from(secret);
        for bit in 0..SAMPLE.len() * 8 {
            let mut body = SAMPLE.as_bytes().to_vec();
            body[bit / 8] ^= 1 << (bit % 8);
            assert!(secrets.verify(&signature, &body).is_err(), "bit {bit}");
        }
    }
}
