//! [`Document`]: a body, parsed once.

use std::borrow::Cow;

use serde::de::Error as _;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::ParseError;
use crate::node::{Node, Notes, members};
use crate::reader::Mismatch;

/// A body, parsed once into a tree that borrows its text.
///
/// Any JSON can be parsed. If a part of it is beyond what a [`Node`] holds (a lone surrogate,
/// nesting deeper than 128, a number that would lose digits), that part becomes [`Node::Raw`], the
/// values around it are parsed separately, and [`is_whole`](Self::is_whole) is false.
///
/// # Examples
///
/// ```
/// use heygen_events::{Document, Event};
///
/// let document = Document::from_slice(
///     br#"{"event_type":"video_agent.fail","event_data":{"video_id":"v1","msg":"no credit"}}"#,
/// )?;
/// assert_eq!(document.root().fields().len(), 2);
/// let event = Event::read(&document)?;
/// assert_eq!(event.subject_id(), Some("v1"));
/// # Ok::<(), heygen_events::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Document<'a> {
    text: &'a str,
    root: Node<'a>,
    is_whole: bool,
    /// Whether a [`Value`] can hold all of it, known from the first pass.
    is_value: bool,
    has_repeated_keys: bool,
}

impl<'a> Document<'a> {
    /// Parses a body.
    ///
    /// # Errors
    ///
    /// [`Syntax`](crate::ParseErrorKind::Syntax) when the body is not JSON.
    pub fn from_slice(body: &'a [u8]) -> Result<Self, ParseError> {
        let Ok(text) = std::str::from_utf8(body) else {
            // Only serde_json can make its errors, so it parses the bytes to report one.
            let found = serde_json::from_slice::<&RawValue>(body).err();
            let error = found.unwrap_or_else(|| serde_json::Error::custom("not UTF-8"));
            return Err(ParseError::syntax(error));
        };
        let notes = Notes::default();
        let (root, is_value) = match Node::read(text, &notes) {
            Ok(root) => (root, true),
            Err(_) => {
                let raw: &RawValue = serde_json::from_str(text).map_err(ParseError::syntax)?;
                (Node::read_separately(raw, LEVELS, &notes), false)
            }
        };
        Ok(Self {
            text,
            root,
            is_whole: is_value && !notes.has_raw_numbers.get(),
            is_value,
            has_repeated_keys: notes.has_repeated_keys.get(),
        })
    }

    /// The text of the body.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The outermost value.
    #[must_use]
    pub fn root(&self) -> &Node<'a> {
        &self.root
    }

    /// The name of the event; its data is not examined.
    ///
    /// # Errors
    ///
    /// [`Envelope`](crate::ParseErrorKind::Envelope) when it is not an object, or has no name that
    /// is a string.
    pub fn event_name(&self) -> Result<&str, ParseError> {
        let Node::Object(_) = self.root else {
            return Err(ParseError::envelope("the body is not an object"));
        };
        match (self.root.get(EVENT_TYPE), self.root.get(EVENT)) {
            (Some(Node::Text(name)), _) | (_, Some(Node::Text(name))) => Ok(name),
            (Some(_), _) => Err(ParseError::envelope("event_type: not a string")),
            (None, _) => Err(ParseError::envelope("event_type: missing")),
        }
    }

    /// Whether the tree holds all of the text, without any [`Node::Raw`].
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether an object in the tree has a key twice. The last value counts.
    #[must_use]
    pub fn has_repeated_keys(&self) -> bool {
        self.has_repeated_keys
    }

    /// The members of the outermost object in their order, as text; none for any other value.
    /// Parses the text again.
    #[must_use]
    pub fn members(&self) -> Vec<(Cow<'a, str>, &'a RawValue)> {
        members(self.text).unwrap_or_default()
    }

    /// The text of the last member with this key.
    pub(crate) fn raw(&self, key: &str) -> Option<&'a RawValue> {
        let members = self.members().into_iter();
        members
            .rev()
            .find(|(known, _)| known == key)
            .map(|(_, raw)| raw)
    }

    /// One member, if a [`Value`] can hold all of it.
    pub(crate) fn member(&self, key: &str) -> Result<Option<&Node<'a>>, Mismatch> {
        if !self.is_value {
            let raw = self.raw(key).map_or("null", RawValue::get);
            serde_json::from_str::<Value>(raw).map_err(Mismatch::custom)?;
        }
        Ok(self.root.get(key))
    }
}

// The top level of a body.
pub(crate) const EVENT_TYPE: &str = "event_type";
pub(crate) const EVENT: &str = "event";
pub(crate) const EVENT_DATA: &str = "event_data";
pub(crate) const EVENT_ID: &str = "event_id";
pub(crate) const CREATED_AT: &str = "created_at";

/// How deep meaningful fields are nested: body, data, clips, clip.
const LEVELS: u8 = 4;
