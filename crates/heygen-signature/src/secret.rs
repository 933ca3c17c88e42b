//! [`Secret`], the shared key of one endpoint, and [`Secrets`], the keys that are valid right now.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::{SecretError, SecretErrorKind, VerifyError, VerifyErrorKind};
use crate::signature::Signature;

/// The signing secret of one webhook endpoint, exactly as HeyGen returned it.
///
/// The text is the key: the prefix `whsec_` is part of it and nothing is base64-decoded. `Debug`
/// hides it, there is no `Display`, and the memory is wiped when the last clone is dropped. Clones
/// share one copy. It also holds the state of the keyed hash, so signing does not repeat the key
/// setup.
///
/// # Source
///
/// HeyGen documentation, “Webhooks”, signature sample: documented.
#[derive(Clone)]
pub struct Secret {
    inner: Arc<Inner>,
}

struct Inner {
    text: Zeroizing<String>,
    keyed: Hmac<Sha256>,
}

impl Secret {
    /// Uses the text as it is; not even white space is cut.
    ///
    /// # Errors
    ///
    /// [`SecretErrorKind::Empty`] for nothing but white space and the prefix `whsec_`: anyone could
    /// sign with that.
    pub fn new(text: impl Into<String>) -> Result<Self, SecretError> {
        let text = Zeroizing::new(text.into());
        let unguessable = text.trim().trim_start_matches(PREFIX);
        if unguessable.is_empty() {
            return Err(SecretError::new(SecretErrorKind::Empty));
        }
        let keyed = keyed(text.as_bytes());
        Ok(Self {
            inner: Arc::new(Inner { text, keyed }),
        })
    }

    /// The text of the secret. The caller decides where it may appear.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.inner.text
    }

    /// Signs the raw bytes of a body, as HeyGen does for a registered endpoint.
    #[must_use]
    pub fn sign(&self, body: &[u8]) -> Signature {
        let tag = self.inner.keyed.clone().chain_update(body).finalize();
        Signature::from_bytes(tag.into_bytes().into())
    }

    /// Whether `signature` is this secret's signature of `body`, in time that does not depend on
    /// the answer.
    fn signed(&self, signature: &Signature, body: &[u8]) -> bool {
        let keyed = self.inner.keyed.clone().chain_update(body);
        keyed.verify_slice(signature.as_bytes()).is_ok()
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        Self::new(text)
    }
}

impl TryFrom<String> for Secret {
    type Error = SecretError;

    fn try_from(text: String) -> Result<Self, SecretError> {
        Self::new(text)
    }
}

/// From text, as in a configuration file. There is no `Serialize`: a secret is not written by
/// accident.
#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The error of a number quotes it, and it may be the secret without its quotes.
        let text = String::deserialize(deserializer)
            .map_err(|_| serde::de::Error::custom("a secret is a text"))?;
        Self::new(text).map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// One or more secrets, all of them valid now.
///
/// There is more than one while a secret is being replaced: HeyGen ends the old one at once, and it
/// is not documented which one signs a delivery that was already waiting.
#[derive(Clone)]
pub struct Secrets {
    /// Never empty.
    all: Vec<Secret>,
}

impl Secrets {
    /// Starts with one secret.
    #[must_use]
    pub fn new(first: Secret) -> Self {
        Self { all: vec![first] }
    }

    /// Collects secrets in their order; `None` without any, because checking against nothing is no
    /// check.
    #[must_use]
    pub fn collect(secrets: impl IntoIterator<Item = Secret>) -> Option<Self> {
        let all: Vec<_> = secrets.into_iter().collect();
        (!all.is_empty()).then_some(Self { all })
    }

    /// Adds a secret after the others.
    pub fn push(&mut self, secret: Secret) {
        self.all.push(secret);
    }

    /// The secrets in the order given; [`Match::index`] counts in this order.
    pub fn iter(&self) -> impl Iterator<Item = &Secret> {
        self.all.iter()
    }

