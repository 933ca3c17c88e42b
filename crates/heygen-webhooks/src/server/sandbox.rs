//! [`Control`]: the sandbox, as the dashboard drives it.

use std::sync::{Arc, Weak};

use heygen_dashboard::{SandboxAttempt, SandboxControl};
use heygen_events::EventType;
use heygen_testkit::EventBuilder;
use heygen_testkit::sandbox::{Misbehaviour, Sandbox};
use serde_json::Value;

pub(crate) struct Control {
    /// The one who started it stops it, whatever pages are open.
    sandbox: Weak<Sandbox>,
}

impl Control {
    pub(crate) fn new(sandbox: &Arc<Sandbox>) -> Self {
        Self {
            sandbox: Arc::downgrade(sandbox),
        }
    }

    fn sandbox(&self) -> Result<Arc<Sandbox>, String> {
        let sandbox = self.sandbox.upgrade();
        sandbox.ok_or_else(|| "the sandbox has ended".to_owned())
    }
}

impl SandboxControl for Control {
    fn url(&self) -> String {
        let sandbox = self.sandbox();
        sandbox.map_or_else(|ended| ended, |sandbox| sandbox.url().to_owned())
    }

    fn endpoints(&self) -> Vec<String> {
        let endpoints = self.sandbox().map(|sandbox| sandbox.endpoints());
        let endpoints = endpoints.into_iter().flatten();
        endpoints.map(|endpoint| endpoint.url).collect()
    }

    fn sample(&self, event: &EventType) -> String {
        let body = EventBuilder::new(event.clone()).body();
        String::from_utf8_lossy(&body).into_owned()
    }

    fn send(&self, body: &str) -> Result<(), String> {
        let read: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
        if !read["event_type"].is_string() {
            return Err("the body needs a text under event_type".to_owned());
        }
        let event = EventBuilder::from_body(body.as_bytes()).map_err(|error| error.to_string())?;
        // The ids are those that were typed.
        self.sandbox()?.send(event.keep_ids());
        Ok(())
    }

    /// What differs from the default, also where a test has set it over HTTP.
    fn misbehaviour(&self) -> String {
        let set = self.sandbox().map(|sandbox| sandbox.misbehaviour());
        let [mut set, default] = [set.unwrap_or_default(), Misbehaviour::default()]
            .map(|misbehaviour| serde_json::to_value(misbehaviour).unwrap_or_default());
        if let Some(fields) = set.as_object_mut() {
            fields.retain(|name, value| default[name] != *value);
        }
        set.to_string()
    }

    fn misbehave(&self, json: &str) -> Result<(), String> {
        let misbehaviour = serde_json::from_str(json).map_err(|error| error.to_string())?;
        self.sandbox()?.misbehave(misbehaviour);
        Ok(())
    }

    fn attempts(&self) -> Vec<SandboxAttempt> {
        let deliveries = self.sandbox().map(|sandbox| sandbox.deliveries());
        let deliveries = deliveries.unwrap_or_default();
        let attempts = deliveries.iter().rev().flat_map(|delivery| {
            let numbered = delivery.attempts.iter().enumerate().rev();
            numbered.map(|(index, attempt)| {
                let name = delivery.event_type.as_str();
                let mut shown = SandboxAttempt::new(name, index + 1, attempt.status);
                shown.url.clone_from(&attempt.url);
                shown.duration = attempt.duration;
                shown.error.clone_from(&attempt.error);
                shown
            })
        });
        attempts.take(SHOWN_ATTEMPTS).collect()
    }
}

const SHOWN_ATTEMPTS: usize = 50;
