//! [`SandboxControl`]: the sandbox that plays HeyGen, as far as a page drives it.

use std::time::Duration;

use heygen_events::EventType;

pub(crate) mod page;

/// What plays HeyGen, as far as a page drives it.
pub trait SandboxControl: Send + Sync + 'static {
    /// A body of this event, as JSON, to begin with. It is shown with a field to a line.
    fn sample(&self, event: &EventType) -> String;

    /// Its address, which stands for HeyGen's.
    fn url(&self) -> String;

    /// Where it delivers to.
    fn endpoints(&self) -> Vec<String>;

    /// Delivers this body to every endpoint, with its fields in the order in which they stand; says in a sentence why it cannot.
    ///
    /// # Errors
    ///
    /// When the body cannot be sent.
    fn send(&self, body: &str) -> Result<(), String>;

    /// How it misbehaves, as JSON.
    fn misbehaviour(&self) -> String;

    /// Has it misbehave as this JSON says; says in a sentence why it cannot.
    ///
    /// # Errors
    ///
    /// When the text is not such JSON.
    fn misbehave(&self, json: &str) -> Result<(), String>;

    /// The newest attempts, the newest first.
    fn attempts(&self) -> Vec<SandboxAttempt>;
}

/// One attempt of the sandbox at a delivery.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SandboxAttempt {
    /// The name of the event.
    pub event: String,
    /// Where it went.
    pub url: String,
    /// Which attempt at this delivery, from 1.
    pub number: usize,
    /// The status that was answered; `None` without an answer.
    pub status: Option<u16>,
    /// How long it took.
    pub duration: Duration,
    /// Why there is no answer.
    pub error: Option<String>,
}

impl SandboxAttempt {
    /// An attempt that was answered with this status, or not at all.
    #[must_use]
    pub fn new(event: impl Into<String>, number: usize, status: Option<u16>) -> Self {
        Self {
            event: event.into(),
            url: String::new(),
            number,
            status,
            duration: Duration::ZERO,
            error: None,
        }
    }
}
