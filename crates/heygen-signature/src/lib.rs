#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod diagnosis;
mod error;
mod header;
mod secret;
mod signature;
mod verify;

pub use diagnosis::{Diagnosis, diagnose};
pub use error::{SecretError, SecretErrorKind, SignatureError, VerifyError, VerifyErrorKind};
pub use header::{HEYGEN_SIGNATURE, SIGNATURE, find_signature, signature_like_headers};
pub use secret::{Match, Secret, Secrets};
pub use signature::Signature;
pub use verify::verify;
