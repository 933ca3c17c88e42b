//! [`verify`]: finds the signature of a request and checks it.

use crate::error::VerifyError;
use crate::header::find_signature;
use crate::secret::{Match, Secrets};

/// Checks that HeyGen signed `body`, given the headers of the request and the raw bytes of its
/// body.
///
/// Call it before anything parses the body: a body that was parsed and serialized again has other
/// bytes. Headers are pairs of name and value: `&http::HeaderMap`, `&HashMap<String, String>` and
/// `[("signature", "…")]` all work as they are.
///
/// # Wire shape
///
/// Header `Signature` (or `Heygen-Signature` when that is missing): the lower-case hexadecimal
/// HMAC-SHA256 of the raw body under the endpoint's secret. No timestamp, event id or other header
/// is signed. A delivery to the `callback_url` of a single job is never signed and never passes.
///
/// # Errors
///
/// [`VerifyError`]. Answer 401 to each of its kinds; [`diagnose`](crate::diagnose) tells the
/// operator more.
///
/// # Examples
///
/// ```
/// use heygen_signature::{Secret, Secrets, verify};
///
/// let secrets = Secrets::from(Secret::new("whsec_test")?);
/// let signature = "43c0f4d23c8e8841358fad4624b1a592799222b29f25bb59baea43cdcb522ed1";
///
/// assert!(verify([("Signature", signature)], b"", &secrets).is_ok());
/// assert!(verify([("Signature", signature)], b" ", &secrets).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// HeyGen documentation, “Webhooks”: documented.
pub fn verify<N: AsRef<str>, V: AsRef<[u8]>>(
    headers: impl IntoIterator<Item = (N, V)>,
    body: &[u8],
    secrets: &Secrets,
) -> Result<Match, VerifyError> {
    secrets.verify(&find_signature(headers)?, body)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::secret::Secret;

    const SAMPLE: &str = concat!(
        r#"{"event_type":"avatar_video.success","event_data":{"video_id":"abc123","#,
        r#""url":"https://example.com/v.mp4","callback_id":null}}"#
    );

    #[track_caller]
    fn check(secret: &str, body: &str, signature: &str, expected: bool) {
        let secrets = Secrets::from(Secret::new(secret).unwrap());
        let verdict = verify([("Signature", signature)], body.as_bytes(), &secrets);
        assert_eq!(verdict.is_ok(), expected, "{verdict:?}");
    }

    #[test]
    fn reference_vectors_verify() {
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

    /// As each framework has them: its own header map, a map of strings, a list.
    #[test]
    fn headers_are_any_pairs_of_name_and_value() {
        let secret = Secret::new("whsec_test").unwrap();
        let signature = secret.sign(b"{}").to_string();
        let secrets = Secrets::from(secret);

        let mut of_http = axum::http::HeaderMap::new();
        of_http.insert("Signature", signature.parse().unwrap());
        assert!(verify(&of_http, b"{}", &secrets).is_ok());
        let of_strings = HashMap::from([("SIGNATURE".to_owned(), signature.clone())]);
        assert!(verify(&of_strings, b"{}", &secrets).is_ok());
        assert!(verify(of_strings, b"{}", &secrets).is_ok());
        assert!(verify([("signature", &signature)], b"{}", &secrets).is_ok());
        assert!(verify([("signature", signature.into_bytes())], b"{}", &secrets).is_ok());
    }

    #[test]
    fn one_flipped_bit_of_the_body_does_not_verify() {
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
