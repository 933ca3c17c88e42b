//! [`Gate`]: the token that a login asks for, and the sessions that it opens.

use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime};

use heygen_signature::{Secret, Secrets, Signature};
use http::{HeaderMap, header};

use crate::words::seconds;

/// The token that a login asks for. `Debug` hides it.
#[derive(Clone)]
pub struct Token(Secret);

impl Token {
    /// At least 22 characters, which hold 128 bits when they are random and of base 64.
    ///
    /// # Errors
    ///
    /// [`TokenError`] when it is shorter.
    pub fn new(text: impl Into<String>) -> Result<Self, TokenError> {
        let text = text.into();
        match Secret::new(text.trim()) {
            Ok(secret) if text.trim().len() >= MIN_TOKEN => Ok(Self(secret)),
            Ok(_) | Err(_) => Err(TokenError),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// The error for a token that could be guessed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TokenError;

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a token needs at least {MIN_TOKEN} characters")
    }
}

impl Error for TokenError {}

/// A token, and the key that signs sessions: a restart ends them all.
pub(crate) struct Gate {
    token: Secret,
    key: Secret,
}

impl From<Token> for Gate {
    #[expect(
        clippy::expect_used,
        reason = "a system without random numbers starts nothing"
    )]
    fn from(token: Token) -> Self {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).expect("random numbers");
        let key: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            token: token.0,
            key: Secret::new(key).expect("64 digits"),
        }
    }
}

impl Gate {
    /// Compares in constant time: what both sign is compared, not the texts.
    pub(crate) fn is_token(&self, given: &str) -> bool {
        let signature = self.key.sign(given.as_bytes());
        let key = Secrets::from(self.key.clone());
        key.verify(&signature, self.token.expose().as_bytes())
            .is_ok()
    }

    pub(crate) fn session(&self, now: SystemTime) -> String {
        let until = seconds(now) + SESSION.as_secs();
        format!("{until}.{}", self.key.sign(until.to_string().as_bytes()))
    }

    fn is_session(&self, cookie: &str, now: SystemTime) -> bool {
        let Some((until, signature)) = cookie.split_once('.') else {
            return false;
        };
        let is_signed = Signature::parse(signature.as_bytes()).is_ok_and(|signature| {
            let key = Secrets::from(self.key.clone());
            key.verify(&signature, until.as_bytes()).is_ok()
        });
        is_signed && until.parse::<u64>().is_ok_and(|until| seconds(now) < until)
    }

    pub(crate) fn lets_in(&self, headers: &HeaderMap) -> bool {
        let authorization = headers.get(header::AUTHORIZATION);
        let authorization = authorization.and_then(|value| value.to_str().ok());
        // As programs that collect metrics send it.
        let bearer = authorization.and_then(|value| value.strip_prefix("Bearer "));
        if bearer.is_some_and(|token| self.is_token(token)) {
            return true;
        }
        let cookies = headers.get_all(header::COOKIE).iter();
        let mut pairs = cookies
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let now = SystemTime::now();
        // Those of dashboards at other ports come along.
        pairs.any(|(name, value)| name.starts_with(COOKIE) && self.is_session(value, now))
    }
}

/// How the names of all begin.
pub(crate) const COOKIE: &str = "heygen-webhooks-session";
pub(crate) const SESSION: Duration = Duration::from_secs(12 * 60 * 60);
const MIN_TOKEN: usize = 22;

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        Token::new("a-token-of-twenty-two-characters")
            .unwrap()
            .into()
    }

    #[test]
    fn only_the_token_opens() {
        let gate = gate();
        assert!(gate.is_token("a-token-of-twenty-two-characters"));
        for wrong in [
            "",
            "a-token-of-twenty-two-character",
            "A-token-of-twenty-two-characters",
        ] {
            assert!(!gate.is_token(wrong), "{wrong}");
        }
        assert_eq!(Token::new("too-short-to-be-one").unwrap_err(), TokenError);
    }

    #[test]
    fn session_ends_and_cannot_be_made_up() {
        let (gate, now) = (gate(), SystemTime::now());
        let session = gate.session(now);
        assert!(gate.is_session(&session, now));
        assert!(!gate.is_session(&session, now + SESSION));
        assert!(
            !self::gate().is_session(&session, now),
            "of another process"
        );
        let (until, signature) = session.split_once('.').unwrap();
        let later = until.parse::<u64>().unwrap() + 1;
        for forged in [
            format!("{later}.{signature}"),
            format!("{until}."),
            String::new(),
        ] {
            assert!(!gate.is_session(&forged, now), "{forged}");
        }
    }
}
