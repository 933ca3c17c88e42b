//! [`Secret`], the shared key of one endpoint, and [`Secrets`], the keys that are valid right now.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::signature::Signature;

/// The signing secret of one webhook endpoint, exactly as HeyGen returned it.
///
/// The text is the key: the prefix `whsec_` belongs to it and nothing is base64-decoded. `Debug` hides it, there is no
/// `Display`, and the memory is wiped when the last clone is dropped. Clones share one copy, which also holds the state
/// of the keyed hash, so that a signature costs no key schedule.
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
    /// Takes the text as it is; not even white space is cut.
    ///
    /// # Errors
    ///
    /// [`EmptySecret`] when nothing but white space and the prefix `whsec_` is there: anyone could sign with that.
    pub fn new(text: impl Into<String>) -> Result<Self, EmptySecret> {
        let text = Zeroizing::new(text.into());
        let unguessable = text.trim().trim_start_matches(PREFIX);
        if unguessable.is_empty() {
            return Err(EmptySecret { private: () });
        }
        let keyed = keyed(text.as_bytes());
        Ok(Self {
            inner: Arc::new(Inner { text, keyed }),
        })
    }

    /// The text of the secret. Whoever calls this decides where it may appear.
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

    /// Whether `signature` is this secret's signature of `body`, in time that does not depend on the answer.
    fn signed(&self, signature: &Signature, body: &[u8]) -> bool {
        let keyed = self.inner.keyed.clone().chain_update(body);
        keyed.verify_slice(signature.as_bytes()).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// One or more secrets, all of them valid now.
///
/// There is more than one while a secret is being replaced: HeyGen ends the old one at once, and which one signs a
/// delivery that was already waiting is not documented.
#[derive(Clone)]
pub struct Secrets {
    first: Secret,
    rest: Vec<Secret>,
}

impl Secrets {
    /// Starts with one secret.
    #[must_use]
    pub fn new(first: Secret) -> Self {
        Self {
            first,
            rest: Vec::new(),
        }
    }

    /// Collects secrets in their order; `None` when there are none, because checking against nothing is no check.
    #[must_use]
    #[expect(
        clippy::should_implement_trait,
        reason = "the trait cannot say that there may be none"
    )]
    pub fn from_iter(secrets: impl IntoIterator<Item = Secret>) -> Option<Self> {
        let mut secrets = secrets.into_iter();
        let first = secrets.next()?;
        Some(Self {
            first,
            rest: secrets.collect(),
        })
    }

    /// Adds a secret behind the others.
    pub fn push(&mut self, secret: Secret) {
        self.rest.push(secret);
    }

    /// The secrets in the order in which they were given; [`Match::index`] counts in this order.
    pub fn iter(&self) -> impl Iterator<Item = &Secret> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// How many secrets there are: at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        1 + self.rest.len()
    }

    /// Checks a signature over the raw bytes of a body.
    ///
    /// Every secret is tried, also after one has matched, and each comparison takes constant time: how long a refusal
    /// takes tells nothing about the secrets.
    ///
    /// # Errors
    ///
    /// [`Mismatch`] when no secret signed these bytes.
    pub fn verify(&self, signature: &Signature, body: &[u8]) -> Result<Match, Mismatch> {
        let mut found = None;
        for (index, secret) in self.iter().enumerate() {
            let signed = secret.signed(signature, body);
            if signed && found.is_none() {
                found = Some(Match { index });
            }
        }
        found.ok_or(Mismatch { private: () })
    }
}

impl From<Secret> for Secrets {
    fn from(secret: Secret) -> Self {
        Self::new(secret)
    }
}

impl TryFrom<Vec<Secret>> for Secrets {
    type Error = EmptySecret;

    /// Fails when the list is empty.
    fn try_from(secrets: Vec<Secret>) -> Result<Self, Self::Error> {
        Self::from_iter(secrets).ok_or(EmptySecret { private: () })
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
    /// The place of the secret in [`Secrets::iter`], from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }
}

/// The error for a secret with nothing in it, or for a list without any secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EmptySecret {
    private: (),
}

impl fmt::Display for EmptySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the webhook secret is empty")
    }
}

impl std::error::Error for EmptySecret {}

/// What every secret of HeyGen begins with.
pub(crate) const PREFIX: &str = "whsec_";

#[expect(
    clippy::expect_used,
    reason = "HMAC is defined for keys of every length"
)]
pub(crate) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

/// The error for a signature that no secret made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mismatch {
    private: (),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signature matches no secret")
    }
}

impl Error for Mismatch {}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text).unwrap()
    }

    #[test]
    fn a_secret_that_anyone_could_guess_does_not_exist() {
        for text in ["", " ", "\n", "\t\r\n", "whsec_", " whsec_\n"] {
            assert!(Secret::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_text_is_kept_as_given() {
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
    fn a_list_without_secrets_does_not_exist() {
        assert!(Secrets::from_iter([]).is_none());
        assert!(Secrets::try_from(Vec::new()).is_err());
        let three = Secrets::try_from(vec![secret("a"), secret("b"), secret("c")]).unwrap();
        assert_eq!(three.len(), 3);
        let texts: Vec<_> = three.iter().map(Secret::expose).collect();
        assert_eq!(texts, ["a", "b", "c"]);
    }

    #[track_caller]
    fn check(signer: &str, configured: &[&str], expected: Option<usize>) {
        let signature = secret(signer).sign(b"body");
        let secrets = Secrets::from_iter(configured.iter().copied().map(secret)).unwrap();
        let found = secrets.verify(&signature, b"body").ok();
        assert_eq!(found.map(|found| found.index()), expected);
    }

    #[test]
    fn any_of_the_secrets_will_do() {
        check("a", &["a"], Some(0));
        check("b", &["a", "b"], Some(1));
        check("c", &["a", "b", "c"], Some(2));
        check("a", &["a", "a"], Some(0));
        check("d", &["a", "b", "c"], None);
        check("a", &["A"], None);
    }
}
