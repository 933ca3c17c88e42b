//! [`Events`]: the deliveries of a fault. A number is all it takes to make one again, byte for byte.

use anyhow::{Context, Result};
use heygen_signature::Secret;
use serde_json::Value;

use crate::client::PATH;

/// Makes signed bodies of numbered events.
#[derive(Clone, Debug)]
pub struct Events {
    prefix: String,
    secret: Secret,
}

impl Events {
    /// `prefix` tells the events of one inbox file from those of any other.
    pub fn new(prefix: impl Into<String>) -> Result<Self> {
        let secret = Secret::new(SECRET).context("a secret")?;
        Ok(Self {
            prefix: prefix.into(),
            secret,
        })
    }

    /// The bytes of a POST that delivers this event.
    pub fn request(&self, number: u64) -> Vec<u8> {
        self.request_of(&self.body(number))
    }

    /// The same with a body of about so many bytes.
    pub fn large_request(&self, number: u64, bytes: usize) -> Vec<u8> {
        let body = self.body(number);
        let filler = "x".repeat(bytes.saturating_sub(body.len()));
        let filled = format!("\"filler\":\"{filler}\",\"callback_id\"");
        self.request_of(&body.replacen("\"callback_id\"", &filled, 1))
    }

    /// A line for `inbox import`: this event, kept long ago and in this state.
    pub fn line(&self, number: u64, state: &str) -> String {
        let line = serde_json::json!({
            "received_at": "2025-01-01T12:00:00Z",
            "source": "webhook",
            "state": state,
            "attempts": u8::from(state != "pending"),
            "headers": [],
            "body": self.body(number),
        });
        format!("{line}\n")
    }

    fn request_of(&self, body: &str) -> Vec<u8> {
        let signature = self.secret.sign(body.as_bytes());
        let length = body.len();
        format!(
            "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nSignature: {signature}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }

    /// The number of the event about this subject; `None` when it is none of ours.
    pub fn number(&self, subject: &str) -> Option<u64> {
        subject
            .strip_prefix(&self.prefix)?
            .strip_prefix('-')?
            .parse()
            .ok()
    }

    /// Every fourth tells of a failure, so that there is more than one kind to be handed out. Presigned links make the
    /// others as long as real ones are.
    pub fn body(&self, number: u64) -> String {
        let prefix = &self.prefix;
        if number % 4 == 3 {
            return format!(
                r#"{{"event_type":"avatar_video.fail","event_data":{{"video_id":"{prefix}-{number}","msg":"no credit","callback_id":"order-{number}"}}}}"#
            );
        }
        let query = format!(
            "Expires=1789084800&Signature={}&Key-Pair-Id=SAMPLE0KEY0PAIR",
            "c2FtcGxl".repeat(20)
        );
        format!(
            r#"{{"event_type":"avatar_video.success","event_data":{{"video_id":"{prefix}-{number}","url":"https://resource2.heygen.ai/video/{number}/1280x720.mp4?{query}","gif_download_url":"https://resource.heygen.ai/video/{number}/gif.gif?{query}","callback_id":"order-{number}"}}}}"#
        )
    }
}

/// What a body is about; nothing when it cannot be read.
pub fn subject(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let subject = body["event_data"]["video_id"].as_str();
    subject.unwrap_or_default().to_owned()
}

/// Known only to the servers of these faults, which listen on loopback for minutes.
pub const SECRET: &str = "whsec_of_the_harness";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_makes_the_same_event_and_is_read_back() {
        let events = Events::new("kills-1").unwrap();
        assert_eq!(events.request(7), events.request(7));
        assert_ne!(events.request(7), events.request(8));
        assert_eq!(events.number("kills-1-7"), Some(7));
        assert_eq!(events.number("kills-2-7"), None);
        for number in 0..4 {
            assert!(events.large_request(number, 10_000).len() > 10_000);
        }
    }

    #[test]
    fn bodies_are_json_that_heygen_events_reads() {
        let events = Events::new("a").unwrap();
        for number in 0..4 {
            let subject = subject(events.body(number).as_bytes());
            assert_eq!(events.number(&subject), Some(number));
        }
    }
}
