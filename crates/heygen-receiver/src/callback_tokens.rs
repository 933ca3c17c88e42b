//! [`CallbackTokens`]: the secret last segment of callback addresses, stored as digests.

use std::error::Error;
use std::fmt;
use std::hint::black_box;
use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest as _, Sha256};

/// The valid tokens of the callback path. Clones share them, so that they can be replaced under a
/// running receiver.
///
/// HeyGen does not sign a POST to the `callback_url` of a single job. Such requests are accepted
/// only at `<path>/callbacks/<token>`: anyone who knows the token may send, and a handler sees by
/// [`Delivery::source`](crate::Delivery::source) that nothing else proves the origin. With any
/// other token the path is answered 404.
///
/// A token is 22 to 200 characters of `A-Z a-z 0-9 - _`: at least 128 bits, if it was drawn at
/// random. Only SHA-256 digests are stored, and compared in constant time.
///
/// # Examples
///
/// ```
/// use heygen_receiver::CallbackTokens;
///
/// let tokens = CallbackTokens::new(["Zm9vYmFyYmF6cXV4MTIzNDU2"])?;
/// assert!(tokens.accepts("Zm9vYmFyYmF6cXV4MTIzNDU2"));
/// assert!(!tokens.accepts("Zm9vYmFyYmF6cXV4MTIzNDU3"));
/// assert!(CallbackTokens::new(["guess-me"]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct CallbackTokens {
    digests: Arc<RwLock<Arc<[TokenDigest]>>>,
}

type TokenDigest = [u8; 32];

/// Why a text is not a callback token. Holds its index, and never the text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallbackTokenError {
    kind: CallbackTokenErrorKind,
    index: usize,
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum CallbackTokenErrorKind {
    /// Fewer than 22 characters: it could be guessed.
    TooShort,
    /// More than 200 characters.
    TooLong,
    /// A character other than `A-Z a-z 0-9 - _`.
    BadCharacter,
}

impl CallbackTokens {
    /// No token: no callback is accepted.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// These tokens.
    ///
    /// # Errors
    ///
    /// When one of them is not a valid token.
    pub fn new(
        tokens: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, CallbackTokenError> {
        let new = Self::none();
        new.set(tokens)?;
        Ok(new)
    }

    /// Replaces the tokens.
    ///
    /// # Errors
    ///
    /// When one of them is not a valid token; the old ones then stay.
    pub fn set(
        &self,
        tokens: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<(), CallbackTokenError> {
        let digests: Arc<[TokenDigest]> = tokens
            .into_iter()
            .enumerate()
            .map(|(index, token)| {
                let token = token.as_ref();
                check(token).map_err(|kind| CallbackTokenError { kind, index })?;
                Ok(Sha256::digest(token).into())
            })
            .collect::<Result<_, _>>()?;
        *self.digests.write().unwrap_or_else(PoisonError::into_inner) = digests;
        Ok(())
    }

    /// Whether this is a valid token. Takes the same time for every text that is not.
    #[must_use]
    pub fn accepts(&self, token: &str) -> bool {
        // A malformed token is replaced by a text of the usual length, so that it takes the same
        // time.
        let is_token = check(token).is_ok();
        let text = if is_token { token } else { FILLING };
        let digest: TokenDigest = Sha256::digest(text).into();
        let known = self.known();
        let found = known
            .iter()
            .fold(false, |found, other| found | are_equal(&digest, other));
        found & is_token
    }

    /// The number of tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn known(&self) -> Arc<[TokenDigest]> {
        Arc::clone(&self.digests.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl CallbackTokenError {
    /// What is wrong with a token.
    #[must_use]
    pub fn kind(&self) -> CallbackTokenErrorKind {
        self.kind
    }

    /// The index of the token among those given, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }
}

impl fmt::Debug for CallbackTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackTokens")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for CallbackTokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "callback token {} has {}", self.index + 1, self.kind)
    }
}

impl Error for CallbackTokenError {}

/// What it has, for messages that name the token themselves: `fewer than 22 characters`.
impl fmt::Display for CallbackTokenErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => write!(f, "fewer than {MIN_LEN} characters"),
            Self::TooLong => write!(f, "more than {MAX_LEN} characters"),
            Self::BadCharacter => f.write_str("a character other than A-Z, a-z, 0-9, - and _"),
        }
    }
}

fn check(token: &str) -> Result<(), CallbackTokenErrorKind> {
    if token.len() > MAX_LEN {
        return Err(CallbackTokenErrorKind::TooLong);
    }
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !token.bytes().all(is_fine) {
        return Err(CallbackTokenErrorKind::BadCharacter);
    }
    if token.len() < MIN_LEN {
        return Err(CallbackTokenErrorKind::TooShort);
    }
    Ok(())
}

fn are_equal(a: &TokenDigest, b: &TokenDigest) -> bool {
    let difference = a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b));
    black_box(difference) == 0
}

const MIN_LEN: usize = 22;
const MAX_LEN: usize = 200;
const FILLING: &str = "0123456789012345678901";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_error(token: &str, expected: CallbackTokenErrorKind) {
        let good = "a".repeat(MIN_LEN);
        let tokens = CallbackTokens::new([&good]).expect("a token");
        let error = tokens.set([&good, token]).expect_err("no token");
        assert_eq!((error.kind(), error.index()), (expected, 1));
        assert!(token.is_empty() || !format!("{error} {error:?}").contains(token));
        assert!(tokens.accepts(&good), "as before");
        assert!(!tokens.accepts(token));
    }

    #[test]
    fn text_that_is_too_short_too_long_or_not_url_safe_is_no_token() {
        check_error("", CallbackTokenErrorKind::TooShort);
        check_error(&"x".repeat(21), CallbackTokenErrorKind::TooShort);
        check_error(&"x".repeat(201), CallbackTokenErrorKind::TooLong);
        check_error(&"x/".repeat(20), CallbackTokenErrorKind::BadCharacter);
        check_error(&"%2F".repeat(20), CallbackTokenErrorKind::BadCharacter);
        check_error(&"é".repeat(20), CallbackTokenErrorKind::BadCharacter);
        assert!(CallbackTokens::new(["x".repeat(22), "Aa0-_".repeat(40)]).is_ok());
    }

    #[test]
    fn without_tokens_nothing_is_accepted() {
        let tokens = CallbackTokens::none();
        assert!(tokens.is_empty());
        assert!(!tokens.accepts(""));
        assert!(!tokens.accepts(FILLING));
        // The replacement for malformed tokens can be a token itself.
        tokens.set([FILLING]).expect("a token");
        assert!(tokens.accepts(FILLING));
        assert!(!tokens.accepts("malformed"));
    }

    #[test]
    fn debug_shows_only_the_number() {
        let token = "y".repeat(30);
        let tokens = CallbackTokens::new([&token]).expect("a token");
        assert_eq!(format!("{tokens:?}"), "CallbackTokens { len: 1, .. }");
    }
}
