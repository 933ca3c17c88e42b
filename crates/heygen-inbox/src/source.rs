//! [`Source`]: how a delivery was received. [`Authenticity`]: what authenticates it.

use std::fmt;

use crate::names::impl_names;

/// How a delivery was received.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Source {
    /// A POST to the webhook path, with a signature over the body that verified.
    Webhook,
    /// An unsigned POST to a callback path, whose unguessable address is known only to those who
    /// were given it.
    Callback,
    /// Read from HeyGen's own log of delivered events.
    Backfill,
    /// Read from an exported file, whatever source that states: nothing authenticates it.
    Import,
}

impl Source {
    /// Whether it was sent here. Reading the log or a file again is no redelivery.
    pub(crate) fn is_received(self) -> bool {
        match self {
            Self::Webhook | Self::Callback => true,
            Self::Backfill | Self::Import => false,
        }
    }

    /// What authenticates a delivery of this source.
    #[must_use]
    pub fn authenticity(self) -> Authenticity {
        match self {
            Self::Webhook => Authenticity::Signature,
            Self::Callback => Authenticity::Token,
            Self::Backfill => Authenticity::Log,
            Self::Import => Authenticity::Import,
        }
    }
}

impl_names! {
    Source, "a source: webhook, callback, backfill or import";
    /// Every source.
    ALL: 4;
    /// Its name in lists and JSON.
    as_str {
        Webhook => "webhook",
        Callback => "callback",
        Backfill => "backfill",
        Import => "import",
    }
}

/// What authenticates a delivery.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Authenticity {
    /// HeyGen's signature over the body.
    Signature,
    /// Only that the sender knew an unguessable address: anyone who has seen it can send anything.
    Token,
    /// HeyGen's log of events, read over TLS with the account's key.
    Log,
    /// Nothing: it was read from a file.
    Import,
}

impl Authenticity {
    /// Its name in headers, environment and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Token => "token",
            Self::Log => "log",
            Self::Import => "import",
        }
    }
}

impl fmt::Display for Authenticity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
