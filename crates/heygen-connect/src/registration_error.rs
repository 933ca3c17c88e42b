//! [`RegistrationError`]: why HeyGen does not send here.

use std::error::Error;
use std::fmt;

use heygen_api::{ApiError, EndpointId};

use crate::backoff::is_temporary;
use crate::secret_store_error::SecretStoreError;

/// Why HeyGen does not send here.
#[derive(Debug)]
pub struct RegistrationError {
    reason: Reason,
}

/// What kind of failure it was, as far as a caller would act differently.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RegistrationErrorKind {
    /// HeyGen's API refused, or could not be reached.
    Api,
    /// The secrets could not be read or stored.
    SecretStore,
    /// HeyGen made the endpoint and did not give its secret: replace that.
    NoSecret,
    /// The endpoint was registered by somebody else, and HeyGen does not show its secret again.
    UnknownSecret,
}

#[derive(Debug)]
pub(crate) enum Reason {
    Api(ApiError),
    SecretStore(SecretStoreError),
    NoSecret(EndpointId),
    UnknownSecret(EndpointId),
}

impl RegistrationError {
    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> RegistrationErrorKind {
        match self.reason {
            Reason::Api(_) => RegistrationErrorKind::Api,
            Reason::SecretStore(_) => RegistrationErrorKind::SecretStore,
            Reason::NoSecret(_) => RegistrationErrorKind::NoSecret,
            Reason::UnknownSecret(_) => RegistrationErrorKind::UnknownSecret,
        }
    }

    /// Whether trying again can succeed without anybody changing anything.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.api_error().is_some_and(is_temporary)
    }

    /// The endpoint whose secret is missing.
    #[must_use]
    pub fn endpoint_id(&self) -> Option<&EndpointId> {
        match &self.reason {
            Reason::NoSecret(id) | Reason::UnknownSecret(id) => Some(id),
            Reason::Api(_) | Reason::SecretStore(_) => None,
        }
    }

    /// What HeyGen's API said, where it was that.
    #[must_use]
    pub fn api_error(&self) -> Option<&ApiError> {
        match &self.reason {
            Reason::Api(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for RegistrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::Api(_) => f.write_str("cannot register at HeyGen"),
            Reason::SecretStore(_) => f.write_str("cannot keep the secret of the endpoint"),
            Reason::NoSecret(id) => {
                write!(f, "HeyGen made endpoint {id} without telling its secret")
            }
            Reason::UnknownSecret(id) => write!(
                f,
                "endpoint {id} at HeyGen has this URL, and its secret is not known here: HeyGen shows it only once"
            ),
        }
    }
}

impl Error for RegistrationError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            Reason::Api(error) => Some(error),
            Reason::SecretStore(error) => Some(error),
            Reason::NoSecret(_) | Reason::UnknownSecret(_) => None,
        }
    }
}

impl From<Reason> for RegistrationError {
    fn from(reason: Reason) -> Self {
        Self { reason }
    }
}

impl From<ApiError> for RegistrationError {
    fn from(error: ApiError) -> Self {
        Reason::Api(error).into()
    }
}

impl From<SecretStoreError> for RegistrationError {
    fn from(error: SecretStoreError) -> Self {
        Reason::SecretStore(error).into()
    }
}