    /// How many secrets there are: at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Checks a signature over the raw bytes of a body.
    ///
    /// Every secret is tried, also after one has matched, and each comparison takes constant time,
    /// so that the time taken gives away nothing about the secrets.
    ///
    /// # Errors
    ///
    /// [`VerifyErrorKind::Mismatch`] when no secret signed these bytes.
    pub fn verify(&self, signature: &Signature, body: &[u8]) -> Result<Match, VerifyError> {
        let mut found = None;
        for (index, secret) in self.iter().enumerate() {
            let signed = secret.signed(signature, body);
            if signed && found.is_none() {
                found = Some(Match { index });
            }
        }
        found.ok_or(VerifyError::new(VerifyErrorKind::Mismatch))
    }
}

impl From<Secret> for Secrets {
    fn from(secret: Secret) -> Self {
        Self::new(secret)
    }
}

impl TryFrom<Vec<Secret>> for Secrets {
    type Error = SecretError;

    /// Fails with [`SecretErrorKind::NoSecret`] when the list is empty.
    fn try_from(secrets: Vec<Secret>) -> Result<Self, Self::Error> {
        Self::collect(secrets).ok_or(SecretError::new(SecretErrorKind::NoSecret))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} hidden)", self.len())
    }
}

/// Which secret signed a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Match {
    index: usize,
}

impl Match {
    /// The index of the secret in [`Secrets::iter`], from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }
}

/// The prefix of every secret that HeyGen issues.
pub(crate) const PREFIX: &str = "whsec_";

#[expect(
    clippy::expect_used,
    reason = "HMAC is defined for keys of every length"
)]
pub(crate) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text).unwrap()
    }

    #[test]
    fn empty_secret_is_an_error() {
        for text in ["", " ", "\n", "\t\r\n", "whsec_", " whsec_\n"] {
            let error = text.parse::<Secret>().unwrap_err();
            assert_eq!(error.kind(), SecretErrorKind::Empty, "{text:?}");
            assert!(Secret::try_from(text.to_owned()).is_err(), "{text:?}");
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn secret_is_read_from_a_configuration() {
        let read = |text| serde_json::from_str::<Secret>(text);
        assert_eq!(read(r#""whsec_abc==""#).unwrap().expose(), "whsec_abc==");
        let error = read(r#""whsec_""#).unwrap_err();
        let expected = Secret::new("whsec_").unwrap_err().to_string();
        assert!(error.to_string().starts_with(&expected), "{error}");
        for other in ["123456", "-123456", "123456.5", "[123456]", "true", "null"] {
            let error = read(other).unwrap_err().to_string();
            assert!(error.starts_with("a secret is a text"), "{error}");
            assert!(!error.contains("123456"), "{error}");
        }
    }

    #[test]
    fn text_is_used_as_given() {
        for text in ["whsec_abc==", " a ", "a\n", "ключ"] {
            assert_eq!(secret(text).expose(), text);
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let one = secret("whsec_visible");
        let mut two = Secrets::from(one.clone());
        two.push(secret("another"));
        assert_eq!(
            format!("{one:?} {two:?}"),
            "Secret(hidden) Secrets(2 hidden)"
        );
        assert_eq!(
            format!("{one:#?} {two:#?}"),
            "Secret(hidden) Secrets(2 hidden)"
        );
    }

    #[test]
    fn empty_list_of_secrets_is_an_error() {
        assert!(Secrets::collect([]).is_none());
        let error = Secrets::try_from(Vec::new()).unwrap_err();
        assert_eq!(error.kind(), SecretErrorKind::NoSecret);
        let three = Secrets::try_from(vec![secret("a"), secret("b"), secret("c")]).unwrap();
        assert_eq!(three.len(), 3);
        let texts: Vec<_> = three.iter().map(Secret::expose).collect();
        assert_eq!(texts, ["a", "b", "c"]);
    }

    #[track_caller]
    fn check(signer: &str, configured: &[&str], expected: Option<usize>) {
        let signature = secret(signer).sign(b"body");
        let secrets = Secrets::collect(configured.iter().copied().map(secret)).unwrap();
        let found = secrets.verify(&signature, b"body").ok();
        assert_eq!(found.map(|found| found.index()), expected);
    }

    #[test]
    fn any_of_the_secrets_verifies() {
        check("a", &["a"], Some(0));
        check("b", &["a", "b"], Some(1));
        check("c", &["a", "b", "c"], Some(2));
        check("a", &["a", "a"], Some(0));
        check("d", &["a", "b", "c"], None);
        check("a", &["A"], None);
    }
}
