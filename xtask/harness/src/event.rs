//! [`success`] and [`post`]: an event as HeyGen sends it; [`Events`]: those of a fault, of which a number is all it takes to make one
//! again, byte for byte.

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
        post(&self.secret, &self.body(number)).into_bytes()
    }

    /// The same with a body of about so many bytes.
    pub fn large_request(&self, number: u64, bytes: usize) -> Vec<u8> {
        let body = self.body(number);
        let filler = "x".repeat(bytes.saturating_sub(body.len()));
        let filled = format!("\"filler\":\"{filler}\",\"callback_id\"");
        post(&self.secret, &body.replacen("\"callback_id\"", &filled, 1)).into_bytes()
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

    /// The number of the event about this subject; `None` when it is none of ours.
    pub fn number(&self, subject: &str) -> Option<u64> {
        subject
            .strip_prefix(&self.prefix)?
            .strip_prefix('-')?
            .parse()
            .ok()
    }

    /// Every fourth tells of a failure, so that there is more than one kind to be handed out.
    pub fn body(&self, number: u64) -> String {
        let id = format!("{}-{number}", self.prefix);
        match number % 4 {
            3 => format!(
                r#"{{"event_type":"avatar_video.fail","event_data":{{"video_id":"{id}","msg":"no credit","callback_id":"order-{number}"}}}}"#
            ),
            _ => success(&id),
        }
    }
}

/// The body of a video that was made, with a presigned link as long as real ones.
pub fn success(id: &str) -> String {
    // A signature by RSA with 2048 bits, as the content network of these links makes them: 256 bytes, 344 of base 64.
    let signature = "c2FtcGxl".repeat(43);
    format!(
        r#"{{"event_type":"avatar_video.success","event_data":{{"video_id":"{id}","url":"https://resource2.heygen.ai/video/{id}/1280x720.mp4?Expires=1789084800&Signature={signature}&Key-Pair-Id=SAMPLE0KEY0PAIR","gif_download_url":null,"video_share_page_url":"https://app.heygen.com/share/{id}","folder_id":null,"callback_id":"order-0000001042-take-002"}}}}"#
    )
}

/// The POST of a body.
pub fn post(secret: &Secret, body: &str) -> String {
    let signature = secret.sign(body.as_bytes());
    let length = body.len();
    format!(
        "POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: {USER_AGENT}\r\nAccept-Encoding: gzip, deflate\r\n\
         Accept: */*\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Signature: {signature}\r\n\r\n{body}"
    )
}

/// What a body is about; nothing when it cannot be read.
pub fn subject(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let subject = body["event_data"]["video_id"].as_str();
    subject.unwrap_or_default().to_owned()
}

/// Assumed: no one has published what HeyGen's requests say here.
pub const USER_AGENT: &str = "python-requests/2.32.3";

/// Known only to servers that listen on loopback for minutes.
pub const SECRET: &str = "whsec_of_the_harness";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_makes_the_same_event_and_is_read_back() {
        let events = Events::new("kills-1").unwrap();
        for number in 0..4 {
            assert_eq!(events.request(number), events.request(number));
            assert!(events.large_request(number, 10_000).len() > 10_000);
            let subject = subject(events.body(number).as_bytes());
            assert_eq!(events.number(&subject), Some(number));
        }
        assert_eq!(events.number("kills-2-7"), None);
    }
}
