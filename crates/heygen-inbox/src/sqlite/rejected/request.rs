//! [`NewRejected`]: a rejected request, before it is written.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use heygen_events::text::truncated;
use sha2::{Digest as _, Sha256};

use crate::Header;
use crate::sqlite::row::headers_to_text;

/// A rejected request.
///
/// It holds no header values but signatures, because others may be credentials, and not the address
/// it was sent to.
#[derive(Clone)]
pub struct NewRejected {
    pub(super) at: SystemTime,
    pub(super) reason: String,
    pub(super) explanation: Option<String>,
    pub(super) header_names: Vec<String>,
    pub(super) signatures: Vec<Header>,
    pub(super) is_signed: bool,
    pub(super) body: Option<Bytes>,
}

impl NewRejected {
    /// A request with its reason, a stable name.
    #[must_use]
    pub fn new(at: SystemTime, reason: impl Into<String>) -> Self {
        Self {
            at,
            reason: reason.into(),
            explanation: None,
            header_names: Vec::new(),
            signatures: Vec::new(),
            is_signed: false,
            body: None,
        }
    }

    /// Adds a sentence on what to do about it.
    #[must_use]
    pub fn explanation(mut self, explanation: Option<String>) -> Self {
        self.explanation = explanation.map(|text| truncated(&text, MAX_EXPLANATION).to_owned());
        self
    }

    /// Adds the names of its headers; the first hundred are stored.
    #[must_use]
    pub fn header_names<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().take(MAX_HEADERS);
        self.header_names = names
            .map(|name| truncated(name, MAX_NAME).to_owned())
            .collect();
        self
    }

    /// Adds its signature headers with their values, so that it can be verified again; the first
    /// eight are stored. `is_signed` says whether they make a well-formed signature.
    #[must_use]
    pub fn signatures(
        mut self,
        signatures: impl IntoIterator<Item = Header>,
        is_signed: bool,
    ) -> Self {
        let signatures = signatures.into_iter().take(MAX_SIGNATURES);
        self.signatures = signatures
            .map(|header| Header {
                name: truncated(&header.name, MAX_NAME).to_owned(),
                value: truncated(&header.value, MAX_VALUE).to_owned(),
            })
            .collect();
        self.is_signed = is_signed;
        self
    }

    /// Adds the body, if it was read whole.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub(super) fn len(&self) -> usize {
        let names: usize = self.header_names.iter().map(|name| name.len() + 3).sum();
        let signatures = self.signatures.iter();
        let signatures: usize = signatures
            .map(|header| header.name.len() + header.value.len() + 7)
            .sum();
        let explanation = self.explanation.as_ref().map_or(0, String::len);
        let body = self.body.as_ref().map_or(0, Bytes::len);
        names + signatures + explanation + self.reason.len() + body
    }

    /// Bytes against the limit: whole pages, including row and index entries. Never less than it
    /// takes in the file.
    pub(super) fn cost(&self) -> u64 {
        ((self.len() + ROW) as u64).next_multiple_of(PAGE)
    }

    /// Equal body and signatures mean that the request was sent again. Requests whose bodies were
    /// not read count as one if they were rejected for the same reason.
    pub(super) fn digest(&self) -> Vec<u8> {
        let mut hash = Sha256::new();
        for header in &self.signatures {
            hash.update(headers_to_text(std::slice::from_ref(header)));
        }
        match &self.body {
            Some(body) => {
                hash.update([0]);
                hash.update(body);
            }
            None => {
                hash.update([1]);
                hash.update(&self.reason);
            }
        }
        hash.finalize().to_vec()
    }
}

impl fmt::Debug for NewRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewRejected")
            .field("reason", &self.reason)
            .field("header_names", &self.header_names)
            .field("is_signed", &self.is_signed)
            .field("body_bytes", &self.body.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}

const MAX_EXPLANATION: usize = 1024;
const MAX_HEADERS: usize = 100;
const MAX_NAME: usize = 128;
const MAX_SIGNATURES: usize = 8;
const MAX_VALUE: usize = 256;

const PAGE: u64 = 4096;

/// Bytes of a row in addition to its texts and body: numbers, digest, and two index entries.
const ROW: usize = 256;
